package bench_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

func TestFrame(t *testing.T) {
	const call = `{"H":"benchHub","M":"b","A":["x"]}`
	for _, tc := range []struct {
		name, in, kinds, err string
		closed               bool
	}{
		{name: "keep-alive", in: `{}`},
		{name: "init", in: `{"C":"0","S":1,"M":[]}`},
		{name: "init without a cursor", in: `{"S":1,"M":[]}`},
		{name: "message", in: `{"C":"d-1","M":[` + call + `]}`, kinds: "1"},
		{name: "three messages", in: `{"C":"d-1","M":[` + call + `,` + call + `,` + call + `]}`, kinds: "111"},
		{name: "white space", in: " {\n\"C\" : \"d-1\" ,\t\"M\" : [ " + call + " , " + call + " ] } ", kinds: "11"},
		{name: "brackets and quotes in texts", in: `{"C":"]}","M":[{"H":"h","M":"b","A":["],{\"I\":\"","\\"]}]}`, kinds: "1"},
		{name: "result", in: `{"R":"x","I":"0"}`, kinds: "3"},
		{name: "end of a method without a result", in: `{"I":"0"}`, kinds: "3"},
		{name: "result with state", in: `{"S":{"a":1},"R":null,"I":"0"}`, kinds: "3"},
		{name: "result among messages", in: `{"C":"d-1","M":[` + call + `,{"I":"0"}]}`, kinds: "13"},
		{name: "invocation that failed", in: `{"I":"0","E":"no"}`, err: `"E":"no"`},
		{name: "the same among messages", in: `{"C":"d-1","M":[{"I":"0","E":"no"}]}`, err: `"E":"no"`},
		{name: "farewell", in: `{"E":"Server offline"}`, err: "Server offline", closed: true},
		{name: "E in an argument", in: `{"C":"d-1","M":[{"H":"h","M":"b","A":[{"E":"x","I":"0"}]}]}`, kinds: "1"},
		{name: "nothing", in: ``, err: "no frame"},
		{name: "no object", in: `[` + call + `]`, err: "no frame"},
		{name: "messages that are none", in: `{"M":1}`, err: "no frame"},
		{name: "message that is none", in: `{"M":[1]}`, err: "no frame"},
		{name: "cut in a text", in: `{"C":"d`, err: "no frame"},
		{name: "cut in a value", in: `{"C":"d-1","M":[` + call, err: "no frame"},
		{name: "cut before a value", in: `{"C":`, err: "no frame"},
		{name: "cut behind a value", in: `{"C":"d-1"`, err: "no frame"},
		{name: "no colon", in: `{"C" "d-1"}`, err: "no frame"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kinds, err := bench.Frame([]byte(tc.in))
			if string(kinds) != tc.kinds {
				t.Errorf("kinds %q, want %q", kinds, tc.kinds)
			}
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if got := bench.IsClose(err); got != tc.closed {
				t.Errorf("is the hub's last word: %v", got)
			}
		})
	}
}

// Of what is JSON, the same is seen as by a reader that decodes it.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{`{}`, `{"C":"0","S":1,"M":[]}`, `{"C":"d-1","M":[{"H":"h","M":"b","A":["]\""]},{"I":"0"}]}`, `{"R":{"I":1},"I":"0"}`,
		`{"I":0,"E":null}`, `{"E":"x"}`, `{"M":[{}`, ` { "M" : [ ] , "I" : 1e3 } `, `{"M":[1,2]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		kinds, err := bench.Frame(p)
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if len(kinds) > len(p) {
			t.Errorf("%d messages in %d bytes", len(kinds), len(p))
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(p, &members) != nil || members == nil || bytes.IndexByte(p, '\\') >= 0 {
			return // no frame, or with names that are not written as they are read
		}
		want, failed := decoded(members)
		if string(kinds) != want || (err != nil) != failed {
			t.Errorf("%q: kinds %q and %v, want %q, failed %v", p, kinds, err, want, failed)
		}
	})
}

// decoded is what a frame holds, and whether the client ends with it.
func decoded(frame map[string]json.RawMessage) (kinds string, failed bool) {
	_, id := frame["I"]
	_, fault := frame["E"]
	messages, ok := frame["M"]
	switch {
	case fault:
		return "", true
	case id:
		return "3", false
	case !ok:
		return "", false
	}
	var all []json.RawMessage
	if err := json.Unmarshal(messages, &all); err != nil || all == nil {
		return "", true
	}
	for _, one := range all {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(one, &m); err != nil || m == nil {
			return kinds, true
		}
		_, id := m["I"]
		_, fault := m["E"]
		switch {
		case id && fault:
			return kinds, true
		case id:
			kinds += "3"
		default:
			kinds += "1"
		}
	}
	return kinds, false
}
