package suite_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A mutation is one thing that a server does wrong.
type mutation struct {
	name string
	by   string // the case that finds it
	got  string // what came instead, or a part of it; "" when nothing came
	wrong
}

// A wrong is what a server does that it should not: what a proxy in front of one
// that is right changes. What is nil stays as it is.
type wrong struct {
	answer func(*http.Response) // any HTTP answer
	says   change               // what the server says on a connection, whatever carries it
	hears  change               // what the client says
	pieces func(string) string  // what the client says in a frame that is no whole message
	// gossip are messages that all other WebSockets hear too.
	gossip string
	// door is before all of it.
	door func(http.Handler) http.Handler
}

// A change makes what changes the messages of one carrier, in their order.
type change func() func(message) []message

// A message is a WebSocket frame, or what an event or the answer to a poll holds.
// Where records of json come together, each is a message.
type message struct {
	op   byte
	data string
	// joined says that it came behind another in the same frame, event or body.
	joined bool
}

// The opcodes that are no text or bytes, and two that stand for what is no frame:
// the end without a close frame, and no end although the server has ended.
const (
	opClose byte = 0x8
	opPong  byte = 0xA
	cut     byte = 0xE
	stay    byte = 0xF
)

// each changes a message whatever was before.
func each(f func(message) []message) change {
	return func() func(message) []message { return f }
}

// replaced is text with other text for some of it.
func replaced(oldnew ...string) change {
	r := strings.NewReplacer(oldnew...)
	return each(func(m message) []message { return []message{{op: m.op, data: r.Replace(m.data)}} })
}

// instead has other messages for those that hold a text.
func instead(of string, others ...message) change {
	return each(func(m message) []message {
		if m.op < opClose && strings.Contains(m.data, of) {
			return others
		}
		return []message{m}
	})
}

// after adds messages behind those that hold a text.
func after(text string, more ...message) change {
	return each(func(m message) []message {
		if m.op < opClose && strings.Contains(m.data, text) {
			return append([]message{m}, more...)
		}
		return []message{m}
	})
}

// record is a message of json.
func record(json string) message { return message{op: ws.Text, data: json + "\x1e"} }

// A wrongServer is a hub behind a proxy. A redirect leads to the proxy again.
type wrongServer struct {
	wrong
	home, url *url.URL // of the hub, and of the proxy

	mu    sync.Mutex
	moved *url.URL                  // where the hub sends its clients
	live  map[*wrongSocket]struct{} // those that hear gossip
}

// startWrong has a proxy in front of a hub until the test ends.
func startWrong(t *testing.T, e *suite.Endpoint, w wrong) *suite.Endpoint {
	t.Helper()
	s := &wrongServer{wrong: w, home: e.URL, live: map[*wrongSocket]struct{}{}}
	between := &httputil.ReverseProxy{
		Rewrite: s.rewrite, ModifyResponse: s.respond, FlushInterval: -1,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // clients go when they like
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil // an answer without one keeps none
		between.ServeHTTP(w, r)
	})
	if w.door != nil {
		handler = w.door(handler)
	}
	proxy := httptest.NewServer(handler)
	t.Cleanup(func() { proxy.CloseClientConnections(); proxy.Close() })
	var err error
	if s.url, err = url.Parse(proxy.URL); err != nil {
		t.Fatal(err)
	}
	own := *e
	own.URL = &url.URL{Scheme: "http", Host: s.url.Host, Path: e.URL.Path}
	return &own
}

func (s *wrongServer) rewrite(r *httputil.ProxyRequest) {
	to := s.home
	s.mu.Lock()
	if s.moved != nil && strings.HasPrefix(r.In.URL.Path, s.moved.Path) {
		to = s.moved
	}
	s.mu.Unlock()
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", to.Host, to.Host
	if s.hears == nil || r.In.Method != http.MethodPost || !r.In.URL.Query().Has("id") {
		return
	}
	body, err := io.ReadAll(r.In.Body)
	if err != nil {
		return // the client went
	}
	body = changed(s.hears(), ws.Text, body)
	r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

func (s *wrongServer) respond(r *http.Response) error {
	path := r.Request.URL.Path
	if strings.HasSuffix(path, "/negotiate") {
		s.move(r)
	}
	if s.answer != nil {
		s.answer(r)
	}
	switch {
	case r.StatusCode == http.StatusSwitchingProtocols:
		s.carry(r)
	case s.says == nil:
	case isEvents(r):
		s.tell(r)
	case r.Request.Method == http.MethodGet && r.StatusCode == http.StatusOK && !strings.HasSuffix(path, "/negotiate"):
		setBody(r, func(b []byte) []byte { return changed(s.says(), ws.Text, b) })
	}
	return nil
}

// redirect finds where a negotiate answer of either flavour leads.
var redirect = regexp.MustCompile(`"(?:url|RedirectUrl)":"([^"]*)"`)

// move has a redirect lead to the proxy.
func (s *wrongServer) move(r *http.Response) {
	setBody(r, func(b []byte) []byte {
		found := redirect.FindSubmatch(b)
		if found == nil {
			return b
		}
		to, err := url.Parse(string(found[1]))
		if err != nil {
			return b
		}
		s.mu.Lock()
		s.moved = to
		s.mu.Unlock()
		return bytes.Replace(b, []byte("//"+to.Host), []byte("//"+s.url.Host), 1)
	})
}

// tell changes the events of a stream; what is no data stays.
func (s *wrongServer) tell(r *http.Response) {
	in, lines, say := r.Body, bufio.NewReader(r.Body), s.says()
	body, out := io.Pipe()
	r.Body = body
	go func() { // ends with the stream, or when nobody reads it
		defer in.Close()
		for {
			line, err := lines.ReadString('\n')
			if data, ok := strings.CutPrefix(line, "data: "); ok && err == nil {
				var blank string
				blank, err = lines.ReadString('\n')
				text := strings.TrimRight(data, "\r\n")
				end := data[len(text):] + blank
				line = ""
				for _, m := range apply(say, ws.Text, []byte(text)) {
					line += "data: " + m.data + end
				}
			}
			if _, e := io.WriteString(out, line); e != nil {
				return
			}
			if err != nil {
				out.CloseWithError(err)
				return
			}
		}
	}()
}

// carry changes what a WebSocket carries.
func (s *wrongServer) carry(r *http.Response) {
	server, ok := r.Body.(io.ReadWriteCloser)
	if !ok || s.says == nil && s.hears == nil && s.pieces == nil && s.gossip == "" {
		return
	}
	c := &wrongSocket{server: server, pieces: s.pieces, gone: make(chan struct{})}
	c.Reader, c.out = io.Pipe()
	c.say, c.hear = func(m message) []message { return []message{m} }, func(m message) []message { return []message{m} }
	if s.says != nil {
		c.say = s.says()
	}
	if s.hears != nil {
		c.hear = s.hears()
	}
	s.mu.Lock()
	s.live[c] = struct{}{}
	s.mu.Unlock()
	r.Body = c
	go func() { // ends with the connection to the server
		err := c.speak(s)
		s.mu.Lock()
		delete(s.live, c)
		s.mu.Unlock()
		c.out.CloseWithError(err)
	}()
}

// A wrongSocket is a WebSocket to the server.
type wrongSocket struct {
	io.Reader // what the client shall see
	server    io.ReadWriteCloser
	say, hear func(message) []message
	pieces    func(string) string
	heard     []byte // of a frame of the client that is not whole
	gone      chan struct{}
	going     sync.Once

	writing sync.Mutex
	out     *io.PipeWriter
}

// speak has the client see what the server says.
func (c *wrongSocket) speak(s *wrongServer) error {
	in := bufio.NewReader(c.server)
	for {
		raw, m, err := readFrame(in)
		if err != nil {
			return err
		}
		if m.op == 0 { // a piece of a message
			if err := c.see(raw); err != nil {
				return err
			}
			continue
		}
		if s.gossip != "" && strings.Contains(m.data, s.gossip) {
			for _, other := range s.others(c) {
				other.see(appendFrame(nil, m, 0)) // or it has gone
			}
		}
		for _, m := range apply(c.say, m.op, []byte(m.data)) {
			switch m.op {
			case stay:
				<-c.gone
				return io.EOF
			case cut:
				return io.EOF
			}
			if err := c.see(appendFrame(nil, m, 0)); err != nil {
				return err
			}
		}
	}
}

// others are all WebSockets but one.
func (s *wrongServer) others(one *wrongSocket) (all []*wrongSocket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.live {
		if c != one {
			all = append(all, c)
		}
	}
	return all
}

func (c *wrongSocket) see(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.out.Write(b)
	return err
}

// Write takes what the client says.
func (c *wrongSocket) Write(p []byte) (int, error) {
	c.heard = append(c.heard, p...)
	for {
		in := bytes.NewReader(c.heard)
		raw, m, err := readFrame(bufio.NewReader(in))
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return len(p), nil
		}
		if err != nil {
			return 0, err
		}
		c.heard = c.heard[len(raw):]
		switch {
		case m.op == 0 && c.pieces != nil:
			piece := appendFrame(nil, message{data: c.pieces(m.data)}, 0x80)
			piece[0] = raw[0]
			_, err = c.server.Write(piece)
		case m.op == 0:
			_, err = c.server.Write(raw)
		default:
			for _, m := range apply(c.hear, m.op, []byte(m.data)) {
				if _, err = c.server.Write(appendFrame(nil, m, 0x80)); err != nil {
					break
				}
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

// Close ends the connection to the server.
func (c *wrongSocket) Close() error {
	c.going.Do(func() { close(c.gone) })
	return c.server.Close()
}

// readFrame reads a frame of either side. A piece of a message has the opcode 0.
func readFrame(r *bufio.Reader) (raw []byte, m message, err error) {
	take := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(r, b)
		}
		raw = append(raw, b...)
		return b
	}
	head := take(2)
	size := int(head[1] & 0x7F)
	switch size {
	case 126:
		size = int(binary.BigEndian.Uint16(take(2)))
	case 127:
		size = int(binary.BigEndian.Uint64(take(8)))
	}
	key := make([]byte, 4)
	if head[1]&0x80 != 0 {
		key = take(4)
	}
	if err != nil {
		return nil, m, err
	}
	body := slices.Clone(take(size))
	for i := range body {
		body[i] ^= key[i&3]
	}
	if head[0]&0x80 != 0 {
		m.op = head[0] & 0xF
	}
	m.data = string(body)
	return raw, m, err
}

// appendFrame writes a whole frame. Mask is 0x80 for a client's, whose key is 0
// (RFC 6455 section 5.2).
func appendFrame(dst []byte, m message, mask byte) []byte {
	dst = append(dst, 0x80|m.op)
	switch n := len(m.data); {
	case n < 126:
		dst = append(dst, mask|byte(n))
	case n < 1<<16:
		dst = append(dst, mask|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
	}
	if mask != 0 {
		dst = append(dst, 0, 0, 0, 0)
	}
	return append(dst, m.data...)
}

// apply changes one or more records.
func apply(f func(message) []message, op byte, b []byte) (all []message) {
	if op != ws.Text {
		return f(message{op: op, data: string(b)})
	}
	for i, part := range strings.SplitAfter(string(b), "\x1e") {
		if part != "" {
			all = append(all, f(message{op, part, i > 0})...)
		}
	}
	return all
}

// changed is a body of records.
func changed(f func(message) []message, op byte, b []byte) (body []byte) {
	for _, m := range apply(f, op, b) {
		body = append(body, m.data...)
	}
	return body
}

func isEvents(r *http.Response) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream")
}

// setBody changes the body of an answer that is no stream.
func setBody(r *http.Response, f func([]byte) []byte) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went
	}
	b = f(b)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	r.Header.Del("Content-Length")
}
