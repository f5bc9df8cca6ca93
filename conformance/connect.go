package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// UnavailableError says that a transcript wants a transport that the endpoint
// does not offer, which is no difference.
type UnavailableError struct{ Transport string }

// Error names the transport.
func (e *UnavailableError) Error() string { return "the endpoint does not offer " + e.Transport }

// A place is where the requests of a connection go.
type place struct{ base, query, bearer string }

func placeOf(address string) (place, error) {
	u, err := url.Parse(address)
	if err != nil {
		return place{}, err
	}
	query := u.RawQuery
	u.RawQuery, u.ForceQuery, u.Fragment = "", false, ""
	return place{base: u.String(), query: query}, nil
}

// url is that of a target, which is a path, a query or both. A path goes behind
// that of the place; what both queries name counts once
// (core-client-protocol 1 and 2.1).
func (at place) url(target string) string {
	path, query, _ := strings.Cut(target, "?")
	address := at.base
	if path != "" {
		address = strings.TrimSuffix(address, "/") + path
	}
	parts := []string{}
	if at.query != "" {
		parts = append(parts, at.query)
	}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if part != "" && !slices.ContainsFunc(strings.Split(at.query, "&"), func(s string) bool { return strings.HasPrefix(s, name+"=") }) {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return address
	}
	return address + "?" + strings.Join(parts, "&")
}

// places are where the connections of a hub are. They may be used by several
// goroutines.
type places struct {
	mu   sync.Mutex
	of   map[string]place // by connection token
	last place            // of the last negotiate
}

func (ps *places) add(token string, at place) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.of == nil {
		ps.of = map[string]place{}
	}
	ps.last = at
	ps.of[token] = at
}

func (ps *places) find(token string) place {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if at, ok := ps.of[token]; ok {
		return at
	}
	return ps.last
}

func isNegotiate(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	return path == "/negotiate"
}

// address is the URL of a request. The header gets the token that the place
// wants, unless it has one.
func (p *player) address(target string, h http.Header) string {
	if !p.o.Hub {
		return p.o.URL + target
	}
	if strings.HasPrefix(target, "/backend/") {
		return p.o.BackEnd + target
	}
	at := p.home
	if !isNegotiate(target) {
		_, query, _ := strings.Cut(target, "?")
		values, _ := url.ParseQuery(query)
		at = p.places.find(values.Get("id"))
	}
	at.authorize(h)
	return at.url(target)
}

func (at place) authorize(h http.Header) {
	if at.bearer != "" && h.Get("Authorization") == "" {
		h.Set("Authorization", "Bearer "+at.bearer)
	}
}

// maxRedirects is how many negotiates a client makes (core-client-protocol 2.3).
const maxRedirects = 100

// A negotiation is what the player reads of a negotiate answer.
type negotiation struct {
	ConnectionID        string
	ConnectionToken     string
	URL, AccessToken    string
	AvailableTransports []struct{ Transport string }
}

// negotiate asks there, and wherever the answers send it, and returns the last
// answer; a Drop if there was none.
func (p *player) negotiate(at place, target string, h http.Header) Saying {
	for range maxRedirects {
		header := maps.Clone(h)
		at.authorize(header)
		r, err := p.do(p.ctx, http.MethodPost, at.url(target), header, nil)
		if err != nil {
			return Drop{}
		}
		var n negotiation
		if r.Status != http.StatusOK || json.Unmarshal(r.Body, &n) != nil {
			return r
		}
		if n.URL == "" {
			token := n.ConnectionToken
			if token == "" {
				token = n.ConnectionID // version 0 (core-client-protocol 2.2)
			}
			p.places.add(token, at)
			return r
		}
		bearer := at.bearer
		if at, err = placeOf(n.URL); err != nil {
			return r
		}
		if at.bearer = bearer; n.AccessToken != "" {
			at.bearer = n.AccessToken
		}
	}
	return Drop{}
}

// do makes a request and reads the whole answer.
func (p *player) do(ctx context.Context, method, address string, h http.Header, body []byte) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return Response{}, err
	}
	req.Header = h
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "") // net/http would name itself
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	r := Response{Status: resp.StatusCode, Header: fieldsOf(resp.Header)}
	r.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return r, err
}

// connected is a client that said Connect. Its fields are the player's own.
type connected struct {
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
	client := &connected{transport: c.Transport, token: n.ConnectionToken, binary: p.binary(conn)}
	p.connected[conn] = client
	return p.open(step, conn, client)
}

// firstPoll is how long the first poll may take, which is to be answered at once
// (core-client-protocol 3.5).
const firstPoll = 3 * time.Second

// open opens the transport of a connected client and starts its reader.
func (p *player) open(step int, conn string, c *connected) error {
	cut := &hubCutter{binary: c.binary, stream: true, shaken: c.socket != nil}
	h := http.Header{}
	address := p.address("?id="+url.QueryEscape(c.token), h)
	ctx, cancel := context.WithCancel(p.ctx)
	c.stop = cancel
	switch c.transport {
	case "WebSockets":
		socket, err := ws.Dial(ctx, address, h)
		var refused *ws.StatusError
		if errors.As(err, &refused) {
			return p.differ(step, conn, "an upgrade to WebSocket", Response{Status: refused.Code, Body: []byte(refused.Body)})
		}
		if err != nil {
			return p.differ(step, conn, "an upgrade to WebSocket", Drop{})
		}
		c.socket, c.dropped, c.ponged = socket, &atomic.Bool{}, make(chan struct{}, 1)
		ponged := c.ponged
		socket.OnPong(func([]byte) {
			select {
			case ponged <- struct{}{}:
			default:
			}
		})
		p.clients[conn] = socket
		dropped := c.dropped
		p.readers.Go(func() {
			if end := readHub(socket, p.inbox, conn, cut); !dropped.Load() {
				p.inbox.put(conn, end)
			}
		})
	case "ServerSentEvents":
		h.Set("Accept", "text/event-stream")
		h.Set("User-Agent", "")
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		req.Header = h
		resp, err := p.http.Do(req)
		if err != nil {
			return p.differ(step, conn, "an event stream", Drop{})
		}
		if resp.StatusCode != http.StatusOK {
			defer resp.Body.Close()
			return p.differ(step, conn, "an event stream", Response{Status: resp.StatusCode, Header: fieldsOf(resp.Header)})
		}
		p.readers.Go(func() {
			defer resp.Body.Close()
			readStream(resp.Body, p.inbox, conn, cut)
		})
	case "LongPolling":
		first, done := context.WithTimeout(ctx, firstPoll)
		r, err := p.do(first, http.MethodGet, address, h, nil)
		late := first.Err() != nil
		done()
		switch {
		case err != nil && late:
			return p.differ(step, conn, fmt.Sprintf("an answer to the first poll within %v", firstPoll), nil)
		case err != nil:
			return p.differ(step, conn, "an answer to the first poll", Drop{})
		}
		if r.Status != http.StatusOK || len(r.Body) > 0 {
			return p.differ(step, conn, "200 without a body to the first poll", r)
		}
		p.readers.Go(func() { p.poll(ctx, conn, address, h, cut) })
	default:
		return fmt.Errorf("unknown transport %q", c.transport)
	}
	return nil
}

// readStream puts each hub message of an event stream.
func readStream(body io.Reader, in *inbox, conn string, cut *hubCutter) {
	end := readEachEvent(body, func(data []byte) {
		for _, m := range cut.cut(data) {
			in.put(conn, Data{Text, m})
		}
	})
	if _, clean := end.(Close); clean {
		end = Close{Code: endOfStream}
	}
	in.put(conn, end)
}

// endOfStream is the code that the end of an event stream or of polling stands
// for.
const endOfStream = 1000

// poll polls until the connection has ended.
func (p *player) poll(ctx context.Context, conn, address string, h http.Header, cut *hubCutter) {
	kind := Text
	if cut.binary {
		kind = Binary
	}
	for {
		r, err := p.do(ctx, http.MethodGet, address, maps.Clone(h), nil)
		switch {
		case err != nil:
			p.inbox.put(conn, Drop{})
			return
		case r.Status == http.StatusNoContent:
			p.inbox.put(conn, Close{Code: endOfStream})
			return
		case r.Status != http.StatusOK:
			p.inbox.put(conn, r)
			return
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
		return p.open(step, s.Conn, c)
	}
	if c.transport == "WebSockets" {
		data, ok := s.Said.(Data)
		if !ok {
			_, drop := s.Said.(Drop)
			c.dropped.Store(drop)
			return endSocket(p.clients, s)
		}
		text, err := p.names.expandBytes(data.Bytes, p.now)
		if err != nil {
			return err
		}
		op := ws.Text
		if data.Kind == Binary {
			op = ws.Binary
		}
		return p.write(p.clients, s.Conn, op, text)
	}
	h := http.Header{}
	address := p.address("?id="+url.QueryEscape(c.token), h)
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
		return p.differ(step, s.Conn, fmt.Sprintf("%d to the %s", want, method), Drop{})
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

// over says whether the server has ended a connection.
func (p *player) over(conn string) bool {
	return p.gone[conn] || slices.ContainsFunc(p.inbox.rest(conn), isEnd)
}
