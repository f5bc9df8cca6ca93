package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Route is one attached Backend as its hub routes to it.
type Route struct {
	Backend  Backend
	ServerID string // the app server process; connections of one process share it
	hub      *Hub
	mayMove  bool // clients may be given to another server later
	weak     bool // never takes clients (service-protocol 3.4, type 2)
	stateful bool // its hub allows stateful reconnect

	draining atomic.Bool // takes no new clients
	moving   atomic.Bool // its clients go to other servers as they speak

	mu       sync.Mutex
	clients  map[*Client]struct{}
	detached bool
}

// Attach describes a Backend that joins a hub.
type Attach struct {
	Backend  Backend
	ServerID string
	// Weak Backends send, but never get a client.
	Weak bool
	// MayMove keeps what is needed to open clients of this Backend again at
	// another one. It costs memory for each client.
	MayMove bool
	// Stateful says that the hub allows its clients to reconnect statefully.
	Stateful bool
}

// Attach adds a Backend. Detach the Route when the Backend ends.
func (h *Hub) Attach(a Attach) *Route {
	r := &Route{Backend: a.Backend, ServerID: a.ServerID, weak: a.Weak, hub: h, mayMove: a.MayMove, stateful: a.Stateful, clients: map[*Client]struct{}{}}
	h.routes.add(r)
	return r
}

// Drain makes the Route take no new clients. With move its clients go to
// other servers, each at a message border.
func (r *Route) Drain(move bool) {
	r.draining.Store(true)
	r.moving.Store(move)
}

// Len returns the number of clients.
func (r *Route) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients)
}

// Hangup closes every client of the Route.
func (r *Route) Hangup(why Reason) {
	r.mu.Lock()
	all := make([]*Client, 0, len(r.clients))
	for c := range r.clients {
		all = append(all, c)
	}
	r.mu.Unlock()
	for _, c := range all {
		c.Close(why)
	}
}

// Detach removes the Backend, whose clients close with why. It may be called
// again.
func (r *Route) Detach(why Reason) {
	r.mu.Lock()
	r.detached = true
	r.mu.Unlock()
	r.hub.routes.remove(r)
	r.hub.invocations.forget(r)
	r.Hangup(why)
}

func (r *Route) gone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.detached
}

// take adds a client unless the Route is gone.
func (r *Route) take(c *Client) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.detached {
		return false
	}
	r.clients[c] = struct{}{}
	return true
}

func (r *Route) drop(c *Client) {
	r.mu.Lock()
	delete(r.clients, c)
	r.mu.Unlock()
}

// routes are the Backends of one hub.
type routes struct {
	mu       sync.RWMutex
	list     []*Route
	changed  chan struct{} // closed and renewed when a Backend joins or the hub drains
	draining bool
}

func (t *routes) add(r *Route) {
	t.mu.Lock()
	t.list = append(t.list, r)
	t.signal()
	t.mu.Unlock()
}

func (t *routes) signal() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *routes) remove(r *Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, x := range t.list {
		if x == r {
			t.list = append(t.list[:i:i], t.list[i+1:]...)
			return
		}
	}
}

func (t *routes) all() []*Route {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return append([]*Route(nil), t.list...)
}

func (t *routes) drain() {
	t.mu.Lock()
	t.draining = true
	t.signal()
	t.mu.Unlock()
}

// Ready returns once an app server takes clients of the hub; after two seconds
// without one with ErrNoServer, or with ErrDraining or the error of ctx.
func (h *Hub) Ready(ctx context.Context) error {
	_, err := h.routes.await(ctx, &Connect{}, func(*Route) bool { return true })
	return err
}

// take chooses a Backend for a client and adds it there.
func (t *routes) take(ctx context.Context, c *Client, w *Connect) (*Route, error) {
	return t.await(ctx, w, func(r *Route) bool { return r.take(c) })
}

// await chooses a Backend that accept agrees with, when there is one.
func (t *routes) await(ctx context.Context, w *Connect, accept func(*Route) bool) (*Route, error) {
	var timeout <-chan time.Time
	for {
		best := w.covered() // before the lock: no hub's is held while another's is taken
		t.mu.RLock()
		r, changed, draining := t.choose(w, best), t.changed, t.draining
		t.mu.RUnlock()
		if draining {
			return nil, ErrDraining
		}
		if r != nil {
			if accept(r) {
				return r, nil
			}
			continue // it went between the choice and now, and is off the list
		}
		if timeout == nil {
			timer := time.NewTimer(connectWait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, ErrNoServer
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// choose returns the least loaded Backend that a client may go to, of an app
// server that best approves if there is one.
func (t *routes) choose(w *Connect, best func(serverID string) bool) *Route {
	if w.Sticky != Anywhere {
		r := t.least(func(r *Route) bool { return r.ServerID == w.ServerID })
		if r != nil || w.Sticky == Required {
			return r
		}
	}
	if r := t.least(func(r *Route) bool { return best(r.ServerID) }); r != nil {
		return r
	}
	return t.least(func(*Route) bool { return true })
}

// covered returns which app servers have every hub that the client listens
// to: while an app is being updated, not all of them do.
func (w *Connect) covered() func(serverID string) bool {
	if len(w.Also) == 0 {
		return func(string) bool { return true }
	}
	hubs := map[string]int{} // by server id
	for _, h := range w.Also {
		for _, id := range h.Servers() {
			hubs[id]++
		}
	}
	return func(id string) bool { return hubs[id] == len(w.Also) }
}

// other adds c to the least loaded Backend of another app server.
func (t *routes) other(c *Client, serverID string) *Route {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.least(func(r *Route) bool { return r.ServerID != serverID })
	if r == nil || !r.take(c) {
		return nil
	}
	return r
}

func (t *routes) least(ok func(*Route) bool) *Route {
	var best *Route
	load := 0
	for _, r := range t.list {
		if r.weak || r.draining.Load() || !ok(r) {
			continue
		}
		if n := r.Len(); best == nil || n < load {
			best, load = r, n
		}
	}
	return best
}

// Servers returns the server ids of the hub's Backends, each once, in no
// order.
func (h *Hub) Servers() []string {
	seen := map[string]bool{}
	var ids []string
	for _, r := range h.routes.all() {
		if !seen[r.ServerID] {
			seen[r.ServerID] = true
			ids = append(ids, r.ServerID)
		}
	}
	return ids
}

// AllowsStateful says whether an app server of the hub allows stateful
// reconnect, which is all it has to do with it.
func (h *Hub) AllowsStateful() bool {
	h.routes.mu.RLock()
	defer h.routes.mu.RUnlock()
	for _, r := range h.routes.list {
		if r.stateful {
			return true
		}
	}
	return false
}

// ShutBackends ends every Backend that can be shut.
func (h *Hub) ShutBackends() {
	for _, r := range h.routes.all() {
		if b, ok := r.Backend.(interface{ Shut() }); ok {
			b.Shut()
		}
	}
}

// Routes returns the number of attached Backends.
func (h *Hub) Routes() int {
	h.routes.mu.RLock()
	defer h.routes.mu.RUnlock()
	return len(h.routes.list)
}
