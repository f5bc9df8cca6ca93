package aspnetlegacy_test

import (
	"net/url"
	"strings"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// An app is one process of an app server: a server connection for the
// application itself and one for each of its hubs, where the SDK has five.
type app struct {
	*link // of the application
	hubs  map[string]*link
}

// A link is the other end of a server connection, of the application or of one
// of its hubs.
type link struct{ *nodetest.Link }

// app attaches a process with these hubs.
func (s *service) app(id string, hubs ...string) *app {
	s.T.Helper()
	a := &app{hubs: map[string]*link{}}
	for _, h := range hubs {
		a.hubs[h] = s.link(id, application+"_"+h, serviceproto.HandshakeRequest{})
	}
	a.link = s.link(id, application+"_"+application, serviceproto.HandshakeRequest{})
	return a
}

// link attaches one server connection; Version is set.
func (s *service) link(serverID, hub string, h serviceproto.HandshakeRequest) *link {
	s.T.Helper()
	l, err := s.dialLink(serverID, hub)
	if err != nil {
		s.T.Fatal(err)
	}
	l.Shake(h)
	l.Settle()
	return l
}

// dialLink opens one and does not shake hands, or returns a refusal.
func (s *service) dialLink(serverID, hub string) (*link, error) {
	s.T.Helper()
	hub = strings.ToLower(hub)
	token, err := s.Keys.SignServer("http://localhost/aspnetserver/?hub="+hub, serverID, auth.Sign{NoIssuer: true})
	if err != nil {
		s.T.Fatal(err)
	}
	l, err := nodetest.Dial(s.T, "ws://"+s.Addr+"/aspnetserver/?hub="+url.PathEscape(hub), serverID, token)
	if err != nil {
		return nil, err
	}
	l.Listen()
	return &link{l}, nil
}

// Settle is that of all connections of the process.
func (a *app) Settle() {
	a.T.Helper()
	a.link.Settle()
	for _, h := range a.hubs {
		h.Settle()
	}
}

// opened expects a client.
func (l *link) opened(id string) *serviceproto.OpenConnection {
	l.T.Helper()
	o := nodetest.Expect[*serviceproto.OpenConnection](l.Link)
	if o.ConnectionID != id {
		l.T.Fatalf("%s was opened, want %s", o.ConnectionID, id)
	}
	return o
}

// heard expects a message of a client.
func (l *link) heard(id, text string) {
	l.T.Helper()
	if m := nodetest.Expect[*serviceproto.ConnectionData](l.Link); m.ConnectionID != id || string(m.Data) != text {
		l.T.Fatalf("%s said %q, want %q of %s", m.ConnectionID, m.Data, text, id)
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
	l.T.Helper()
	for _, e := range elements {
		l.Send(&serviceproto.ConnectionData{ConnectionID: id, Data: framed(e)})
	}
}

// answers sends a response to an invocation of a client.
func (l *link) answers(id, response string) {
	l.T.Helper()
	l.Send(&serviceproto.ConnectionData{ConnectionID: id, Data: inner(response)})
}

// broadcasts sends to the clients of the link's hub.
func (l *link) broadcasts(elements ...string) {
	l.T.Helper()
	for _, e := range elements {
		l.Send(&serviceproto.BroadcastData{Payload: payload(e)})
	}
}
