package relay

import (
	"hash/maphash"
	"sync"
)

// shards is a string-keyed map in 64 parts, each under its own lock, so that
// look-ups of different clients rarely meet.
type shards[V any] struct {
	seed  maphash.Seed
	parts [64]shard[V]
}

type shard[V any] struct {
	mu sync.RWMutex
	m  map[string]V
	_  [64 - 32]byte // one shard a cache line
}

func newShards[V any]() *shards[V] {
	s := &shards[V]{seed: maphash.MakeSeed()}
	for i := range s.parts {
		s.parts[i].m = map[string]V{}
	}
	return s
}

func (s *shards[V]) part(key string) *shard[V] {
	return &s.parts[maphash.String(s.seed, key)%uint64(len(s.parts))]
}

func (s *shards[V]) get(key string) (V, bool) {
	p := s.part(key)
	p.mu.RLock()
	v, ok := p.m[key]
	p.mu.RUnlock()
	return v, ok
}

// change runs f with the shard of key locked, on what is stored there. When f
// returns keep, v is stored; otherwise the key is removed.
func (s *shards[V]) change(key string, f func(v V, ok bool) (_ V, keep bool)) {
	p := s.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	old, ok := p.m[key]
	v, keep := f(old, ok)
	switch {
	case keep:
		p.m[key] = v
	case ok:
		delete(p.m, key)
	}
}

// each calls f for every entry; the shard at hand is read-locked meanwhile.
func (s *shards[V]) each(f func(key string, v V)) {
	for i := range s.parts {
		p := &s.parts[i]
		p.mu.RLock()
		for k, v := range p.m {
			f(k, v)
		}
		p.mu.RUnlock()
	}
}

func (s *shards[V]) len() int {
	n := 0
	for i := range s.parts {
		p := &s.parts[i]
		p.mu.RLock()
		n += len(p.m)
		p.mu.RUnlock()
	}
	return n
}
