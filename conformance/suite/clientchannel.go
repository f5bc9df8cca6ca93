package suite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A clientChannel is an open connection of a client: a WebSocket, an event
// stream with its posts, or long polls with theirs. Guarded by its run's mu, but
// for what says otherwise.
type clientChannel struct {
	name   string
	kind   string // websocket, events or poll
	path   string
	id     string // by which posts and polls belong to it; Core only
	legacy bool

	in      []string    // messages of the client's that are not taken
	beats   []string    // pings and acks that were passed over
	partial []byte      // of a message whose separator has not come
	heard   int         // bytes so far
	pack    *clientPack // of a connection in MessagePack, else nil
	gone    string      // how the client ended it; empty while it has not
	ended   bool        // by us; set by the goroutine that plays the script
	over    bool        // a poll was told so: one more is wrong
	cut     bool        // that goroutine's: our next frame goes on with the message of the last

	socket *clientSocket // set before the channel is known
	events chan []byte   // to the request that carries the stream; closed when we end it
	out    []string      // for the next poll
	poll   clientRefusal // what polls get instead
	post   clientRefusal
}

// clientHeardMax bounds, in bytes, what a client says on one connection. No
// scenario needs a part of it; a client that talks without end is stopped here.
const clientHeardMax = 4 << 20

// receive takes bytes of the client's. Messages of the Core hub protocol end with
// a separator, or are MessagePack; those of ASP.NET SignalR are frames. It says
// whether the client may go on.
func (c *clientChannel) receive(p []byte) bool {
	if c.heard += len(p); c.heard > clientHeardMax {
		c.fail(clientFault(fmt.Sprintf("more than %d bytes on one connection", clientHeardMax)))
		return false
	}
	switch {
	case c.legacy:
		c.in = append(c.in, string(p))
		return true
	case c.pack != nil:
		c.in = append(c.in, c.pack.receive(p)...)
		return true
	}
	for {
		m, rest, ok := bytes.Cut(p, []byte{0x1e})
		c.partial = append(c.partial, m...)
		if !ok {
			return true
		}
		c.in, c.partial, p = append(c.in, string(c.partial)), c.partial[:0], rest
	}
}

// fail notes a fault among the messages, where no script asks for it.
func (c *clientChannel) fail(f clientFault) {
	c.in = append(c.in, "what no client may send: "+string(f))
}

// pending is how many bytes have come of a message whose end has not.
func (c *clientChannel) pending() int {
	if c.pack != nil {
		return c.pack.in.Pending()
	}
	return len(c.partial)
}

// isBeat says whether a message goes by the clock: a ping, or the ack of stateful
// reconnect.
func isBeat(m string) bool {
	v, err := parseJSON(m)
	if err != nil {
		return false
	}
	t := jsonText(member(v, "type"))
	return t == "6" || t == "8"
}

func member(v any, name string) any {
	m, _ := v.(map[string]any)
	return m[name]
}

// send says something. Only the goroutine that plays the script does.
func (r *clientRun) send(c *clientChannel, p string, last bool) {
	switch {
	case c.ended:
	case c.kind == "websocket":
		op := byte(socketText)
		switch {
		case c.cut:
			op = socketMore
		case c.pack != nil:
			op = socketBinary
		}
		c.cut = !last
		c.socket.write(op, last, []byte(p))
	case c.kind == "events":
		select {
		case c.events <- event(p, c.legacy):
		default: // a stream that takes nothing: what is missing will be noticed
		}
	default:
		r.mu.Lock()
		defer r.mu.Unlock()
		c.out = append(c.out, p)
		r.touch()
	}
}

// event is an event of a stream (core-client-protocol 3.4, legacy-client-protocol
// 4.4).
func event(p string, legacy bool) []byte {
	if legacy {
		return []byte("data: " + p + "\n\n")
	}
	var b strings.Builder
	for line := range strings.SplitSeq(p, "\n") {
		b.WriteString("data: " + line + "\r\n")
	}
	return []byte(b.String() + "\r\n")
}

// end ends the connection: with a close frame where code is not 0, else without
// a word. Only the goroutine that plays the script does.
func (r *clientRun) end(c *clientChannel, code int) {
	if c.ended {
		return
	}
	switch c.kind {
	case "websocket":
		if code != 0 {
			c.socket.write(socketClose, true, []byte{byte(code >> 8), byte(code)})
			// The client's close frame, or nothing, ends the read.
			c.socket.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		} else {
			c.socket.conn.Close()
		}
	case "events":
		close(c.events)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.ended = true
	r.touch()
}

// serveSocket reads until the WebSocket ends.
func (r *clientRun) serveSocket(c *clientChannel) {
	defer c.socket.conn.Close()
	for {
		p, err := c.socket.read()
		r.mu.Lock()
		var fault clientFault
		switch {
		case err == nil && c.receive(p):
		case err == nil:
			c.gone = "was cut off"
		case errors.As(err, &fault):
			c.fail(fault)
			c.gone = "was cut off"
		case err == io.EOF:
			c.gone = "closed the WebSocket"
		default:
			c.gone = "ended the WebSocket without a close frame"
		}
		gone := c.gone != ""
		r.touch()
		r.mu.Unlock()
		if gone {
			return
		}
	}
}

// serveEvents writes an event stream until one of both ends it.
func (r *clientRun) serveEvents(c *clientChannel, w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(http.StatusOK)
	first := ":\r\n\r\n"
	if c.legacy {
		first = "data: initialized\n\n"
	}
	w.Write([]byte(first))
	flush := http.NewResponseController(w).Flush
	flush()
	for {
		select {
		case b, ok := <-c.events:
			if !ok {
				return
			}
			w.Write(b)
			flush()
		case <-req.Context().Done():
			r.mu.Lock()
			c.gone = "ended the event stream"
			r.touch()
			r.mu.Unlock()
			return
		}
	}
}

// serveOpen answers a request that belongs to an open Core connection without
// WebSocket, and says whether it was one.
func (r *clientRun) serveOpen(w http.ResponseWriter, q *clientHeld) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var c *clientChannel
	for _, x := range r.channels {
		if x.id != "" && x.id == q.query.Get("id") && x.path == q.path && x.kind != "websocket" && (!x.ended || x.kind == "poll") {
			c = x
		}
	}
	if c == nil {
		return false
	}
	switch {
	case c.over && q.method != http.MethodPost: // a Close may come beside the DELETE (core-client-protocol 7.4)
		return false
	case c.ended && q.method != http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
	case q.method == http.MethodPost:
		if c.post.most > 0 {
			c.post.most--
			w.WriteHeader(c.post.status)
			return true
		}
		status := http.StatusOK
		if !c.receive([]byte(q.body)) {
			status = http.StatusRequestEntityTooLarge
		}
		r.touch()
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
	case q.method == http.MethodDelete && c.kind == "poll":
		c.gone = "deleted the connection"
		r.touch()
		w.WriteHeader(http.StatusAccepted)
	case q.method == http.MethodGet && c.kind == "poll":
		r.serveRefusablePoll(c, w, q)
	default:
		return false
	}
	return true
}

// serveRefusablePoll answers a poll. mu is held, but not while it waits.
func (r *clientRun) serveRefusablePoll(c *clientChannel, w http.ResponseWriter, q *clientHeld) {
	for {
		switch {
		case c.poll.status != 0:
			if c.poll.most == 0 {
				r.wrong = append(r.wrong, "one more poll: "+q.String())
			} else {
				c.poll.most--
			}
			status := c.poll.status
			if status == http.StatusOK { // an empty answer; the polls after it are as always
				if c.poll.most == 0 {
					c.poll = clientRefusal{}
				}
			}
			r.touch()
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(status)
			return
		case len(c.out) > 0:
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write([]byte(strings.Join(c.out, "")))
			c.out = nil
			return
		case c.ended || c.gone != "":
			c.over = true
			w.WriteHeader(http.StatusNoContent)
			return
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-q.left:
			r.mu.Lock()
			return
		}
		r.mu.Lock()
	}
}
