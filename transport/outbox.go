package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// How a message gets out. In a probe that came before this code, with 100-byte
// messages to 2,000 connections, a goroutine and channel for each connection
// cost 11.8 µs a delivery where a writer on demand cost 9.0, and its stack
// besides; a shared pool of writers lets one stalled socket hold up others. So
// whoever sends writes, once, without blocking; what the
// socket does not take waits in the queue, and a writer goroutine exists only
// as long as something does.

// Send hands a message to the peer: any goroutine, never blocking. Data must
// never change again. The first message of a batch is written at once, others
// of the same batch wait a moment, so that they share a system call; batch 0 is
// a message by itself. It returns ErrClosed or ErrSlow.
func (c *Conn) Send(data []byte, text bool, batch uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayQueue(); err != nil {
		return err
	}
	if c.car == nil && !c.claimed && c.profile.Grace > 0 {
		return nil // whoever resumes brings it
	}
	again := batch != 0 && batch == c.batch
	c.batch = batch
	if c.car == nil || c.writing || len(c.queue) > 0 || again {
		c.push(Queued{data, text})
		return nil
	}
	if c.kind == LongPoll {
		c.srv.stats.Inline.Add(1)
		c.answerWith([]Queued{{data, text}})
		return nil
	}
	if done, err := c.car.try(data, text); err != nil {
		c.carrierFailed(c.car, err)
	} else if !done {
		c.push(Queued{data, text})
	} else {
		c.srv.stats.Inline.Add(1)
	}
	return nil
}

func (c *Conn) mayQueue() error {
	if c.ended || c.goodbye != nil {
		return ErrClosed
	}
	if c.queued == 0 {
		c.largest = 0
	}
	if c.queued > c.profile.Buffer+c.largest {
		c.srv.stats.Slow.Add(1)
		return ErrSlow
	}
	return nil
}

func (c *Conn) push(m Queued) {
	c.srv.stats.Deferred.Add(1)
	c.queue = append(c.queue, m)
	c.queued += len(m.Data)
	c.largest = max(c.largest, len(m.Data))
	if c.car != nil {
		c.startWriter()
	}
}

// KeepAlive sends a message that says nothing to a peer that is being carried
// and has nothing else coming, and Format.Blank to a poll. It never blocks.
func (c *Conn) KeepAlive(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.car
	if k == nil || c.writing || len(c.queue) > 0 || c.goodbye != nil {
		return
	}
	if c.kind == LongPoll {
		if err := k.blank(); err != nil {
			c.carrierFailed(k, err)
		}
		return
	}
	if done, err := k.try(data, true); err != nil {
		c.carrierFailed(k, err)
	} else if !done {
		c.push(Queued{data, true})
	}
}

// SendCopy is Send for a Conn whose Profile says Stream. The parts are copied
// before it returns.
func (c *Conn) SendCopy(head, body, tail []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayQueue(); err != nil {
		return err
	}
	if c.stream == nil {
		c.stream = streams.take()
	}
	c.stream = append(append(append(c.stream, head...), body...), tail...)
	c.queued += len(head) + len(body) + len(tail)
	if c.car != nil {
		c.startWriter()
	}
	return nil
}

func (c *Conn) startWriter() {
	if c.writing {
		return
	}
	c.writing = true
	c.srv.wg.Add(1)
	go c.write() // ends when nothing waits or the carrier is lost; Shutdown waits for it
}

// write is the on-demand writer.
func (c *Conn) write() {
	defer c.srv.wg.Done()
	defer c.srv.contain("writer", c)
	// Whoever has more to say gets to say it first: what it adds shares the
	// system call.
	runtime.Gosched()
	buf := batches.Get().(*[]byte)
	defer batches.Put(buf)
	for {
		c.mu.Lock()
		car := c.car
		switch {
		case car == nil || c.ended:
			c.writing = false
			c.mu.Unlock()
			return
		case c.kind == LongPoll:
			c.writing = false
			if len(c.queue) > 0 {
				c.answerWith(nil)
			} else if c.goodbye != nil {
				c.answerNothing(&car.format.Ended)
				c.end(nil)
			}
			c.mu.Unlock()
			return
		case len(c.queue) == 0 && len(c.stream) == 0 && len(car.rest) == 0:
			if g := c.goodbye; g != nil && !car.parting {
				car.parting = true
				c.mu.Unlock()
				car.finalWrite(g)
				c.mu.Lock()
				if c.car != car { // another has come meanwhile, and is to say goodbye too
					c.mu.Unlock()
					continue
				}
				c.end(g.err)
			}
			c.writing = false
			c.mu.Unlock()
			return
		}
		var room [3][]byte
		parts, n, pooled := c.collect(car, (*buf)[:0], room[:0])
		car.writing = true
		c.mu.Unlock()

		var err error
		for _, p := range parts {
			if err = car.write(p); err != nil {
				break
			}
		}
		if pooled {
			streams.put(parts[0])
		}
		c.mu.Lock()
		car.writing = false
		if car.drained != nil { // retired meanwhile
			close(car.drained)
			car.drained = nil
		}
		if c.car == car {
			c.queued -= n
			c.madeRoom()
			if err != nil {
				c.carrierFailed(car, err)
			}
		}
		c.mu.Unlock()
	}
}

// collect takes what is written next off the queue: many small messages in
// one buffer, then up to one large one, which is not copied. n is what they
// counted for in c.queued. c.mu is held.
func (c *Conn) collect(car *carrier, buf []byte, parts [][]byte) (_ [][]byte, n int, pooled bool) {
	if len(car.rest) > 0 {
		parts, car.rest = append(parts, car.rest...), nil
		for _, p := range parts {
			n += len(p)
		}
		return parts, n, false
	}
	if len(c.stream) > 0 {
		framed := c.stream
		c.stream = nil
		n = len(framed) - maxHeader
		var head [maxHeader]byte
		h := appendHeader(head[:0], opBinary, n)
		at := maxHeader - len(h)
		copy(framed[at:], h)
		return append(parts, framed[at:]), n, true
	}
	for len(c.queue) > 0 {
		m := c.queue[0]
		if len(buf) > 0 && len(buf)+len(m.Data) > batchSize {
			break
		}
		c.queue[0] = Queued{}
		if c.queue = c.queue[1:]; len(c.queue) == 0 {
			c.queue = nil // idle Conns keep no queue
		}
		n += len(m.Data)
		body := car.body(m.Data)
		buf = car.head(buf, len(body), m.Text)
		if len(body) > batchSize/2 {
			parts = append(parts, buf, body)
			if t := car.tail(nil); len(t) > 0 {
				parts = append(parts, t)
			}
			return parts, n, false
		}
		buf = car.tail(append(buf, body...))
	}
	return append(parts, buf), n, false
}

// batchSize is how many bytes of small messages share a system call: enough
// that its cost no longer shows, little enough that the buffers of many
// stalled peers do not either.
const batchSize = 16 << 10

var batches = sync.Pool{New: func() any { b := make([]byte, 0, batchSize+1024); return &b }}

// streams is the pool of buffers for Profile.Stream. They begin with room for
// a frame header.
var streams streamPool

type streamPool struct{ p sync.Pool }

func (s *streamPool) take() []byte {
	if b, ok := s.p.Get().(*[]byte); ok {
		return (*b)[:maxHeader]
	}
	return make([]byte, maxHeader, 4<<10)
}

// put takes a buffer back whose beginning may have been cut off.
func (s *streamPool) put(b []byte) {
	const most = 256 << 10 // a burst does not stay in memory for ever
	if cap(b) >= 2<<10 && cap(b) <= most {
		b = b[:maxHeader]
		s.p.Put(&b)
	}
}

// try writes one message if the socket takes it at once. What the socket
// takes only in part is kept in rest, and done is true all the same: nothing
// of it is left to queue. c.mu is held.
func (k *carrier) try(data []byte, text bool) (done bool, err error) {
	if k.sock.fd < 0 {
		return false, nil
	}
	const joined = 4 << 10
	body := k.body(data)
	buf := batches.Get().(*[]byte)
	defer batches.Put(buf)
	b := k.head((*buf)[:0], len(body), text)
	headLen := len(b)
	var n int
	if len(body) <= joined {
		b = k.tail(append(b, body...))
		n, err = k.sock.try(b)
	} else {
		b = k.tail(b)
		n, err = k.sock.tryParts([][]byte{b[:headLen], body, b[headLen:]})
	}
	if err != nil || n == 0 {
		return false, err
	}
	c := k.conn
	c.srv.stats.BytesOut.Add(int64(n))
	total := len(b)
	if len(body) > joined {
		total += len(body)
	}
	if n == total {
		return true, nil
	}
	if len(body) <= joined {
		k.keep(append([]byte(nil), b[n:]...))
	} else {
		head, tail := append([]byte(nil), b[:headLen]...), append([]byte(nil), b[headLen:]...)
		for _, p := range [][]byte{head, body, tail} {
			skip := min(n, len(p))
			n -= skip
			k.keep(p[skip:])
		}
	}
	return true, nil
}

// keep queues bytes that continue what the socket has taken, ahead of every
// message; c.mu is held.
func (k *carrier) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	k.rest = append(k.rest, p)
	k.conn.queued += len(p)
	k.conn.largest = max(k.conn.largest, len(p))
	k.conn.startWriter()
}

// carrierFailed takes a carrier away whose socket failed; c.mu is held. Its
// owner wakes and brings the Conn to its end.
func (c *Conn) carrierFailed(car *carrier, err error) {
	if c.car != car {
		return
	}
	c.srv.stats.WriteFail.Add(1)
	c.lose(car, err)
}

// body returns a message as it stands between head and tail. Line ends would
// end an event (core-client-protocol 3.4); they are rare, so only then the
// message is written anew.
func (k *carrier) body(data []byte) []byte {
	if k.kind != EventStream {
		return data
	}
	if k.format.Escape != nil {
		data = k.format.Escape(data)
	}
	if bytes.IndexByte(data, '\n') < 0 {
		return bytes.TrimSuffix(data, []byte{'\r'})
	}
	lines := bytes.Split(data, []byte{'\n'})
	for i, l := range lines {
		lines[i] = bytes.TrimSuffix(l, []byte{'\r'})
	}
	return bytes.Join(lines, []byte(k.format.LineBreak))
}

func (k *carrier) head(dst []byte, n int, text bool) []byte {
	if k.kind == WebSocket {
		op := byte(opBinary)
		if text {
			op = opText
		}
		return appendHeader(dst, op, n)
	}
	if !k.unchunked {
		dst = strconv.AppendUint(dst, uint64(n+len(k.format.EventHead)+len(k.format.EventTail)), 16)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, k.format.EventHead...)
}

func (k *carrier) tail(dst []byte) []byte {
	if k.kind == WebSocket {
		return dst
	}
	dst = append(dst, k.format.EventTail...)
	if !k.unchunked {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// farewell returns the last bytes of a carrier.
func (k *carrier) farewell(g *goodbye) []byte {
	if k.kind == EventStream {
		if k.unchunked {
			return nil
		}
		return []byte("0\r\n\r\n")
	}
	if g.code == 0 {
		return nil
	}
	reason := g.reason[:min(len(g.reason), 123)] // RFC 6455, 5.5
	b := appendHeader(nil, opClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(b, uint16(g.code)), reason...)
}

// write blocks until the socket has taken everything. A socket that moves
// nothing for the write timeout is lost; a slow one is not: the kernel wakes a
// writer only when a third of its buffer is free, which can take a slow peer
// long, so it is asked how far the peer has come.
func (k *carrier) write(p []byte) error {
	const turns = 4 // of waiting, of which the first tells nothing yet
	piece, turn := 64<<10, k.conn.writeTimeout()
	if k.sock.raw != nil {
		turn /= turns
	} else {
		piece = 16 << 10 // TLS does not survive a timeout, and this is its record
	}
	silent, pending := 0, math.MaxInt
	for len(p) > 0 {
		k.sock.nc.SetWriteDeadline(time.Now().Add(turn))
		n, err := k.sock.nc.Write(p[:min(len(p), piece)])
		k.conn.srv.stats.BytesOut.Add(int64(n))
		p = p[n:]
		if err == nil {
			continue
		}
		if k.sock.raw == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		now := k.sock.pending()
		if silent++; n > 0 || now < pending {
			silent = 0
		}
		if pending = now; silent == turns-1 {
			return err
		}
	}
	return nil
}

// finalWrite writes the farewell and gives the peer a while to answer, if it
// is to.
func (k *carrier) finalWrite(g *goodbye) {
	last := k.farewell(g)
	k.write(last) // the carrier ends whether it arrives or not
	if k.kind == WebSocket && len(last) > 0 && !g.echo {
		if half, ok := k.sock.nc.(interface{ CloseWrite() error }); ok && g.err != nil {
			half.CloseWrite() // a reset, for what is unread, could overtake the close frame
		}
		k.sock.nc.SetReadDeadline(time.Now().Add(k.conn.srv.o.CloseTimeout))
		return
	}
	k.conn.mu.Lock()
	k.sock.close()
	k.conn.mu.Unlock()
}

func (c *Conn) writeTimeout() time.Duration {
	if c.profile.WriteTimeout > 0 {
		return c.profile.WriteTimeout
	}
	return c.srv.o.WriteTimeout
}
