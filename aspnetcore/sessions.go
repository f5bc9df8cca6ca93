package aspnetcore

import (
	"sync"
	"time"
)

// sessions are the connections of this node, by connection id.
type sessions struct {
	mu    sync.RWMutex
	live  map[string]*session
	ended map[string]time.Time // ids whose tokens are still fresh; until then they must not connect again
	sweep time.Time
}

func (t *sessions) get(id string) *session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.live[id]
}

// add registers a session, unless its id is or was in use.
func (t *sessions) add(s *session) (added bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, over := t.ended[s.id]; over || t.live[s.id] != nil {
		return false
	}
	t.live[s.id] = s
	return true
}

// retire forgets a session. Its token answers 404 from now on: some clients
// try the same id again after every close (core-client-protocol 8.7). The id
// is remembered while its token, made at made, could still connect.
func (t *sessions) retire(s *session, made time.Time) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live[s.id] != s {
		return
	}
	delete(t.live, s.id)
	if until := made.Add(connectTimeout + time.Second); until.After(now) {
		t.ended[s.id] = until
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

func (t *sessions) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.live)
}
