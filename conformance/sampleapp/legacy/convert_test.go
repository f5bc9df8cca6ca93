package legacy_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

var update = flag.Bool("update", false, "convert testdata anew from the golden files beside the checkout")

const transcripts = "../../../testdata/legacyapp"

// entry is one line of the recording.
type entry struct {
	Dir, Conn, Type, Name, Hex string
	Decoded                    json.RawMessage
}

// TestUpdate converts the recorded scenarios to text. What the recording leaves
// out but says in words is added: control pings, and that it was the service
// which closed a connection.
func TestUpdate(t *testing.T) {
	if !*update {
		t.Skip("only with -update, and GOLDEN naming the directory of legacy-sdk-transcripts.json")
	}
	text, err := os.ReadFile(filepath.Join(os.Getenv("GOLDEN"), "legacy-sdk-transcripts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Scenarios []struct {
			Name, About      string
			Entries          []entry
			Handshakes       []entry
			SecondaryEntries []entry
			HubEvents        []string
		}
		HTTP []json.RawMessage
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var index []string
	for _, s := range file.Scenarios {
		index = append(index, s.Name)
		var b strings.Builder
		fmt.Fprintf(&b, "# %s\n# %s\n", s.Name, s.About)
		for i, e := range append(append(s.Handshakes, s.Entries...), s.SecondaryEntries...) {
			for _, line := range added[s.Name][i] {
				b.WriteString(line + "\n")
			}
			b.WriteString(converted(t, s.Name, e))
		}
		for _, event := range s.HubEvents {
			fmt.Fprintf(&b, "event> %s\n", event)
		}
		write(t, s.Name+".txt", []byte(b.String()))
	}
	write(t, "index.txt", []byte(strings.Join(index, "\n")+"\n"))
	answers := [][]byte{}
	for _, a := range file.HTTP {
		answers = append(answers, a)
	}
	write(t, "http.json", append(append([]byte("[\n"), bytes.Join(answers, []byte(",\n"))...), "\n]\n"...))
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(transcripts, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func pinged(conn string, words ...string) string {
	return "service> " + conn + " Ping " + hex.EncodeToString(serviceproto.Append(nil, &serviceproto.Ping{Words: words})) + "  words " + strings.Join(words, " ")
}

// added are the lines before an entry that the recording does not have.
var added = map[string]map[int][]string{
	"app-stop":           {5: {"do> stop"}},
	"ping-offline-scope": {2: {pinged("legacyapp_legacyapp#0", "offline", "inst1")}},
	"ping-message-tracing": {
		1:  {pinged("legacyapp_legacyapp#0", "d-m", "1"), pinged("legacyapp_chat#0", "d-m", "1"), pinged("legacyapp_chat#1", "d-m", "1")},
		10: {pinged("legacyapp_legacyapp#0", "d-m", "0"), pinged("legacyapp_chat#0", "d-m", "0"), pinged("legacyapp_chat#1", "d-m", "0")},
	},
	"on-demand-client":           {3: {"service> legacyapp_legacyapp#2 close"}},
	"service-error":              {3: {"service> legacyapp_legacyapp#1 close"}},
	"server-connection-lost":     {3: {"service> legacyapp_legacyapp#0 close"}},
	"groups-ack-lost-connection": {3: {"service> legacyapp_legacyapp#3 close"}},
	"backend-sends": {
		0: {"do> backend"}, 1: {"do> backend"}, 2: {"do> backend"}, 3: {"do> backend"}, 4: {"do> backend"}, 6: {"do> backend"}, 7: {"do> backend"},
		8: {"do> backend"}, 10: {"do> backend"}, 11: {"do> backend"}, 13: {"do> backend"}, 15: {"do> backend"}, 17: {"do> backend"},
	},
}

// long is a run of one letter that makes a line unreadable.
var long = regexp.MustCompile(`(?:7a){1000,}`)

func converted(t *testing.T, scenario string, e entry) string {
	who := map[string]string{"A>S": "app>", "S>A": "service>"}[e.Dir]
	switch e.Type {
	case "ws-close":
		return who + " " + e.Conn + " close\n"
	case "ws-dropped":
		return who + " " + e.Conn + " dropped\n"
	}
	if prefix, _, cut := strings.Cut(e.Hex, "<"); cut {
		e.Hex = whole(t, e, prefix)
	}
	frame, err := hex.DecodeString(e.Hex)
	if who == "" || err != nil || len(frame) == 0 {
		t.Fatalf("%s: %s %s is not whole: %v", scenario, e.Dir, e.Name, err)
	}
	name := e.Name
	if e.Type == "bytes" {
		name = "bytes"
	}
	if name == "Ping" && scenario != "keep-alive" && scenario != "service-silent" && bytes.Equal(frame, []byte{2, 0x91, 3}) {
		return ""
	}
	body := long.ReplaceAllStringFunc(e.Hex, func(run string) string { return "(7a*" + strconv.Itoa(len(run)/2) + ")" })
	return fmt.Sprintf("%s %s %s %s%s\n", who, e.Conn, strings.ReplaceAll(name, " ", "-"), body, gloss(e))
}

// whole makes a frame anew that the recording has only the beginning of.
func whole(t *testing.T, e entry, prefix string) string {
	var d struct {
		ConnectionID string
		Payload      struct {
			Bin   string
			Frame struct{ Text string }
		}
	}
	if err := json.Unmarshal(e.Decoded, &d); err != nil {
		t.Fatal(err)
	}
	text := []byte(repeats.ReplaceAllStringFunc(d.Payload.Bin+d.Payload.Frame.Text, func(s string) string {
		n, err := strconv.Atoi(repeats.FindStringSubmatch(s)[1])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Repeat("z", n)
	}))
	if d.Payload.Bin == "" {
		text = serviceproto.Append(nil, &serviceproto.ConnectionData{Data: text})
	}
	frame := hex.EncodeToString(serviceproto.Append(nil, &serviceproto.ConnectionData{ConnectionID: d.ConnectionID, Data: text}))
	if size, _, _ := strings.Cut(e.Hex[len(prefix)+1:], " "); !strings.HasPrefix(frame, prefix) || strconv.Itoa(len(frame)/2) != size {
		t.Fatalf("%s begins %s and has %s bytes, made are %d bytes beginning %s", e.Name, prefix, size, len(frame)/2, frame[:len(prefix)])
	}
	return frame
}

var repeats = regexp.MustCompile(`<(\d+) times z>`)

// gloss is what a reader wants to know of a frame.
func gloss(e entry) string {
	var d map[string]any
	if json.Unmarshal(e.Decoded, &d) != nil {
		if e.Type == "bytes" {
			return "  " + e.Name
		}
		return ""
	}
	delete(d, "messageType")
	delete(d, "ext")
	b := new(bytes.Buffer)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil || b.Len() > 1000 {
		return ""
	}
	return "  " + strings.TrimSpace(b.String())
}
