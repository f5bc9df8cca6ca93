package aspnetlegacy_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// An app is one process of an app server: a server connection for the
// application itself and one for each of its hubs, where the SDK has five.
type app struct {
	*link // of the application
	id    string
	hubs  map[string]*link
}

// A link is the other end of a server connection.
type link struct {
	*ws.Conn
	t      testing.TB
	frames chan []byte
}

// app attaches a process with these hubs.
func (s *service) app(id string, hubs ...string) *app {
	s.t.Helper()
	a := &app{id: id, hubs: map[string]*link{}}
	for _, h := range hubs {
		a.hubs[h] = s.link(id, application+"_"+h, serviceproto.HandshakeRequest{})
	}
	a.link = s.link(id, application+"_"+application, serviceproto.HandshakeRequest{})
	return a
}

// link attaches one server connection; Version is set.
func (s *service) link(serverID, hub string, h serviceproto.HandshakeRequest) *link {
	s.t.Helper()
	l, err := s.dialLink(serverID, hub)
	if err != nil {
		s.t.Fatal(err)
	}
	h.Version = 1
	l.send(&h)
	expect[*serviceproto.HandshakeResponse](l)
	l.settle()
	return l
}

func (s *service) dialLink(serverID, hub string) (*link, error) {
	s.t.Helper()
	hub = strings.ToLower(hub)
	token, err := s.keys.SignServer("http://localhost/aspnetserver/?hub="+hub, serverID, auth.Sign{NoIssuer: true})
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := ws.Dial(s.t.Context(), "ws://"+s.addr+"/aspnetserver/?hub="+url.PathEscape(hub)+"&cid=cid-"+serverID, http.Header{
		"Authorization": {"Bearer " + token}, "X-Asrs-Server-Id": {serverID},
	})
	if err != nil {
		return nil, err
	}
	l := &link{Conn: c, t: s.t, frames: make(chan []byte, 1<<16)}
	s.t.Cleanup(func() { c.NetConn().Close() })
	go func() { // ends with the socket
		defer close(l.frames)
		split := serviceproto.Splitter{Max: 1 << 26}
		for {
			_, p, err := l.Read()
			if err == nil {
				err = split.Feed(p, func(body []byte, _ bool) error {
					l.frames <- slices.Clone(body)
					return nil
				})
			}
			if err != nil {
				return
			}
		}
	}()
	return l, nil
}

func (l *link) send(all ...serviceproto.Message) {
	l.t.Helper()
	var b []byte
	for _, m := range all {
		b = serviceproto.Append(b, m)
	}
	if err := l.Write(ws.Binary, b); err != nil {
		l.t.Fatal(err)
	}
}

// next returns the next message that is no keep-alive.
func (l *link) next() serviceproto.Message {
	l.t.Helper()
	late := time.After(patience)
	for {
		select {
		case body, ok := <-l.frames:
			if !ok {
				l.t.Fatal("the server connection has ended")
			}
			var d serviceproto.Decoder
			m, err := d.Decode(body)
			if err != nil {
				l.t.Fatal(err)
			}
			if p, ok := m.(*serviceproto.Ping); ok && len(p.Words) == 0 {
				continue
			}
			return m
		case <-late:
			l.t.Fatal("the app hears nothing")
		}
	}
}

func expect[M serviceproto.Message](l *link) M {
	l.t.Helper()
	m := l.next()
	x, ok := m.(M)
	if !ok {
		l.t.Fatalf("the app got %T %+v", m, m)
	}
	return x
}

// settle returns once everything sent so far has been handled; nothing else
// may have come meanwhile.
func (l *link) settle() {
	l.t.Helper()
	l.send(&serviceproto.LeaveGroupWithAck{ConnectionID: "nobody", Group: "none", AckID: 1})
	if a := expect[*serviceproto.Ack](l); a.Status != serviceproto.StatusNotFound {
		l.t.Fatalf("leaving without being there: status %d", a.Status)
	}
}

// settle is settle for all connections of the process.
func (a *app) settle() {
	a.t.Helper()
	a.link.settle()
	for _, h := range a.hubs {
		h.settle()
	}
}

// opened expects a client.
func (l *link) opened(id string) *serviceproto.OpenConnection {
	l.t.Helper()
	o := expect[*serviceproto.OpenConnection](l)
	if o.ConnectionID != id {
		l.t.Fatalf("%s was opened, want %s", o.ConnectionID, id)
	}
	return o
}

// heard expects a message of a client.
func (l *link) heard(id, text string) {
	l.t.Helper()
	if m := expect[*serviceproto.ConnectionData](l); m.ConnectionID != id || string(m.Data) != text {
		l.t.Fatalf("%s said %q, want %q of %s", m.ConnectionID, m.Data, text, id)
	}
}

// left expects the end of a client.
func (l *link) left(id string) {
	l.t.Helper()
	if m := expect[*serviceproto.CloseConnection](l); m.ConnectionID != id {
		l.t.Fatalf("%s left, want %s", m.ConnectionID, id)
	}
}

// inner is what apps send to a client: a frame within the frame (4.1).
func inner(text string) []byte {
	return serviceproto.Append(nil, &serviceproto.ConnectionData{Data: []byte(text)})
}

// framed is a message of elements, as apps make it.
func framed(elements ...string) []byte {
	return inner(`{"C":"0","M":[` + strings.Join(elements, ",") + `]}`)
}

func payload(elements ...string) relay.Payload {
	return relay.Payload{{Protocol: "json", Data: framed(elements...)}}
}

// says sends to one client.
func (l *link) says(id string, elements ...string) {
	l.t.Helper()
	for _, e := range elements {
		l.send(&serviceproto.ConnectionData{ConnectionID: id, Data: framed(e)})
	}
}

// answers sends a response to an invocation of a client.
func (l *link) answers(id, response string) {
	l.t.Helper()
	l.send(&serviceproto.ConnectionData{ConnectionID: id, Data: inner(response)})
}

// broadcasts sends to the clients of the link's hub.
func (l *link) broadcasts(elements ...string) {
	l.t.Helper()
	for _, e := range elements {
		l.send(&serviceproto.BroadcastData{Payload: payload(e)})
	}
}
