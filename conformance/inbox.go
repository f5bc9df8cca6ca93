package conformance

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// An inbox holds what came on each connection and was not looked for yet.
// Readers put, the player takes; only one goroutine may take.
type inbox struct {
	mu   sync.Mutex
	came map[string][]Saying
	news chan struct{}   // holds one token when something came since the last look
	done <-chan struct{} // closed when nobody waits any more
	from *Caller
}

func newInbox(done <-chan struct{}, from *Caller) *inbox {
	return &inbox{done: done, from: from, came: map[string][]Saying{}, news: make(chan struct{}, 1)}
}

// kept is about what it takes to keep a message, besides its text, in bytes.
const kept = 256

// put keeps what came on a connection. Once nobody waits any more, what comes are
// the ends of what we ourselves have closed. Short messages can be a flood too, of
// which it keeps no more than that it is one.
func (b *inbox) put(conn string, s Saying) {
	select {
	case <-b.done:
		return
	default:
	}
	b.mu.Lock()
	came := b.came[conn]
	if b.from.received.Add(kept) > mostReceived {
		s = flooded
	}
	if s != flooded || len(came) == 0 || came[len(came)-1] != flooded {
		b.came[conn] = append(came, s)
	}
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// take removes and returns the first saying that fits on any of the
// connections, waiting for it as long as patience says.
func (b *inbox) take(conns []string, fits func(Saying) bool, patience time.Duration) (s Saying, conn string, ok bool) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	seen := map[string]int{} // by connection, how many do not fit
	for {
		if s, conn, ok := b.find(conns, seen, fits); ok {
			return s, conn, true
		}
		select {
		case <-b.news:
		case <-b.done:
			return nil, "", false
		case <-deadline.C:
			return nil, "", false
		}
	}
}

func (b *inbox) find(conns []string, seen map[string]int, fits func(Saying) bool) (Saying, string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		came := b.came[conn]
		if i := slices.IndexFunc(came[seen[conn]:], fits); i >= 0 {
			i += seen[conn]
			s := came[i]
			b.came[conn] = slices.Delete(came, i, i+1)
			return s, conn, true
		}
		seen[conn] = len(came)
	}
	return nil, "", false
}

// back returns what was taken from a connection and not used.
func (b *inbox) back(conn string, s Saying) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came[conn] = slices.Insert(b.came[conn], 0, s)
}

// conns returns the connections on which something came, in order.
func (b *inbox) conns() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.came))
}

// rest returns what is left on a connection.
func (b *inbox) rest(conn string) []Saying {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.came[conn])
}
