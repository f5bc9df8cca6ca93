package serverlink

import (
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const (
	outboxLimit  = 8 << 20          // bytes that may wait before push blocks
	outboxKeep   = 256 << 10        // largest buffer kept for reuse
	inlineFlush  = 64 << 10         // bytes that a reader writes itself; a socket buffer takes them
	flushTimeout = 30 * time.Second // for one write
)

// outbox collects frames for one server connection. Whoever comes first writes
// all that waits as one WebSocket message; there is no writer goroutine while
// nothing is to be written.
type outbox struct {
	conn *ws.Conn

	mu      sync.Mutex
	changed sync.Cond // buf was taken, writing ended, or err was set
	buf     []byte
	spare   []byte
	writing bool // somebody is in flush
	held    bool // the link's reader flushes when its batch is done
	err     error

	data serviceproto.ConnectionData // reused by pushData
}

func newOutbox(conn *ws.Conn) *outbox {
	o := &outbox{conn: conn}
	o.changed.L = &o.mu
	return o
}

// push appends a frame. It blocks while the service is more than outboxLimit
// behind, and returns the error that ended the connection.
func (o *outbox) push(m serviceproto.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.room(); err != nil {
		return err
	}
	o.buf = serviceproto.Append(o.buf, m)
	o.start()
	return nil
}

// pushData appends a hub's output for one client without an allocation.
func (o *outbox) pushData(id string, p []byte, dataType int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.room(); err != nil {
		return err
	}
	o.data = serviceproto.ConnectionData{ConnectionID: id, Data: p, DataType: dataType}
	o.buf = serviceproto.Append(o.buf, &o.data)
	o.data = serviceproto.ConnectionData{}
	o.start()
	return nil
}

// room waits until there is some. A reader that holds the outbox flushes here,
// since nobody else would.
func (o *outbox) room() error {
	for o.err == nil && len(o.buf) > outboxLimit {
		if !o.writing {
			o.writing = true
			o.flush(1)
		} else {
			o.changed.Wait()
		}
	}
	return o.err
}

func (o *outbox) start() {
	if o.writing || o.held {
		return
	}
	o.writing = true
	go func() { // ends with the buffer empty or the connection dead; drain waits for it
		o.mu.Lock()
		defer o.mu.Unlock()
		o.flush(0)
	}()
}

// flush writes until nothing waits, or rounds times if that is not 0. The
// caller has the lock and has set writing.
func (o *outbox) flush(rounds int) {
	for n := 0; len(o.buf) > 0 && o.err == nil && (rounds == 0 || n < rounds); n++ {
		b := o.buf
		o.buf, o.spare = o.spare[:0], nil
		o.changed.Broadcast()
		o.mu.Unlock()
		o.conn.NetConn().SetWriteDeadline(time.Now().Add(flushTimeout))
		err := o.conn.Write(ws.Binary, b)
		o.mu.Lock()
		if cap(b) <= outboxKeep {
			o.spare = b
		}
		if err != nil && o.err == nil {
			o.err = err
		}
	}
	o.writing = false
	o.changed.Broadcast()
}

// hold keeps what is pushed until release: frames that answer one read leave
// in one write. Only the link's reader calls the two.
func (o *outbox) hold() {
	o.mu.Lock()
	o.held = true
	o.mu.Unlock()
}

func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = false
	if len(o.buf) == 0 || o.writing {
		return
	}
	if len(o.buf) <= inlineFlush {
		o.writing = true
		o.flush(1)
		if len(o.buf) == 0 {
			return
		}
	}
	o.start()
}

// drain waits until everything is written or the connection is dead.
func (o *outbox) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && (o.writing || len(o.buf) > 0) {
		if !o.writing {
			o.writing = true
			o.flush(0)
			continue
		}
		o.changed.Wait()
	}
}

// fail makes every later push return err and wakes those that wait.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.buf, o.spare = nil, nil
	o.changed.Broadcast()
}
