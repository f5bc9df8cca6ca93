package aspnetlegacy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/transport"
)

// The transports, by the names that clients use.
const (
	webSockets       = "webSockets"
	serverSentEvents = "serverSentEvents"
	foreverFrame     = "foreverFrame"
	longPolling      = "longPolling"
)

var transports = []string{webSockets, serverSentEvents, foreverFrame, longPolling}

// eachTransport runs a test on every transport.
func eachTransport(t *testing.T, f func(t *testing.T, via string)) {
	for _, via := range transports {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			f(t, via)
		})
	}
}

// A client does what real ones do: it keeps the last cursor that it saw and
// brings it when it polls and reconnects.
type client struct {
	s     *service
	t     testing.TB
	login string   // access token
	con   string   // connection token
	id    string   // connection id
	data  string   // connectionData, escaped
	more  string   // further parameters
	mark  string   // messageId
	heard []string // elements that nobody has asked for yet
	channel
}

// A channel is what messages come by. Polls are made as they are read for.
type channel interface {
	// document returns the next one that is no keep-alive.
	document() (string, error)
	// cut ends the connection without a word.
	cut()
}

// negotiate returns a client that listens to hubs and has not connected yet.
// Claims are those of its token.
func (s *service) negotiate(hubs []string, claims ...string) *client {
	s.T.Helper()
	c := &client{s: s, t: s.T, login: s.token(claims...)}
	var list []string
	for _, h := range hubs {
		list = append(list, `{"name":"`+h+`"}`)
	}
	c.data = url.QueryEscape("[" + strings.Join(list, ",") + "]")
	r := s.Ask("GET", "/aspnetclient/negotiate?clientProtocol=2.1&connectionData="+c.data, c.login, "")
	var n struct{ ConnectionToken, ConnectionID string }
	if err := json.Unmarshal([]byte(r.Body), &n); r.Status != 200 || err != nil || n.ConnectionToken == "" {
		s.T.Fatalf("negotiate: %d %s", r.Status, r.Body)
	}
	c.con, c.id = n.ConnectionToken, n.ConnectionID
	return c
}

// connect takes a client of hubs to the point where it has started.
func (s *service) connect(a *app, via string, hubs []string, claims ...string) *client {
	s.T.Helper()
	c := s.negotiate(hubs, claims...)
	c.connect(via)
	a.opened(c.id)
	c.start(via)
	return c
}

// connected returns a service with one app, and a client of all the app's hubs.
func connected(t *testing.T, o aspnetlegacy.Options, via string, hubs ...string) (*service, *app, *client) {
	t.Helper()
	s := serve(t, o)
	a := s.app("server-1", hubs...)
	return s, a, s.connect(a, via, hubs)
}

// target is the URL of an action without scheme and host.
func (c *client) target(action, via string) string {
	t := "/aspnetclient/" + action + "?transport=" + via + "&clientProtocol=2.1&connectionToken=" + c.con + "&connectionData=" + c.data + c.more
	if c.mark != "" && (action == "poll" || action == "reconnect") {
		t += "&messageId=" + url.QueryEscape(c.mark)
	}
	if via == foreverFrame && (action == "connect" || action == "reconnect") {
		t += "&frameId=7"
	}
	return t
}

// connect opens a transport and expects the init message.
func (c *client) connect(via string) {
	c.t.Helper()
	c.mustOpen("connect", via)
	c.initialized("0")
}

// initialized expects the init message with a cursor.
func (c *client) initialized(mark string) {
	c.t.Helper()
	if got, err := c.document(); got != `{"C":"`+mark+`","S":1,"M":[]}` {
		c.t.Fatalf("init message is %q: %v", got, err)
	}
	c.mark = mark
}

// reconnect opens a transport with the cursor of the last message.
func (c *client) reconnect(via string) {
	c.t.Helper()
	c.mustOpen("reconnect", via)
}

// returns is reconnect until the app has heard of it; a poll is made for that.
func (c *client) returns(a *app, via string) {
	c.t.Helper()
	c.reconnect(via)
	if p, ok := c.channel.(*polls); ok {
		p.park()
	}
	a.heard(c.id, "asrs:reconnect")
}

func (c *client) mustOpen(action, via string) {
	c.t.Helper()
	if err := c.open(action, via); err != nil {
		c.t.Fatal(err)
	}
}

// open opens a transport, or returns a refusal.
func (c *client) open(action, via string) (err error) {
	switch via {
	case webSockets:
		c.channel, err = c.s.socket(c.target(action, via), c.login)
	case longPolling:
		c.channel = &polls{c: c, action: action}
	default:
		c.channel, err = c.s.stream(c.target(action, via), c.login, via == foreverFrame)
	}
	return err
}

func (c *client) start(via string) {
	c.t.Helper()
	if r := c.s.Ask("GET", c.target("start", via), c.login, ""); r.Status != 200 || r.Body != `{ "Response": "started" }` {
		c.t.Fatalf("start: %+v", r)
	}
}

// away cuts the transport and waits until the relay knows.
func (c *client) away() {
	c.t.Helper()
	if p, ok := c.channel.(*polls); ok && p.parked == nil {
		return
	}
	before := c.s.carriers()
	c.cut()
	nodetest.Until(c.t, "no transport", func() bool { return c.s.carriers() < before })
}

// says sends a message to the app, by its transport.
func (c *client) says(via, text string) {
	c.t.Helper()
	if w, ok := c.channel.(*socket); ok {
		if err := w.Write(ws.Text, []byte(text)); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	if r := c.post(via, text); r.Status != 200 || r.Body != "" || r.Header.Get("Content-Type") != "" {
		c.t.Fatalf("send: %+v", r)
	}
}

func (c *client) post(via, text string) nodetest.Reply {
	c.t.Helper()
	return c.s.Ask("POST", c.target("send", via), c.login, "data="+url.QueryEscape(text))
}

// abort ends the client from its side.
func (c *client) abort(via string) {
	c.t.Helper()
	r := c.s.Ask("POST", c.target("abort", via), c.login, "")
	if r.Status != 200 || r.Body != "" || r.Header.Get("Content-Type") != "text/plain" {
		c.t.Fatalf("abort: %+v", r)
	}
}

// A document is what a server sends at a time.
type document struct {
	C string
	S int
	M []json.RawMessage
	I *string
	E *string
}

// elements returns those of the next document, a bare response as one of
// them, and moves the cursor on.
func (c *client) elements() ([]string, error) {
	text, err := c.document()
	if err != nil {
		return nil, err
	}
	var d document
	switch err := json.Unmarshal([]byte(text), &d); {
	case err != nil:
		return nil, fmt.Errorf("%q: %w", text, err)
	case d.E != nil && d.I == nil:
		return nil, farewell(*d.E)
	case d.I != nil:
		return []string{text}, nil
	}
	if d.C != "" {
		c.mark = d.C
	}
	all := make([]string, len(d.M))
	for i, m := range d.M {
		all[i] = string(m)
	}
	return all, nil
}

// A farewell is the reason that a client is closed for.
type farewell string

func (f farewell) Error() string { return "closed: " + string(f) }

// hears expects elements, in whatever documents they come.
func (c *client) hears(want ...string) {
	c.t.Helper()
	for len(c.heard) < len(want) {
		all, err := c.elements()
		if err != nil {
			c.t.Fatalf("got %q and then %v, want %q", c.heard, err, want)
		}
		c.heard = append(c.heard, all...)
	}
	if got := c.heard[:len(want)]; !slices.Equal(got, want) {
		c.t.Fatalf("got %q, want %q", c.heard, want)
	}
	c.heard = c.heard[len(want):]
}

// ends expects the end of the transport, clean and without a message.
func (c *client) ends() {
	c.t.Helper()
	if len(c.heard) > 0 {
		c.t.Fatalf("got %q, want the end", c.heard)
	}
	if got, err := c.document(); !isEnd(err) {
		c.t.Fatalf("got %q, %v, want the end", got, err)
	}
}

// isEnd says whether a transport ended as it should: a WebSocket with 1000 and
// no reason, a stream with its last chunk, a poll with an answer of nothing.
func isEnd(err error) bool {
	var e *ws.CloseError
	return err == io.EOF || errors.As(err, &e) && e.Code == 1000 && e.Reason == ""
}

// lost expects the end of a WebSocket without a close frame.
func (c *client) lost() {
	c.t.Helper()
	got, err := c.document()
	var e *ws.CloseError
	if err == nil || errors.As(err, &e) {
		c.t.Fatalf("got %q, %v, want a cut", got, err)
	}
}

// told expects to be closed for a reason, and the end of the transport.
func (c *client) told(reason string) {
	c.t.Helper()
	if got, err := c.elements(); err != farewell(reason) || len(c.heard) > 0 {
		c.t.Fatalf("got %q, %v, want the reason %q", append(c.heard, got...), err, reason)
	}
	if _, ok := c.channel.(*polls); !ok {
		c.ends()
	}
}

// status returns that of a refusal, 0 if err is none.
func status(err error) int {
	var e *ws.StatusError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// ---- WebSockets ----

type socket struct{ *ws.Conn }

func (s *service) socket(target, token string) (*socket, error) {
	c, err := ws.Dial(s.T.Context(), "ws://"+s.Addr+target, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return nil, err
	}
	s.T.Cleanup(func() { c.NetConn().Close() })
	return &socket{c}, nil
}

func (w *socket) document() (string, error) {
	for {
		w.SetReadDeadline(time.Now().Add(nodetest.Patience))
		op, p, err := w.Read()
		switch {
		case err != nil:
			return "", err
		case op != ws.Text:
			return "", fmt.Errorf("message of opcode %d", op)
		case string(p) != "{}":
			return string(p), nil
		}
	}
}

func (w *socket) cut() { w.NetConn().Close() }

// ---- event streams and forever frames ----

type stream struct {
	nc    net.Conn
	r     *bufio.Reader
	res   *http.Response
	frame bool
	head  string // of a forever frame
}

// stream opens one by hand, to be able to cut it.
func (s *service) stream(target, token string, frame bool) (*stream, error) {
	nc, r, err := s.request("GET", target, token, "")
	if err != nil {
		return nil, err
	}
	st := &stream{nc: nc, res: r, r: bufio.NewReader(r.Body), frame: frame}
	if r.StatusCode != 200 {
		body, _ := io.ReadAll(r.Body)
		return nil, &ws.StatusError{Code: r.StatusCode, Body: string(body)}
	}
	if frame {
		st.head, err = st.through("<body>\r\n")
		return st, err
	}
	if got, err := st.through("\n\n"); got != "data: initialized\n\n" {
		return nil, fmt.Errorf("stream begins with %q: %w", got, err)
	}
	return st, nil
}

// request makes a request by hand and reads the head of the answer.
func (s *service) request(method, target, token, body string) (net.Conn, *http.Response, error) {
	nc, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return nil, nil, err
	}
	s.T.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(nodetest.Patience))
	if _, err := fmt.Fprintf(nc, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		method, target, token, len(body), body); err != nil {
		return nil, nil, err
	}
	r, err := http.ReadResponse(bufio.NewReader(nc), nil)
	return nc, r, err
}

// through reads up to a text and with it.
func (st *stream) through(end string) (string, error) {
	var b []byte
	for !bytes.HasSuffix(b, []byte(end)) {
		c, err := st.r.ReadByte()
		if err != nil {
			if len(b) > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return string(b), err
		}
		b = append(b, c)
	}
	return string(b), nil
}

func (st *stream) document() (string, error) {
	head, tail := "data: ", "\n\n"
	if st.frame {
		head, tail = "<script>r(c, ", ");</script>\r\n"
	}
	for {
		st.nc.SetDeadline(time.Now().Add(nodetest.Patience))
		got, err := st.through(tail)
		if err != nil {
			return "", err
		}
		text, ok := strings.CutPrefix(strings.TrimSuffix(got, tail), head)
		if !ok {
			return "", fmt.Errorf("not an event: %q", got)
		}
		if text == "{}" {
			continue
		}
		if st.frame { // as a browser reads it
			text = unescaped.Replace(text)
		}
		return text, nil
	}
}

var unescaped = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">")

func (st *stream) cut() { st.nc.Close() }

// ---- long polling ----

// polls are a chain of polls, each made when somebody reads.
type polls struct {
	c      *client
	action string // of the next poll
	parked *poll
}

// A poll is one that waits for its answer.
type poll struct {
	nc     net.Conn
	answer chan pollAnswer
}

type pollAnswer struct {
	nodetest.Reply
	err error
}

// park makes the next poll, which waits.
func (p *polls) park() *poll {
	if p.parked == nil {
		p.parked = p.c.poll(p.action)
		p.action = "poll"
	}
	return p.parked
}

// poll makes one poll.
func (c *client) poll(action string) *poll {
	p := &poll{answer: make(chan pollAnswer, 1)}
	nc, err := net.Dial("tcp", c.s.Addr)
	if err != nil {
		p.answer <- pollAnswer{err: err}
		return p
	}
	c.s.T.Cleanup(func() { nc.Close() })
	p.nc = nc
	nc.SetDeadline(time.Now().Add(nodetest.Patience))
	fmt.Fprintf(nc, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", c.target(action, longPolling), c.login)
	go func() { // ends with the answer or the socket
		defer nc.Close()
		r, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			p.answer <- pollAnswer{err: err}
			return
		}
		body, err := io.ReadAll(r.Body)
		p.answer <- pollAnswer{nodetest.Reply{Status: r.StatusCode, Line: r.Status, Body: string(body), Header: r.Header}, err}
	}()
	return p
}

// parkedPoll makes one poll and returns once the relay holds it. It must be the
// only one there.
func (c *client) parkedPoll() *poll {
	c.t.Helper()
	p := c.poll("poll")
	nodetest.Until(c.t, "a parked poll", func() bool { return c.s.carriers(transport.LongPoll) == 1 })
	return p
}

// document returns the next one that says something; the end is an answer of
// nothing to a poll whose client is no longer known.
func (p *polls) document() (string, error) {
	a := <-p.park().answer
	p.parked = nil
	switch {
	case a.err != nil:
		return "", a.err
	case a.Status == 404:
		return "", io.EOF
	case a.Status != 200:
		return "", &ws.StatusError{Code: a.Status, Body: a.Body}
	}
	text := strings.TrimLeft(a.Body, " ") // keep-alives
	if text == `{"C":"`+p.c.mark+`","M":[]}` {
		return p.document()
	}
	return text, nil
}

func (p *polls) cut() {
	if p.parked != nil {
		p.parked.nc.Close()
		p.parked = nil
	}
}
