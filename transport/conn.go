package transport

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Conn is one peer's logical connection: an outbox, a Receiver and at most
// one carrier. All methods may be called by any goroutine, and none of them
// calls the Receiver.
type Conn struct {
	// Guarded by mu. What a Send touches comes first and close together.
	mu      sync.Mutex
	car     *carrier // what carries the Conn now
	goodbye *goodbye // set by Close
	queued  int      // bytes of queue and stream, and of what the writer has in hand
	largest int      // of the messages since nothing waited; see Profile.Buffer
	queue   []Queued // what no carrier has taken
	batch   uint32   // of the last message
	kind    Kind
	writing bool   // the on-demand writer runs
	ended   bool   // finish has begun: no carrier, no messages
	claimed bool   // a carrier is here or on its way
	carried bool   // there has been a carrier
	turn    uint32 // of the last Resume: only its carrier may attach

	// Static after construction.
	profile *Profile
	srv     *Server
	recv    Receiver

	in sync.Mutex // held while the Receiver is called

	// Guarded by mu.
	stream []byte        // what waits where Profile.Stream is set, behind room for a frame header
	since  int64         // Unix nanoseconds since when there is no carrier; for Await, Grace, PollGap
	grace  time.Duration // how long a lost WebSocket is waited for
	room   chan struct{} // closed when less than HighWater waits; for Wait
}

// A goodbye is how a Conn is closed.
type goodbye struct {
	code   int
	reason string
	err    error // for Closed
	echo   bool  // of the peer's close frame
}

// NewConn returns a Conn without a carrier. It lives in the server's registry
// until it ends.
func (s *Server) NewConn(r Receiver, p *Profile) *Conn {
	c := &Conn{recv: r, profile: p, srv: s, since: time.Now().UnixNano()}
	s.add(c)
	return c
}

// Kind returns the transport the Conn is bound to.
func (c *Conn) Kind() Kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kind
}

// Bind binds the Conn to a transport; false when it is bound to another.
func (c *Conn) Bind(k Kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == None {
		c.kind = k
	}
	return c.kind == k
}

// Carried says whether there is a carrier now.
func (c *Conn) Carried() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.car != nil
}

// Ended says whether the Conn has ended, which it has once its last poll is
// answered with Format.Ended; its Receiver may hear of it later.
func (c *Conn) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Touch says that a polling peer was heard from: PollGap starts anew.
func (c *Conn) Touch() {
	c.mu.Lock()
	c.carried = true
	c.since = time.Now().UnixNano()
	c.mu.Unlock()
}

// SetGrace makes the Conn outlive a WebSocket that is lost without a close
// frame by d, for a peer that may come back. Zero ends it with its carrier.
func (c *Conn) SetGrace(d time.Duration) {
	c.mu.Lock()
	c.grace = d
	c.mu.Unlock()
}

// Restart ends the present carrier, drops what waits and queues these
// messages for the next one. When it returns, no Message from the old carrier
// begins any more; one may still be at work, and the next waits for it.
func (c *Conn) Restart(messages []Queued) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.goodbye != nil {
		return
	}
	c.dropCarrier()
	c.claimed = false
	c.queue, c.stream, c.queued = nil, nil, 0
	defer c.madeRoom()
	for _, m := range messages {
		c.queue = append(c.queue, m)
		c.queued += len(m.Data)
		c.largest = c.queued // all of it is one thing the peer asked for
	}
}

// retire ends the present carrier as Close would, while the Conn goes on; c.mu
// is held.
func (c *Conn) retire() {
	k := c.car
	switch {
	case k == nil:
	case k.kind == LongPoll:
		c.answerNothing(&k.format.Replaced)
	case len(k.rest) > 0: // the end of a message cannot be waited for
		c.dropCarrier()
	default:
		drained := c.detach(k)
		c.srv.wg.Add(1)
		go func() { // ends with the write, which has a deadline
			defer c.srv.wg.Done()
			if k.wait(drained) {
				k.finalWrite(&goodbye{code: CloseNormal})
			}
		}()
	}
}

// detach takes a carrier off the Conn that has its end before it; c.mu is held.
// Nobody may write to it before drained is closed, if there is one: see
// carrier.wait.
func (c *Conn) detach(k *carrier) (drained <-chan struct{}) {
	k.gone()
	k.parting = true
	c.car = nil
	c.claimed = false
	c.since = time.Now().UnixNano()
	if k.writing {
		k.drained = make(chan struct{})
		return k.drained
	}
	return nil
}

// dropCarrier ends the present carrier; c.mu is held.
func (c *Conn) dropCarrier() {
	if c.car == nil {
		return
	}
	c.car.gone()
	c.car.sock.close()
	c.car = nil
	c.since = time.Now().UnixNano()
	c.queued = c.waiting() // what the writer has in hand is lost
}

// waiting counts the bytes that no carrier has taken; c.mu is held.
func (c *Conn) waiting() int {
	n := max(0, len(c.stream)-maxHeader)
	for _, m := range c.queue {
		n += len(m.Data)
	}
	return n
}

// Queued returns how many bytes wait for the peer.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

// Wait blocks while more than Profile.HighWater bytes wait. It returns nil,
// ErrClosed or the error of ctx.
func (c *Conn) Wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.ended || c.goodbye != nil {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.queued <= c.profile.HighWater {
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// madeRoom lets those who Wait look again; c.mu is held.
func (c *Conn) madeRoom() {
	if c.room != nil && (c.ended || c.goodbye != nil || c.queued <= c.profile.HighWater) {
		close(c.room)
		c.room = nil
	}
}

// Close ends the Conn once everything that waits has gone out: with a close
// frame of this code (none when it is 0), the end of the event stream, or
// Format.Ended to the poll after the last one with data. Where the Profile has
// a Grace, a peer that is away has that long to come and hear it. It returns
// at once and the first call wins.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.goodbye != nil {
		return
	}
	c.goodbye = &goodbye{code: code, reason: reason}
	c.madeRoom()
	switch {
	case c.car != nil:
		c.startWriter()
	case c.kind == LongPoll && (c.queued > 0 || c.profile.Grace == 0):
		// The next poll fetches it, and hears of the end; or PollGap ends the Conn.
	case c.claimed:
		// The carrier that is on its way writes the end.
	case c.profile.Grace > 0 && c.carried:
		// So does the next, if it comes in time.
	default:
		c.end(nil)
	}
}

// Cut drops the socket and what waits, and ends the Conn with err.
func (c *Conn) Cut(err error) {
	c.mu.Lock()
	c.end(err)
	c.mu.Unlock()
}

// end begins the end: c.mu is held. The Receiver hears of it from a goroutine
// of its own, once the Message at hand, if any, has returned.
func (c *Conn) end(err error) {
	if c.ended {
		return
	}
	c.ended = true
	if c.car != nil {
		c.car.gone()
		if !c.car.parting { // else its owner waits for the peer's close frame
			c.dropCarrier()
		}
		c.car = nil
	}
	c.queue, c.stream, c.queued = nil, nil, 0
	c.madeRoom()
	c.srv.wg.Add(1)
	go c.finish(err) // ends with Closed; Shutdown waits for it
}

func (c *Conn) finish(err error) {
	defer c.srv.wg.Done()
	defer c.srv.contain("closed", nil)
	c.in.Lock()
	defer c.in.Unlock()
	c.srv.remove(c)
	c.recv.Closed(err)
}

// deliver hands a piece of the stream to the Receiver. from is the carrier it
// came by, nil for a POST.
func (c *Conn) deliver(from *carrier, p []byte, f Frame) error {
	c.srv.stats.BytesIn.Add(int64(len(p)))
	c.in.Lock()
	defer c.in.Unlock()
	c.mu.Lock()
	over := c.ended || from != nil && c.car != from
	f.First = from == nil || !from.heard
	if from != nil {
		from.busy, from.heard = true, true
	}
	c.mu.Unlock()
	if over {
		return ErrClosed
	}
	return c.recv.Message(p, f)
}

// Inject gives what a request brings to the Conn's Receiver, after what is
// being received already. It does not reply. It returns ErrClosed, or the
// Receiver's error, which ends the Conn.
func (c *Conn) Inject(p []byte) error {
	whole := false
	defer func() {
		if !whole { // the Receiver panics; the request's recover answers
			go c.Cut(ErrPanic)
		}
	}()
	c.touched()
	err := c.deliver(nil, p, Frame{Text: true, End: true})
	whole = true
	if err != nil && err != ErrClosed {
		c.Cut(err)
	}
	return err
}

// tick ends what took too long. It reports whether the Conn is still there.
func (c *Conn) tick(now time.Time) {
	c.mu.Lock()
	idle := time.Duration(now.UnixNano() - c.since)
	switch {
	case c.ended:
	case c.car != nil:
		if c.kind == LongPoll && time.Duration(now.UnixNano()-c.car.since) > c.profile.PollTimeout {
			c.answerNothing(&c.car.format.Empty)
		} else if c.kind != LongPoll {
			c.car.tick()
		}
	case !c.carried && idle > c.profile.Await, c.carried && c.kind == LongPoll && idle > c.profile.PollGap,
		c.carried && c.kind != LongPoll && idle > max(c.grace, c.profile.Grace):
		if c.goodbye != nil { // nobody came to hear it
			c.end(nil)
			break
		}
		c.srv.stats.TimedOut.Add(1)
		c.end(fmt.Errorf("%w: %s for %s", ErrTimeout, c.kind, idle.Round(time.Second)))
	}
	over := c.ended
	c.mu.Unlock()
	if t, ok := c.recv.(Ticker); ok && !over {
		defer c.srv.contain("tick", c)
		t.Tick(now)
	}
}

// touched notes a POST: before the first poll it keeps the Conn waiting for
// one, later it says nothing about the poll that is missing.
func (c *Conn) touched() {
	c.mu.Lock()
	if !c.carried {
		c.since = time.Now().UnixNano()
	}
	c.mu.Unlock()
}
