package serverlink

import "sync"

// Acks numbers messages that want an Ack and holds those that have none yet.
// The zero value is ready; its methods may be called concurrently.
type Acks struct {
	mu      sync.Mutex
	last    int
	waiting map[int]chan int
}

// Ask returns the next ack id, counted from 1, and where its status arrives.
// Whoever asks calls Forget in the end.
func (a *Acks) Ask() (int, <-chan int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[int]chan int{}
	}
	a.last++
	status := make(chan int, 1)
	a.waiting[a.last] = status
	return a.last, status
}

// Forget gives an id up; its Ack is dropped from now on.
func (a *Acks) Forget(id int) {
	a.mu.Lock()
	delete(a.waiting, id)
	a.mu.Unlock()
}

// Answer hands a status to who waits; a second one is dropped.
func (a *Acks) Answer(id, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.waiting[id]; c != nil {
		delete(a.waiting, id)
		c <- status
	}
}
