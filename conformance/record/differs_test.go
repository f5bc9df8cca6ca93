package record_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/record"
)

// TestReplayDiffers changes what was recorded: the server that is right is then
// one that differs, and has to be found.
func TestReplayDiffers(t *testing.T) {
	for _, c := range []struct{ name, scenario, was, is, want string }{
		{"another result", "core WebSockets", `"result":"one"`, `"result":"two"`, `"result":"two"`},
		{"a message too many", "core WebSockets", "server c1> text `" + `{"type":3,"invocationId":"1","result":"one"}␞` + "`\n", "", "c1 differs"},
		{"a message too few", "core WebSockets", "client c1> close 1000", "server c1> text `{\"type\":7}␞`\nclient c1> close 1000", `{"type":7}`},
		{"another event", "core ServerSentEvents", `"result":"hello"`, `"result":"hallo"`, `"result":"hallo"`},
		{"an event too many", "core ServerSentEvents", "server c1> event `{}␞`\n", "", "server c1> event `{}␞`"},
		{"another answer to a poll", "core LongPolling", `"result":"hello"`, `"result":"hallo"`, `"result":"hallo"`},
		{"a message too few in a poll", "core LongPolling", `{"type":3,"invocationId":"7","result":"hello"}␞`, `{"type":3,"invocationId":"7","result":"hello"}␞{"type":7}␞`, `{"type":7}`},
		{"another status", "core LongPolling", "> 202", "> 204", "204"},
		{"another content type", "core LongPolling", "Content-Type: application/octet-stream", "Content-Type: text/plain", "text/plain"},
		{"another item of a stream", "core stream", `"item":1}`, `"item":9}`, `"item":9}`},
		{"a result that does not come", "core stream", "client c1> close 1000", "server c1> text `{\"type\":3,\"invocationId\":\"3\"}␞`\nclient c1> close 1000", `"invocationId":"3"`},
		{"a count of messages", "core stateful", "server c1-2> text `{\"type\":9,\"sequenceId\":1}", "server c1-2> text `{\"type\":9,\"sequenceId\":2}", `"sequenceId":2`},
		{"another question in messagepack", "core messagepack", hex.EncodeToString([]byte("question")), hex.EncodeToString([]byte("answered")), "want  server c1> binary"},
		{"another result of ASP.NET SignalR", "legacy longPolling", `"R":"one"`, `"R":"two"`, `"R":"two"`},
		{"the same on a socket", "legacy webSockets", `"R":"one"`, `"R":"two"`, `"R":"two"`},
		{"no init message", "legacy serverSentEvents", `"S":1`, `"S":2`, `"S":2`},
		{"another answer to start", "legacy serverSentEvents", `"started"`, `"begun"`, `"begun"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			s, app := scenarios[c.scenario], startApps(t)
			r := startRecorder(t, record.Options{}, app+s.path)
			s.do(ctx, t, r.url)
			text := string(r.text(t))
			changed := strings.Replace(text, c.was, c.is, 1)
			if changed == text {
				t.Fatalf("there is no %s in\n%s", c.was, text)
			}
			tr, err := conformance.Load([]byte(changed))
			if err != nil {
				t.Fatal(err)
			}
			err = conformance.ReplayRecording(ctx, tr, conformance.Options{URL: app + s.path, Patience: time.Second})
			var d *conformance.Difference
			if !errors.As(err, &d) || !strings.Contains(d.Error(), c.want) {
				t.Errorf("found %v\nin\n%s", err, changed)
			}
		})
	}
}
