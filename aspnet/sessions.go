package aspnet

import (
	"sync"
	"time"
)

// Sessions are the connections of one flavour at a node, by connection id. All
// methods may be called concurrently.
type Sessions[S comparable] struct {
	node *Node
	keep time.Duration

	mu    sync.RWMutex
	live  map[string]S
	ended map[string]time.Time // ids whose tokens are still fresh; until then they must not connect again
	sweep time.Time
}

// NewSessions returns an empty registry. Ids are remembered for as long as
// their tokens can connect, which is keep after they were made.
func NewSessions[S comparable](n *Node, keep time.Duration) *Sessions[S] {
	return &Sessions[S]{node: n, keep: keep, live: map[string]S{}, ended: map[string]time.Time{}}
}

// Get returns the session with an id, the zero S if there is none.
func (t *Sessions[S]) Get(id string) S {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.live[id]
}

// Add registers a session, unless its id is or was in use.
func (t *Sessions[S]) Add(id string, s S) (added bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, over := t.ended[id]; over {
		return false
	}
	if _, used := t.live[id]; used {
		return false
	}
	t.live[id] = s
	t.node.clients.Add(1)
	return true
}

// Retire forgets a session, whose token was made at made. The token answers
// like an unknown one from now on: some clients try the same id again after
// every close (core-client-protocol 8.7). It may be called again.
func (t *Sessions[S]) Retire(id string, s S, made time.Time) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live[id] != s {
		return
	}
	delete(t.live, id)
	t.node.clients.Add(-1)
	if until := made.Add(t.keep); until.After(now) {
		t.ended[id] = until
	}
	if now.After(t.sweep) {
		t.sweep = now.Add(time.Second)
		for id, until := range t.ended {
			if now.After(until) {
				delete(t.ended, id)
			}
		}
	}
}

// Len returns the number of sessions, Ended that of ids that are remembered.
func (t *Sessions[S]) Len() (live, ended int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.live), len(t.ended)
}

// Each calls f for every session that is there now.
func (t *Sessions[S]) Each(f func(S)) {
	t.mu.RLock()
	all := make([]S, 0, len(t.live))
	for _, s := range t.live {
		all = append(all, s)
	}
	t.mu.RUnlock()
	for _, s := range all {
		f(s)
	}
}
