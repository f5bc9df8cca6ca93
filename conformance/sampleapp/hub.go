package sampleapp

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// hub is one hub of the app: its methods, and the clients that the service has
// bound to this process.
type hub struct {
	// Static after construction.
	app          *App
	name         string // as the service knows it (service-protocol 1.2)
	stateful     bool   // stateful reconnect is allowed
	methods      map[string]*method
	connected    func(c *client) error      // may be nil; must not block
	disconnected func(c *client, err error) // may be nil; must not block
	pool         *serverlink.Pool
	results      *results

	mu      sync.RWMutex
	clients map[string]*client
	idle    chan struct{} // closed when the last client is gone; nil: nobody waits
}

func newHub(a *App, name string, stateful bool, methods map[string]*method) *hub {
	h := &hub{app: a, name: name, stateful: stateful, methods: map[string]*method{}, clients: map[string]*client{}}
	// Methods are found without regard to case (core-client-protocol 5.4); the
	// spelling that clients use is found first.
	for name, m := range methods {
		h.methods[name] = m
		h.methods[strings.ToLower(name)] = m
	}
	handshake := serviceproto.HandshakeRequest{AllowStatefulReconnects: stateful}
	if a.shutdown == shutdownMigrate {
		handshake.MigrationLevel = 1
	}
	h.pool = serverlink.NewPool(serverlink.Options{
		Hub: name, Links: a.connections, ServerID: a.serverID, Handshake: handshake, Receiver: h, Log: a.log,
		URL: func(cid string) string { return a.service.ServerURL(name, cid) },
		Token: func() (string, error) {
			return a.keys.SignServer(a.service.ServerAudience(name), a.serverID, auth.Sign{})
		},
		Alive: func(l *serverlink.Link) []string {
			return []string{"#clientInHub", strconv.Itoa(h.count()), "#client", strconv.Itoa(int(l.Clients.Load()))}
		},
	})
	h.results = newResults(h)
	return h
}

// Frame takes a frame of the service.
func (h *hub) Frame(l *serverlink.Link, m serviceproto.Message) {
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		h.data(m)
	case *serviceproto.OpenConnection:
		h.open(l, m)
	case *serviceproto.CloseConnection:
		h.closed(m)
	case *serviceproto.Ack:
		h.app.acks.Answer(m.AckID, m.Status)
	case *serviceproto.ClientInvocation:
		h.results.route(m)
	case *serviceproto.ClientCompletion:
		h.results.completed(m)
	case *serviceproto.ErrorCompletion:
		h.results.failed(m.InvocationID, strings.Clone(m.Error))
	case *serviceproto.ServiceMapping:
		h.results.mapped(m)
	case *serviceproto.ConnectionReconnect:
		h.reconnected(m.ConnectionID)
	case *serviceproto.ConnectionFlowControl:
		h.flow(l, m)
	case *serviceproto.ServiceError:
		h.app.log.Warn("the service says", "hub", h.name, "error", strings.Clone(m.Error))
		l.Offline.Store(true)
	}
}

// flow moves a client between links of this app, or asks to spare this one
// (11.3).
func (h *hub) flow(l *serverlink.Link, m *serviceproto.ConnectionFlowControl) {
	if m.ConnectionType == serviceproto.FlowServer {
		if m.Operation == serviceproto.FlowOffline {
			l.Offline.Store(true)
		}
		return
	}
	c := h.client(m.ConnectionID)
	switch {
	case c == nil:
	case m.Operation == serviceproto.FlowPause:
		c.pause()
	case m.Operation == serviceproto.FlowResume:
		c.resume(l)
	}
}

func (h *hub) method(name string) *method {
	if m := h.methods[name]; m != nil {
		return m
	}
	return h.methods[strings.ToLower(name)]
}

func (h *hub) client(id string) *client {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.clients[id]
}

func (h *hub) count() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.clients)
}

func (h *hub) everyone() []*client {
	h.mu.RLock()
	defer h.mu.RUnlock()
	all := make([]*client, 0, len(h.clients))
	for _, c := range h.clients {
		all = append(all, c)
	}
	return all
}

// data hands bytes of a client to it. Those of an unknown client are late.
func (h *hub) data(m *serviceproto.ConnectionData) {
	if c := h.client(m.ConnectionID); c != nil {
		c.take(m.Data, m.Partial)
	}
}

// open makes a client. A second one of the same id does not replace the first
// (6.7).
func (h *hub) open(l *serverlink.Link, m *serviceproto.OpenConnection) {
	c := newClient(h, l, m)
	h.mu.Lock()
	if h.clients[c.id] != nil {
		h.mu.Unlock()
		return
	}
	h.clients[c.id] = c
	h.mu.Unlock()
	l.Clients.Add(1)
}

// forget takes a client off the books; false when somebody else did.
func (h *hub) forget(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients[c.id] != c {
		return false
	}
	delete(h.clients, c.id)
	if len(h.clients) == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
	return true
}

// closed is the service's word that a client is gone or moves to another app
// server, which must not be seen by the client (8.1, 8.5).
func (h *hub) closed(m *serviceproto.CloseConnection) {
	c := h.client(m.ConnectionID)
	if c == nil {
		return
	}
	_, moves := principal.Header(m.Headers, "Asrs-Migrate-To")
	c.end(ending{quiet: moves, allowReconnect: true})
}

// reconnected throws away half a message: the client sends it again (7.6).
func (h *hub) reconnected(id string) {
	if c := h.client(id); c != nil {
		c.dropPartial()
	}
}

// Closed ends the clients of a link that is no more. Nothing can be said to them,
// and the service does not expect a word about them (8.2).
func (h *hub) Closed(l *serverlink.Link) {
	for _, c := range h.everyone() {
		if c.link.Load() == l {
			c.end(ending{quiet: true})
		}
	}
}

// InstanceGone ends the clients of this link that came over an instance of the
// service; an empty name means all (5.3).
func (h *hub) InstanceGone(l *serverlink.Link, instance string) {
	for _, c := range h.everyone() {
		if c.link.Load() == l && (instance == "" || c.instance == instance) {
			c.end(ending{allowReconnect: true})
		}
	}
	h.results.instanceGone(instance)
}

// endAll ends every client as a server does that goes down.
func (h *hub) endAll() {
	for _, c := range h.everyone() {
		c.end(ending{allowReconnect: true})
	}
}

// empty waits until no client is left.
func (h *hub) empty(ctx context.Context) {
	h.mu.Lock()
	if len(h.clients) == 0 {
		h.mu.Unlock()
		return
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// heartbeat looks after all clients once a second until ctx ends.
func (h *hub) heartbeat(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range h.everyone() {
				c.tick(now)
			}
		}
	}
}

// leave takes the hub off the service in the app's mode (8.4). It returns when
// no link is left, at the latest when ctx ends.
func (h *hub) leave(ctx context.Context) {
	h.pool.Leave(ctx, int(h.app.shutdown))
	if ctx.Err() == nil {
		if h.app.shutdown == shutdownOff {
			h.endAll()
		} else {
			h.empty(ctx)
		}
	}
	h.pool.Close()
}
