package suite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A rightClient does what a scenario asks for, but for the one fault that it is
// given by name.
type rightClient struct {
	ctx   context.Context
	base  string // of the scenario
	fault string
	token string // of the app
	own   string // query of the app, as it is written
	// Of ASP.NET Core SignalR.
	stateful, pack bool
	// What a redirect gave.
	address *url.URL
	bearer  string
}

func (c *rightClient) wrong(fault string) bool { return c.fault == fault }

// errEnded is the end of a connection.
var errEnded = errors.New("ended")

// request makes one HTTP request, with the token as a header.
func (c *rightClient) request(method string, u string, body string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(c.ctx, method, u, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, values := range c.header() {
		r.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

func (c *rightClient) header() http.Header {
	h := http.Header{"User-Agent": {"right client"}}
	if c.bearer != "" {
		h.Set("Authorization", "Bearer "+c.bearer)
	}
	return h
}

// said tells the judge what the app was told.
func (c *rightClient) said(text string) error {
	_, _, err := c.request("POST", c.base+"/said", text)
	return err
}

// with is the address with a path behind its own and members added to its query.
func (c *rightClient) with(path string, members ...string) string {
	u := *c.address
	u.Path += path
	u.Path = strings.ReplaceAll(u.Path, "//", "/")
	q := u.Query()
	for i := 0; i < len(members); i += 2 {
		q.Set(members[i], members[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// An answer is what negotiate answers.
type answer struct {
	URL, AccessToken, Error       string
	ConnectionID, ConnectionToken string
	AvailableTransports           []struct{ Transport string }
	RedirectURL, ProtocolVersion  string
}

func (c *rightClient) negotiate() (a answer, err error) {
	c.address, err = url.Parse(c.base + "/hub")
	if err != nil {
		return a, err
	}
	c.bearer = c.token
	limit := 100
	if c.wrong("follows redirects without end") {
		limit = 1000
	}
	for range limit {
		q := []string{"negotiateVersion", "1"}
		if c.stateful {
			q = append(q, "useStatefulReconnect", "true")
		}
		method := "POST"
		if c.wrong("negotiates by GET") {
			method = "GET"
		}
		status, body, err := c.request(method, c.with("/negotiate", q...), "")
		if err == nil && status != 200 {
			err = fmt.Errorf("negotiate: status %d", status)
		}
		if err != nil {
			return a, err
		}
		a = answer{}
		if err := json.Unmarshal(body, &a); err != nil {
			return a, err
		}
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		if a.URL == "" {
			return a, nil
		}
		if c.address, err = url.Parse(a.URL); err != nil {
			return a, err
		}
		if c.wrong("drops the query of a redirect") {
			c.address.RawQuery = ""
		}
		if a.AccessToken != "" && !c.wrong("keeps the app's token after a redirect") {
			c.bearer = a.AccessToken
		}
	}
	return a, errors.New("redirected too often")
}

// A hubConn is an open connection of the right client to a Core hub.
type hubConn struct {
	c        *rightClient
	id       string
	socket   *ws.Conn // nil over long polling
	in       []string
	received int      // number of the last tracked message that came
	top      int      // the highest of them
	unacked  []string // tracked messages of ours
	sent     int
	waiting  bool             // for a Sequence
	pack     suite.ClientPack // reads MessagePack, where that is spoken
}

// connect negotiates and opens.
func (c *rightClient) connect() (*hubConn, error) {
	a, err := c.negotiate()
	if err != nil {
		return nil, err
	}
	if c.wrong("negotiates twice") {
		if a, err = c.negotiate(); err != nil {
			return nil, err
		}
	}
	h := &hubConn{c: c, id: a.ConnectionToken}
	if h.id == "" || c.wrong("takes the connection id for the token") {
		h.id = a.ConnectionID
	}
	if len(a.AvailableTransports) > 0 && a.AvailableTransports[0].Transport == "LongPolling" {
		if status, _, err := c.request("GET", c.with("", "id", h.id), ""); err != nil || status != 200 {
			return nil, fmt.Errorf("first poll: %d, %w", status, err)
		}
	} else if err := h.open(); err != nil {
		return nil, err
	}
	return h, h.handshake()
}

func (h *hubConn) open() (err error) {
	header := h.c.header()
	if h.c.wrong("upgrades without the token") {
		header.Del("Authorization")
	}
	h.socket, err = ws.Dial(h.c.ctx, h.c.with("", "id", h.id), header)
	if err != nil {
		return err
	}
	socket := h.socket
	context.AfterFunc(h.c.ctx, func() { socket.NetConn().Close() })
	return nil
}

func (h *hubConn) handshake() error {
	version, end := 1, "\x1e"
	if h.c.stateful {
		version = 2
	}
	if h.c.wrong("ends the handshake without a separator") {
		end = ""
	}
	protocol := "json"
	if h.c.pack {
		protocol = "messagepack"
	}
	if err := h.writeBytes([]byte(fmt.Sprintf(`{"protocol":%q,"version":%d}%s`, protocol, version, end))); err != nil {
		return err
	}
	if h.c.wrong("calls before the handshake is answered") {
		if err := h.call("Echo", "1", "x"); err != nil {
			return err
		}
	}
	if err := h.fill(); err != nil {
		return err
	}
	first := h.in[0]
	h.in = h.in[1:]
	if h.c.wrong("drops what comes with the handshake answer") {
		h.in = nil
	}
	var a struct{ Error string }
	if err := json.Unmarshal([]byte(first), &a); err != nil {
		return err
	}
	if a.Error != "" && !h.c.wrong("takes a refused handshake for a granted one") {
		h.close()
		return errors.New(a.Error)
	}
	return h.write(`{"type":6}` + "\x1e")
}

// write says one message, which ends with its separator.
func (h *hubConn) write(s string) error {
	b := []byte(s)
	if h.c.pack && !h.c.wrong("speaks JSON after a handshake for MessagePack") {
		var err error
		if b, err = suite.Packed(strings.TrimSuffix(s, "\x1e")); err != nil {
			return err
		}
	}
	return h.writeBytes(b)
}

func (h *hubConn) writeBytes(b []byte) error {
	if h.socket == nil {
		_, _, err := h.c.request("POST", h.c.with("", "id", h.id), string(b))
		return err
	}
	op := ws.Text
	if h.c.pack {
		op = ws.Binary
	}
	return h.socket.Write(op, b)
}

// fill waits for what the server says next.
func (h *hubConn) fill() error {
	for len(h.in) == 0 {
		var p []byte
		var err error
		if h.socket != nil {
			_, p, err = h.socket.Read()
		} else {
			p, err = h.poll()
		}
		if err != nil {
			return errors.Join(errEnded, err)
		}
		if h.c.pack {
			h.in = append(h.in, h.pack.Receive(p)...)
			continue
		}
		for _, m := range bytes.Split(bytes.TrimSuffix(p, []byte{0x1e}), []byte{0x1e}) {
			if len(m) > 0 {
				h.in = append(h.in, string(m))
			}
		}
	}
	return nil
}

// poll waits for what the server says over long polling.
func (h *hubConn) poll() ([]byte, error) {
	for {
		status, p, err := h.c.request("GET", h.c.with("", "id", h.id), "")
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusOK:
			return p, nil
		case !h.c.wrong("polls on after 401"):
			return nil, fmt.Errorf("poll: status %d", status)
		}
	}
}

type hubMessage struct {
	Type           int
	Target         string
	Arguments      []any
	InvocationID   string
	Result         any
	Error          string
	AllowReconnect bool
	SequenceID     int
}

// next returns what the app should know of.
func (h *hubConn) next() (m hubMessage, err error) {
	for {
		if err = h.fill(); err != nil {
			return m, err
		}
		m = hubMessage{}
		text := h.in[0]
		h.in = h.in[1:]
		if err = json.Unmarshal([]byte(text), &m); err != nil {
			return m, err
		}
		if h.waiting && m.Type != 9 {
			continue
		}
		switch m.Type {
		case 1, 2, 3, 4, 5:
			if h.received++; h.c.stateful && h.seen() {
				continue
			}
			if h.c.stateful && !h.c.wrong("never acknowledges") {
				if err := h.write(fmt.Sprintf(`{"type":8,"sequenceId":%d}`, h.received) + "\x1e"); err != nil {
					return m, err
				}
			}
			return m, nil
		case 6:
		case 7:
			h.close()
			return m, nil
		case 8:
			if !h.c.wrong("sends again what is acknowledged") {
				h.unacked = h.unacked[len(h.unacked)-(h.sent-m.SequenceID):]
			}
		case 9:
			h.waiting = false
			h.received = m.SequenceID - 1
		default:
			if h.c.wrong("ends at a type it does not know") {
				h.close()
				return m, errEnded
			}
		}
	}
}

// seen says whether a message was received before.
func (h *hubConn) seen() bool {
	if h.received > h.top {
		h.top = h.received
		return false
	}
	return !h.c.wrong("takes a message twice")
}

// again opens the connection again with the same id.
func (h *hubConn) again() error {
	if err := h.open(); err != nil {
		return err
	}
	h.in, h.waiting = nil, true
	if !h.c.wrong("sends no Sequence") {
		if err := h.write(fmt.Sprintf(`{"type":9,"sequenceId":%d}`, h.sent-len(h.unacked)+1) + "\x1e"); err != nil {
			return err
		}
	}
	for _, m := range h.unacked {
		if err := h.write(m); err != nil {
			return err
		}
	}
	return nil
}

// call calls a method; with id "" no answer is wanted.
func (h *hubConn) call(target, id string, args ...any) error {
	m := map[string]any{"type": 1, "target": target, "arguments": args}
	if id != "" {
		m["invocationId"] = id
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	h.sent++
	h.unacked = append(h.unacked, string(b)+"\x1e")
	return h.write(string(b) + "\x1e")
}

// result waits for the answer of a call.
func (h *hubConn) result(id string) (any, error) {
	for {
		m, err := h.next()
		if err != nil {
			return nil, err
		}
		if m.Type == 3 && (m.InvocationID == id || h.c.wrong("takes any answer for its own")) {
			return m.Result, nil
		}
	}
}

func (h *hubConn) close() {
	if h.socket != nil {
		h.socket.NetConn().SetWriteDeadline(time.Now().Add(time.Second))
		_ = h.socket.Close(1005, "")
		return
	}
	if !h.c.wrong("leaves long polling without DELETE") {
		_, _, _ = h.c.request("DELETE", h.c.with("", "id", h.id), "")
	}
}

// echoStop is how most scenarios end.
func (h *hubConn) echoStop() error {
	if err := h.call("Echo", "9", "x"); err != nil {
		return err
	}
	r, err := h.result("9")
	if err != nil {
		return err
	}
	if err := h.call("Got", "", r); err != nil {
		return err
	}
	if h.c.wrong("never stops") {
		<-h.c.ctx.Done()
	}
	h.close()
	return nil
}

// greeted answers hello and ends.
func (h *hubConn) greeted() error {
	for {
		m, err := h.next()
		if err != nil {
			return err
		}
		if m.Type != 1 {
			continue
		}
		if err := h.call("Got", "", m.Arguments...); err != nil {
			return err
		}
		return h.echoStop()
	}
}

// coreTasks are what scenarios ask of a client of ASP.NET Core SignalR.
var coreTasks = map[string]func(*rightClient) error{
	"websockets":          then((*hubConn).greeted),
	"negotiate-version-1": then((*hubConn).echoStop),
	"polling":             then((*hubConn).greeted),
	"handshake-joined":    then((*hubConn).greeted),
	"unknown-type":        then((*hubConn).echoStop),
	"redirect":            then((*hubConn).echoStop),
	"token-websockets":    then((*hubConn).echoStop),
	"redirect-loop":       failing,
	"handshake-error":     failing,
	"negotiate-404":       failing,
	"negotiate-error":     failing,
	"completion-unknown":  then((*hubConn).echoStop),
	"close": then(func(h *hubConn) error {
		m, err := h.next()
		if err != nil {
			return err
		}
		if m.Type == 7 && !m.AllowReconnect && !h.c.wrong("reconnects though it must not") {
			return h.c.said("closed")
		}
		if err := h.c.said("closed"); err != nil {
			return err
		}
		_, err = h.c.connect()
		return err
	}),
	"close-reconnect": then(func(h *hubConn) error {
		if _, err := h.next(); err != nil {
			return err
		}
		if h.c.wrong("stays away though it may come back") {
			return nil
		}
		if h.c.wrong("comes back with the old id") {
			return h.open()
		}
		h, err := h.c.connect()
		if err != nil {
			return err
		}
		return h.echoStop()
	}),
	"server-timeout": then(func(h *hubConn) error {
		if h.c.wrong("waits for ever") {
			_, err := h.next()
			return err
		}
		h.socket.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, _ = h.next()
		h.close()
		return nil
	}),
	"polling-401": then(func(h *hubConn) error {
		if _, err := h.next(); !errors.Is(err, errEnded) {
			return err
		}
		return h.c.said("closed")
	}),
	"stateful":              stateful,
	"stateful-acknowledged": stateful,
	"stateful-ack":          stateful,
}

// then connects, and lives.
func then(life func(*hubConn) error) func(*rightClient) error {
	return func(c *rightClient) error {
		h, err := c.connect()
		if err != nil {
			return err
		}
		return life(h)
	}
}

// failing tells how start failed.
func failing(c *rightClient) error {
	h, err := c.connect()
	if err == nil {
		return h.echoStop()
	}
	if c.wrong("tries again after a failed start") {
		_, _ = c.connect()
	}
	text := err.Error()
	if c.wrong("hides the server's error") {
		text = "something went wrong"
	}
	return c.said(text)
}

// stateful answers each hello, over as many WebSockets as it takes.
func stateful(c *rightClient) error {
	c.stateful = true
	h, err := c.connect()
	if err != nil {
		return err
	}
	for {
		m, err := h.next()
		if err != nil {
			if c.ctx.Err() != nil {
				return err
			}
			if c.wrong("negotiates anew though it has an id") {
				_, err := c.connect()
				return err
			}
			if err := h.again(); err != nil {
				return err
			}
			continue
		}
		if m.Type == 1 {
			if err := h.call("Got", "", m.Arguments...); err != nil {
				return err
			}
		}
	}
}

// A frame is what an ASP.NET SignalR server says.
type frame struct {
	C, G, E string
	S, T    int
	M       []struct {
		H, M string
		A    []any
	}
	I string
}

// A legacyConn is a WebSocket of the right client to ASP.NET SignalR hubs.
type legacyConn struct {
	c            *rightClient
	token        string
	cursor, team string
	socket       *ws.Conn
	calls        int
}

const chatData = `[{"name":"chat"}]`

func (l *legacyConn) query(more ...string) []string {
	return append([]string{"transport", "webSockets", "clientProtocol", "2.1", "connectionToken", l.token, "connectionData", chatData}, more...)
}

// legacyConnect negotiates, opens, and starts.
func (c *rightClient) legacyConnect() (*legacyConn, error) {
	var err error
	if c.address, err = url.Parse(c.base + "/signalr"); err != nil {
		return nil, err
	}
	c.address.RawQuery = c.own
	a := answer{}
	for range 100 {
		_, body, err := c.request("GET", c.with("/negotiate", "clientProtocol", "2.1", "connectionData", chatData), "")
		if err != nil {
			return nil, err
		}
		a = answer{}
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, err
		}
		if !slices.Contains([]string{"1.5", "2.0", "2.1"}, a.ProtocolVersion) && !c.wrong("takes any version") {
			return nil, fmt.Errorf("version %s is not mine", a.ProtocolVersion)
		}
		if a.RedirectURL == "" {
			break
		}
		if c.address, err = url.Parse(a.RedirectURL); err != nil {
			return nil, err
		}
		c.bearer = a.AccessToken
		if c.wrong("follows a redirect without its token") {
			c.bearer = ""
		}
	}
	l := &legacyConn{c: c, token: a.ConnectionToken}
	if err := l.open("/connect"); err != nil {
		return nil, err
	}
	if c.wrong("starts before the server is ready") {
		return l, l.start()
	}
	for {
		f, err := l.read()
		if err != nil {
			return nil, err
		}
		if f.S == 1 {
			return l, l.start()
		}
	}
}

func (l *legacyConn) start() error {
	if l.c.wrong("never asks for start") {
		return nil
	}
	_, _, err := l.c.request("GET", l.c.with("/start", l.query()...), "")
	return err
}

func (l *legacyConn) open(path string, more ...string) (err error) {
	l.socket, err = ws.Dial(l.c.ctx, l.c.with(path, l.query(more...)...), l.c.header())
	if err != nil {
		return err
	}
	socket := l.socket
	context.AfterFunc(l.c.ctx, func() { socket.NetConn().Close() })
	return nil
}

func (l *legacyConn) read() (f frame, err error) {
	_, p, err := l.socket.Read()
	if err != nil {
		return f, errors.Join(errEnded, err)
	}
	if err := json.Unmarshal(p, &f); err != nil {
		return f, err
	}
	if f.C != "" {
		l.cursor = f.C
	}
	if f.G != "" {
		l.team = f.G
	}
	return f, nil
}

func (l *legacyConn) call(method string, args ...any) error {
	b, err := json.Marshal(map[string]any{"H": "chat", "M": method, "A": args, "I": l.calls})
	l.calls++
	if err != nil {
		return err
	}
	return l.socket.Write(ws.Text, b)
}

// stop closes and aborts.
func (l *legacyConn) stop() error {
	_ = l.socket.Close(1005, "")
	if l.c.wrong("stops without abort") {
		return nil
	}
	_, _, err := l.c.request("POST", l.c.with("/abort", l.query()...), "")
	return err
}

// again opens the connection again.
func (l *legacyConn) again() error {
	q := []string{"messageId", l.cursor, "groupsToken", l.team}
	switch {
	case l.c.wrong("reconnects without its cursor"):
		q = q[2:]
	case l.c.wrong("reconnects without its groups"):
		q = q[:2]
	case l.c.wrong("connects instead of reconnecting"):
		return l.open("/connect", q...)
	}
	return l.open("/reconnect", q...)
}

// legacyLife calls Echo so often before hello and after it, answers hello, and
// stops.
func legacyLife(before, after int) func(*rightClient) error {
	return func(c *rightClient) error {
		l, err := c.legacyConnect()
		if err != nil {
			return c.said(err.Error())
		}
		for range before {
			if err := l.call("Echo", "x"); err != nil {
				return err
			}
		}
		for {
			f, err := l.read()
			switch {
			case c.ctx.Err() != nil:
				return err
			case errors.Is(err, errEnded):
				if err := l.again(); err != nil {
					return err
				}
				continue
			case err != nil:
				return err
			}
			if f.E != "" {
				l.socket.Close(1005, "")
				if err := c.said(f.E); err != nil || !c.wrong("reconnects after an error frame") {
					return err
				}
				return l.again()
			}
			for _, m := range f.M {
				if err := l.call("Got", m.A...); err != nil {
					return err
				}
			}
			// Calls are numbered: before, the one that answers hello, after.
			switch n, err := strconv.Atoi(f.I); {
			case err != nil || n < before:
			case n == before+after:
				return l.stop()
			default:
				if err := l.call("Echo", "x"); err != nil {
					return err
				}
			}
		}
	}
}

// legacyTasks are what scenarios ask of a client of ASP.NET SignalR.
var legacyTasks = map[string]func(*rightClient) error{
	"legacy-websockets":  legacyLife(0, 1),
	"legacy-init-late":   legacyLife(0, 1),
	"legacy-version-old": legacyLife(0, 1),
	"legacy-reconnect":   legacyLife(1, 0),
	"legacy-error-frame": legacyLife(1, 0),
	"legacy-redirect": func(c *rightClient) error {
		l, err := c.legacyConnect()
		if err != nil {
			return err
		}
		if err := l.call("Echo", "x"); err != nil {
			return err
		}
		if _, err := l.read(); err != nil {
			return err
		}
		return l.stop()
	},
}
