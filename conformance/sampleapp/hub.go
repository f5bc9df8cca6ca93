package sampleapp

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	pool         *pool
	results      *results

	tracing   atomic.Bool   // the service wants tracing ids (5.3)
	tracingID atomic.Uint64 // the last one

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
	h.pool = newPool(h, a.connections)
	h.results = newResults(h)
	h.tracingID.Store(uint64(time.Now().UnixNano()))
	return h
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
func (h *hub) open(l *link, m *serviceproto.OpenConnection) {
	c := newClient(h, l, m)
	h.mu.Lock()
	if h.clients[c.id] != nil {
		h.mu.Unlock()
		return
	}
	h.clients[c.id] = c
	h.mu.Unlock()
	l.clients.Add(1)
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
	_, moves := header(m.Headers, "Asrs-Migrate-To")
	c.end(ending{quiet: moves, allowReconnect: true})
}

// reconnected throws away half a message: the client sends it again (7.6).
func (h *hub) reconnected(id string) {
	if c := h.client(id); c != nil {
		c.dropPartial()
	}
}

// lost ends the clients of a link that is no more. Nothing can be said to them,
// and the service does not expect a word about them (8.2).
func (h *hub) lost(l *link) {
	for _, c := range h.everyone() {
		if c.link.Load() == l {
			c.end(ending{quiet: true})
		}
	}
}

// instanceGone ends the clients of this link that came over an instance of the
// service; an empty name means all (5.3).
func (h *hub) instanceGone(l *link, instance string) {
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

// trace is the tracing id of the next message, 0 while tracing is off.
func (h *hub) trace() uint64 {
	if !h.tracing.Load() {
		return 0
	}
	return h.tracingID.Add(1)
}
