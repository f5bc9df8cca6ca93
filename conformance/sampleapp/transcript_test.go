package sampleapp_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

var update = flag.Bool("update", false, "convert testdata anew from the golden files beside the checkout")

const transcripts = "../../testdata/sampleapp"

// scenarios are the recorded conversations that an app with our hubs can be led
// through by its service alone.
var scenarios = []string{
	"connect-websockets-json", "connect-websockets-messagepack", "connect-anonymous", "invocation-json", "hub-errors",
	"hub-refuses-in-onconnected", "send-all", "send-others", "send-caller", "send-client", "send-clients", "send-user",
	"send-users", "send-all-except", "send-groups", "group-join-send-leave", "group-except", "stream-down", "stream-up",
	"stream-both-ways", "client-result-client-leaves", "client-result-two-servers", "end-hub-abort", "end-client-stop",
	"end-client-socket-lost", "end-unknown-hub-protocol", "end-service-closes-client", "partial-payloads", "burst-of-answers",
	"shutdown-off-only-finack", "shutdown-wait",
}

// step is one line of a transcript.
type step struct {
	toApp bool
	link  string // s1, s2 …
	name  string // of the message, or close
	body  []byte // with its length; empty for close
}

func readTranscript(t *testing.T, name string) (all []step) {
	t.Helper()
	f, err := os.Open(filepath.Join(transcripts, name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "  ")
		if line == "" || line[0] == '#' {
			continue
		}
		c := strings.Fields(line)
		s := step{toApp: c[0] == "service>", link: c[1], name: c[2]}
		if len(c) > 3 {
			if s.body, err = hex.DecodeString(c[3]); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		all = append(all, s)
	}
	return all
}

// message decodes a step's frame.
func (s step) message(t *testing.T) (m serviceproto.Message) {
	t.Helper()
	err := new(serviceproto.Splitter).Feed(s.body, func(body []byte, _ bool) error {
		m = stubservice.Decode(t, append([]byte(nil), body...))
		return nil
	})
	if err != nil || m == nil {
		t.Fatalf("%s: no frame: %v", s.name, err)
	}
	return m
}

// lane sorts frames into those that keep their order: what a hub writes to its
// client, and everything else. The SDK has two flows (service-protocol 7.4).
func lane(m serviceproto.Message) int {
	if m.Type() == serviceproto.TypeConnectionData {
		return 0
	}
	return 1
}

// replay leads apps through a transcript: what the service said is sent when
// the app has said all that it had said by then.
type replay struct {
	t     *testing.T
	stub  *stub
	links map[string]*stubLink
	apps  map[string]*running // by link
	// crossing are clients whose end both sides told each other: whether the app
	// said so too was chance (8.1).
	crossing map[string]bool
	early    map[string]*[2][]serviceproto.Message
	alias    []string // recorded and live invocation ids, in pairs, of equal length
}

func TestTranscripts(t *testing.T) {
	for _, name := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &replay{
				t: t, stub: newStub(t), links: map[string]*stubLink{}, apps: map[string]*running{}, crossing: map[string]bool{},
				early: map[string]*[2][]serviceproto.Message{},
			}
			r.run(readTranscript(t, name))
		})
	}
}

func (r *replay) run(steps []step) {
	servers := map[string]string{} // link to server id
	stopped := map[string]string{} // link to mode
	for _, s := range steps {
		if s.name == "close" {
			continue
		}
		switch m := s.message(r.t).(type) {
		case *serviceproto.CloseConnection:
			if s.toApp {
				r.crossing[m.ConnectionID] = true
			}
		case *serviceproto.ClientInvocation:
			if !s.toApp {
				servers[s.link] = m.CallerServerID
			}
		case *serviceproto.ClientCompletion:
			if !s.toApp {
				servers[s.link] = m.CallerServerID
			}
		case *serviceproto.Ping:
			if !s.toApp && len(m.Words) == 2 && m.Words[0] == "shutdown" {
				stopped[s.link] = map[string]string{"fin:0": "off", "fin:1": "migrate", "fin:2": "wait"}[m.Words[1]]
			}
		}
	}
	for _, s := range steps {
		if r.links[s.link] == nil {
			r.apps[s.link] = r.stub.start(r.t, sampleapp.Options{ServerID: servers[s.link], Shutdown: stopped[s.link]})
			r.links[s.link] = r.stub.next(r.t)
			r.early[s.link] = new([2][]serviceproto.Message)
		}
		switch {
		case s.toApp:
			r.links[s.link].Write(2, []byte(strings.NewReplacer(r.alias...).Replace(string(s.body))))
		case s.name == "close":
			r.closes(s)
		default:
			r.check(s)
		}
	}
}

// closes waits for the app's close frame.
func (r *replay) closes(s step) {
	r.t.Helper()
	select {
	case status := <-r.links[s.link].Closed:
		if status != 1000 {
			r.t.Errorf("closed with %d, want 1000", status)
		}
	case <-time.After(patience):
		r.t.Fatal("the app does not close")
	}
}

// check takes the app's next frame of the step's lane and compares.
func (r *replay) check(s step) {
	r.t.Helper()
	want := s.message(r.t)
	if r.chance(want) {
		return
	}
	if p, ok := want.(*serviceproto.Ping); ok && p.Words[0] == "shutdown" {
		r.apps[s.link].stop()
	}
	got := r.next(s.link, lane(want))
	if ask, ok := want.(*serviceproto.ClientInvocation); ok {
		if live, ok := got.(*serviceproto.ClientInvocation); ok && len(live.InvocationID) == len(ask.InvocationID) {
			r.alias = append(r.alias, ask.InvocationID, live.InvocationID)
		}
	}
	back := make([]string, 0, len(r.alias))
	for i := 0; i < len(r.alias); i += 2 {
		back = append(back, r.alias[i+1], r.alias[i])
	}
	frame := strings.NewReplacer(back...).Replace(string(serviceproto.Append(nil, got)))
	if frame != string(s.body) {
		r.t.Fatalf("%s: the app's frame differs (- recorded, + ours):\n%s%x\n%x", s.name, cmp.Diff(want, got), s.body, frame)
	}
}

func (r *replay) chance(m serviceproto.Message) bool {
	c, ok := m.(*serviceproto.CloseConnection)
	return ok && r.crossing[c.ConnectionID]
}

func (r *replay) next(link string, lane_ int) serviceproto.Message {
	r.t.Helper()
	early := r.early[link]
	for len(early[lane_]) == 0 {
		m := stubservice.Decode(r.t, r.links[link].frame(r.t))
		if !r.chance(m) {
			early[lane(m)] = append(early[lane(m)], m)
		}
	}
	m := early[lane_][0]
	early[lane_] = early[lane_][1:]
	return m
}

// TestUpdate converts the recorded scenarios: the frames of server connections
// without keep-alives, and the app's closes.
func TestUpdate(t *testing.T) {
	if !*update {
		t.Skip("only with -update, and GOLDEN naming the directory of sdk-transcripts.json")
	}
	text, err := os.ReadFile(filepath.Join(os.Getenv("GOLDEN"), "sdk-transcripts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Scenarios []struct {
			Name, SDK, About string
			Entries          []struct {
				Dir, Conn, Type, Name, Hex string
				Decoded                    json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, name := range scenarios {
		wanted[name] = true
	}
	for _, s := range file.Scenarios {
		if !wanted[s.Name] || s.SDK != "1.34.0" {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "# %s\n# %s\n", s.Name, s.About)
		for _, e := range s.Entries {
			who := map[string]string{"A>S": "app>", "S>A": "service>"}[e.Dir]
			switch {
			case who == "" || !strings.HasPrefix(e.Conn, "s"):
			case e.Type == "ws-close" && who == "app>":
				fmt.Fprintf(&b, "%s %s close\n", who, e.Conn)
			case e.Type == "service":
				frame, err := hex.DecodeString(e.Hex)
				if err != nil || len(frame) == 0 {
					t.Fatalf("%s: %s is not whole: %v", s.Name, e.Name, err)
				}
				st := step{body: frame}
				if e.Name == "Ping" && stubservice.KeepAlive(st.message(t)) {
					continue
				}
				fmt.Fprintf(&b, "%s %s %s %s%s\n", who, e.Conn, e.Name, e.Hex, gloss(e.Decoded))
			}
		}
		if err := os.WriteFile(filepath.Join(transcripts, s.Name+".txt"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// gloss is what a reader wants to know of a frame.
func gloss(decoded json.RawMessage) string {
	var d map[string]json.RawMessage
	if json.Unmarshal(decoded, &d) != nil {
		return ""
	}
	var all []string
	for _, name := range []string{"connectionId", "connectionIds", "userId", "userIds", "group", "groups", "excludedConnectionIds", "ackId", "status", "words", "payload", "payloads", "error"} {
		if v := d[name]; len(v) > 2 && len(v) < 400 || name == "ackId" && v != nil || name == "status" && v != nil {
			all = append(all, name+" "+strings.ReplaceAll(string(v), "  ", " "))
		}
	}
	return "  " + strings.Join(all, ", ")
}
