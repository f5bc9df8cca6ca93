package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/ws"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// maxAnswer is the largest HTTP answer that is read, in bytes.
const maxAnswer = 64 << 20

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
	c, err := ws.Dial(ctx, p.address(target, h), h)
	var refused *ws.StatusError
	switch {
	case errors.As(err, &refused):
		p.inbox.put(conn, Response{Status: refused.Code, Header: fieldsOf(refused.Header), Body: []byte(refused.Body)})
		return nil, nil
	case err != nil:
		return nil, err
	}
	p.inbox.put(conn, Response{Status: http.StatusSwitchingProtocols})
	return c, nil
}

// request sends a client's HTTP request. What comes back goes to the lane of
// conn; what a WebSocket or event stream then carries, to that of its client.
func (p *player) request(conn string, r Request) error {
	if strings.EqualFold(get(r.Header, "Upgrade"), "websocket") {
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
	sent, wasSent := context.WithCancel(context.Background())
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wasSent() }})
	req, err := http.NewRequestWithContext(ctx, r.Method, p.address(target, h), bytes.NewReader(body))
	if err != nil {
		cancel()
		wasSent()
		return err
	}
	req.Header = h
	if host := h.Get("Host"); host != "" {
		req.Host = host
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "") // net/http would name itself
	}
	p.streams[conn] = cancel
	events := ""
	if strings.HasPrefix(h.Get("Accept"), "text/event-stream") {
		events = p.carrier(conn, r)
		p.streams[events] = cancel
	}
	p.readers.Go(func() {
		defer cancel()
		defer wasSent()
		p.exchange(req, conn, events)
	})
	<-sent.Done()
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
	alone := http.Transport{DisableKeepAlives: true}
	if resp, err := alone.RoundTrip(req); err == nil {
		resp.Body.Close()
	}
}

// exchange waits for the answer to a request. Events is the client whose event
// stream it is, or empty.
func (p *player) exchange(req *http.Request, conn, events string) {
	resp, err := p.http.Do(req)
	if err != nil {
		p.inbox.put(conn, Drop{})
		return
	}
	defer resp.Body.Close()
	r := Response{Status: resp.StatusCode, Header: fieldsOf(resp.Header)}
	if events == "" || r.Status != http.StatusOK {
		if r.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
			p.inbox.put(conn, Drop{})
			return
		}
		p.inbox.put(conn, r)
		return
	}
	p.inbox.put(conn, r)
	p.inbox.put(events, readEvents(resp.Body, p.inbox, events))
}

func fieldsOf(h http.Header) (all []Field) {
	for name, values := range h {
		for _, v := range values {
			all = append(all, Field{name, v})
		}
	}
	return all
}

// readEvents puts each event of a stream until it ends, and returns how.
func readEvents(body io.Reader, in *inbox, conn string) Saying {
	return readEachEvent(body, func(data []byte) { in.put(conn, Data{Event, data}) })
}

// readEachEvent calls f with the data of each event until the stream ends, and
// returns how.
func readEachEvent(body io.Reader, f func(data []byte)) Saying {
	lines := bufio.NewReader(body)
	var data []byte
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return Close{}
		}
		if err != nil {
			return Drop{}
		}
		line = bytes.TrimRight(line, "\r\n")
		switch value, ok := bytes.CutPrefix(line, []byte("data: ")); {
		case ok:
			data = append(data, value...)
		case len(line) == 0 && data != nil:
			f(data)
			data = nil
		}
	}
}

// readFrames puts each service message that comes on a server connection.
func readFrames(c *ws.Conn, in *inbox, conn string) {
	var cut sp.Splitter
	for {
		_, chunk, err := c.Read()
		if err == nil {
			err = cut.Feed(chunk, func(body []byte, _ bool) error {
				body = bytes.Clone(body)
				m, err := new(sp.Decoder).Decode(body)
				if err != nil {
					in.put(conn, Frame{Hex: body})
					return nil
				}
				in.put(conn, Frame{Message: m})
				return nil
			})
		}
		if err != nil {
			in.put(conn, ending(err))
			c.NetConn().Close()
			return
		}
	}
}

// readHub puts each hub message that comes on a client's WebSocket until that
// ends, and returns how.
func readHub(c *ws.Conn, in *inbox, conn string, cut *hubCutter) Saying {
	for {
		op, data, err := c.Read()
		if err != nil {
			c.NetConn().Close()
			return ending(err)
		}
		kind := Text
		if op == ws.Binary {
			kind = Binary
		}
		for _, m := range cut.cut(bytes.Clone(data)) {
			in.put(conn, Data{kind, m})
		}
	}
}

func ending(err error) Saying {
	var closed *ws.CloseError
	if !errors.As(err, &closed) {
		return Drop{}
	}
	c := Close{Code: closed.Code, Reason: closed.Reason}
	if c.Code == 1005 {
		c.Code = 0
	}
	return c
}

// A hubCutter cuts a client's bytes into hub messages, so that it does not
// matter which of them shared a WebSocket message.
type hubCutter struct {
	binary bool // messagepack, after the handshake
	shaken bool
	// stream says that a message may come in pieces, the rest of which is kept.
	stream bool
	rest   []byte
	// names says that the bytes are those of a transcript, with captures in them.
	names captures
}

func (h *hubCutter) cut(data []byte) (all [][]byte) {
	if h.stream {
		data, h.rest = append(h.rest, data...), nil
	}
	for len(data) > 0 {
		n := bytes.IndexByte(data, separator[0]) + 1
		if h.shaken && h.binary {
			n = h.packedSize(data)
		}
		if h.stream && (n <= 0 || n > len(data)) {
			h.rest = data
			return all
		}
		if n <= 0 || n > len(data) {
			n = len(data) // no whole message: shown as it came
		}
		all = append(all, data[:n:n])
		data = data[n:]
		h.shaken = true
	}
	return all
}

func (h *hubCutter) packedSize(data []byte) int {
	if h.names != nil {
		if m, ok := h.names.readPacked(data); ok {
			return len(m.text)
		}
	}
	return packedSize(data)
}

// binary says whether a client's handshake asks for messagepack.
func (p *player) binary(conn string) bool {
	conn, _, _ = strings.Cut(conn, "-")
	for _, s := range p.t.Steps {
		if d, ok := s.Said.(Data); ok && s.Conn == conn && s.Who == Client {
			return bytes.Contains(d.Bytes, []byte(`"messagepack"`))
		}
	}
	return false
}
