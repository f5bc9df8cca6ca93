package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// closeWait is how long Close waits for the other end's close frame.
const closeWait = time.Second

// pooledFrame caps, in bytes, the write buffers that are kept for reuse.
const pooledFrame = 64 << 10

var framePool = sync.Pool{New: func() any { return new([]byte) }}

// CloseError says that the server closed the WebSocket. Code is 1005 when its close frame had no code.
type CloseError struct {
	Code   int
	Reason string
}

// Error tells code and reason.
func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket closed by the server: %d %s", e.Code, e.Reason)
}

// Conn is one client WebSocket. One goroutine may read; any number may write or close at the same time.
type Conn struct {
	nc net.Conn

	reading sync.Mutex // held by Read and Skim for their duration
	r       reader     // guarded by reading
	onPong  func([]byte)

	writing sync.Mutex
	closed  bool // guarded by writing: our close frame is sent
}

func (d *Dialer) newConn(nc net.Conn, early []byte) *Conn {
	c := &Conn{nc: nc, r: reader{src: nc, max: messageMax}}
	if d.Reader != nil {
		c.r.src = d.Reader(nc)
	}
	if len(early) > 0 {
		c.r.buf = append(make([]byte, 0, max(len(early), smallBuffer)), early...)
		c.r.w = len(early)
		c.r.buf = c.r.buf[:cap(c.r.buf)]
	}
	return c
}

// NetConn is the connection below, for deadlines, socket options and tests that cut it.
func (c *Conn) NetConn() net.Conn { return c.nc }

// SetReadDeadline bounds Read. A Read that ran into it lost nothing and may be called again.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// SetReadLimit makes messages of more than n bytes an error. The default is 256 MiB. Not to be called during Read.
func (c *Conn) SetReadLimit(n int64) { c.r.max = n }

// Ping asks for a pong with p, at most 125 bytes, which Read passes to OnPong.
func (c *Conn) Ping(p []byte) error { return c.Write(ping, p) }

// OnPong has Read and Skim call f with every pong; p is borrowed. Not to be called during Read.
func (c *Conn) OnPong(f func(p []byte)) { c.onPong = f }

// Read returns the next whole message; p is borrowed until the next Read or Skim. It answers pings and the
// server's close frame, which it reports as a *CloseError; a connection that ends without one is
// io.ErrUnexpectedEOF or the network's error. After any error but a deadline's the socket is closed.
func (c *Conn) Read() (op byte, p []byte, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		op, p, err := c.r.message()
		if err != nil {
			return 0, nil, c.readFailed(err)
		}
		if op == Text || op == Binary {
			return op, p, nil
		}
		if err := c.control(op, p); err != nil {
			return 0, nil, err
		}
	}
}

// Skim is Read for a receiver that only counts: it returns the next message's size in bytes and holds none of it,
// so that a thousand clients can receive a megabyte each without a gigabyte of memory.
func (c *Conn) Skim() (op byte, size int64, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		op, p, size, err := c.r.skim()
		if err != nil {
			return 0, 0, c.readFailed(err)
		}
		if op == Text || op == Binary {
			return op, size, nil
		}
		if err := c.control(op, p); err != nil {
			return 0, 0, err
		}
	}
}

func (c *Conn) readFailed(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.writing.Lock()
		closed := c.closed
		c.writing.Unlock()
		if !closed {
			return err
		}
	}
	if errors.Is(err, ErrProtocol) {
		c.writeClose(1002, "")
	}
	c.nc.Close()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read websocket: %w", err)
}

// control acts on a control frame; its error ends the connection.
func (c *Conn) control(op byte, p []byte) error {
	switch op {
	case ping:
		// A peer that cannot take the pong is noticed by the read that follows.
		_ = c.Write(pong, p)
		return nil
	case closing:
		e := &CloseError{Code: 1005}
		if len(p) >= 2 {
			e.Code, e.Reason = int(binary.BigEndian.Uint16(p)), string(p[2:])
		}
		c.writeClose(e.Code, "")
		c.nc.Close()
		return e
	case pong:
		if c.onPong != nil {
			c.onPong(p)
		}
	}
	return nil
}

// Write sends p as one masked frame. p is not kept and not changed. After Close it returns net.ErrClosed.
func (c *Conn) Write(op byte, p []byte) error {
	b := framePool.Get().(*[]byte)
	// The generator behind math/rand/v2 is ChaCha8 with a random seed, which is what RFC 6455 section 10.3 wants of keys.
	*b = appendFrame((*b)[:0], op, p, rand.Uint32())
	c.writing.Lock()
	err := net.ErrClosed
	if !c.closed {
		_, err = c.nc.Write(*b)
		c.closed = op == closing
	}
	c.writing.Unlock()
	if cap(*b) <= pooledFrame {
		framePool.Put(b)
	}
	if err != nil {
		return fmt.Errorf("write websocket: %w", err)
	}
	return nil
}

func (c *Conn) writeClose(code int, reason string) {
	var p []byte
	if code != 1005 { // 1005 stands for "no code" and never goes over the wire
		p = append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason[:min(len(reason), maxControl-2)]...)
	}
	_ = c.Write(closing, p)
}

// Close sends a close frame (code 1005 = one without a code, as the JavaScript client does), waits up to a second
// for the server's and closes the socket. A Read that is under way does the waiting and returns an error. Closing
// twice, or after the server did, does nothing.
func (c *Conn) Close(code int, reason string) error {
	c.nc.SetWriteDeadline(time.Now().Add(closeWait))
	c.writeClose(code, reason)
	c.nc.SetReadDeadline(time.Now().Add(closeWait))
	if c.reading.TryLock() {
		defer c.reading.Unlock()
		for {
			op, _, _, err := c.r.skim()
			if err != nil || op == closing {
				break
			}
		}
		if err := c.nc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("close websocket: %w", err)
		}
	}
	return nil
}
