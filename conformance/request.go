package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// header makes the header of a request, with its token signed.
func (p *player) header(r Request) (http.Header, error) {
	h := http.Header{}
	for _, f := range r.Header {
		value, err := p.names.expand(f.Value, p.now)
		if err != nil {
			return nil, err
		}
		h.Add(f.Name, value)
	}
	if r.Token != nil {
		token, err := r.Token.sign(p.o.AccessKey, p.names, p.now)
		if err != nil {
			return nil, err
		}
		if p.names["jwt"] = token; !strings.Contains(r.Target, "${jwt}") {
			h.Set("Authorization", "Bearer "+token)
		}
	}
	return h, nil
}

// dial opens a WebSocket and notes the answer. The Conn is nil when it was not
// the wanted one.
func (p *player) dial(conn string, r Request) (*ws.Conn, error) {
	h, err := p.header(r)
	if err != nil {
		return nil, err
	}
	h.Del("Upgrade")
	target, err := p.names.expand(r.Target, p.now)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Patience)
	defer cancel()
	c, err := p.calls.Dial(ctx, p.address(target, h), h)
	var refused *ws.StatusError
	switch {
	case errors.As(err, &refused):
		p.inbox.put(conn, Response{Status: refused.Code, Header: fieldsOf(refused.Header), Body: []byte(refused.Body)})
		return nil, nil
	case err != nil:
		return nil, err
	}
	p.hangUpAtEnd(c)
	p.inbox.put(conn, Response{Status: http.StatusSwitchingProtocols})
	return c, nil
}

// upgrade opens a client's WebSocket. What it then carries goes to the lane of its
// client.
func (p *player) upgrade(conn string, r Request) error {
	c, err := p.dial(conn, r)
	if err != nil || c == nil {
		return err
	}
	name := p.carrier(conn, r)
	p.clients[name] = c
	// A client that comes back has shaken hands long ago.
	cut := &hubCutter{shaken: strings.Contains(name, "-"), binary: p.binary(name)}
	p.readers.Go(func() { p.inbox.put(name, readHub(c, p.inbox, name, cut)) })
	return nil
}

// request sends a client's HTTP request. What comes back goes to the lane of
// conn; what a WebSocket or event stream then carries, to that of its client.
func (p *player) request(conn string, r Request) error {
	if strings.EqualFold(get(r.Header, "Upgrade"), "websocket") {
		return p.upgrade(conn, r)
	}
	h, err := p.header(r)
	if err != nil {
		return err
	}
	target, err := p.names.expand(r.Target, p.now)
	if err != nil {
		return err
	}
	body, err := p.names.expandBytes(r.Body, p.now)
	if err != nil {
		return err
	}
	if p.o.Hub && r.Method == http.MethodPost && isNegotiate(target) {
		p.readers.Go(func() { p.inbox.put(conn, p.negotiate(p.home, target, h)) })
		return nil
	}
	ctx, cancel := context.WithCancel(p.ctx)
	sent := make(chan struct{})
	wasSent := sync.OnceFunc(func() { close(sent) })
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wasSent() }})
	req, err := newRequest(ctx, r.Method, p.address(target, h), h, body)
	if err != nil {
		cancel()
		return err
	}
	if host := h.Get("Host"); host != "" {
		req.Host = host
	}
	p.streams[conn] = cancel
	events := ""
	if strings.HasPrefix(h.Get("Accept"), "text/event-stream") {
		events = p.carrier(conn, r)
		p.streams[events] = cancel
	}
	p.readers.Go(func() {
		defer cancel()
		defer wasSent() // where no request got out
		p.exchange(req, conn, events)
	})
	<-sent
	if r.Method == http.MethodGet && events == "" {
		for range knocks {
			p.knock()
		}
	}
	return nil
}

// knocks is how often it is knocked: a relay that is busy may answer one before
// it looks at the poll.
const knocks = 3

// knock makes a request on a connection of its own and waits for the answer,
// whatever it is. A poll that was sent before is with the relay then and not
// still on its way, where a later request could overtake it.
func (p *player) knock() {
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.o.URL+"/", nil)
	if err != nil {
		return
	}
	req.Close = true
	alone := p.calls.Client(&http.Transport{DisableKeepAlives: true}).Transport // follows nothing
	if resp, err := alone.RoundTrip(req); err == nil {
		resp.Body.Close()
	}
}

// exchange waits for the answer to a request. Events is the client whose event
// stream it is, or empty.
func (p *player) exchange(req *http.Request, conn, events string) {
	resp, err := p.http.Do(req)
	if err != nil {
		p.inbox.put(conn, brokenOff(err))
		return
	}
	defer resp.Body.Close()
	if events != "" && resp.StatusCode == http.StatusOK {
		p.inbox.put(conn, headOf(resp))
		p.inbox.put(events, readEvents(resp.Body, func(data []byte) { p.inbox.put(events, Data{Event, data}) }))
		return
	}
	r, err := readAnswer(resp)
	if err != nil {
		p.inbox.put(conn, brokenOff(err))
		return
	}
	p.inbox.put(conn, r)
}

// do makes a request and reads the whole answer.
func (p *player) do(ctx context.Context, method, address string, h http.Header, body []byte) (Response, error) {
	req, err := newRequest(ctx, method, address, h, body)
	if err != nil {
		return Response{}, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	return readAnswer(resp)
}

// newRequest makes a request with this very header.
func newRequest(ctx context.Context, method, address string, h http.Header, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = h
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "") // net/http would name itself
	}
	if h.Get("Transfer-Encoding") == "chunked" { // net/http decides by the length
		req.ContentLength = -1
	}
	return req, nil
}

// headOf is an answer without its body.
func headOf(resp *http.Response) Response {
	return Response{Status: resp.StatusCode, Header: fieldsOf(resp.Header)}
}

func fieldsOf(h http.Header) (all []Field) {
	for name, values := range h {
		for _, v := range values {
			all = append(all, Field{name, v})
		}
	}
	return all
}

func readAnswer(resp *http.Response) (r Response, err error) {
	r = headOf(resp)
	r.Body, err = io.ReadAll(resp.Body)
	return r, err
}

// unanswered is what came in place of an answer: nothing where the time was up,
// else how the connection ended.
func unanswered(err error) Saying {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return brokenOff(err)
}

// brokenOff is how something ended that had not come to its end.
func brokenOff(err error) Saying {
	if errors.Is(err, ErrFlood) {
		return flooded
	}
	return Drop{}
}

// flooded is what came in place of all that [ErrFlood] ended.
var flooded Saying = Remark(ErrFlood.Error())
