package bench_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		name, in, kinds, rest, err string
		reconnect                  bool
	}{
		{name: "nothing"},
		{name: "three messages", in: "{\"type\":6}\x1e{\"type\":1,\"target\":\"b\"}\x1e{\"type\":3,\"invocationId\":\"1\"}\x1e", kinds: "613"},
		{name: "part of a message", in: "{\"type\":6}\x1e{\"ty", kinds: "6", rest: `{"ty`},
		{name: "no type", in: "{\"type\":6}\x1e{}\x1e", kinds: "6", err: "does not start with its type"},
		{name: "too short", in: "{\"type\":\x1e", err: "does not start with its type"},
		{name: "invocation that failed", in: "{\"type\":3,\"invocationId\":\"1\",\"error\":\"no\"}\x1e", err: `"error":"no"`},
		{name: "close", in: "{\"type\":7}\x1e{\"type\":6}\x1e", err: `{"type":7}`},
		{name: "close with a way back", in: "{\"type\":7,\"error\":\"x\",\"allowReconnect\":true}\x1e", err: `"x"`, reconnect: true},
		{name: "close without one", in: "{\"type\":7,\"allowReconnect\":false}\x1e", err: "false"},
		{name: "close that is no JSON", in: "{\"type\":7,\"allowReconnect\":true\x1e", err: "true"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kinds, rest, err := bench.Split([]byte(tc.in))
			if d := cmp.Diff([]string{tc.kinds, tc.rest}, []string{string(kinds), string(rest)}); d != "" {
				t.Error(d)
			}
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if got := bench.MayReconnect(err); got != tc.reconnect {
				t.Errorf("may reconnect: %v", got)
			}
		})
	}
}

// Wherever the bytes are cut, the same messages are seen, and no more is kept than came in.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"{\"type\":6}\x1e{\"type\":1}\x1e", "{\"type\":7,\"allowReconnect\":true}\x1e", "{\"type\":3,\"invocationId\":\"1\",\"error\":\"", "\x1e\x1e", "{}\x1e"} {
		f.Add([]byte(s), uint(3), uint(12))
	}
	f.Fuzz(func(t *testing.T, p []byte, a, b uint) {
		n := uint(len(p)) + 1
		a, b = min(a%n, b%n), max(a%n, b%n)
		kinds, rest, err := bench.Split(p)
		cutKinds, cutRest, cutErr := bench.Split(p[:a], p[a:b], p[b:])
		if !bytes.Equal(kinds, cutKinds) || !bytes.Equal(rest, cutRest) {
			t.Errorf("in one piece %q and %q left, in three %q and %q", kinds, rest, cutKinds, cutRest)
		}
		if (err == nil) != (cutErr == nil) || err != nil && err.Error() != cutErr.Error() {
			t.Errorf("in one piece %v, in three %v", err, cutErr)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if err == nil && (bytes.Count(p, []byte{0x1e}) != len(kinds) || !bytes.HasSuffix(p, rest) || bytes.IndexByte(rest, 0x1e) >= 0) {
			t.Errorf("%d messages, %q left of %q", len(kinds), rest, p)
		}
	})
}
