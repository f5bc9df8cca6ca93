package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// UnavailableError says that a transcript wants a transport that the endpoint
// does not offer, which is no difference.
type UnavailableError struct{ Transport string }

// Error names the transport.
func (e *UnavailableError) Error() string { return "the endpoint does not offer " + e.Transport }

// A connected is a client that said Connect. Its fields are the player's own.
type connected struct {
	conn      string
	transport string
	token     string
	binary    bool               // its hub protocol is messagepack
	socket    *ws.Conn           // WebSockets
	dropped   *atomic.Bool       // the socket was cut by the client
	ponged    chan struct{}      // the answer to a last question; holds one
	stop      context.CancelFunc // ends the event stream or the polls
}

// connect does all that Connect stands for. A server that answers otherwise
// than a client needs differs.
func (p *player) connect(step int, conn string, c Connect) error {
	if !p.o.Hub {
		return errors.New("connect needs the address of a hub")
	}
	at := p.home
	if c.Query != "" {
		query, err := p.names.expand(c.Query, p.now)
		if err != nil {
			return err
		}
		at.query = strings.TrimPrefix(at.query+"&"+query, "&")
	}
	answer := p.negotiate(at, "/negotiate?negotiateVersion=1", http.Header{})
	r, ok := answer.(Response)
	var n negotiation
	if !ok || r.Status != http.StatusOK || json.Unmarshal(r.Body, &n) != nil || n.ConnectionID == "" || n.ConnectionToken == "" {
		return p.differ(step, conn, "an answer to negotiate with connectionId and connectionToken", answer)
	}
	if !slices.ContainsFunc(n.AvailableTransports, func(t struct{ Transport string }) bool { return t.Transport == c.Transport }) {
		return &UnavailableError{c.Transport}
	}
	p.names[conn], p.names[conn+"token"] = n.ConnectionID, n.ConnectionToken
	client := &connected{conn: conn, transport: c.Transport, token: n.ConnectionToken, binary: p.binary(conn)}
	p.connected[conn] = client
	return p.open(step, client)
}

// door is where the requests of a connected client go, and the header that they
// have there.
func (p *player) door(c *connected) (address string, h http.Header) {
	h = http.Header{}
	return p.address("?id="+url.QueryEscape(c.token), h), h
}

// open opens the transport of a connected client and starts its reader.
func (p *player) open(step int, c *connected) error {
	ctx, cancel := context.WithCancel(p.ctx)
	c.stop = cancel
	switch c.transport {
	case "WebSockets":
		return p.openSocket(ctx, step, c)
	case "ServerSentEvents":
		return p.openEvents(ctx, step, c)
	case "LongPolling":
		return p.openPolls(ctx, step, c)
	}
	return fmt.Errorf("unknown transport %q", c.transport)
}

// openSocket opens a WebSocket, in the place of the one that the client had.
func (p *player) openSocket(ctx context.Context, step int, c *connected) error {
	address, h := p.door(c)
	socket, err := p.calls.Dial(ctx, address, h)
	var refused *ws.StatusError
	if errors.As(err, &refused) {
		return p.differ(step, c.conn, "an upgrade to WebSocket", Response{Status: refused.Code, Body: []byte(refused.Body)})
	}
	if err != nil {
		return p.differ(step, c.conn, "an upgrade to WebSocket", unanswered(err))
	}
	p.hangUpAtEnd(socket)
	cut := &hubCutter{binary: c.binary, stream: true, shaken: c.socket != nil}
	ponged, dropped := make(chan struct{}, 1), &atomic.Bool{}
	socket.OnPong(func([]byte) {
		select {
		case ponged <- struct{}{}:
		default:
		}
	})
	c.socket, c.dropped, c.ponged = socket, dropped, ponged
	p.clients[c.conn] = socket
	p.readers.Go(func() {
		if end := readHub(socket, p.inbox, c.conn, cut); !dropped.Load() {
			p.inbox.put(c.conn, end)
		}
	})
	return nil
}

// openEvents opens an event stream.
func (p *player) openEvents(ctx context.Context, step int, c *connected) error {
	address, h := p.door(c)
	h.Set("Accept", "text/event-stream")
	req, err := newRequest(ctx, http.MethodGet, address, h, nil)
	if err != nil {
		return err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return p.differ(step, c.conn, "an event stream", unanswered(err))
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return p.differ(step, c.conn, "an event stream", headOf(resp))
	}
	cut := &hubCutter{binary: c.binary, stream: true}
	p.readers.Go(func() {
		defer resp.Body.Close()
		p.inbox.put(c.conn, readStream(resp.Body, p.inbox, c.conn, cut))
	})
	return nil
}

// firstPoll is how long the first poll may take, which is to be answered at once
// (core-client-protocol 3.5).
const firstPoll = 3 * time.Second

// openPolls makes the first poll and has the others made.
func (p *player) openPolls(ctx context.Context, step int, c *connected) error {
	address, h := p.door(c)
	first, done := context.WithTimeout(ctx, firstPoll)
	defer done()
	r, err := p.do(first, http.MethodGet, address, h, nil)
	switch {
	case err != nil && first.Err() != nil:
		return p.differ(step, c.conn, fmt.Sprintf("an answer to the first poll within %v", firstPoll), nil)
	case err != nil:
		return p.differ(step, c.conn, "an answer to the first poll", brokenOff(err))
	case r.Status != http.StatusOK || len(r.Body) > 0:
		return p.differ(step, c.conn, "200 without a body to the first poll", r)
	}
	cut := &hubCutter{binary: c.binary, stream: true}
	p.readers.Go(func() { p.inbox.put(c.conn, p.poll(ctx, c.conn, address, h, cut)) })
	return nil
}

// poll polls until the connection has ended, and returns how.
func (p *player) poll(ctx context.Context, conn, address string, h http.Header, cut *hubCutter) Saying {
	kind := Text
	if cut.binary {
		kind = Binary
	}
	for {
		r, err := p.do(ctx, http.MethodGet, address, maps.Clone(h), nil)
		switch {
		case err != nil:
			return brokenOff(err)
		case r.Status == http.StatusNoContent:
			putRest(p.inbox, conn, kind, cut)
			return Close{Code: endOfStream}
		case r.Status != http.StatusOK:
			return r
		}
		for _, m := range cut.cut(r.Body) {
			p.inbox.put(conn, Data{kind, m})
		}
	}
}

// byConnected does what a connected client does.
func (p *player) byConnected(step int, s Step, c *connected) error {
	if _, ok := s.Said.(Resume); ok {
		if c.socket == nil {
			return errors.New("only a WebSocket can be resumed")
		}
		return p.open(step, c)
	}
	if c.transport == "WebSockets" {
		data, ok := s.Said.(Data)
		if !ok {
			_, drop := s.Said.(Drop)
			c.dropped.Store(drop)
			return endSocket(p.clients, s)
		}
		return p.say(s.Conn, data)
	}
	address, h := p.door(c)
	method, want := http.MethodPost, http.StatusOK
	var body []byte
	switch said := s.Said.(type) {
	case Data:
		var err error
		if body, err = p.names.expandBytes(said.Bytes, p.now); err != nil {
			return err
		}
	case Close:
		if c.transport == "ServerSentEvents" {
			c.stop()
			return nil
		}
		method, want = http.MethodDelete, http.StatusAccepted
	case Drop:
		c.stop()
		return nil
	default:
		return fmt.Errorf("%s cannot be said there", s)
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Patience)
	defer cancel()
	r, err := p.do(ctx, method, address, h, body)
	if err != nil {
		return p.differ(step, s.Conn, fmt.Sprintf("%d to the %s", want, method), unanswered(err))
	}
	if r.Status != want && !p.over(s.Conn) {
		return p.differ(step, s.Conn, fmt.Sprintf("%d to the %s", want, method), r)
	}
	return nil
}

// settle waits until the server has sent all that it had for the clients by
// WebSocket: what it said before a pong has come when the pong comes.
func (p *player) settle() {
	patience := time.NewTimer(p.o.Patience)
	defer patience.Stop()
	for conn, c := range p.connected {
		if c.socket == nil || c.dropped.Load() || p.over(conn) || c.socket.Ping(nil) != nil {
			continue
		}
		for waiting := true; waiting && !p.over(conn); {
			select {
			case <-c.ponged:
				waiting = false
			case <-p.inbox.news: // perhaps the end
			case <-patience.C:
				return // no answer is the business of a case for it
			case <-p.ctx.Done():
				return
			}
		}
	}
}
