package aspnetcore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// moved expects a client to go from one server to the other.
func moved(t *testing.T, from, to *app, id, shake string) {
	t.Helper()
	want := &serviceproto.CloseConnection{ConnectionID: id, Headers: []relay.Header{{Name: "Asrs-Migrate-To", Values: []string{"b"}}}}
	if d := cmp.Diff(want, from.Left(id)); d != "" {
		t.Error(d)
	}
	o := to.opened(shake)
	origin := ""
	for _, h := range o.Headers {
		if h.Name == "Asrs-Migrate-From" {
			origin = h.Values[0]
		}
	}
	if o.ConnectionID != id || origin != "a" {
		t.Errorf("%+v", o)
	}
}

func TestMoveAtABorder(t *testing.T) {
	for _, p := range hubproto.All {
		t.Run(p.Name(), func(t *testing.T) {
			s := serve(t, aspnetcore.Options{})
			a := s.app("a", serviceproto.HandshakeRequest{MigrationLevel: 1})
			c := s.connect(a, p.Name(), auth.ClaimUser, "ann")
			b := s.app("b", serviceproto.HandshakeRequest{MigrationLevel: 1})
			a.Leave("fin:1")
			call := string(p.Append(nil, hubproto.Call("", "Target")))
			before := call[:5]
			// This piece begins a message, so the client goes before it.
			c.say(before)
			moved(t, a, b, c.id, `{"protocol":"`+p.Name()+`","version":1}`+rs)
			if got := b.heard(c.id, len(before)); got != before {
				t.Errorf("%q", got)
			}
			c.say(call[5:] + call)
			if got := b.heard(c.id, len(call[5:]+call)); got != call[5:]+call {
				t.Errorf("%q", got)
			}
			b.data(c.id, call)
			b.Send(&serviceproto.UserData{UserID: "ann", Payload: relay.Payload{{Protocol: p.Name(), Data: []byte(call)}}})
			got := ""
			for len(got) < 2*len(call) {
				_, m, err := c.message()
				if err != nil {
					t.Fatal(err)
				}
				got += m
			}
			if got != call+call {
				t.Errorf("%q", got)
			}
			a.NetConn().Close() // nobody is closed with the old server
			nodetest.Until(t, "one server", func() bool { return s.hub().Routes() == 1 })
			if s.hub().Len() != 1 {
				t.Error("the client went with it")
			}
		})
	}
}

func TestNoMoveWithinAMessage(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{MigrationLevel: 1})
	c := s.connect(a, "json")
	b := s.app("b", serviceproto.HandshakeRequest{})
	c.say(ping[:4])
	if got := a.heard(c.id, 4); got != ping[:4] {
		t.Errorf("%q", got)
	}
	a.Leave("fin:1")
	for _, piece := range []string{ping[4:6], ping[6:]} { // the rest belongs to the old server
		c.say(piece)
		if got := a.heard(c.id, len(piece)); got != piece {
			t.Errorf("%q", got)
		}
	}
	c.say(ping)
	moved(t, a, b, c.id, hello)
	if got := b.heard(c.id, len(ping)); got != ping {
		t.Errorf("%q", got)
	}
}

// A client that only listens moves once its stream is quiet, and not while
// something is still on its way to it.
func TestSilentClientMoves(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{MigrationLevel: 1})
	s.app("b", serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak})
	c := s.connect(a, "json")
	a.Leave("fin:1")
	ticks := func(n int) {
		for range n {
			s.Tick(time.Now()) // the sweeper may add one or two
		}
	}
	ticks(5) // there is nowhere to go: b is weak
	a.Settle()
	a.data(c.id, ping) // the answer to a call, say
	c.hears(ping)
	b := s.app("b", serviceproto.HandshakeRequest{})
	ticks(1)
	a.Settle() // still there
	a.data(c.id, ping)
	c.hears(ping)
	ticks(1)
	a.Settle()
	ticks(4)
	moved(t, a, b, c.id, hello)
	ticks(5)
	b.Settle()
}

// The first look after a fin:1 moves nobody: what the old server is just
// answering would be lost.
func TestNoMoveAtFirstSight(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{MigrationLevel: 1})
	c := s.connect(a, "json")
	s.app("b", serviceproto.HandshakeRequest{})
	c.say(ping)
	a.heard(c.id, len(ping))
	a.Leave("fin:1")
	s.Tick(time.Now())
	a.Settle()
	a.data(c.id, `{"type":3,"invocationId":"1","result":5}`+rs)
	c.hears(`{"type":3,"invocationId":"1","result":5}` + rs)
}

func TestDrain(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	socket := s.connect(a, "json")
	con, id := s.polling(a, token)
	poll := s.pending(con, token)
	fresh := s.negotiate(token)
	s.Drain()
	if r := s.Ask("POST", "/client/negotiate?hub=chat", token, ""); r.Status != 503 {
		t.Errorf("negotiate: %+v", r)
	}
	if r := s.Ask("GET", path(fresh), token, ""); r.Status != 503 {
		t.Errorf("connect: %+v", r)
	}
	if status, _ := s.refused("", token); status != 503 {
		t.Errorf("WebSocket: %d", status)
	}
	// Who is here goes on.
	if r := s.Ask("POST", path(con), token, ping); r.Status != 200 {
		t.Errorf("%+v", r)
	}
	a.heard(id, len(ping))
	done := make(chan error, 1)
	go func() { done <- s.Wait(t.Context()) }()
	s.Relay.Drain(t.Context(), 0)
	socket.hears(`{"type":7,"allowReconnect":true}` + rs)
	socket.ends()
	if r := <-poll; r.Body != `{"type":7,"allowReconnect":true}`+rs {
		t.Errorf("%+v", r)
	}
	if r := s.Ask("GET", path(con), token, ""); r.Status != 204 {
		t.Errorf("%+v", r)
	}
	left := map[string]bool{}
	for range 2 {
		left[nodetest.Expect[*serviceproto.CloseConnection](a.Link).ConnectionID] = true
	}
	if !left[id] || !left[socket.id] {
		t.Errorf("%v", left)
	}
	if err := nodetest.Wait(t, "end of Wait", done); err != nil {
		t.Error(err)
	}
}
