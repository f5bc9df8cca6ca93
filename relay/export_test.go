package relay

import "fmt"

// Members is the set behind groups and users.
type Members = members

func (m *members) Add(c *Client) bool                           { return m.add(c) }
func (m *members) Remove(c *Client) bool                        { return m.remove(c) }
func (m *members) Has(c *Client) bool                           { return m.has(c) }
func (m *members) Len() int                                     { return m.len() }
func (m *members) AppendTo(dst []*Client) []*Client             { return m.appendTo(dst) }
func (s *shards[V]) Get(key string) (V, bool)                   { return s.get(key) }
func (s *shards[V]) Len() int                                   { return s.len() }
func (s *shards[V]) Each(f func(string, V))                     { s.each(f) }
func (s *shards[V]) Change(k string, f func(V, bool) (V, bool)) { s.change(k, f) }

// NewIntShards returns a sharded map of numbers.
func NewIntShards() *shards[int] { return newShards[int]() }

// Left says what a hub still holds; empty when it holds nothing.
func (h *Hub) Left() string {
	h.invocations.mu.Lock()
	asked := len(h.invocations.open)
	h.invocations.mu.Unlock()
	onRoutes := 0
	for _, r := range h.routes.all() {
		onRoutes += r.Len()
	}
	if h.clients.len()+h.users.len()+h.groups.len()+asked+onRoutes == 0 {
		return ""
	}
	return fmt.Sprintf("%d clients, %d users, %d groups, %d invocations, %d clients of Backends",
		h.clients.len(), h.users.len(), h.groups.len(), asked, onRoutes)
}

// AnswerWithin is how long an invocation is remembered.
const AnswerWithin = answerWithin

// ConnectWait is how long a client waits for a Backend.
const ConnectWait = connectWait

// ParallelFrom is the number of receivers from which a fan-out is parallel.
const ParallelFrom = parallelFrom
