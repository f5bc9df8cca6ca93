package sampleapp_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const key = stubservice.Key

// patience is how long a test waits for what must come. It only passes when
// something is wrong.
const patience = 20 * time.Second

// stub plays the service: it leaves what to say to the test, apart from the server
// connections of BenchHub.
type stub struct {
	*stubservice.Service
	links chan *stubLink // of chathub, in the order of their upgrades
}

func newStub(t testing.TB) *stub {
	s := &stub{links: make(chan *stubLink, 64)}
	s.Service = stubservice.New(t, func(l *stubservice.Link) {
		if l.Request.URL.Query().Get("hub") == "benchhub" { // its handshake is enough
			<-l.Frames
			l.Send(&serviceproto.HandshakeResponse{})
			return
		}
		s.links <- &stubLink{l}
	})
	return s
}

// next is the next server connection of chathub.
func (s *stub) next(t testing.TB) *stubLink {
	t.Helper()
	select {
	case l := <-s.links:
		return l
	case <-time.After(patience):
		t.Fatal("no server connection")
		return nil
	}
}

// stubLink is the service's end of a server connection.
type stubLink struct{ *stubservice.Link }

// frame is the next frame of the app that is no keep-alive.
func (l *stubLink) frame(t testing.TB) []byte {
	t.Helper()
	for {
		select {
		case b, ok := <-l.Frames:
			if !ok {
				t.Fatal("the app ended the connection")
			}
			if !stubservice.KeepAlive(stubservice.Decode(t, b)) {
				return b
			}
		case <-time.After(patience):
			t.Fatal("no frame of the app")
		}
	}
}

// expect is the next frame, which must be an M.
func expect[M serviceproto.Message](t testing.TB, l *stubLink) M {
	t.Helper()
	m := stubservice.Decode(t, l.frame(t))
	want, ok := m.(M)
	if !ok {
		t.Fatalf("got %v %+v, want a %T", m.Type(), m, want)
	}
	return want
}

// shake accepts the handshake of a link.
func (l *stubLink) shake(t testing.TB) *serviceproto.HandshakeRequest {
	t.Helper()
	r := expect[*serviceproto.HandshakeRequest](t, l)
	l.Send(&serviceproto.HandshakeResponse{})
	return r
}

// open makes a client that has finished its hub handshake, and takes its
// welcome.
func (l *stubLink) open(t testing.TB, m *serviceproto.OpenConnection) {
	t.Helper()
	l.Send(m)
	l.data(m.ConnectionID, `{"protocol":"`+m.Protocol+`","version":1}`+"\x1e")
	if d := expect[*serviceproto.ConnectionData](t, l); string(d.Data) != "{}\x1e" || d.DataType != serviceproto.DataHandshake {
		t.Fatalf("handshake answer is %q of type %d", d.Data, d.DataType)
	}
	expect[*serviceproto.MultiConnectionData](t, l)
}

func (l *stubLink) data(id, text string) {
	l.Send(&serviceproto.ConnectionData{ConnectionID: id, Data: []byte(text)})
}

// hears checks the next output of a hub for a client.
func (l *stubLink) hears(t testing.TB, id, text string) {
	t.Helper()
	d := expect[*serviceproto.ConnectionData](t, l)
	if d.ConnectionID != id || string(d.Data) != text+"\x1e" {
		t.Fatalf("%s gets %q, want %s to get %q", d.ConnectionID, d.Data, id, text)
	}
}

// running is an app under test.
type running struct {
	*sampleapp.App
	stub  *stub
	stop  context.CancelFunc
	ended chan struct{}
}

// start runs an app with one server connection per hub unless o says more.
func (s *stub) start(t testing.TB, o sampleapp.Options) *running {
	t.Helper()
	o.ConnectionString = s.ConnectionString()
	if o.Connections == 0 {
		o.Connections = 1
	}
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = patience
	}
	app, err := sampleapp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{app, s, stop, make(chan struct{})}
	go func() {
		defer close(r.ended)
		app.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		s.HangUp()
		r.wait(t)
	})
	return r
}

// wait waits for the end of Run.
func (r *running) wait(t testing.TB) {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Error("the app does not end")
	}
}
