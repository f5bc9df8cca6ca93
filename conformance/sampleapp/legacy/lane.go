package legacy

import "sync"

// maxWaiting is how many messages of one client may wait for the end of its
// OnConnected.
const maxWaiting = 1000

// lane runs what happens to one client in order: OnConnected, its messages,
// OnDisconnected (3.1). What cannot block runs at once on the caller's goroutine.
type lane struct {
	mu    sync.Mutex
	busy  bool
	queue []func()
}

// do runs f after everything before it. With waits f may block, and gets a
// goroutine of work. It reports false, and does not run f, when too much waits.
func (n *lane) do(work *sync.WaitGroup, waits bool, f func()) bool {
	n.mu.Lock()
	if n.busy {
		defer n.mu.Unlock()
		if len(n.queue) == maxWaiting {
			return false
		}
		n.queue = append(n.queue, f)
		return true
	}
	n.busy = true
	n.mu.Unlock()
	if waits {
		work.Go(func() { n.run(f) }) // ends with what it runs, which waits no longer than ackTimeout
	} else {
		n.run(f)
	}
	return true
}

// idle reports whether do would run something now.
func (n *lane) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.busy
}

// run runs f and then what came meanwhile.
func (n *lane) run(f func()) {
	for f != nil {
		f()
		n.mu.Lock()
		if f = nil; len(n.queue) > 0 {
			f, n.queue = n.queue[0], n.queue[1:]
		} else {
			n.busy, n.queue = false, nil
		}
		n.mu.Unlock()
	}
}
