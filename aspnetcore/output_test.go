package aspnetcore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// Clients in JavaScript, Java and Swift cannot put messages together, so they
// get whole ones however the app cuts its stream.
func TestAppCutsMessages(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	for _, p := range hubproto.All {
		text, err := p.AppendValue(nil, strings.Repeat("é\n", 200))
		if err != nil {
			t.Fatal(err)
		}
		call := p.Append(nil, hubproto.Call("", "Target", text))
		messages := []string{"{}" + rs, string(p.Append(nil, &hubproto.Message{Type: 6})), string(call), string(p.Append(nil, &hubproto.Message{Type: 6}))}
		stream := strings.Join(messages, "")
		for _, size := range []int{1, 2, 3, 5, 100, len(stream)} {
			t.Run(fmt.Sprint(p.Name(), " in pieces of ", size), func(t *testing.T) {
				c := s.mustDial("", s.token())
				shake := `{"protocol":"` + p.Name() + `","version":1}` + rs
				c.say(shake)
				id := a.opened(shake).ConnectionID
				for rest := stream; rest != ""; {
					n := min(size, len(rest))
					a.data(id, rest[:n])
					rest = rest[n:]
				}
				var got []string
				for len(got) < len(messages) {
					op, m, err := c.message()
					if err != nil {
						t.Fatal(err)
					}
					if (op == ws.Binary) != p.Binary() {
						t.Errorf("opcode %d", op)
					}
					// One WebSocket message may hold several hub messages, but no part of one.
					for m != "" {
						f := aspnetcore.Text
						if len(got) > 0 {
							f = aspnetcore.FramingOf(p.Name())
						}
						n, err := f.First([]byte(m))
						if n == 0 || err != nil {
							t.Fatalf("part of a message: %q", m)
						}
						got, m = append(got, m[:n]), m[n:]
					}
				}
				if d := cmp.Diff(messages, got); d != "" {
					t.Error(d)
				}
				c.NetConn().Close()
				a.Left(id)
			})
		}
	}
}

func TestAppBreaksFraming(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	c := s.connect(a, "messagepack")
	other := s.connect(a, "messagepack")
	a.data(c.id, "\xff\xff\xff\xff\xff")
	c.lost()
	a.Left(c.id)
	a.data(other.id, "\x02\x91\x06")
	other.hears("\x02\x91\x06")
}

func TestCloses(t *testing.T) {
	const hubClose = `{"type":7,"error":"from the hub"}` + rs
	for _, c := range []struct {
		name, protocol string
		detailed       bool
		close          func(s *service, a *app, id string)
		last           string // what the client hears before the end
		told           bool   // the app hears of it
		category       relay.Category
	}{
		{"app, no error", "json", false, func(_ *service, a *app, id string) {
			a.Send(&serviceproto.CloseConnection{ConnectionID: id})
		}, "", false, relay.ClosedByAppServer},
		{"app, error", "json", false, func(_ *service, a *app, id string) {
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "secret"})
		}, `{"type":7,"error":"Connection closed with an error."}` + rs, false, relay.ClosedByAppServer},
		{"app, error, detailed", "json", true, func(_ *service, a *app, id string) {
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "not \"secret\""})
		}, `{"type":7,"error":"not \"secret\""}` + rs, false, relay.ClosedByAppServer},
		{"app, error, after the hub's own Close", "json", true, func(_ *service, a *app, id string) {
			a.data(id, hubClose)
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "secret"})
		}, hubClose, false, relay.ClosedByAppServer},
		{"app, error, after the hub's Close in pieces", "json", false, func(_ *service, a *app, id string) {
			a.data(id, hubClose[:9], hubClose[9:])
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "secret"})
		}, hubClose, false, relay.ClosedByAppServer},
		{"app, messagepack", "messagepack", true, func(_ *service, a *app, id string) {
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "x"})
		}, "\x05\x93\x07\xa1x\xc2", false, relay.ClosedByAppServer},
		{"app, messagepack, after the hub's own", "messagepack", true, func(_ *service, a *app, id string) {
			a.data(id, "\x04\x93\x07\xc0\xc3")
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "x"})
		}, "\x04\x93\x07\xc0\xc3", false, relay.ClosedByAppServer},
		{"app, protocol we cannot write", "own", true, func(_ *service, a *app, id string) {
			a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "x"})
		}, "", false, relay.ClosedByAppServer},
		{"management", "json", false, func(_ *service, a *app, id string) {
			a.Send(&serviceproto.CloseConnectionWithAck{ConnectionID: id, Reason: "out", AckID: 5})
		}, `{"type":7,"error":"out"}` + rs, true, relay.ClosedByAppServer},
		{"server lost", "json", false, func(_ *service, a *app, id string) { a.NetConn().Close() },
			`{"type":7,"error":"ServerOffline","allowReconnect":true}` + rs, false, relay.ServerConnectionClosed},
		{"server lost, messagepack", "messagepack", false, func(_ *service, a *app, id string) { a.NetConn().Close() },
			"\x11\x93\x07\xadServerOffline\xc3", false, relay.ServerConnectionClosed},
		{"relay drains", "json", false, func(s *service, a *app, id string) { s.Relay.Drain(t0(s), 0) },
			`{"type":7,"allowReconnect":true}` + rs, true, relay.ServiceReload},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, aspnetcore.Options{})
			a := s.app("a", serviceproto.HandshakeRequest{})
			var claims []string
			if c.detailed {
				claims = []string{auth.ClaimDetailedErrors, "True"}
			}
			x := s.connect(a, c.protocol, claims...)
			c.close(s, a, x.id)
			if c.last != "" {
				x.hears(c.last)
			}
			x.ends()
			if c.told {
				a.Left(x.id)
			}
			nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, c.category) == 1 })
		})
	}
}

func TestClientLeaves(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	for name, leave := range map[string]func(c *client){
		"close frame":              func(c *client) { c.Close(1000, "") },
		"close frame without code": func(c *client) { c.Close(1005, "") },
		"killed":                   func(c *client) { c.NetConn().Close() },
	} {
		c := s.connect(a, "json")
		c.say(`{"type":7}` + rs)
		leave(c)
		if got := a.heard(c.id, 11); got != `{"type":7}`+rs {
			t.Errorf("%s: %q", name, got)
		}
		if m := a.Left(c.id); m.Error != "" || len(m.Headers) != 0 {
			t.Errorf("%s: %+v", name, m)
		}
		// What the hub still says, and its own close, are dropped.
		a.data(c.id, `{"type":7}`+rs)
		a.Send(&serviceproto.CloseConnection{ConnectionID: c.id})
		a.Settle()
	}
}

// A panic costs the client it happened in, and nobody else.
func TestPanicIsContained(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	b := &faulty{hub: s.hub()}
	b.route = s.hub().Attach(relay.Attach{Backend: b, ServerID: "faulty"})
	x, y := s.mustDial("", s.token()), s.mustDial("", s.token())
	for _, c := range []*client{x, y} {
		c.say(hello)
		c.hears("{}" + rs)
	}
	x.say("boom")
	x.lost()
	y.say("echo" + rs)
	y.hears("echo" + rs)
	nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.ServiceTransientError) == 1 })
	if n := s.Server.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics", n)
	}
	y.NetConn().Close()
	nodetest.Until(t, "all gone", func() bool { return s.Clients() == 0 })
	b.route.Detach(relay.Reason{})
}
