package transport

import (
	"errors"
	"io"
	"os"
	"time"
)

// A carrier is one hijacked request that carries a Conn: a WebSocket, an
// event stream, or one poll. The goroutine that reads its socket owns it and
// is the only one to close it for good; see serve.
type carrier struct {
	conn   *Conn
	sock   *socket
	kind   Kind
	format *Format
	cors   string // header lines for a poll's answer

	unchunked bool   // the peer speaks HTTP/1.0
	closes    bool   // the HTTP connection ends with this answer
	turn      uint32 // of the Conn when the request came
	mark      string // for Format.Join

	begun bool // attach has been called. Owned by the owner.

	// Guarded by conn.mu.
	rest     [][]byte      // bytes that continue what the socket took in part
	since    int64         // Unix nanoseconds of a poll's arrival
	parting  bool          // the farewell is being written
	answered bool          // a poll that has its answer
	started  bool          // a poll whose answer's head is out
	writing  bool          // the writer has messages for it in hand
	drained  chan struct{} // closed once what is being written is out: the rest of an answer, or what the writer has in hand
	counted  bool          // in Stats.Carriers
	busy     bool          // something was heard since the last tick
	heard    bool          // something was heard
	folding  bool          // the owner has been told to fold
	folded   bool          // the owner waits in Server.park
}

// gone takes k off the count of carriers; c.mu is held.
func (k *carrier) gone() {
	if k.counted {
		k.counted = false
		k.conn.srv.stats.Carriers[k.kind].Add(-1)
	}
}

// attach makes k the carrier of its Conn and sends what waits.
func (k *carrier) attach() error {
	c := k.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if over := c.ended; over || k.turn != c.turn {
		if k.kind != LongPoll {
			return errLate
		}
		r := &k.format.Replaced
		if over {
			r = &k.format.Ended
		}
		k.answer(k.nothing(r))
		return nil
	}
	if old := c.car; old != nil {
		if k.kind != LongPoll {
			return ErrClosed // claimed says that this cannot be
		}
		c.answerNothing(&old.format.Replaced)
	}
	c.car = k
	c.carried = true
	k.since = time.Now().UnixNano()
	k.counted = true
	c.srv.stats.Carriers[k.kind].Add(1)
	if len(c.queue) > 0 || len(c.stream) > 0 || c.goodbye != nil {
		c.startWriter()
	}
	return nil
}

// serve owns a carrier until it ends.
func (k *carrier) serve() (folds bool) {
	c := k.conn
	var err error
	if !k.begun {
		k.begun = true
		err = k.attach()
	}
	if err == errLate { // its head is out, so that it has to end like others
		k.write(k.farewell(&goodbye{code: CloseNormal}))
	}
	if err == nil {
		if k.kind == WebSocket {
			err = k.readFrames()
		} else {
			err = k.readNothing()
		}
	}
	if err == errFold {
		return true
	}
	c.mu.Lock()
	k.sock.close()
	c.lose(k, err)
	c.mu.Unlock()
	return false
}

// errLate says that the Conn has ended, or gone on without this carrier, before
// it was there.
var errLate = errors.New("too late")

// errFold says that the owner has nothing to do; see Server.park.
var errFold = errors.New("idle")

// tick looks for idleness: the second tick without anything heard makes the
// owner fold. c.mu is held.
func (k *carrier) tick() {
	switch {
	case k.parting || k.folded || k.folding || k.sock.raw == nil:
	case k.busy:
		k.busy = false
	default:
		k.folding = true
		k.sock.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// folds says whether a failed read was the call to fold, which it answers.
func (k *carrier) folds(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c := k.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !k.folding {
		return false
	}
	k.folding = false
	if k.parting { // the peer's close frame is being waited for meanwhile
		k.sock.nc.SetReadDeadline(time.Now().Add(c.srv.o.CloseTimeout))
	} else {
		k.sock.nc.SetReadDeadline(time.Time{})
	}
	k.folded = true
	return true
}

func (k *carrier) unfold() {
	k.conn.mu.Lock()
	k.folded, k.busy = false, true
	k.conn.mu.Unlock()
}

// lose takes a carrier away; c.mu is held. The Conn ends with it unless its
// transport has others to come.
func (c *Conn) lose(k *carrier, err error) {
	if c.car != k || k.parting {
		return
	}
	c.dropCarrier()
	switch {
	case c.profile.Grace > 0 && c.goodbye != nil && k.kind != LongPoll:
		c.end(c.goodbye.err) // the peer has gone at our last word
	case c.profile.Grace > 0:
		c.claimed = false
		c.queue, c.queued = nil, 0 // whoever resumes brings it
	case c.kind == LongPoll:
	case c.grace > 0 && c.goodbye == nil: // a goodbye of either side is for good
		c.claimed = false
	default:
		c.end(err)
	}
}

// readNothing waits for the end of an event stream's socket.
func (k *carrier) readNothing() error {
	r := newReader(k.sock, false)
	for {
		if _, err := r.next(); err != nil {
			if k.folds(err) {
				err = errFold
			}
			return err
		}
		r.release()
	}
}

var errPeerClosed = errors.New("peer closed the WebSocket")

// maxUnwanted is how much a peer may send after our close frame, in bytes. One
// that had filled its buffers while an app server was behind would else cost
// us more when it is over than before.
const maxUnwanted = 1 << 20

// readFrames reads a WebSocket to its end.
func (k *carrier) readFrames() error {
	c := k.conn
	always := c.profile.ReadBuffer > smallRead
	r := newReader(k.sock, always)
	var f frameParser
	unwanted := 0
	data := func(p []byte, fr Frame) error {
		err := c.deliver(k, p, fr)
		if err == ErrClosed && k.isParting() {
			if unwanted += len(p); unwanted < maxUnwanted {
				return nil // no longer wanted; the peer's close frame is
			}
		}
		return err
	}
	for {
		p, err := r.next()
		if err != nil {
			if k.folds(err) {
				if f.idle() {
					return errFold
				}
				k.unfold()
				continue
			}
			if k.isParting() {
				return errPeerClosed
			}
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		n := len(p)
		err = f.feed(p, c.profile.MaxMessage, data, k.control)
		r.release()
		r.large = always || r.large && n >= smallRead
		switch {
		case err == nil:
		case c.profile.Grace > 0: // none of these is the end of the Conn
			if err == errPeerClosed {
				k.leave()
			}
			return err
		case err == errPeerClosed:
			return k.part(r, &goodbye{code: CloseNormal, echo: true})
		case errors.Is(err, ErrProtocol):
			c.srv.stats.Protocol.Add(1)
			return k.part(r, &goodbye{code: CloseProtocol, err: err})
		case errors.Is(err, ErrTooLarge):
			return k.part(r, &goodbye{code: CloseTooLarge, err: err})
		default: // the Receiver's, or another carrier has come
			c.mu.Lock()
			if c.car == k {
				c.end(err)
			}
			c.mu.Unlock()
			return err
		}
	}
}

func (k *carrier) isParting() bool {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	return k.parting
}

// maxPongs is how many pieces of answers to pings wait for a peer that does
// not read, besides up to three of a message that it took in part.
const maxPongs = 1 << 10

// control handles a control frame of the peer.
func (k *carrier) control(op byte, p []byte) error {
	switch op {
	case opPing:
		c := k.conn
		c.mu.Lock()
		if c.car == k && !k.parting {
			if last := len(k.rest) - 1; last >= maxPongs { // then only the newest ping is answered (RFC 6455, 5.5.3)
				c.queued -= len(k.rest[last])
				k.rest = k.rest[:last]
			}
			k.keep(append(appendHeader(nil, opPong, len(p)), p...))
		}
		c.mu.Unlock()
	case opClose:
		return errPeerClosed
	}
	return nil
}

// leave answers a close frame of the peer, whose Conn goes on. Within a message
// that the socket has taken in part there is no place for that; and one that
// answers ours needs none.
func (k *carrier) leave() {
	c := k.conn
	c.mu.Lock()
	if c.car != k || k.parting || len(k.rest) > 0 {
		c.mu.Unlock()
		return
	}
	drained := c.detach(k)
	c.mu.Unlock()
	if k.wait(drained) {
		k.write(k.farewell(&goodbye{code: CloseNormal})) // the socket ends whether it arrives or not
	}
}

// lastWrite is how long a carrier that has been taken off may need for what is
// being written to it. The one after it waits meanwhile.
const lastWrite = 100 * time.Millisecond

// wait waits for what the writer has in hand for a carrier that has been taken
// off; one that takes too long is dropped.
func (k *carrier) wait(drained <-chan struct{}) (written bool) {
	if drained == nil {
		return true
	}
	late := time.NewTimer(lastWrite)
	defer late.Stop()
	select {
	case <-drained:
		return true
	case <-late.C:
		k.drop() // which ends the write
		return false
	}
}

// part ends the Conn because of what the peer sent: what waits is dropped,
// the close frame goes out last, and its owner reads on, without a look at
// what comes, until the socket ends.
func (k *carrier) part(r *reader, g *goodbye) error {
	c := k.conn
	c.mu.Lock()
	if c.car != k || k.parting {
		c.mu.Unlock()
		return errPeerClosed
	}
	c.goodbye = g
	c.queued -= c.waiting()
	c.queue, c.stream = nil, nil
	c.madeRoom()
	c.startWriter()
	c.mu.Unlock()
	for {
		if _, err := r.next(); err != nil && !k.folds(err) {
			return err
		}
		r.release()
	}
}
