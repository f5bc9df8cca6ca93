package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
)

func ask(id, connection, caller string) *relay.Invoke {
	return &relay.Invoke{ID: id, Connection: connection, Caller: caller, Payload: payload("ask " + id)}
}

func answer(id, connection, data string) *relay.Answer {
	return &relay.Answer{ID: id, Connection: connection, Caller: "whoever sent it", Protocol: "json", Data: []byte(data)}
}

// bare is a Backend whose app cannot ask.
type bare struct{ relay.Backend }

func TestInvocations(t *testing.T) {
	type list = []string
	for _, c := range []struct {
		name string
		do   func(t *testing.T, h *relay.Hub, a, b *server, x member)
		a, b list // what the two servers hear; x lives at a
		x    list // what the client gets
	}{
		{"caller is the router", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, a.route, ask("1", "x", "a"))
			do(t, h, a.route, answer("1", "x", "")) // the SDK has the result; it is only forgotten
			do(t, h, b.route, answer("1", "x", "late"))
		}, nil, nil, list{"ask 1"}},
		{"caller is the router, early SDKs send the result", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, a.route, ask("1", "x", "a"))
			do(t, h, a.route, answer("1", "x", "5"))
		}, nil, nil, list{"ask 1"}},
		{"another server asks", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, b.route, ask("1", "x", "b"))
			do(t, h, a.route, answer("1", "x", "5"))
			do(t, h, a.route, answer("1", "x", "6"))
		}, list{"expect 1 of x"}, list{"mapped 1 of x", "answer 1 of x for b: 5"}, list{"ask 1"}},
		{"the client is unknown", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, b.route, ask("1", "zz", "b"))
		}, nil, list{"answer 1 of zz for b: Connection 'zz' does not exist."}, nil},
		{"the client goes", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, b.route, ask("1", "x", "b"))
			do(t, h, b.route, ask("2", "y", "b"))
			x.End("")
			do(t, h, a.route, answer("1", "x", "5"))
		}, list{"expect 1 of x", "expect 2 of y"}, list{"mapped 1 of x", "mapped 2 of y", "answer 1 of x for b: Connection 'x' is disconnected."}, list{"ask 1"}},
		{"an answer that nobody waits for", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, a.route, answer("zz", "x", "5"))
			do(t, h, nil, answer("zz", "x", "5"))
		}, nil, nil, nil},
		{"time is over", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, a.route, ask("1", "x", "a"))
			time.Sleep(relay.AnswerWithin - time.Nanosecond) // virtual
			if got := a.told(); got != nil {
				t.Errorf("too early: %v", got)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			do(t, h, b.route, answer("1", "x", "late"))
		}, list{"answer 1 of x for a: The client did not answer in time."}, nil, list{"ask 1"}},
		{"an id that is used again is answered once, for the second", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, a.route, ask("1", "x", "a"))
			time.Sleep(relay.AnswerWithin - time.Second) // virtual
			do(t, h, b.route, ask("1", "x", "b"))
			time.Sleep(time.Minute) // past the end of the first
			synctest.Wait()
			do(t, h, a.route, answer("1", "x", "5"))
		}, list{"expect 1 of x"}, list{"mapped 1 of x", "answer 1 of x for b: 5"}, list{"ask 1", "ask 1"}},
		{"the caller goes", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, b.route, ask("1", "x", "b"))
			b.route.Detach(relay.Reason{})
			do(t, h, a.route, answer("1", "x", "5"))
		}, list{"expect 1 of x"}, list{"mapped 1 of x"}, list{"ask 1"}},
		{"nobody may ask without a way back", func(t *testing.T, h *relay.Hub, a, b *server, x member) {
			do(t, h, nil, ask("1", "x", ""))
			do(t, h, h.Attach(relay.Attach{Backend: bare{a}, ServerID: "bare", Weak: true}), ask("2", "x", "bare"))
		}, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := relay.New().Hub("h")
				a, b := attach(h, relay.Attach{ServerID: "a"}), attach(h, relay.Attach{ServerID: "b"})
				x := connect(t, h, relay.Connect{ID: "x", ServerID: "a", Sticky: relay.Required})
				y := connect(t, h, relay.Connect{ID: "y", ServerID: "a", Sticky: relay.Required})
				c.do(t, h, a, b, x)
				if d := cmp.Diff(c.a, a.told()); d != "" {
					t.Error("a: " + d)
				}
				if d := cmp.Diff(c.b, b.told()); d != "" {
					t.Error("b: " + d)
				}
				if d := cmp.Diff(c.x, x.take()); d != "" {
					t.Error("client: " + d)
				}
				x.End("")
				y.End("")
				b.told()
				empty(t, h)
			})
		})
	}
}
