package appserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

// patience bounds the wait for what must happen; only a failing test needs it.
const patience = 10 * time.Second

// A service is a transport that takes server connections of one hub.
type service struct {
	t     testing.TB
	relay *relay.Relay
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
	s := &service{t: t, relay: relay.New(), conns: make(chan *appserver.Conn, 64)}
	s.hub = s.relay.Hub("chat")
	profile, format := o.Profile(), &transport.Format{}
	s.srv = transport.NewServer(func(x *transport.Exchange) {
		p := appserver.Peer{ServerID: x.Header("X-ASRS-Server-Id"), ID: x.Query("cid"), Target: x.Query("target")}
		c := appserver.New(s.srv, s.hub, p, &o, profile)
		x.Carry(c.Transport(), transport.WebSocket, format)
		s.conns <- c
	}, transport.Options{Logger: o.Logger})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "ws://" + l.Addr().String() + "/server?hub=chat"
	served := make(chan error, 1)
	go func() { served <- s.srv.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever is left is cut
		s.srv.Shutdown(ctx)
		<-served
		if err := s.relay.Check(); err != nil {
			t.Error(err)
		}
		if s.srv.Len() != 0 || s.hub.Routes() != 0 || s.hub.Len() != 0 {
			t.Errorf("left: %d connections, %d servers, %d clients", s.srv.Len(), s.hub.Routes(), s.hub.Len())
		}
		if n := s.srv.Stats().Panics.Load(); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
	return s
}

// An app is the other end of a server connection.
type app struct {
	*ws.Conn
	t      testing.TB
	conn   *appserver.Conn // our end
	frames chan []byte     // bodies
	closed chan error      // why the socket ended
	acks   int
}

// dial opens a server connection and does not shake hands.
func (s *service) dial(serverID string) *app {
	s.t.Helper()
	cid := fmt.Sprint("cid-", serverID)
	c, err := ws.Dial(s.t.Context(), s.url+"&cid="+cid, http.Header{"X-Asrs-Server-Id": {serverID}})
	if err != nil {
		s.t.Fatal(err)
	}
	a := &app{Conn: c, t: s.t, frames: make(chan []byte, 1<<16), closed: make(chan error, 1)}
	s.t.Cleanup(func() { c.NetConn().Close() })
	a.conn = <-s.conns
	return a
}

// read starts to take what comes; a stalled app does not.
func (a *app) read() *app {
	go func() { // ends with the socket
		var split serviceproto.Splitter
		split.Max = 1 << 24
		for {
			_, p, err := a.Read()
			if err == nil {
				err = split.Feed(p, func(body []byte, _ bool) error {
					a.frames <- slices.Clone(body)
					return nil
				})
			}
			if err != nil {
				a.closed <- err
				close(a.frames)
				return
			}
		}
	}()
	return a
}

// attach opens a server connection of a kind; the zero kind has Version 1.
func (s *service) attach(serverID string, h serviceproto.HandshakeRequest) *app {
	s.t.Helper()
	a := s.dial(serverID).read()
	h.Version = 1
	a.send(&h)
	r := expect[*serviceproto.HandshakeResponse](a)
	if r.Error != "" || r.ConnectionID != "cid-"+serverID {
		s.t.Fatalf("handshake: %+v", r)
	}
	a.ack(&serviceproto.CheckUserExistenceWithAck{AckID: a.ackID()}) // attached by now
	return a
}

func (a *app) send(all ...serviceproto.Message) {
	a.t.Helper()
	var b []byte
	for _, m := range all {
		b = serviceproto.Append(b, m)
	}
	a.raw(b)
}

func (a *app) raw(b []byte) {
	a.t.Helper()
	if err := a.Write(ws.Binary, b); err != nil {
		a.t.Fatal(err)
	}
}

// next returns the next message that is not a keep-alive.
func (a *app) next() serviceproto.Message {
	a.t.Helper()
	for {
		select {
		case body, ok := <-a.frames:
			if !ok {
				a.t.Fatal("the server connection has ended")
			}
			var d serviceproto.Decoder
			m, err := d.Decode(body)
			if err != nil {
				a.t.Fatal(err)
			}
			if p, ok := m.(*serviceproto.Ping); ok && len(p.Words) == 0 {
				continue
			}
			return m
		case <-time.After(patience):
			a.t.Fatal("nothing comes")
		}
	}
}

func expect[M serviceproto.Message](a *app) M {
	a.t.Helper()
	m := a.next()
	x, ok := m.(M)
	if !ok {
		a.t.Fatalf("got %T %+v", m, m)
	}
	return x
}

func (a *app) ackID() int {
	a.acks++
	return a.acks
}

// ack sends a message with an ack id and returns the answer to it.
func (a *app) ack(m serviceproto.Message) *serviceproto.Ack {
	a.t.Helper()
	a.send(m)
	return expect[*serviceproto.Ack](a)
}

// settle returns once everything sent so far has been handled.
func (a *app) settle() {
	a.t.Helper()
	id := a.ackID()
	if got := a.ack(&serviceproto.CheckUserExistenceWithAck{UserID: "nobody", AckID: id}); got.AckID != id || got.Status != serviceproto.StatusNotFound {
		a.t.Fatalf("%+v", got)
	}
}

// end waits for the end of the connection and returns its reason.
func (a *app) end() error {
	a.t.Helper()
	select {
	case err := <-a.closed:
		return err
	case <-time.After(patience):
		a.t.Fatal("the connection lives on")
		return nil
	}
}

// alive fails unless the connection still answers.
func (a *app) alive() {
	a.t.Helper()
	a.settle()
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
	expect[*serviceproto.OpenConnection](a)
	expect[*serviceproto.ConnectionData](a)
	return c
}

func (c *client) next() string {
	c.t.Helper()
	select {
	case m := <-c.got:
		return m
	case <-time.After(patience):
		c.t.Fatal("nothing for " + c.ID)
		return ""
	}
}

func (c *client) reason() relay.Reason {
	c.t.Helper()
	select {
	case r := <-c.end:
		return r
	case <-time.After(patience):
		c.t.Fatal(c.ID + " is not closed")
		return relay.Reason{}
	}
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

// until waits for what another goroutine is about to bring about.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); {
		if time.Now().After(end) {
			t.Fatal("still not: " + what)
		}
		time.Sleep(time.Millisecond) // between two looks; the looks decide
	}
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
