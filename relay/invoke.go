package relay

import (
	"strings"
	"sync"
	"time"
)

// answerWithin is how long an invocation of a client is remembered
// (service-protocol 10).
const answerWithin = 10 * time.Minute

// invocations are the client results that app servers wait for.
type invocations struct {
	mu   sync.Mutex
	open map[string]*invocation // by invocation id
}

type invocation struct {
	ask    *Invoke
	caller *Route
	target *Client
	late   *time.Timer
}

// invoke asks a client on behalf of the app server behind from.
func (h *Hub) invoke(from *Route, m *Invoke) {
	if from == nil {
		return
	}
	caller, ok := from.Backend.(Caller)
	if !ok {
		return
	}
	c := h.Client(m.Connection)
	if c == nil {
		caller.Answer(m.fail("Connection '" + m.Connection + "' does not exist."))
		return
	}
	id := strings.Clone(m.ID)
	inv := &invocation{ask: m, caller: from, target: c}
	inv.late = time.AfterFunc(answerWithin, func() {
		if h.invocations.takeThis(id, inv) {
			caller.Answer(m.fail("The client did not answer in time."))
		}
	})
	h.invocations.add(id, inv)

	c.mu.Lock()
	router, ended := c.route, c.ended
	c.mu.Unlock()
	if ended { // lost may have run before add
		if h.invocations.takeThis(id, inv) {
			caller.Answer(m.fail("Connection '" + m.Connection + "' is disconnected."))
		}
		return
	}
	if router.ServerID != from.ServerID {
		if b, ok := router.Backend.(Caller); ok {
			b.Expect(m)
		}
		caller.Mapped(m)
	}
	h.stats.sent(1, m.Payload)
	c.sink.Send(m.Payload, 0)
}

// answer passes on what the app server behind from read of a client's
// completion. One that the asking server itself read needs no passing on.
func (h *Hub) answer(from *Route, m *Answer) {
	inv := h.invocations.take(m.ID)
	if inv == nil || from != nil && inv.caller.ServerID == from.ServerID {
		return
	}
	m.Caller = inv.ask.Caller
	inv.caller.Backend.(Caller).Answer(m)
}

func (m *Invoke) fail(text string) *Answer {
	return &Answer{ID: m.ID, Connection: m.Connection, Caller: m.Caller, Error: text}
}

func (t *invocations) add(id string, inv *invocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[string]*invocation{}
	}
	t.open[id] = inv
}

func (t *invocations) take(id string) *invocation {
	t.mu.Lock()
	defer t.mu.Unlock()
	inv := t.open[id]
	if inv != nil {
		delete(t.open, id)
		inv.late.Stop()
	}
	return inv
}

// takeThis takes inv unless it is gone, or another has come by the same id.
func (t *invocations) takeThis(id string, inv *invocation) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[id] != inv {
		return false
	}
	delete(t.open, id)
	inv.late.Stop()
	return true
}

// lost answers for a client that has ended.
func (t *invocations) lost(c *Client) {
	for _, inv := range t.takeAll(func(inv *invocation) bool { return inv.target == c }) {
		inv.caller.Backend.(Caller).Answer(inv.ask.fail("Connection '" + c.ID + "' is disconnected."))
	}
}

// forget drops what a Backend that is gone had asked.
func (t *invocations) forget(r *Route) {
	t.takeAll(func(inv *invocation) bool { return inv.caller == r })
}

func (t *invocations) takeAll(which func(*invocation) bool) []*invocation {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*invocation
	for id, inv := range t.open {
		if which(inv) {
			delete(t.open, id)
			inv.late.Stop()
			all = append(all, inv)
		}
	}
	return all
}
