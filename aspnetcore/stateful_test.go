package aspnetcore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A stateful is a client that was granted stateful reconnect.
type stateful struct {
	s     *service
	a     *app
	p     hubproto.Protocol
	c     *client
	id    string
	con   string
	token string
}

func (s *service) stateful(a *app, p hubproto.Protocol) *stateful {
	s.T.Helper()
	token := s.token()
	r := s.Ask("POST", "/client/negotiate?hub=chat&negotiateVersion=1&useStatefulReconnect=true", token, "")
	_, rest, ok := strings.Cut(r.Body, `"connectionToken":"`)
	if !ok || !strings.Contains(r.Body, `"useStatefulReconnect":true`) {
		s.T.Fatal(r.Body)
	}
	con, _, _ := strings.Cut(rest, `"`)
	f := &stateful{s: s, a: a, p: p, con: con, token: token}
	f.c = s.mustDial("&id="+con, token)
	shake := `{"protocol":"` + p.Name() + `","version":2}` + rs
	f.c.say(shake)
	f.id = a.opened(shake).ConnectionID
	a.data(f.id, "{}"+rs)
	f.c.hears("{}" + rs)
	return f
}

// call is a counted message.
func (f *stateful) call(name string) string {
	return string(f.p.Append(nil, hubproto.Call("", name)))
}

func (f *stateful) sequence(id int64) string {
	return string(aspnetcore.FramingOf(f.p.Name()).Counter(9, id))
}

func (f *stateful) ack(id int64) string {
	return string(aspnetcore.FramingOf(f.p.Name()).Counter(8, id))
}

func (f *stateful) say(pieces ...string) {
	f.s.T.Helper()
	for _, p := range pieces {
		if err := f.c.Write(ws.Binary, []byte(p)); err != nil {
			f.s.T.Fatal(err)
		}
	}
}

// drop loses the socket as a network does.
func (f *stateful) drop() {
	f.s.T.Helper()
	f.c.NetConn().Close()
	nodetest.Until(f.s.T, "socket gone", func() bool { return f.s.Server.Stats().Carriers[1].Load() == 1 }) // the app's
}

func (f *stateful) back() {
	f.s.T.Helper()
	f.c = f.s.mustDial("&id="+f.con, f.token)
}

// hears expects these hub messages, in whatever WebSocket messages, passing
// over acknowledgements.
func (f *stateful) hears(want ...string) {
	f.s.T.Helper()
	fr := aspnetcore.FramingOf(f.p.Name())
	var pending string
	for _, w := range want {
		for {
			if pending == "" {
				_, m, err := f.c.message()
				if err != nil {
					f.s.T.Fatalf("want %q: %v", w, err)
				}
				pending = m
			}
			n, err := fr.First([]byte(pending))
			if n == 0 || err != nil {
				f.s.T.Fatalf("part of a message: %q", pending)
			}
			m := pending[:n]
			pending = pending[n:]
			if fr.TypeOf([]byte(m)) == 8 {
				continue
			}
			if m != w {
				f.s.T.Fatalf("got %q, want %q", m, w)
			}
			break
		}
	}
	if pending != "" {
		f.s.T.Fatalf("then %q", pending)
	}
}

func each(t *testing.T, f func(t *testing.T, s *service, c *stateful)) {
	for _, p := range hubproto.All {
		t.Run(p.Name(), func(t *testing.T) {
			s := serve(t, aspnetcore.Options{})
			a := s.app("a", serviceproto.HandshakeRequest{AllowStatefulReconnects: true})
			f(t, s, s.stateful(a, p))
		})
	}
}

// What was not acknowledged comes again, in order, behind a Sequence; what the
// client repeats does not reach the app again; the app hears of nothing.
func TestStatefulReconnect(t *testing.T) {
	each(t, func(t *testing.T, s *service, c *stateful) {
		p := string(c.p.Append(nil, &hubproto.Message{Type: 6}))
		n := func(i int) string { return c.call(fmt.Sprint("n", i)) }
		m := func(i int) string { return c.call(fmt.Sprint("m", i)) }
		c.say(n(1)+p, n(2))
		if got, want := c.a.heard(c.id, len(n(1)+p+n(2))), n(1)+p+n(2); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		c.a.data(c.id, m(1), p)
		c.a.Send(&serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: c.p.Name(), Data: []byte(m(2))}}})
		c.hears(m(1), p, m(2))
		c.drop()
		c.a.data(c.id, m(3)) // waits
		c.a.Settle()
		c.back()
		c.hears(c.sequence(1), m(1), m(2), m(3))
		c.say(c.sequence(1) + n(1) + n(2) + n(3))
		if got := c.a.heard(c.id, len(n(3))); got != n(3) {
			t.Fatalf("%q", got)
		}
		// Acknowledged is gone for good.
		c.say(c.ack(2) + p)
		if got := c.a.heard(c.id, len(p)); got != p {
			t.Fatalf("%q", got)
		}
		c.drop()
		c.back()
		c.hears(c.sequence(3), m(3))
		c.say(c.sequence(4)+n(4), c.ack(3), p)
		if got := c.a.heard(c.id, len(n(4)+p)); got != n(4)+p {
			t.Fatalf("%q", got)
		}
		c.drop()
		c.back()
		c.hears(c.sequence(4))
		c.say(c.sequence(5))
		if s.hub().Len() != 1 || s.Clients() != 1 {
			t.Error("it is another client")
		}
		c.c.Close(1000, "")
		c.a.Left(c.id)
		if status, _ := s.refused("&id="+c.con, c.token); status != 404 {
			t.Errorf("after a close frame: %d", status)
		}
	})
}

// The half of a message that was under way when the socket was lost is not
// continued on the next one.
func TestStatefulHalfMessage(t *testing.T) {
	each(t, func(t *testing.T, s *service, c *stateful) {
		whole := c.call("whole")
		c.say(whole[:7])
		c.drop()
		c.back()
		c.say(c.sequence(1)+whole[:3], whole[3:])
		if got := c.a.heard(c.id, len(whole)); got != whole {
			t.Errorf("%q", got)
		}
	})
}

// A socket that still looks alive gives way to the next one.
func TestStatefulTakesOver(t *testing.T) {
	each(t, func(t *testing.T, s *service, c *stateful) {
		c.a.data(c.id, c.call("m1"))
		old := c.c
		c.hears(c.call("m1"))
		c.back()
		c.hears(c.sequence(1), c.call("m1"))
		c.say(c.sequence(1) + c.call("n1"))
		if got := c.a.heard(c.id, len(c.call("n1"))); got != c.call("n1") {
			t.Errorf("%q", got)
		}
		old.lost()
	})
}

func TestStatefulAcks(t *testing.T) {
	each(t, func(t *testing.T, s *service, c *stateful) {
		expectAck := func(want int64) {
			t.Helper()
			if _, m, err := c.c.message(); err != nil || m != c.ack(want) {
				t.Errorf("%q, want an ack of %d: %v", m, want, err)
			}
		}
		c.say(c.call("n1") + c.call("n2"))
		c.a.heard(c.id, len(c.call("n1")+c.call("n2")))
		s.Tick(time.Now())
		expectAck(2)
		s.Tick(time.Now()) // nothing new, no ack
		c.say(c.call("n3"))
		c.a.heard(c.id, len(c.call("n3")))
		s.Tick(time.Now())
		expectAck(3)
		// .NET forgets what it was told once the socket is lost.
		c.drop()
		c.back()
		c.hears(c.sequence(1))
		c.say(c.sequence(3) + c.call("n3"))
		c.say(c.call("n4"))
		c.a.heard(c.id, len(c.call("n4")))
		s.Tick(time.Now())
		expectAck(4)
	})
}

func TestStatefulEnds(t *testing.T) {
	for _, x := range []struct {
		name     string
		do       func(s *service, c *stateful)
		category relay.Category
	}{
		{"Sequence ahead of what came", func(s *service, c *stateful) {
			c.drop()
			c.back()
			c.hears(c.sequence(1))
			c.say(c.sequence(2))
		}, relay.BadRequest},
		{"no Sequence in time", func(s *service, c *stateful) {
			c.drop()
			c.back()
			c.hears(c.sequence(1))
			s.Tick(time.Now().Add(4 * time.Second))
			if s.hub().Len() != 1 {
				s.T.Error("too early")
			}
			s.Tick(time.Now().Add(6 * time.Second))
		}, relay.PingTimeout},
		{"nothing is acknowledged", func(s *service, c *stateful) {
			c.drop()
			big := relay.Payload{{Protocol: c.p.Name(), Data: []byte(c.call(strings.Repeat("x", 1<<20)))}}
			c.a.Send(slices.Repeat([]serviceproto.Message{&serviceproto.MultiConnectionData{ConnectionIDs: []string{c.id}, Payload: big}}, aspnetcore.MaxUnacked>>20+2)...)
		}, relay.SlowClient},
	} {
		t.Run(x.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *service, c *stateful) {
				x.do(s, c)
				c.a.Left(c.id)
				nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, x.category) == 1 })
				if status, _ := s.refused("&id="+c.con, c.token); status != 404 {
					t.Errorf("afterwards: %d", status)
				}
			})
		})
	}
}

// JavaScript opens the same id again after every hub Close; it must get 404.
func TestStatefulClose(t *testing.T) {
	each(t, func(t *testing.T, s *service, c *stateful) {
		c.a.data(c.id, c.call("last"))
		c.hears(c.call("last"))
		c.a.Send(&serviceproto.CloseConnectionWithAck{ConnectionID: c.id, Reason: "out", AckID: 3})
		nodetest.Expect[*serviceproto.CloseConnection](c.a.Link)
		c.hears(string(aspnetcore.FramingOf(c.p.Name()).CloseMessage("out", false)))
		if status, _ := s.refused("&id="+c.con, c.token); status != 404 {
			t.Errorf("after a hub Close: %d", status)
		}
		c.c.ends()
	})
}

// Version 1 in the handshake switches it off, whatever was negotiated.
func TestStatefulOff(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{AllowStatefulReconnects: true})
	token := s.token()
	r := s.Ask("POST", "/client/negotiate?hub=chat&negotiateVersion=1&useStatefulReconnect=true", token, "")
	_, rest, _ := strings.Cut(r.Body, `"connectionToken":"`)
	con, _, _ := strings.Cut(rest, `"`)
	c := s.mustDial("&id="+con, token)
	c.say(hello)
	id := a.opened(hello).ConnectionID
	a.data(id, "{}"+rs)
	c.hears("{}" + rs)
	if status, _ := s.refused("&id="+con, token); status != 409 {
		t.Errorf("second socket: %d", status)
	}
	ack := `{"type":8,"sequenceId":1}` + rs
	c.say(ack)
	if got := a.heard(id, len(ack)); got != ack {
		t.Errorf("%q", got)
	}
	c.NetConn().Close()
	a.Left(id)
}
