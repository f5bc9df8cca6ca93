package legacy

import (
	"strings"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// container is a set of server connections: the application's, or a hub's (2.2).
// Clients may come on any of them.
type container struct {
	app  *App
	pool *serverlink.Pool
	acks serverlink.Acks // counted for each container (6.1)
}

func newContainer(a *App, name string) *container {
	c := &container{app: a}
	hub := auth.HubName(a.o.ApplicationName, name)
	c.pool = serverlink.NewPool(serverlink.Options{
		Hub: hub, Links: a.o.Connections, ServerID: a.o.ServerID, Eager: true, Receiver: c, Log: a.log, Timing: a.pace.links,
		URL: func(cid string) string { return a.service.AspNetServerURL(hub, cid) },
		Token: func() (string, error) {
			return a.keys.SignServer(a.service.AspNetServerAudience(hub), a.o.ServerID, auth.Sign{NoIssuer: true, Algorithm: a.o.Algorithm})
		},
	})
	return c
}

// Frame takes a frame of the service. Types that the SDK does not know, or does
// not use in this direction, mean nothing (2.5).
func (c *container) Frame(l *serverlink.Link, m serviceproto.Message) {
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		if client := c.owned(l, m.ConnectionID); client != nil {
			client.received(m.Data)
		}
	case *serviceproto.OpenConnection:
		c.open(l, m)
	case *serviceproto.CloseConnection:
		if client := c.owned(l, m.ConnectionID); client != nil {
			client.disconnect()
		}
	case *serviceproto.Ack:
		c.acks.Answer(m.AckID, m.Status)
	case *serviceproto.ServiceError:
		// The SDK never writes on such a connection again, and leaves it open (2.5).
		text := serviceError(strings.Clone(m.Error))
		c.app.log.Warn("the service says", "hub", l.Hub(), "error", string(text))
		l.Mute(text)
	}
}

type serviceError string

func (e serviceError) Error() string { return "service error: " + string(e) }

// owned finds a client of this very link: for others the SDK drops data and
// close (2.6).
func (c *container) owned(l *serverlink.Link, id string) *client {
	if client := c.app.client(id); client != nil && client.link == l {
		return client
	}
	return nil
}

// open makes a client and raises OnConnected. Nothing is said when that goes
// well (3.1).
func (c *container) open(l *serverlink.Link, m *serviceproto.OpenConnection) {
	client, err := newClient(c, l, m)
	if err != nil {
		c.app.log.Warn("client lost", "hub", l.Hub(), "cause", err) // without a word, as the SDK loses it
		return
	}
	a := c.app
	a.mu.Lock()
	if a.clients[client.id] != nil {
		a.mu.Unlock()
		client.refuse("Duplicate connection ID " + client.id)
		return
	}
	a.clients[client.id] = client
	a.mu.Unlock()
	l.Clients.Add(1)
	client.connect()
}

// InstanceGone ends the clients of one link that came over an instance of the
// service; the service does not expect a word about them (2.4).
func (c *container) InstanceGone(l *serverlink.Link, instance string) {
	for _, client := range c.app.everyone() {
		if client.link == l && client.instance != "" && client.instance == instance {
			client.disconnect()
		}
	}
}

// Closed ends the clients of a link that is no more (6.4). A process that stops
// has no time for that (6.5).
func (c *container) Closed(l *serverlink.Link) {
	if c.app.life.Err() != nil {
		return
	}
	for _, client := range c.app.everyone() {
		if client.link == l {
			client.disconnect()
		}
	}
}

func (a *App) everyone() []*client {
	a.mu.RLock()
	defer a.mu.RUnlock()
	all := make([]*client, 0, len(a.clients))
	for _, c := range a.clients {
		all = append(all, c)
	}
	return all
}
