package conformance_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/relay"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// golden is where the recordings are that the transcripts are converted from.
const golden = "../../shared/golden/sdk-transcripts.json"

// A recording is one scenario of the golden file; its README says what is what.
type recording struct {
	Name, SDK, About string
	Entries          []entry
}

type entry struct {
	Dir, Conn, Type, Name string
	Hex                   string
	HexOfFirst, Bytes     int
	SHA256                string
	Decoded               json.RawMessage
	Endpoint              int
}

// file is the name of a recording's transcript.
func (r *recording) file() string {
	if strings.HasPrefix(r.SDK, "1.15") {
		return r.Name + "-1.15.2"
	}
	return r.Name
}

func readGolden(t *testing.T) []recording {
	t.Helper()
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("-update needs the golden files beside the checkout: %v", err)
	}
	var all struct{ Scenarios []recording }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all.Scenarios
}

// convertAll converts the recordings that are replayed, by the names of their
// files.
func convertAll(t *testing.T) map[string][]byte {
	unplayable := readList(t, transcripts, "not-replayed.txt")
	texts := map[string][]byte{}
	for _, r := range readGolden(t) {
		if unplayable[r.file()] != "" {
			continue
		}
		tr, err := convert(&r)
		if err != nil {
			t.Errorf("%s: %v", r.file(), err)
			continue
		}
		texts[r.file()] = tr.Text()
	}
	return texts
}

// write makes the transcripts of a folder those of texts.
func write(t *testing.T, dir string, texts map[string][]byte) {
	for name := range transcriptTexts(t, dir) {
		if texts[name] == nil {
			os.Remove(filepath.Join(dir, name+".txt"))
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// The transcripts are what the recordings say, wherever those are at hand: a
// transcript that was made to agree by hand would prove nothing.
func TestTranscriptsAreTheRecordings(t *testing.T) {
	for _, file := range []string{golden, goldenClient} {
		if _, err := os.Stat(file); err != nil {
			t.Skipf("the recordings are not beside the checkout: %v", err)
		}
	}
	for dir, texts := range map[string]map[string][]byte{transcripts: convertAll(t), clientTranscripts: convertClients(t)} {
		if *update {
			write(t, dir, texts)
		}
		for name, text := range transcriptTexts(t, dir) {
			if diff := cmp.Diff(string(texts[name]), string(text)); diff != "" {
				t.Errorf("%s: - recording + file\n%s", name, diff)
			}
			delete(texts, name)
		}
		for name := range texts {
			t.Errorf("%s has no file", name)
		}
	}
}

// A converter turns one recording into a transcript.
type converter struct {
	names    *strings.Replacer // what was recorded, by the name it has in decoded
	pairs    []string
	known    map[string]bool
	carriers map[string]int // of a client, so far
	leaving  map[string]bool
}

func convert(r *recording) (*conformance.Transcript, error) {
	c := &converter{known: map[string]bool{}, carriers: map[string]int{}, leaving: map[string]bool{}}
	for _, e := range r.Entries {
		if e.Type == "service" && e.HexOfFirst == 0 {
			c.learn(e)
		}
	}
	c.names = strings.NewReplacer(c.pairs...)
	t := &conformance.Transcript{
		Name: r.file(), SDK: r.SDK, About: r.About,
		From: "a real app on Microsoft.Azure.SignalR and .NET clients 10.0.15 with a reference service between them",
	}
	for i, e := range r.Entries {
		if e.Dir == "C>A" || e.Dir == "A>C" || e.Endpoint == 2 {
			continue // the app's own negotiate, and the other service
		}
		s, err := c.step(e)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if r, ok := s.Said.(conformance.Request); ok && t.Name == "startup-wrong-key" {
			r.Token.Forged = true
		}
		t.Steps = append(t.Steps, s)
	}
	t.Steps = settle(t.Steps)
	return t, nil
}

// settle undoes what the recorder saw late or only noted: a socket that broke
// did so before the service found out, nothing reaches it after that, and a
// poll that the client gave up had no answer.
func settle(steps []conformance.Step) []conformance.Step {
	var all []conformance.Step
	broken, polls := map[string]bool{}, map[string]bool{}
	for i, s := range steps {
		if r, ok := s.Said.(conformance.Request); ok {
			polls[s.Conn] = r.Method == "GET"
		}
		_, drop := s.Said.(conformance.Drop)
		switch {
		case s.Who == conformance.Relay && broken[s.Conn]:
			continue
		case s.Who == conformance.Relay && i+1 < len(steps):
			answer, ok := s.Said.(conformance.Response)
			next, deletes := steps[i+1].Said.(conformance.Request)
			if ok && polls[s.Conn] && answer.Status == 200 && len(answer.Body) == 0 && deletes && next.Method == "DELETE" {
				s.Who, s.Said = conformance.Client, conformance.Drop{}
			}
		case s.Who == conformance.Client && drop:
			at := len(all)
			for at > 0 && all[at-1].Who == conformance.Relay && ends(all[at-1], s.Conn) {
				at--
			}
			late := slices.DeleteFunc(slices.Clone(all[at:]), func(l conformance.Step) bool { return l.Conn == s.Conn })
			all = append(append(all[:at], s), late...)
			continue
		case drop:
			broken[s.Conn] = true
		}
		all = append(all, s)
	}
	return all
}

// ends says whether a step of the service is about the end of a client.
func ends(s conformance.Step, client string) bool {
	switch said := s.Said.(type) {
	case conformance.Close:
		return s.Conn == client
	case conformance.Frame:
		m, ok := said.Message.(*sp.CloseConnection)
		return ok && m.ConnectionID == "${"+client+"}"
	}
	return false
}

// standIn finds the names that decoded has for what differs from run to run.
var standIn = regexp.MustCompile(`\b(c[0-9]+|cid[0-9]+|server[0-9]+|request[0-9]+)\b`)

// learn finds out what the names in an entry stand for.
func (c *converter) learn(e entry) {
	frame, err := hex.DecodeString(e.Hex)
	if err != nil {
		return
	}
	m := decodeFrame(frame)
	var d struct{ ConnectionID, CallerServerID, QueryString string }
	if m == nil || json.Unmarshal(e.Decoded, &d) != nil {
		return
	}
	switch m := m.(type) {
	case *sp.OpenConnection:
		c.pair(d.ConnectionID, m.ConnectionID)
		c.pair(d.QueryString, m.Query)
		var claims struct{ Claims [][2]string }
		if json.Unmarshal(e.Decoded, &claims) == nil {
			for i, claim := range claims.Claims {
				c.pair(claim[1], m.Claims[i].Value)
			}
		}
	case *sp.ConnectionData:
		c.pair(d.ConnectionID, m.ConnectionID)
	case *sp.HandshakeResponse:
		c.pair(d.ConnectionID, m.ConnectionID)
	case *sp.ClientInvocation:
		c.pair(d.CallerServerID, m.CallerServerID)
		c.pair(d.ConnectionID, m.ConnectionID)
	case *sp.ClientCompletion:
		c.pair(d.CallerServerID, m.CallerServerID)
	}
}

// pair notes the names in text, which was recorded as real.
func (c *converter) pair(text, real string) {
	at := standIn.FindAllStringIndex(text, -1)
	if at == nil || text == real {
		return
	}
	pattern, from := "", 0
	for _, a := range at {
		pattern += regexp.QuoteMeta(text[from:a[0]]) + "(.+?)"
		from = a[1]
	}
	found := regexp.MustCompile("^" + pattern + regexp.QuoteMeta(text[from:]) + "$").FindStringSubmatch(real)
	for i := range found[min(1, len(found)):] {
		name := text[at[i][0]:at[i][1]]
		if was := found[i+1]; !c.known[was] && was != name {
			c.known[was] = true
			c.pairs = append(c.pairs, was, capture(name))
		}
	}
}

// capture is how a name of decoded stands in a transcript: what the relay
// chooses is a capture, the rest are words as good as any.
func capture(name string) string {
	if regexp.MustCompile(`^c[0-9]+$`).MatchString(name) {
		return "${" + name + "}"
	}
	return name
}

// times and ids as decoded has them.
var (
	decodedTime  = regexp.MustCompile(`<unix, (-?\d+) min ahead>`)
	decodedToken = regexp.MustCompile(`\b(c[0-9]+token)\b`)
	decodedID    = regexp.MustCompile(`"(c[0-9]+)"`)
)

// words puts captures where decoded has names.
func words(s string) string {
	s = decodedTime.ReplaceAllString(s, "$${unix+${1}m}")
	s = strings.ReplaceAll(s, "unix+-", "unix-")
	return decodedToken.ReplaceAllString(s, "$${$1}")
}

var speakers = map[string]conformance.Speaker{
	"A>S": conformance.App, "C>S": conformance.Client, "S>A": conformance.Relay, "S>C": conformance.Relay, "note": conformance.Note,
}

func (c *converter) step(e entry) (s conformance.Step, err error) {
	s.Who, s.Conn = speakers[e.Dir], e.Conn
	data, err := hex.DecodeString(e.Hex)
	if err != nil {
		return s, err
	}
	if e.HexOfFirst > 0 && e.Type != "service" {
		if data, err = regrow(data, e); err != nil {
			return s, err
		}
	}
	plain := []byte(c.names.Replace(string(data)))
	switch e.Type {
	case "note":
		s.Conn, s.Said = "", conformance.Remark(strings.TrimSpace(e.Name+" "+string(e.Decoded)))
	case "service":
		s.Said, err = c.frame(e, data)
	case "http-request":
		s.Said, err = c.request(e, plain)
		if r, ok := s.Said.(conformance.Request); ok && strings.HasPrefix(s.Conn, "h") {
			c.carried(r)
		}
	case "http-response":
		s.Said, err = response(e)
	case "ws-text":
		s.Said = conformance.Data{Kind: conformance.Text, Bytes: plain}
	case "ws-binary":
		s.Said = conformance.Data{Kind: conformance.Binary, Bytes: plain}
	case "sse-event":
		s.Said = conformance.Data{Kind: conformance.Event, Bytes: plain}
	case "ws-dropped", "sse-dropped", "sse-end":
		s.Said = conformance.Drop{}
	case "ws-close":
		if e.Name == "socket dropped" {
			s.Said = conformance.Drop{}
			break
		}
		var code int
		var reason string
		if e.Name != "" {
			number, text, _ := strings.Cut(e.Name, " ")
			if _, err = fmt.Sscan(number, &code); err != nil {
				return s, fmt.Errorf("close %q: %w", e.Name, err)
			}
			reason = text
		}
		s.Said = conformance.Close{Code: code, Reason: reason}
	default:
		err = fmt.Errorf("unknown type %q", e.Type)
	}
	s.Conn = c.carrier(s)
	return s, err
}

// carried counts the carriers of a client.
func (c *converter) carried(r conformance.Request) {
	if found := regexp.MustCompile(`id=\$\{(c[0-9]+)token\}`).FindStringSubmatch(r.Target); found != nil && field(r.Header, "Upgrade") != "" {
		c.carriers[found[1]]++
	}
}

// carrier names the socket of a client that a step is on. The recorder gave all
// sockets of a client one name: when there is a second, the first says no more
// than its end.
func (c *converter) carrier(s conformance.Step) string {
	n := c.carriers[s.Conn]
	if n < 2 {
		return s.Conn
	}
	if key := fmt.Sprint(s.Conn, n, s.Who); !c.leaving[key] {
		switch s.Said.(type) {
		case conformance.Close, conformance.Drop:
			c.leaving[key] = true
			n--
		}
	}
	if n < 2 {
		return s.Conn
	}
	return fmt.Sprintf("%s-%d", s.Conn, n)
}

// frame makes a Frame. Hex is kept for what an app server says and encoding
// does not say again.
func (c *converter) frame(e entry, data []byte) (f conformance.Frame, err error) {
	if e.HexOfFirst > 0 {
		f.Message, err = largeFrame(e, data)
		if f.Message != nil {
			replaceIn(f.Message, c.names)
		}
		return f, err
	}
	f.Message = decodeFrame(data)
	if f.Message == nil || e.Dir == "A>S" && !bytes.Equal(sp.Append(nil, f.Message), data) {
		f.Hex = []byte(c.names.Replace(string(data)))
	}
	if f.Message != nil {
		replaceIn(f.Message, c.names)
		switch m := f.Message.(type) {
		case *sp.OpenConnection:
			err = openConnection(m, e)
		case *sp.ServiceMapping:
			m.InstanceID = "${instance}"
		}
	}
	return f, err
}

// openConnection puts captures where the recorded values are times or those of
// the recording service.
func openConnection(o *sp.OpenConnection, e entry) error {
	var d struct{ Claims [][2]string }
	if err := json.Unmarshal(e.Decoded, &d); err != nil {
		return err
	}
	for i, claim := range d.Claims {
		if decodedTime.MatchString(claim[1]) {
			o.Claims[i].Value = moment(claim[0], claim[1])
		}
	}
	for i, h := range o.Headers {
		if h.Name == "Asrs-Instance-Id" {
			o.Headers[i].Values = []string{"${instance}"}
		}
	}
	return nil
}

// loginEnds is when the login of a replayed client ends that had 6 s.
const loginEnds = "${unix+2s}"

// moment is the capture for a time in a claim.
func moment(claim, decoded string) string {
	if claim == "asrs.s.aeo" && decoded == "<unix, 0 min ahead>" {
		return loginEnds
	}
	return words(decoded)
}

// notSent are headers that a replay makes itself or that say nothing.
var notSent = regexp.MustCompile(`^(Connection|Authorization|Content-Length|Sec-.*)$`)

func (c *converter) request(e entry, body []byte) (r conformance.Request, err error) {
	var d struct {
		Method, Target string
		Token          *struct {
			Header  struct{ Alg string }
			Payload json.RawMessage
		}
	}
	if err := json.Unmarshal(e.Decoded, &d); err != nil {
		return r, err
	}
	r.Method, r.Target, r.Body = d.Method, words(d.Target), body
	fields, err := ordered(e.Decoded, "headers")
	if err != nil {
		return r, err
	}
	for _, f := range fields {
		if !notSent.MatchString(f.Name) {
			r.Header = append(r.Header, f)
		}
	}
	if d.Token != nil {
		var payload bytes.Buffer
		if err := json.Compact(&payload, d.Token.Payload); err != nil {
			return r, err
		}
		text := strings.Replace(payload.String(), `"asrs.s.aeo":"<unix, 0 min ahead>"`, `"asrs.s.aeo":"`+loginEnds+`"`, 1)
		r.Token = &conformance.Token{Algorithm: d.Token.Header.Alg, Payload: words(text)}
	}
	return r, nil
}

// ordered reads a member that is an object of texts, in its order.
func ordered(object json.RawMessage, member string) (fields []conformance.Field, err error) {
	var d map[string]json.RawMessage
	if err := json.Unmarshal(object, &d); err != nil {
		return nil, err
	}
	if d[member] == nil {
		return nil, nil
	}
	in := json.NewDecoder(bytes.NewReader(d[member]))
	in.Token()
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, err
		}
		var value string
		if err := in.Decode(&value); err != nil {
			return nil, err
		}
		fields = append(fields, conformance.Field{Name: name.(string), Value: value})
	}
	return fields, nil
}

func response(e entry) (r conformance.Response, err error) {
	var d struct {
		Status      int
		ContentType string
		Body        json.RawMessage
	}
	if err := json.Unmarshal(e.Decoded, &d); err != nil {
		return r, err
	}
	r.Status = d.Status
	if d.ContentType != "" {
		r.Header = []conformance.Field{{Name: "Content-Type", Value: d.ContentType}}
	}
	var text string
	switch {
	case len(d.Body) == 0 || string(d.Body) == "null":
	case json.Unmarshal(d.Body, &text) == nil:
		r.Body = []byte(decodedID.ReplaceAllString(text, `"$${$1}"`))
	default:
		var body bytes.Buffer
		if err := json.Compact(&body, d.Body); err != nil {
			return r, err
		}
		r.Body = []byte(decodedID.ReplaceAllString(words(body.String()), `"$${$1}"`))
	}
	return r, nil
}

// decodeFrame is nil when the frame does not parse.
func decodeFrame(frame []byte) (m sp.Message) {
	err := new(sp.Splitter).Feed(bytes.Clone(frame), func(body []byte, _ bool) (err error) {
		m, err = new(sp.Decoder).Decode(bytes.Clone(body))
		return err
	})
	if err != nil {
		return nil
	}
	return m
}

// tails are how the hub messages end whose middle was not recorded.
var tails = []string{"", `"}` + "\x1e", `"]}` + "\x1e"}

// regrow makes the whole of something long out of its first bytes: the last of
// them repeated, and one of the tails. The recorded hash says whether it is so.
func regrow(first []byte, e entry) ([]byte, error) {
	for _, tail := range tails {
		n := e.Bytes - len(first) - len(tail)
		last := first[len(first)-1:]
		whole := append(bytes.Clone(first), bytes.Repeat(last, n)...)
		if sum := sha256.Sum256(append(whole, tail...)); hex.EncodeToString(sum[:]) == e.SHA256 {
			start := bytes.TrimRight(first, string(last))
			return fmt.Appendf(nil, "%s${%d*%s}%s", start, n+len(first)-len(start), last, tail), nil
		}
	}
	return nil, errors.New("the middle is not known")
}

// largeFrame is regrow for a service message: each that could be it is tried.
func largeFrame(e entry, first []byte) (sp.Message, error) {
	size := 3 // of the length prefix of these
	body := first[size:]
	var tries []sp.Message
	switch e.Name {
	case "ConnectionData":
		id := string(body[3 : 3+int(body[2]&0x1f)])
		payload := body[3+len(id)+1:]
		header := map[byte]int{0xc5: 2, 0xc6: 4}[body[3+len(id)]]
		payload = payload[header:]
		n := e.Bytes - size - 3 - len(id) - 1 - header
		for _, tail := range tails {
			for _, kind := range []int{0, sp.DataInvocation} {
				ext := 1
				if kind != 0 {
					ext = 3
				}
				last := payload[len(payload)-1:]
				start := bytes.TrimRight(payload, string(last))
				tries = append(tries, &sp.ConnectionData{ConnectionID: id, DataType: kind, Data: fmt.Appendf(nil,
					"%s${%d*%s}%s", start, n-ext-len(start)-len(tail), last, tail)})
			}
		}
	case "BroadcastData":
		for n := 299_990; n < 300_010; n++ {
			length := append([]byte("\x96\x01\x80\xc0\xa7message\x91\xdb"), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
			total := len(length) + n + 1
			prefix := []byte{byte(total) | 0x80, byte(total>>7) | 0x80, byte(total >> 14)}
			tries = append(tries, &sp.BroadcastData{Payload: relay.Payload{
				{Protocol: "json", Data: fmt.Appendf(nil, `{"type":1,"target":"message","arguments":["${%d*w}"]}`+"\x1e", n)},
				{Protocol: "messagepack", Data: fmt.Appendf(append(prefix, length...), "${%d*w}\x90", n)},
			}})
		}
	}
	for _, m := range tries {
		grown := conformance.Expanded(m)
		frame := sp.Append(nil, grown)
		if sum := sha256.Sum256(frame); len(frame) == e.Bytes && hex.EncodeToString(sum[:]) == e.SHA256 {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s of %d bytes: the middle is not known", e.Name, e.Bytes)
}

// replaceIn puts names in every text of a message.
func replaceIn(m sp.Message, names *strings.Replacer) { conformance.EachText(m, names.Replace) }
