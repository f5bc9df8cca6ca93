package appserver_test

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

// A service is a transport that takes server connections of one hub.
type service struct {
	t     testing.TB
	hub   *relay.Hub
	srv   *transport.Server
	url   string
	conns chan *appserver.Conn // in the order of their upgrades
}

func serve(t testing.TB, o appserver.Options) *service {
	if o.Buffer == 0 {
		o.Buffer = 1 << 20
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = 1 << 20
	}
	o.InstanceID = "node-1"
	o.Logger = slog.New(slog.DiscardHandler)
	r := relay.New()
	s := &service{t: t, hub: r.Hub("chat"), conns: make(chan *appserver.Conn, 64)}
	profile, format := o.Profile(), &transport.Format{}
	s.srv = transport.NewServer(func(x *transport.Exchange) {
		p := appserver.Peer{ServerID: x.Header("X-ASRS-Server-Id"), ID: x.Query("cid"), Target: x.Query("target")}
		c := appserver.New(s.srv, s.hub, p, &o, profile)
		x.Carry(c.Transport(), transport.WebSocket, format)
		s.conns <- c
	}, transport.Options{Logger: o.Logger})
	t.Cleanup(func() { // once the node is down
		if n := s.hub.Routes(); n != 0 {
			t.Errorf("left: %d servers", n)
		}
		if n := s.srv.Stats().Panics.Load(); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
	s.url = "ws://" + nodetest.Serve(t, s.srv, r).Addr + "/server?hub=chat"
	return s
}

// An app is both ends of a server connection.
type app struct {
	*nodetest.Link
	conn *appserver.Conn // our end
}

// stalled opens a server connection that does not take what comes, nor shakes
// hands.
func (s *service) stalled(serverID string) *app {
	s.t.Helper()
	l, err := nodetest.Dial(s.t, s.url, serverID, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return &app{l, <-s.conns}
}

// dial opens a server connection and does not shake hands.
func (s *service) dial(serverID string) *app {
	s.t.Helper()
	a := s.stalled(serverID)
	a.Listen()
	return a
}

// attach opens a server connection of a kind; the zero kind will do.
func (s *service) attach(serverID string, h serviceproto.HandshakeRequest) *app {
	s.t.Helper()
	a := s.dial(serverID)
	a.Shake(h)
	a.Settle() // attached by now
	return a
}

// alive fails unless the connection still answers.
func (a *app) alive() {
	a.T.Helper()
	a.Settle()
}

// A client is a sink and its client.
type client struct {
	*relay.Client
	t   testing.TB
	got chan string
	end chan relay.Reason
}

func newClient(t testing.TB) *client {
	return &client{t: t, got: make(chan string, 1024), end: make(chan relay.Reason, 1)}
}

func (c *client) Output(p []byte, _ uint32) error { c.got <- string(p); return nil }
func (c *client) Send(p relay.Payload, b uint32) error {
	if m := p.For("json"); m != nil {
		return c.Output(m, b)
	}
	return nil
}
func (c *client) Close(r relay.Reason) { c.end <- r }
func (c *client) Moved()               {}

// connect joins a client through the hub; its server hears of it.
func (s *service) connect(w relay.Connect) *client {
	s.t.Helper()
	c := newClient(s.t)
	w.Protocol = "json"
	if w.Opening.Early == nil {
		w.Opening.Handshake, w.Opening.Early = []byte("{}"), []byte("{}")
	}
	var err error
	if c.Client, err = s.hub.Connect(s.t.Context(), w, c); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.End("") })
	return c
}

// at connects a client to one app server, which reads its opening.
func (s *service) at(a *app, id, user string) *client {
	s.t.Helper()
	c := s.connect(relay.Connect{ID: id, User: user, HasUser: user != "", ServerID: a.conn.Peer.ServerID, Sticky: relay.Required})
	nodetest.Expect[*serviceproto.OpenConnection](a.Link)
	nodetest.Expect[*serviceproto.ConnectionData](a.Link)
	return c
}

func (c *client) next() string {
	c.t.Helper()
	return nodetest.Wait(c.t, "message for "+c.ID, c.got)
}

func (c *client) reason() relay.Reason {
	c.t.Helper()
	return nodetest.Wait(c.t, "end of "+c.ID, c.end)
}

// quiet fails if the client has been sent or told anything.
func (c *client) quiet() {
	c.t.Helper()
	select {
	case m := <-c.got:
		c.t.Errorf("%s got %q", c.ID, m)
	case r := <-c.end:
		c.t.Errorf("%s was closed: %+v", c.ID, r)
	default:
	}
}

func payload(s string) relay.Payload {
	return relay.Payload{{Protocol: "messagepack", Data: []byte("other")}, {Protocol: "json", Data: []byte(s)}}
}

// normal says whether a connection ended with a close frame of code 1000.
func normal(err error) bool {
	var c *ws.CloseError
	return errors.As(err, &c) && c.Code == 1000
}

// cut says whether it ended without one.
func cut(err error) bool {
	var c *ws.CloseError
	return err != nil && !errors.As(err, &c) &&
		(errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "reset"))
}
