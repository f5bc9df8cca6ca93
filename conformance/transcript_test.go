package conformance_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// withoutLines compares steps by what they say.
var withoutLines = cmpopts.IgnoreFields(conformance.Step{}, "Line")

func TestText(t *testing.T) {
	top, token := 5, ""
	want := &conformance.Transcript{
		Name: "every-form", SDK: "1.34.0", About: "One step of each kind: even this.", From: "nobody",
		Steps: []conformance.Step{
			{Who: conformance.App, Conn: "s1", Said: conformance.Request{
				Method: "GET", Target: "/server/?hub=h", Header: []conformance.Field{{Name: "X-ASRS-Server-Id", Value: "a b: c"}},
				Token: &conformance.Token{Algorithm: "HS256", Payload: `{"exp":"${unix+60m}"}`},
			}},
			{Who: conformance.Client, Conn: "h1", Said: conformance.Request{
				Method: "POST", Target: "/client/", Body: []byte("\x00\xff${c1}"),
				Token: &conformance.Token{Algorithm: "HS512", Payload: `{}`, Forged: true},
			}},
			{Who: conformance.Relay, Conn: "h1", Said: conformance.Response{
				Status: 200, Header: []conformance.Field{{Name: "Content-Type", Value: "application/json"}}, Body: []byte(`{"a":"b"}`),
			}},
			{Who: conformance.Relay, Conn: "s1", Said: conformance.Frame{Message: &serviceproto.OpenConnection{
				ConnectionID: "${c1}", Query: "?a=b c", Protocol: "json",
				Claims:  []relay.Claim{{Type: "a", Value: ""}, {Type: "a", Value: "tick ` and\nline"}},
				Headers: []relay.Header{{Name: "X", Values: []string{"1", "2 3"}}, {Name: "Y"}},
			}}},
			{Who: conformance.App, Conn: "s1", Said: conformance.Frame{Message: &serviceproto.BroadcastData{
				Excluded: []string{"${c1}", "x y"},
				Payload:  relay.Payload{{Protocol: "json", Data: []byte("{}\x1e")}, {Protocol: "messagepack", Data: []byte{1, 0x90}}},
			}, Hex: []byte("\x01\x02${c1}\x03")}},
			{Who: conformance.App, Conn: "s1", Said: conformance.Frame{Hex: []byte{0xc1}}},
			{Who: conformance.App, Conn: "s1", Said: conformance.Frame{Message: &serviceproto.GroupMemberQuery{
				Group: "g", Top: &top, ContinuationToken: &token,
			}}},
			{Who: conformance.Client, Conn: "c1", Said: conformance.Data{Kind: conformance.Text, Bytes: []byte("a ␞ that is none")}},
			{Who: conformance.Client, Conn: "c1", Said: conformance.Data{Kind: conformance.Text, Bytes: []byte("two\x1elines\n")}},
			{Who: conformance.Relay, Conn: "c1", Said: conformance.Data{Kind: conformance.Event, Bytes: []byte("{}\x1e")}},
			{Who: conformance.Relay, Conn: "c1-2", Said: conformance.Close{Code: 1001, Reason: "going away"}},
			{Who: conformance.Client, Conn: "c1", Said: conformance.Close{}},
			{Who: conformance.Client, Conn: "c1", Said: conformance.Drop{}},
			{Who: conformance.Client, Conn: "c2", Said: conformance.Connect{Transport: "LongPolling", Query: "user=alice&a=${unique}"}},
			{Who: conformance.Client, Conn: "c3", Said: conformance.Connect{Transport: "WebSockets"}},
			{Who: conformance.Client, Conn: "c3", Said: conformance.Resume{}},
			{Who: conformance.Server, Conn: "c2", After: 13 * time.Second, Within: 1500 * time.Millisecond, Said: conformance.Close{Code: 1000}},
			{Who: conformance.Relay, Conn: "c2", Within: time.Minute, Said: conformance.Data{Kind: conformance.Text, Bytes: []byte("a b")}},
			{Who: conformance.Note, Said: conformance.Remark(`Closed "x"`)},
		},
	}
	got, err := conformance.Load(want.Text())
	if err != nil {
		t.Fatalf("%v\n%s", err, want.Text())
	}
	if diff := cmp.Diff(want, got, withoutLines, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("- written + loaded\n%s\n%s", diff, want.Text())
	}
	if got.Steps[1].Line == 0 {
		t.Error("steps do not know their lines")
	}
}

// The transcripts are as Text writes them, so that a converter and a hand agree.
func TestTranscriptsAreCanonical(t *testing.T) {
	for name, text := range allTranscripts(t) {
		tr, err := conformance.Load(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(string(text), string(tr.Text())); diff != "" {
			t.Errorf("%s: - file + written\n%s", name, diff)
		}
		if tr.Name != name {
			t.Errorf("%s has the name %q", name, tr.Name)
		}
	}
}

func allTranscripts(t testing.TB) map[string][]byte {
	all := transcriptTexts(t, transcripts)
	maps.Copy(all, transcriptTexts(t, clientTranscripts))
	maps.Copy(all, transcriptTexts(t, handWritten))
	maps.Copy(all, transcriptTexts(t, legacyApp))
	return all
}

// transcriptTexts are the files of all scenarios of a folder, by name.
func transcriptTexts(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if name == "not-replayed" {
			continue
		}
		if texts[name], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if len(texts) == 0 {
		t.Fatal("no transcripts")
	}
	return texts
}

func TestLoadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no speaker":         "app s1: drop",
		"unknown speaker":    "proxy s1> drop",
		"no connection":      "app> drop",
		"nothing said":       "app s1> ",
		"unknown message":    "app s1> NoSuchMessage",
		"unknown member":     "app s1> Ping Nobody=1",
		"open text":          "app s1> Ping Words=[`a",
		"open list":          "app s1> Ping Words=[a",
		"number that is not": "app s1> Ack AckID=x",
		"odd hex":            "client c1> binary x\"123\"",
		"claim of a ping":    "app s1> Ping\n  claim a b",
		"claim with no value": "relay s1> OpenConnection ConnectionID=a\n" +
			"  claim a",
		"lines below a note": "note> a\n  b",
		"two tokens":         "client h1> GET /\n  token HS256 {}\n  token HS256 {}",
		"no target":          "client h1> GET",
		"status and more":    "relay h1> 200 OK",
		"unknown header":     "# colour: red",
		"header twice":       "# name: a\n# name: b",
		"not UTF-8":          "note> \xff",
		"unparsed, no hex":   "app s1> Unparsed",
		"more after text":    "client c1> text a b",
		"no time":            "server c1> within soon drop",
		"a bound twice":      "server c1> within 1s within 2s drop",
		"a client in time":   "client c1> within 1s drop",
		"no transport":       "client c1> connect",
		"two transports":     "client c1> connect LongPolling WebSockets",
	} {
		t.Run(name, func(t *testing.T) {
			if tr, err := conformance.Load([]byte(text)); err == nil {
				t.Errorf("loaded %q as %s", text, tr.Text())
			}
		})
	}
}

// The replay is only worth something if it sees what is wrong: each case breaks
// a transcript that the relay agrees with, so now the relay is wrong.
func TestReplayFinds(t *testing.T) {
	const connected = "connect-websockets-json"
	for name, c := range map[string]struct{ old, new, scenario string }{
		"other bytes to the client":    {"relay c1> text `{\"type\":3,\"invocationId\":\"1\",\"result\":42}␞`", "relay c1> text `{\"type\":3,\"invocationId\":\"1\",\"result\":43}␞`", connected},
		"a message to the client lost": {"relay c1> text `{\"type\":1,\"target\":\"welcome\",\"arguments\":[\"${c1}\"]}␞`\n", "", connected},
		"a message to the client more": {"relay c1> text `{}␞`\n", "relay c1> text `{}␞`\nrelay c1> text `{}␞`\n", connected},
		"other bytes to the app":       {"\"arguments\":[2,40]}␞`\napp", "\"arguments\":[2,41]}␞`\napp", connected},
		"a message to the app lost":    {"relay s1> Ack AckID=1 Status=1\n", "", "group-join-send-leave"},
		"another claim":                {"  claim favourite blue", "  claim favourite red", connected},
		"a claim less":                 {"  claim favourite blue\n", "", connected},
		"another time":                 {"  claim exp ${unix+60m}", "  claim exp ${unix+70m}", connected},
		"another header":               {"  header X-Test seen", "  header X-Test lost", connected},
		"another query":                {"Query=?hub=chathub", "Query=?hub=other", connected},
		"another protocol":             {" Protocol=json", " Protocol=messagepack", connected},
		"another cid":                  {"relay s1> HandshakeResponse ConnectionID=cid1", "relay s1> HandshakeResponse ConnectionID=cid2", connected},
		"another status":               {"relay h1> 200", "relay h1> 201", connected},
		"another content type":         {"  Content-Type: application/json", "  Content-Type: text/html", connected},
		"another answer":               {`"negotiateVersion":1,`, `"negotiateVersion":0,`, connected},
		"another close code":           {"relay c1> close 1000", "relay c1> close 1001", connected},
		"another client":               {"relay s1> CloseConnection ConnectionID=${c1}", "relay s1> CloseConnection ConnectionID=${c2}", connected},
		"another kind of frame":        {"relay c1> text `{}␞`", "relay c1> binary `{}␞`", connected},
		"another event":                {"relay c1> event `{\"type\":3,", "relay c1> event `{\"type\":4,", "connect-sse-json"},
		"another answer to a poll":     {"\"result\":42}␞`\nclient", "\"result\":41}␞`\nclient", "connect-longpolling-json"},
		"a receiver more":              {"relay c2> binary", "relay c1> text `{\"type\":1}␞`\nrelay c2> binary", "group-join-send-leave"},
		"another status of an ack":     {"relay s1> Ack AckID=1 Status=1", "relay s1> Ack AckID=1 Status=2", "group-join-send-leave"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(transcripts, c.scenario+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			broken := strings.Replace(string(text), c.old, c.new, 1)
			if broken == string(text) {
				t.Fatalf("the transcript has no %q", c.old)
			}
			tr, err := conformance.Load([]byte(broken))
			if err != nil {
				t.Fatal(err)
			}
			err = conformance.Replay(t.Context(), tr, conformance.Options{URL: startRelay(t), AccessKey: accessKey, Patience: patience / 5})
			var d *conformance.Difference
			if !errors.As(err, &d) {
				t.Fatalf("got %v, want a difference", err)
			}
			if d.Want == "" || d.Conn == "" {
				t.Errorf("the difference says too little: %#v", d)
			}
		})
	}
}

func FuzzTranscript(f *testing.F) {
	for _, text := range allTranscripts(f) {
		if len(text) < 8<<10 {
			f.Add(text)
		}
	}
	f.Add([]byte("client c1> connect WebSockets ?a=b\nserver c1> after 1s within 2s drop\nclient c1> resume\n"))
	f.Add([]byte("client c1> binary x\"00${c1}ff\"\nrelay c1> close 1000 `bye`\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tr, err := conformance.Load(text)
		if err != nil {
			return
		}
		again, err := conformance.Load(tr.Text())
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, tr.Text())
		}
		if diff := cmp.Diff(tr, again, withoutLines); diff != "" {
			t.Errorf("- loaded + written and loaded\n%s", diff)
		}
	})
}
