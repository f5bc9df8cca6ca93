package serviceproto_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "convert the golden files, a checkout of which must lie beside this one, into testdata")

const golden = "../../../shared/golden"

func TestMain(m *testing.M) {
	flag.Parse()
	if *update {
		if err := convert(); err != nil {
			fmt.Fprintln(os.Stderr, "update testdata:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// convert writes testdata from the golden files. What a frame should decode to
// comes from those files alone, never from this package.
func convert() error {
	var source struct {
		Vectors, Derived []vector
		Framing          framing
		Negative         []struct{ Name, FramedHex string }
	}
	if err := readJSON("service-protocol.json", &source); err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("# name\ttype\texpect\tframe\tfields; see README.md\n")
	for _, v := range append(source.Vectors, source.Derived...) {
		fields, err := v.fields()
		if err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
		fmt.Fprintf(&out, "%s\t%d\t%s\t%s\t%s\n", v.label(), v.Type, v.expect(), v.FramedHex, fields)
	}
	for _, n := range source.Negative {
		want, ok := negatives[n.Name]
		if !ok {
			return fmt.Errorf("negative vector %q is new", n.Name)
		}
		fmt.Fprintf(&out, "%s\t%d\t%s\t%s\t%s\n", n.Name, want.typ, want.expect, n.FramedHex, want.fields)
	}
	out.WriteString(recorded)
	if err := write("vectors.txt", out.Bytes()); err != nil {
		return err
	}
	lines, err := source.Framing.lines()
	if err != nil {
		return err
	}
	if err := write("framing.txt", lines); err != nil {
		return err
	}
	return convertTranscripts()
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(filepath.Join(golden, file))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

func write(file string, data []byte) error {
	return os.WriteFile(filepath.Join(testdata, file), data, 0o644)
}

type vector struct {
	Name, Set, FramedHex string
	Type                 int
	Exact                *bool `json:"sdkWriterProducesExactlyThis"`
	Fields               ordered
}

func (v vector) label() string {
	set, _, _ := strings.Cut(v.Set, ",")
	set, _, _ = strings.Cut(set, " (")
	if strings.HasSuffix(v.Set, "newer SDK") || strings.Contains(v.Set, "transitional") {
		set += ", newer SDK"
	}
	return v.Name + " [" + cmp.Or(set, "derived") + "]"
}

// expect tells the vectors that this package writes as they are from those in a
// shape that it only reads: the set "compat", which is older by definition, and
// the ones listed here.
func (v vector) expect() string {
	elements := v.FramedHex[2:4] // of a frame below 128 bytes, which these types are
	switch {
	case v.Type == 20 && elements == "95": // an Ack without a payload, ours too
		return "same"
	case v.Exact != nil && !*v.Exact,
		v.Type == 1 && elements == "96",                        // the handshake of 1.25.1
		v.Type == 40 && elements == "96",                       // the first two shapes of the query
		v.Type == 20 && strings.HasSuffix(v.FramedHex, "80c0"), // an Ack with a nil payload
		v.Name == "handshake-response success nil error",       // "" is written
		v.Name == "flow-control client pause, compact ints":    // the SDK writes long ones
		return "reads"
	}
	return "same"
}

// names of the fields, golden file to struct.
var names = map[string]string{
	"accessKey": "Key", "ackId": "AckID", "allowStatefulReconnects": "AllowStatefulReconnects", "callerServerId": "CallerServerID",
	"callerUserId": "CallerUser", "claims": "Claims", "connectionId": "ConnectionID", "connectionList": "ConnectionIDs",
	"connectionToken": "ConnectionToken", "connectionType": "ConnectionType", "continuationToken": "ContinuationToken",
	"dataMessageType": "DataType", "error": "Error", "errorMessage": "Error", "errorType": "ErrorType", "excludedList": "Excluded",
	"excludedUserList": "ExcludedUsers", "extProtocol": "Protocol", "filter": "Filter", "groupList": "Groups", "groupName": "Group",
	"headers": "Headers", "id": "ID", "instanceId": "InstanceID", "invocationId": "InvocationID", "isPartial": "Partial", "kid": "KeyID",
	"kind": "Kind", "maxPageSize": "MaxPageSize", "message": "Message", "messages": "Words", "migrationLevel": "MigrationLevel",
	"operation": "Operation", "payloadHex": "Data", "payloadsHex": "Payload", "protocol": "Protocol", "queryString": "Query",
	"reason": "Reason", "status": "Status", "target": "Target", "token": "Token", "top": "Top", "tracingId": "TracingID", "ttl": "TTL",
	"type": "ObjectType", "userId": "UserID", "userList": "UserIDs", "version": "Version",
}

// fields renames the fields and leaves out those that are zero.
func (v vector) fields() (string, error) {
	out := map[string]any{}
	for _, f := range v.Fields {
		name, ok := names[f.name]
		if !ok {
			return "", fmt.Errorf("field %q is new", f.name)
		}
		value := string(f.value)
		if name == "Group" && value == "null" {
			name, value = "AllGroups", "true"
		}
		switch value {
		case "null", `""`, "false", "0", "[]", "{}":
			continue
		}
		out[name] = json.RawMessage(value)
		if name == "Payload" || name == "Headers" { // their order counts
			var list ordered
			if err := json.Unmarshal(f.value, &list); err != nil {
				return "", err
			}
			var pairs [][2]any
			for _, entry := range list {
				pairs = append(pairs, [2]any{entry.name, entry.value})
			}
			out[name] = pairs
		}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// ordered is a JSON object that keeps its order.
type ordered []struct {
	name  string
	value json.RawMessage
}

func (o *ordered) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, struct {
			name  string
			value json.RawMessage
		}{name.(string), value})
	}
	return nil
}

// negatives says what the negative vectors, which have prose for it, come to
// here.
var negatives = map[string]struct {
	typ    int
	expect string
	fields string
}{
	"FlowControl with connection type 0":                     {39, "error", ""},
	"FlowControl with operation 0":                           {39, "error", ""},
	"unknown message type 99":                                {99, "unknown", ""},
	"unknown extension key 9 on ConnectionData":              {6, "reads", `{"ConnectionID":"c","Data":"78","TracingID":5}`},
	"OpenConnection with two headers differing only in case": {4, "same", `{"ConnectionID":"c","Headers":[["X-A",["1"]],["x-a",["2"]]]}`},
}

// recorded are the frames of the specification (service-protocol 4.4, 41 to 43)
// that SDK 1.34.0 wrote; the golden file does not have them.
const recorded = `RefreshAuth without claims [1.34.0]	41	same	0f9629a3746f6b80d6ff6b49d2000780	{"AckID":7,"ConnectionToken":"tok","ExpireTime":"2027-01-15T08:00:00Z"}
RefreshAuth with claims [1.34.0]	41	same	1b9629a3746f6b82a161a162a161a163d7ff1d5353006b49d2000780	{"AckID":7,"Claims":[["a","b"],["a","c"]],"ConnectionToken":"tok","ExpireTime":"2027-01-15T08:00:00.123Z"}
GetConnectionClaims [1.34.0]	42	same	08942aa3746f6b0580	{"AckID":5,"ConnectionToken":"tok"}
UpdateConnectionClaims [1.34.0]	43	same	0f942ba2633182a161a162a161a16380	{"Claims":[["a","b"],["a","c"]],"ConnectionID":"c1"}
UpdateConnectionClaims without claims [1.34.0]	43	same	07942ba263318080	{"ConnectionID":"c1"}
`

type framing struct {
	Varint []struct {
		Value int
		Hex   string
	}
	InvalidVarint []struct{ Hex, Why string }
	Streams       []struct {
		Name, Hex, PrefixHex, PayloadByte, TailHex, FramedSha256 string
		PayloadLength                                            int
		Chunks, Frames                                           []string
	}
}

func (f framing) lines() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("# kind\tname\tbytes\tframes; see README.md\n")
	for _, v := range f.Varint {
		fmt.Fprintf(&out, "length\t%d\t%s\t\n", v.Value, v.Hex)
	}
	for _, v := range f.InvalidVarint {
		kind := "error"
		if strings.HasPrefix(v.Why, "incomplete") {
			kind = "wait"
		}
		fmt.Fprintf(&out, "%s\t%s\t%s\t\n", kind, v.Why, v.Hex)
	}
	for _, s := range f.Streams {
		if s.PayloadByte != "" {
			// Three bytes of the payload are in the prefix and the tail.
			s.Hex = fmt.Sprintf("%s(%s*%d)%s", s.PrefixHex, s.PayloadByte, s.PayloadLength-3, s.TailHex)
			s.Frames = []string{s.Hex}
			if frame, err := unhex(s.Hex); err != nil || fmt.Sprintf("%x", sha256.Sum256(frame)) != s.FramedSha256 {
				return nil, fmt.Errorf("%s: the frame has another hash (%v)", s.Name, err)
			}
		}
		fmt.Fprintf(&out, "stream\t%s\t%s\t%s\n", s.Name, cmp.Or(s.Hex, strings.Join(s.Chunks, "")), strings.Join(s.Frames, ","))
	}
	return out.Bytes(), nil
}

// convertTranscripts writes each different frame of the recorded conversations
// once, with the first scenario it occurs in.
func convertTranscripts() error {
	var source struct {
		Scenarios []struct {
			Name, SDK string
			Entries   []struct {
				Dir, Type, Name, Hex, SHA256 string
				HexOfFirst, Bytes            int
			}
		}
	}
	if err := readJSON("sdk-transcripts.json", &source); err != nil {
		return err
	}
	type frame struct{ scenario, sdk, dir, name, hex string }
	var frames []frame
	count := map[string]int{}
	for _, s := range source.Scenarios {
		for _, e := range s.Entries {
			if e.Type != "service" {
				continue
			}
			if e.HexOfFirst > 0 {
				whole, err := complete(e.Hex, e.Bytes, e.SHA256)
				if err != nil {
					return fmt.Errorf("%s: %w", s.Name, err)
				}
				e.Hex = whole
			}
			key := e.Dir + e.Hex
			if count[key]++; count[key] == 1 {
				sdk, _, _ := strings.Cut(s.SDK, " ")
				frames = append(frames, frame{s.Name, sdk, e.Dir, e.Name, e.Hex})
			}
		}
	}
	var out bytes.Buffer
	out.WriteString("# scenario\tSDK\tdirection\tname\ttimes\texpect\tframe; see README.md\n")
	for _, f := range frames {
		expect := "same"
		switch {
		case f.name == "Ack" && strings.HasSuffix(f.hex, "80c0"):
			expect = "reads" // a nil payload, which we leave out
		default:
			expect = cmp.Or(oddFrames[f.hex], expect)
		}
		fmt.Fprintf(&out, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", f.scenario, f.sdk, f.dir, f.name, count[f.dir+f.hex], expect, f.hex)
	}
	return write("transcripts.txt", out.Bytes())
}

// oddFrames are those of the scenarios about odd and old input, which the service
// of the recording wrote so that one could see what the SDK does, and what they
// come to here.
var oddFrames = map[string]string{
	"029163":                               "unknown",
	"05932ca16180":                         "unknown",
	"02a161":                               "error", // no array
	"059405c0a080":                         "error", // nil connection id
	"08951601a16302a174":                   "reads", // no extension map
	"119406a66e6f626f6479c4008209a1780501": "reads", // extension key 9
	"0d9814ce000fffff01a080c0c0c0":         "reads", // elements behind the last
	"039202c0":                             "reads", // handshake response of two elements
	"089504a26d338080a0":                   "reads", // no extension map
	"069304a26d3480":                       "reads", // claims only
	"0f9604a26d3580c0a08103a46a736f6e":     "reads", // headers nil: the SDK loses it
	"0f9604a26d368080c08103a46a736f6e":     "reads", // query nil
}

// endings of the recorded frames that are too long to be kept whole. The frame
// is the bytes kept, the last of them repeated, and one of these; the hash tells
// which.
var endings = []string{
	"80",
	"225d7d1e80",
	"227d1e80",
	"227d1e810502",
	"225d7d1eab6d6573736167657061636bc6000493f6f3a712960180c0a76d65737361676591db000493e0(77*300000)9080",
}

func complete(head string, size int, sum string) (string, error) {
	first, err := hex.DecodeString(head)
	if err != nil {
		return "", err
	}
	fill := first[len(first)-1:]
	for _, ending := range endings {
		last, err := unhex(ending)
		if err != nil {
			return "", err
		}
		n := size - len(first) - len(last)
		if n < 0 {
			continue
		}
		whole := bytes.Join([][]byte{first, bytes.Repeat(fill, n), last}, nil)
		if fmt.Sprintf("%x", sha256.Sum256(whole)) == sum {
			return fmt.Sprintf("%s(%x*%d)%s", head, fill, n, ending), nil
		}
	}
	return "", fmt.Errorf("no ending fits the frame with hash %s", sum)
}
