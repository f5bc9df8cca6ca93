package transport

import (
	"io"
	"strconv"
	"time"
)

// A poll leaves the HTTP server while it waits, so that it costs no more than
// an idle WebSocket. Whoever has something for it writes the answer to its
// socket; the next request on that socket wakes the owner, which gives the
// socket back to the HTTP server unread.

// answerWith answers the present poll with what waits and then messages; c.mu
// is held. A poll whose peer has gone is none: the messages wait for the next.
func (c *Conn) answerWith(messages []Queued) {
	k := c.car
	if !k.sock.alive() {
		c.lose(k, nil)
		for _, m := range messages {
			if c.profile.Grace == 0 { // else whoever resumes brings it
				c.push(m)
			}
		}
		return
	}
	all := append(c.queue, messages...)
	c.queue, c.queued = nil, 0
	c.madeRoom()
	var body []byte
	if join := k.format.Join; join != nil {
		parts := make([][]byte, len(all))
		for i, m := range all {
			parts[i] = m.Data
		}
		var n int
		body, n = join(k.mark, parts)
		for _, m := range all[n:] {
			c.queue = append(c.queue, m)
			c.queued += len(m.Data)
		}
	} else if len(all) == 1 {
		body = all[0].Data
	} else {
		n := 0
		for _, m := range all {
			n += len(m.Data)
		}
		body = make([]byte, 0, n)
		for _, m := range all {
			body = append(body, m.Data...)
		}
	}
	c.answer(&k.format.Poll, body)
}

// answer writes the present poll's response and frees the Conn for the next
// poll; c.mu is held.
func (c *Conn) answer(r *Response, body []byte) {
	k := c.car
	c.car = nil
	if c.profile.Grace > 0 {
		c.claimed = false
	}
	k.gone()
	c.since = time.Now().UnixNano()
	k.answer(r, body)
}

// answerNothing is answer without a message.
func (c *Conn) answerNothing(r *Response) { c.answer(c.car.nothing(r)) }

// nothing returns how a poll is answered when there is no message for it.
func (k *carrier) nothing(r *Response) (*Response, []byte) {
	if k.format.Join == nil {
		return r, r.Body
	}
	body, _ := k.format.Join(k.mark, nil)
	return &k.format.Poll, body
}

// blank keeps a poll alive for whatever stands between, with the head of its
// answer the first time. What the socket does not take at once is an error:
// so little always fits. k.conn.mu is held.
func (k *carrier) blank() error {
	if k.format.Blank == "" || k.unchunked || k.sock.fd < 0 {
		return nil
	}
	var b []byte
	if !k.started {
		k.started = true
		b = appendHead(make([]byte, 0, 256), &k.format.Poll, chunked, k.cors, k.closes)
	}
	b = appendChunk(b, k.format.Blank)
	n, err := k.sock.try(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// answer writes a poll's response; k.conn.mu is held.
func (k *carrier) answer(r *Response, body []byte) {
	c := k.conn
	k.answered = true
	var b []byte
	if k.started {
		b, body = append(appendChunk(nil, string(body)), "0\r\n\r\n"...), nil
	} else {
		b = appendHead(make([]byte, 0, 256+min(len(body), smallRead)), r, len(body), k.cors, k.closes)
	}
	var n int
	var err error
	if len(body) <= smallRead {
		b = append(b, body...)
		body = nil
		n, err = k.sock.try(b)
	} else {
		n, err = k.sock.tryParts([][]byte{b, body})
	}
	if err == nil && n < len(b)+len(body) {
		// The rest goes out in the background; nobody else uses the socket.
		head := b[min(n, len(b)):]
		tail := body[max(0, n-len(b)):]
		k.drained = make(chan struct{})
		c.srv.wg.Add(1)
		go func() { // ends with the write, which has a deadline
			defer c.srv.wg.Done()
			defer close(k.drained)
			if k.write(head) != nil || k.write(tail) != nil {
				c.srv.stats.WriteFail.Add(1)
				k.drop()
				return
			}
			if k.closes {
				k.drop()
				return
			}
			k.sock.nc.SetReadDeadline(time.Now().Add(idleTimeout))
		}()
		return
	}
	c.srv.stats.BytesOut.Add(int64(n))
	if err != nil || k.closes {
		k.sock.close()
		return
	}
	k.sock.nc.SetReadDeadline(time.Now().Add(idleTimeout))
}

func (k *carrier) drop() {
	k.conn.mu.Lock()
	k.sock.close()
	k.conn.mu.Unlock()
}

// servePoll owns a poll's socket until it is answered and used again, or ends.
func (k *carrier) servePoll() {
	c := k.conn
	// A second request behind a poll, which no client sends, is not served:
	// the answer says that the connection ends.
	k.closes = k.closes || len(k.sock.early) > 0
	k.attach() // never fails for a poll
	var next []byte
	var err error
	if k.sock.raw != nil {
		err = k.sock.readable()
	} else {
		next = make([]byte, 1)
		_, err = k.sock.nc.Read(next)
	}
	c.mu.Lock()
	answered, drained := k.answered, k.drained
	c.mu.Unlock()
	if drained != nil {
		<-drained // the answer is written to its end first
	}
	c.mu.Lock()
	again := err == nil && answered && !k.closes && !c.srv.stopping.Load() && (k.sock.raw == nil || k.sock.fd >= 0)
	if !again {
		k.sock.close()
		c.lose(k, err)
	}
	c.mu.Unlock()
	if again {
		c.srv.mu.Lock()
		delete(c.srv.sockets, k.sock) // from now on it is the HTTP server's to close
		c.srv.mu.Unlock()
		k.sock.nc.SetReadDeadline(time.Time{})
		nc := k.sock.nc
		if next != nil {
			nc = &unread{Conn: nc, p: next}
		}
		c.srv.http.ServeConn(nc) // closes it, unless it is hijacked again
	}
}

// idleTimeout is how long a kept-alive connection may be idle.
const idleTimeout = 2 * time.Minute

// chunked is the length of a body that comes in chunks.
const chunked = -1

// appendChunk appends a chunk that holds data, nothing for no data: an empty
// one ends the body.
func appendChunk(b []byte, data string) []byte {
	if data == "" {
		return b
	}
	b = append(strconv.AppendInt(b, int64(len(data)), 16), "\r\n"...)
	return append(append(b, data...), "\r\n"...)
}

// appendHead appends the head of an HTTP/1.1 response.
func appendHead(b []byte, r *Response, n int, cors string, closes bool) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	reason := r.Reason
	if reason == "" {
		reason = statusText(r.Status)
	}
	b = append(b, reason...)
	if r.Type != "" {
		b = append(append(b, "\r\nContent-Type: "...), r.Type...)
	}
	if n == chunked {
		b = append(b, "\r\nTransfer-Encoding: chunked"...)
	} else if r.Status != 204 {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(n), 10)
	}
	for _, h := range r.Header {
		b = append(append(append(append(b, "\r\n"...), h[0]...), ": "...), h[1]...)
	}
	b = append(append(b, "\r\n"...), cors...)
	if closes {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}
