package transport

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// An Exchange is one HTTP request and its answer. Its strings are its own:
// nothing of fasthttp's memory, which the next request reuses, gets out.
// It belongs to the goroutine that runs the Handler.
type Exchange struct {
	Method   string
	Path     string // decoded, without the query
	RawQuery string // without '?'

	srv     *Server
	ctx     *fasthttp.RequestCtx
	headers [][2]string
	query   []pair
	parsed  bool
}

type pair struct{ key, value string }

// A Response is a whole answer. Without a Type it has no Content-Type.
type Response struct {
	Status int
	Reason string // of the status line; empty: the usual one
	Type   string
	Body   []byte
	Header [][2]string
}

func statusText(code int) string { return http.StatusText(code) }

func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	s.stats.Requests.Add(1)
	x := newExchange(s, ctx)
	defer func() {
		if p := recover(); p != nil {
			ctx.Response.Reset()
			ctx.Hijack(nil) // a Carry that came before is void
			ctx.HijackSetNoResponse(false)
			x.Reply(Response{Status: 500, Type: "text/plain"})
			func() {
				defer s.contain("request", nil)
				panic(p)
			}()
		}
	}()
	switch {
	case len(ctx.Request.Header.RequestURI()) > s.o.MaxURI:
		x.Reply(Response{Status: 414, Type: "text/plain", Body: []byte("URI too long")})
	case len(ctx.Request.Header.RawHeaders()) > s.o.MaxHeader:
		x.Reply(Response{Status: 431, Type: "text/plain", Body: []byte("Request header fields too large")})
	case x.IsWebSocket() && x.Header("Origin") != "" && !s.o.allows(x.Header("Origin")):
		// No browser checks CORS for a WebSocket (core-client-protocol 3.3).
		x.Reply(Response{Status: 403, Type: "text/plain"})
	case x.Method == "OPTIONS":
		x.preflight()
	default:
		s.handler(x)
	}
}

func newExchange(s *Server, ctx *fasthttp.RequestCtx) *Exchange {
	h := &ctx.Request.Header
	// One copy of everything, cut into strings afterwards.
	n := 0
	for k, v := range h.All() {
		n += len(k) + len(v)
		_ = v
	}
	uri := ctx.Request.URI()
	method, path, query := h.Method(), uri.Path(), uri.QueryString()
	n += len(method) + len(path) + len(query)
	var b strings.Builder
	b.Grow(n)
	b.Write(method)
	b.Write(path)
	b.Write(query)
	count := 0
	for k, v := range h.All() {
		b.Write(k)
		b.Write(v)
		count++
	}
	all := b.String()
	cut := func(n int) (s string) {
		s, all = all[:n], all[n:]
		return s
	}
	x := &Exchange{srv: s, ctx: ctx, headers: make([][2]string, 0, count)}
	x.Method, x.Path, x.RawQuery = cut(len(method)), cut(len(path)), cut(len(query))
	for k, v := range h.All() {
		x.headers = append(x.headers, [2]string{cut(len(k)), cut(len(v))})
	}
	return x
}

// Header returns the first value of a header, by its name without case.
func (x *Exchange) Header(name string) string {
	for _, h := range x.headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// EachHeader calls f for every header line.
func (x *Exchange) EachHeader(f func(name, value string)) {
	for _, h := range x.headers {
		f(h[0], h[1])
	}
}

// Query returns the first value of a query parameter, decoded. Names have no
// case, as with ASP.NET (core-client-protocol 2.1).
func (x *Exchange) Query(name string) string {
	for _, p := range x.pairs() {
		if strings.EqualFold(p.key, name) {
			return p.value
		}
	}
	return ""
}

// QueryAll returns all values of a query parameter, decoded.
func (x *Exchange) QueryAll(name string) []string {
	var all []string
	for _, p := range x.pairs() {
		if strings.EqualFold(p.key, name) {
			all = append(all, p.value)
		}
	}
	return all
}

func (x *Exchange) pairs() []pair {
	if !x.parsed {
		x.parsed = true
		for part := range strings.SplitSeq(x.RawQuery, "&") {
			k, v, _ := strings.Cut(part, "=")
			if part != "" {
				x.query = append(x.query, pair{Unescape(k), Unescape(v)})
			}
		}
	}
	return x.query
}

// Unescape decodes a part of a query as browsers encode it; what is not valid
// stays as it is.
func Unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	d, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return d
}

// RemoteIP returns the address of the peer, without its port.
func (x *Exchange) RemoteIP() string { return x.ctx.RemoteIP().String() }

// TLS says whether the request came over TLS.
func (x *Exchange) TLS() bool {
	c := x.ctx.Conn()
	if u, ok := c.(*unread); ok {
		c = u.Conn
	}
	_, ok := c.(*tls.Conn)
	return ok
}

// IsWebSocket says whether the request is a WebSocket upgrade of RFC 6455, in
// HTTP/1.1 or, as Kestrel takes it too, 1.0.
func (x *Exchange) IsWebSocket() bool {
	return x.Method == "GET" && hasToken(x.Header("Upgrade"), "websocket") && hasToken(x.Header("Connection"), "upgrade") &&
		x.Header("Sec-WebSocket-Version") == "13" && x.Header("Sec-WebSocket-Key") != ""
}

// Accepts says whether the Accept header names a media type.
func (x *Exchange) Accepts(mediaType string) bool {
	for part := range strings.SplitSeq(x.Header("Accept"), ",") {
		t, _, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(t), mediaType) {
			return true
		}
	}
	return false
}

func hasToken(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), token) {
			return true
		}
	}
	return false
}

// Body returns the request's body. It is borrowed until the Handler returns.
func (x *Exchange) Body() []byte { return x.ctx.Request.Body() }

// Reply answers the request.
func (x *Exchange) Reply(r Response) {
	res := &x.ctx.Response
	res.SetStatusCode(r.Status)
	if r.Reason != "" {
		res.Header.SetStatusMessage([]byte(r.Reason))
	}
	if r.Type != "" {
		res.Header.SetContentType(r.Type)
	}
	for _, h := range r.Header {
		res.Header.Add(h[0], h[1])
	}
	x.allowOrigin()
	res.SetBody(r.Body)
	if r.Status == 431 || r.Status == 414 || r.Status == 413 {
		x.ctx.SetConnectionClose()
	}
}

func (x *Exchange) allowOrigin() {
	for line := range strings.SplitSeq(x.srv.o.corsLines(x.Header("Origin")), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			x.ctx.Response.Header.Set(name, value)
		}
	}
}

// preflight answers OPTIONS, without a look at token or id: browsers send one
// before each POST (core-client-protocol 11.2).
func (x *Exchange) preflight() {
	var h [][2]string
	if origin := x.Header("Origin"); origin != "" && x.srv.o.allows(origin) {
		method := x.Header("Access-Control-Request-Method")
		if method == "" {
			method = "GET,POST,DELETE"
		}
		h = append(h, [2]string{"Access-Control-Allow-Methods", method}, [2]string{"Access-Control-Max-Age", preflightAge})
		if asked := x.Header("Access-Control-Request-Headers"); asked != "" {
			h = append(h, [2]string{"Access-Control-Allow-Headers", asked})
		}
	}
	x.Reply(Response{Status: 204, Header: h})
}

// Carry makes this request a carrier of c; it is answered then. False says
// that c has a carrier already, or is on another transport, and that nothing
// was done. A newer poll takes the place of an older one.
func (x *Exchange) Carry(c *Conn, k Kind, f *Format) bool {
	c.mu.Lock()
	if c.kind == None {
		c.kind = k
	}
	if c.kind != k || k != LongPoll && c.claimed {
		c.mu.Unlock()
		return false
	}
	c.claimed = true
	car := &carrier{conn: c, kind: k, format: f, turn: c.turn}
	c.mu.Unlock()
	x.hijack(car)
	return true
}

// Resume makes this request the carrier of c, whatever has carried it before:
// that ends, with a close frame or a last chunk unless it stands within a
// message or does not take what is being written to it. What waits is replaced
// by these messages; the slice is c's from now on. Mark is handed to
// Format.Join. False says that c has ended; nothing was done then. Of several
// at once the last one stays. The Conn's Profile must have a Grace.
func (x *Exchange) Resume(c *Conn, k Kind, f *Format, mark string, messages []Queued) bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	c.retire()
	c.kind, c.claimed = k, true
	c.since = time.Now().UnixNano() // the peer is back
	c.turn++
	c.queue, c.queued = messages, 0
	for _, m := range messages {
		c.queued += len(m.Data)
	}
	c.largest = c.queued // all of it is one thing the peer asked for
	car := &carrier{conn: c, kind: k, format: f, turn: c.turn, mark: mark}
	c.mu.Unlock()
	x.hijack(car)
	return true
}

// hijack takes the request's socket for a carrier and starts its owner.
func (x *Exchange) hijack(car *carrier) {
	h := &x.ctx.Request.Header
	k, f := car.kind, car.format
	car.unchunked = !h.IsHTTP11()
	var head []byte
	switch k {
	case WebSocket:
		head = acceptance(x.Header("Sec-WebSocket-Key"), f)
	case EventStream:
		head = x.streamHead(f, car.unchunked)
	case LongPoll:
		car.cors = x.srv.o.corsLines(x.Header("Origin"))
		car.closes = h.ConnectionClose() || car.unchunked
	}
	srv := x.srv // the closure keeps neither the Exchange nor its memory
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(hc net.Conn) {
		nc, early := takeOver(hc)
		car.sock = newSocket(nc, early)
		if len(head) > 0 {
			nc.SetWriteDeadline(time.Now().Add(srv.o.WriteTimeout))
			nc.Write(head) // a failure shows at the first read
			nc.SetWriteDeadline(time.Time{})
		}
		srv.start(car)
	})
}

// acceptance is the answer to an upgrade (RFC 6455, 4.2.2).
func acceptance(key string, f *Format) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	for _, h := range f.UpgradeHeader {
		head += h[0] + ": " + h[1] + "\r\n"
	}
	return []byte(head + "\r\n")
}

func (x *Exchange) streamHead(f *Format, unchunked bool) []byte {
	var b bytes.Buffer
	kind := f.StreamType
	if kind == "" {
		kind = "text/event-stream"
	}
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\n")
	for _, h := range f.StreamHeader {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString(x.srv.o.corsLines(x.Header("Origin")))
	// The socket ends with the stream; a client that took it for reusable
	// would lose its next request.
	b.WriteString("Connection: close\r\n")
	if unchunked {
		b.WriteString("\r\n" + f.Preamble)
	} else {
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if f.Preamble != "" {
			b.WriteString(strings.ToUpper(hex(len(f.Preamble))) + "\r\n" + f.Preamble + "\r\n")
		}
	}
	return b.Bytes()
}
