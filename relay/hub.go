package relay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Relay is one instance: hubs that share nothing with those of another
// Relay in the same process.
type Relay struct {
	stats Stats

	mu   sync.RWMutex
	hubs map[string]*Hub // by name
}

// New returns a Relay without hubs.
func New() *Relay { return &Relay{hubs: map[string]*Hub{}} }

// Hub returns the hub of a name, new if need be. Hubs are for ever: ask for
// one only on behalf of somebody who holds an access key. The caller folds
// the name to lower case where its protocol says so.
func (r *Relay) Hub(name string) *Hub {
	if h := r.Existing(name); h != nil {
		return h
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hubs[name]
	if h == nil {
		name = strings.Clone(name) // it may be a piece of a whole request
		h = newHub(name, &r.stats)
		r.hubs[name] = h
	}
	return h
}

// Existing returns the hub of a name that somebody has asked Hub for, else nil.
func (r *Relay) Existing(name string) *Hub {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.hubs[name]
}

// Hubs returns all hubs, in no order.
func (r *Relay) Hubs() []*Hub {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*Hub, 0, len(r.hubs))
	for _, h := range r.hubs {
		all = append(all, h)
	}
	return all
}

// Stats returns the counters of this Relay.
func (r *Relay) Stats() *Stats { return &r.stats }

// Check compares the maps of every hub with each other; see [Hub.Check].
func (r *Relay) Check() error {
	for _, h := range r.Hubs() {
		if err := h.Check(); err != nil {
			return fmt.Errorf("hub %s: %w", h.Name, err)
		}
	}
	return nil
}

// A Hub is one hub of one app: its clients, users, groups and Backends. All
// methods may be called concurrently. A client joins one hub and may listen to
// others of the same app (see [Connect]).
//
// Locks, outermost first: Client.mu; a shard; members.mu; Route.mu. A Sink is
// called with none of them held.
type Hub struct {
	Name  string
	stats *Stats

	clients *shards[*Client]  // by connection id
	users   *shards[*user]    // by user id
	groups  *shards[*members] // by group name

	routes      routes
	invocations invocations
}

func newHub(name string, s *Stats) *Hub {
	h := &Hub{Name: name, stats: s, clients: newShards[*Client](), users: newShards[*user](), groups: newShards[*members]()}
	h.routes.changed = make(chan struct{})
	return h
}

// Len returns the number of clients.
func (h *Hub) Len() int { return h.clients.len() }

// Client returns the client with a connection id, nil if there is none.
func (h *Hub) Client(id string) *Client {
	c, _ := h.clients.get(id)
	return c
}

// Handle carries out what a Backend (from), or somebody else (from is nil),
// asks. It is the one door for app servers, REST and other nodes. When it
// returns, a Member is visible to every Deliver that follows.
func (h *Hub) Handle(ctx context.Context, from *Route, m Message) (Result, error) {
	switch m := m.(type) {
	case *Deliver:
		h.deliver(m)
		return Result{Found: true}, nil
	case *Member:
		return Result{Found: h.member(m)}, nil
	case *Check:
		return Result{Found: h.exists(m)}, nil
	case *List:
		return h.listGroup(m), nil
	case *Hangup:
		h.hangup(m)
		return Result{Found: true}, nil
	case *Invoke:
		h.invoke(from, m)
		return Result{Found: true}, nil
	case *Answer:
		h.answer(from, m)
		return Result{Found: true}, nil
	}
	return Result{}, fmt.Errorf("unknown message %T", m)
}

// Output passes bytes of a client's own stream from its Backend on to it;
// for batch see [Deliver].
// Bytes for an unknown client are dropped: it may just have left.
func (h *Hub) Output(id string, p []byte, batch uint32) {
	c := h.Client(id)
	if c == nil {
		return
	}
	h.stats.MessagesOut.Add(1)
	h.stats.BytesOut.Add(int64(len(p)))
	c.sink.Output(p, batch)
}

// Ended takes a client away on the word of the app behind from. The Backend
// that has the client is told, unless it is the one that says so.
func (h *Hub) Ended(from *Route, id, text string) {
	c := h.Client(id)
	if c == nil {
		return
	}
	r := Reason{Category: ClosedByAppServer, Text: text, Detail: true}
	if own, _ := c.end(func(now *Route) bool { return now != from }, text); own {
		c.sink.Close(r)
	}
}

func (h *Hub) hangup(m *Hangup) {
	for _, c := range h.receivers(&m.To, nil) {
		c.Close(Reason{Category: ClosedByAppServer, Text: m.Text})
	}
}

// Check compares the hub's maps with each other and says what does not fit.
// It is right only while nobody connects or leaves.
func (h *Hub) Check() error {
	var clients []*Client // whose groups and Backend are this hub's
	inUsers, named := 0, 0
	h.clients.each(func(_ string, c *Client) {
		if c.HasUser {
			named++
		}
		if c.hub == h {
			clients = append(clients, c)
		}
	})
	onRoutes := 0
	for _, r := range h.routes.all() {
		r.mu.Lock()
		onRoutes += len(r.clients)
		for c := range r.clients {
			if h.Client(c.ID) != c {
				r.mu.Unlock()
				return fmt.Errorf("server %s has client %s, the hub does not", r.ServerID, c.ID)
			}
		}
		r.mu.Unlock()
	}
	if onRoutes != len(clients) {
		return fmt.Errorf("%d clients, %d of them with a server connection", len(clients), onRoutes)
	}
	inGroups, listed := 0, 0
	h.groups.each(func(_ string, g *members) { inGroups += g.len() })
	h.users.each(func(_ string, u *user) { inUsers += u.len() })
	for _, c := range clients {
		c.mu.Lock()
		listed += len(c.groups)
		c.mu.Unlock()
	}
	if inGroups != listed {
		return fmt.Errorf("%d group members, clients know of %d", inGroups, listed)
	}
	if inUsers != named {
		return fmt.Errorf("%d clients by user, %d have one", inUsers, named)
	}
	return nil
}

// snapshot returns the clients that joined this hub, without those that only
// listen to it.
func (h *Hub) snapshot() []*Client {
	var all []*Client
	h.clients.each(func(_ string, c *Client) {
		if c.hub == h {
			all = append(all, c)
		}
	})
	return all
}

// connectWait is how long a client waits for a server connection: an app that
// just started or lost its connections is back within a second or two
// (service-protocol 2.4).
const connectWait = 2 * time.Second
