package transport

import (
	"errors"
	"io"
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

	unchunked bool // the peer speaks HTTP/1.0
	closes    bool // the HTTP connection ends with this answer

	// Guarded by conn.mu.
	rest     [][]byte // bytes that continue what the socket took in part
	since    int64    // Unix nanoseconds of a poll's arrival
	parting  bool     // the farewell is being written
	answered bool     // a poll that has its answer
	counted  bool     // in Stats.Carriers
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
	if c.ended {
		if k.kind == LongPoll {
			c.car = k
			c.answer(&k.format.Ended, nil)
			c.car = nil
			return nil
		}
		return ErrClosed
	}
	if old := c.car; old != nil {
		if k.kind != LongPoll {
			return ErrClosed // claimed says that this cannot be
		}
		c.answer(&old.format.Replaced, nil)
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
func (k *carrier) serve() {
	c := k.conn
	err := k.attach()
	if err == nil {
		if k.kind == WebSocket {
			err = k.readFrames()
		} else {
			err = k.readNothing()
		}
	}
	c.mu.Lock()
	k.sock.close()
	c.lose(k, err, false)
	c.mu.Unlock()
}

// lose takes a carrier away; c.mu is held. The Conn ends with it unless its
// transport has others to come.
func (c *Conn) lose(k *carrier, err error, graceful bool) {
	if c.car != k || k.parting {
		return
	}
	c.dropCarrier()
	switch {
	case c.kind == LongPoll:
	case c.grace > 0 && !graceful && c.goodbye == nil && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrTooLarge):
		c.claimed = false
	default:
		if graceful {
			err = nil
		}
		c.end(err)
	}
}

// readNothing waits for the end of an event stream's socket.
func (k *carrier) readNothing() error {
	r := newReader(k.sock, false)
	for {
		if _, err := r.next(); err != nil {
			return err
		}
		r.release()
	}
}

var errPeerClosed = errors.New("peer closed the WebSocket")

// readFrames reads a WebSocket to its end.
func (k *carrier) readFrames() error {
	c := k.conn
	always := c.profile.ReadBuffer > smallRead
	r := newReader(k.sock, always)
	var f frameParser
	data := func(p []byte, fr Frame) error {
		err := c.deliver(k, p, fr)
		if err == ErrClosed && k.isParting() {
			return nil // what still comes is no longer wanted; the close frame is
		}
		return err
	}
	for {
		p, err := r.next()
		if err != nil {
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
		case err == errPeerClosed:
			c.mu.Lock()
			k.echoClose()
			c.lose(k, nil, true)
			c.mu.Unlock()
			return err
		case errors.Is(err, ErrProtocol):
			c.srv.stats.Protocol.Add(1)
			return k.fail(CloseProtocol, err)
		case errors.Is(err, ErrTooLarge):
			return k.fail(CloseTooLarge, err)
		default:
			return err
		}
	}
}

func (k *carrier) isParting() bool {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	return k.parting
}

// control handles a control frame of the peer.
func (k *carrier) control(op byte, p []byte) error {
	switch op {
	case opPing:
		c := k.conn
		c.mu.Lock()
		if c.car == k && !k.parting && c.queued <= c.profile.Buffer {
			k.keep(append(appendHeader(nil, opPong, len(p)), p...))
		}
		c.mu.Unlock()
	case opClose:
		return errPeerClosed
	}
	return nil
}

// echoClose answers the peer's close frame if nothing else is on its way;
// c.mu is held.
func (k *carrier) echoClose() {
	if k.conn.car == k && !k.parting && !k.conn.writing && len(k.rest) == 0 {
		k.sock.try(append(appendHeader(nil, opClose, 2), byte(CloseNormal>>8), byte(CloseNormal&0xff)))
	}
}

// fail ends the Conn for an error of the peer, with a close frame if it can
// be written at once.
func (k *carrier) fail(code int, err error) error {
	c := k.conn
	c.mu.Lock()
	if c.car == k && !c.writing && len(k.rest) == 0 {
		k.sock.try(k.farewell(&goodbye{code: code}))
	}
	c.mu.Unlock()
	return err
}
