package appserver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

// In every mode a server that leaves gets no new client, and its clients go on
// being served in both directions.
func TestShutdownModes(t *testing.T) {
	for _, c := range []struct {
		mode   string
		closes bool // our side closes the clients that are still there in the end
	}{{"fin:0", true}, {"fin:1", false}, {"fin:2", false}} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			s := serve(t, appserver.Options{})
			a, b := s.attach("a", serviceproto.HandshakeRequest{}), s.attach("b", serviceproto.HandshakeRequest{})
			x, y := s.at(a, "x", ""), s.at(b, "y", "")
			s.at(b, "y2", "")
			began := time.Now()
			for range 2 { // the SDK repeats itself until it has read the answer
				a.Leave(c.mode)
			}
			s.connect(relay.Connect{ID: "new"}) // a has fewer
			nodetest.Expect[*serviceproto.OpenConnection](b.Link)
			if _, err := s.hub.Connect(t.Context(), relay.Connect{ID: "stuck", ServerID: "a", Sticky: relay.Required}, newClient(t)); !errors.Is(err, relay.ErrNoServer) {
				t.Errorf("a client that must go to the leaving server: %v", err)
			}
			if err := x.Data(t.Context(), []byte("up"), true, false); err != nil {
				t.Error(err)
			}
			if m := nodetest.Expect[*serviceproto.ConnectionData](a.Link); string(m.Data) != "up" {
				t.Errorf("%+v", m)
			}
			a.Send(&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("down")})
			if got := x.next(); got != "down" {
				t.Error(got)
			}
			a.conn.Tick(began.Add(4 * time.Second))
			a.alive()
			x.quiet()
			a.conn.Tick(began.Add(6 * time.Second))
			if c.closes {
				if d := cmp.Diff(relay.Reason{Category: relay.ServerConnectionClosed, AllowReconnect: true}, x.reason()); d != "" {
					t.Error(d)
				}
			} else {
				a.alive()
				x.quiet()
			}
			y.quiet()
		})
	}
}

func TestMigration(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{MigrationLevel: 1})
	twin := s.attach("a", serviceproto.HandshakeRequest{MigrationLevel: 1})
	b := s.attach("b", serviceproto.HandshakeRequest{MigrationLevel: 1})
	w := relay.Connect{ID: "x", User: "ann", HasUser: true, ServerID: "a", Sticky: relay.Required, Opening: relay.Opening{
		Claims: []relay.Claim{{Type: "role", Value: "1"}}, Headers: []relay.Header{{Name: "N", Values: []string{"v"}}}, Query: "?q=1",
		Handshake: []byte("shake"), Early: []byte("shake and more"),
	}}
	x := s.connect(w)
	from, other := a, twin
	select { // its OpenConnection
	case <-a.Frames:
	case <-twin.Frames:
		from, other = twin, a
	case <-time.After(nodetest.Patience):
		t.Fatal("not opened")
	}
	nodetest.Expect[*serviceproto.ConnectionData](from.Link)
	a.Leave("fin:1")
	twin.Leave("fin:1")
	x.Data(t.Context(), []byte("within"), false, false)
	if m := nodetest.Expect[*serviceproto.ConnectionData](from.Link); string(m.Data) != "within" {
		t.Errorf("%+v", m)
	}
	x.Data(t.Context(), []byte("next"), true, false)
	want := &serviceproto.CloseConnection{ConnectionID: "x", Headers: []relay.Header{{Name: "Asrs-Migrate-To", Values: []string{"b"}}}}
	if d := cmp.Diff(want, nodetest.Expect[*serviceproto.CloseConnection](from.Link)); d != "" {
		t.Error(d)
	}
	for _, want := range []serviceproto.Message{
		&serviceproto.OpenConnection{ConnectionID: "x", Claims: w.Opening.Claims, Query: "?q=1", Protocol: "json", Headers: []relay.Header{
			{Name: "N", Values: []string{"v"}}, {Name: "Asrs-Instance-Id", Values: []string{"node-1"}}, {Name: "Asrs-Migrate-From", Values: []string{"a"}},
		}},
		&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("shake")},
		&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("next")},
	} {
		if d := cmp.Diff(want, b.Next()); d != "" {
			t.Error(d)
		}
	}
	other.Settle() // heard nothing
	// Nobody is closed by the end of the old process.
	a.NetConn().Close()
	twin.NetConn().Close()
	nodetest.Until(t, "one server", func() bool { return s.hub.Routes() == 1 })
	b.Send(&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("hi")})
	if got := x.next(); got != "hi" {
		t.Error(got)
	}
	x.quiet()
}

func TestOnDemandServerTakesClients(t *testing.T) {
	s := serve(t, appserver.Options{})
	s.url += "&target=node-1"
	a := s.attach("a", serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionOnDemand})
	if a.conn.Peer.Target != "node-1" {
		t.Errorf("%+v", a.conn.Peer)
	}
	s.at(a, "x", "")
}

// A full connection asks its app for one more, and gives it time.
func TestTarget(t *testing.T) {
	s := serve(t, appserver.Options{ClientsPerServer: 1})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	now := time.Now()
	asks := func(after time.Duration) bool {
		a.conn.Tick(now.Add(after))
		a.Send(&serviceproto.Ping{Words: []string{"status", "1"}}) // whose answer comes behind it
		asked := false
		for {
			m, ok := a.Next().(*serviceproto.Ping)
			switch {
			case !ok:
				t.Fatalf("%T", m)
			case len(m.Words) > 0 && m.Words[0] == "status":
				return asked
			case len(m.Words) > 0:
				asked = true
				if d := cmp.Diff([]string{"target", "node-1"}, m.Words); d != "" {
					t.Error(d)
				}
			}
		}
	}
	s.at(a, "x", "")
	if asks(time.Second) {
		t.Error("asks with one client")
	}
	s.at(a, "y", "")
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{2 * time.Second, true}, {3 * time.Second, false}, {29 * time.Second, false}} {
		if got := asks(c.after); got != c.want {
			t.Errorf("after %v: %v", c.after, got)
		}
	}
}

// A node that closes says so to its apps, which let go of what they have of it.
func TestShut(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	s.hub.ShutBackends()
	for _, want := range []serviceproto.Message{
		&serviceproto.ServiceEvent{ID: "node-1", Message: "Service reloading, please reconnect."},
		&serviceproto.Ping{Words: []string{"offline", "node-1"}},
	} {
		if d := cmp.Diff(want, a.Next()); d != "" {
			t.Error(d)
		}
	}
	var closed *ws.CloseError
	if err := a.End(); !errors.As(err, &closed) || closed.Code != transport.CloseNormal {
		t.Error(err)
	}
}
