package aspnetcore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

const (
	key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH" // the public key of Microsoft's emulator
	// patience bounds the wait for what must happen; only a failing test needs it.
	patience = 10 * time.Second
	// rs ends messages of the json protocol.
	rs = "\x1e"
	// hello is the usual handshake request.
	hello = `{"protocol":"json","version":1}` + rs

	clientAudience = "http://localhost/client/?hub=chat"
	serverAudience = "http://localhost/server/?hub=chat"
)

// A service is an adapter that listens.
type service struct {
	*aspnetcore.Adapter
	t     testing.TB
	relay *relay.Relay
	srv   *transport.Server
	keys  *auth.Keys
	addr  string
	http  *http.Client
}

func serve(t testing.TB, o aspnetcore.Options) *service {
	return serveNode(t, aspnet.Options{}, o)
}

func serveNode(t testing.TB, n aspnet.Options, o aspnetcore.Options) *service {
	keys, err := auth.NewKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	n.Keys, n.InstanceID = keys, "node-1"
	n.Logger = slog.New(slog.DiscardHandler)
	s := &service{t: t, relay: relay.New(), keys: keys}
	s.Adapter = aspnetcore.New(aspnet.NewNode(s.relay, n), o)
	s.srv = transport.NewServer(s.Serve, transport.Options{Logger: n.Logger, CloseTimeout: time.Second / 2})
	s.Bind(s.srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: patience}
	served := make(chan error, 1)
	go func() { served <- s.srv.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() {
		s.http.CloseIdleConnections()
		s.Adapter.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever is left is cut
		s.srv.Shutdown(ctx)
		<-served
		if err := s.relay.Check(); err != nil {
			t.Error(err)
		}
		if s.srv.Len() != 0 || s.Clients() != 0 || s.hub().Len() != 0 {
			t.Errorf("left: %d connections, %d sessions, %d clients", s.srv.Len(), s.Clients(), s.hub().Len())
		}
	})
	return s
}

func (s *service) hub() *relay.Hub { return s.relay.Hub("chat") }

// token signs a client's token. Claims are type, value pairs.
func (s *service) token(claims ...string) string {
	s.t.Helper()
	var list []relay.Claim
	for i := 0; i+1 < len(claims); i += 2 {
		list = append(list, relay.Claim{Type: claims[i], Value: claims[i+1]})
	}
	t, err := s.keys.SignClient(clientAudience, list, auth.Sign{})
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// A reply is an answer to a request.
type reply struct {
	status int
	body   string
	header http.Header
}

// ask makes a request to path and query; headers are name, value pairs.
func (s *service) ask(method, path, token, body string, headers ...string) reply {
	s.t.Helper()
	r, err := s.try(method, path, token, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *service) try(method, path, token, body string, headers ...string) (reply, error) {
	q, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Add(headers[i], headers[i+1])
	}
	r, err := s.http.Do(q)
	if err != nil {
		return reply{}, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return reply{r.StatusCode, string(b), r.Header}, err
}

// ---- app servers ----

// An app is the other end of a server connection.
type app struct {
	*ws.Conn
	t      testing.TB
	frames chan []byte
	closed chan error
}

// app attaches an app server; Version is set.
func (s *service) app(serverID string, h serviceproto.HandshakeRequest) *app {
	s.t.Helper()
	a := s.attach(serverID, h)
	a.settle()
	return a
}

// attach is app while clients wait for it: they may come at once.
func (s *service) attach(serverID string, h serviceproto.HandshakeRequest) *app {
	s.t.Helper()
	token, err := s.keys.SignServer(serverAudience, serverID, auth.Sign{})
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := ws.Dial(s.t.Context(), "ws://"+s.addr+"/server/?hub=chat&cid="+serverID, http.Header{
		"Authorization": {"Bearer " + token}, "X-Asrs-Server-Id": {serverID},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	a := &app{Conn: c, t: s.t, frames: make(chan []byte, 1<<16), closed: make(chan error, 1)}
	s.t.Cleanup(func() { c.NetConn().Close() })
	go func() { // ends with the socket
		split := serviceproto.Splitter{Max: 1 << 26}
		for {
			_, p, err := a.Read()
			if err == nil {
				err = split.Feed(p, func(body []byte, _ bool) error {
					a.frames <- slices.Clone(body)
					return nil
				})
			}
			if err != nil {
				a.closed <- err
				close(a.frames)
				return
			}
		}
	}()
	h.Version = 1
	a.send(&h)
	expect[*serviceproto.HandshakeResponse](a)
	return a
}

func (a *app) send(all ...serviceproto.Message) {
	a.t.Helper()
	var b []byte
	for _, m := range all {
		b = serviceproto.Append(b, m)
	}
	if err := a.Write(ws.Binary, b); err != nil {
		a.t.Fatal(err)
	}
}

// data sends bytes of the hub to its client.
func (a *app) data(id string, pieces ...string) {
	a.t.Helper()
	for _, p := range pieces {
		a.send(&serviceproto.ConnectionData{ConnectionID: id, Data: []byte(p)})
	}
}

func (a *app) next() serviceproto.Message {
	a.t.Helper()
	for {
		select {
		case body, ok := <-a.frames:
			if !ok {
				a.t.Fatal("the server connection has ended")
			}
			var d serviceproto.Decoder
			m, err := d.Decode(body)
			if err != nil {
				a.t.Fatal(err)
			}
			if p, ok := m.(*serviceproto.Ping); ok && len(p.Words) == 0 {
				continue
			}
			return m
		case <-time.After(patience):
			a.t.Fatal("the app hears nothing")
		}
	}
}

func expect[M serviceproto.Message](a *app) M {
	a.t.Helper()
	m := a.next()
	x, ok := m.(M)
	if !ok {
		a.t.Fatalf("got %T %+v", m, m)
	}
	return x
}

// settle returns once everything sent so far has been handled; nothing else
// may have come meanwhile.
func (a *app) settle() {
	a.t.Helper()
	a.send(&serviceproto.CheckUserExistenceWithAck{UserID: "nobody", AckID: 1})
	expect[*serviceproto.Ack](a)
}

// opened expects a client and the first bytes of its stream.
func (a *app) opened(early string) *serviceproto.OpenConnection {
	a.t.Helper()
	o := expect[*serviceproto.OpenConnection](a)
	if got := a.heard(o.ConnectionID, len(early)); got != early {
		a.t.Fatalf("first bytes %q, want %q", got, early)
	}
	return o
}

// heard collects n bytes of a client's stream.
func (a *app) heard(id string, n int) string {
	a.t.Helper()
	var b strings.Builder
	for b.Len() < n {
		m := expect[*serviceproto.ConnectionData](a)
		if m.ConnectionID != id {
			a.t.Fatalf("data of %s, want %s", m.ConnectionID, id)
		}
		b.Write(m.Data)
	}
	return b.String()
}

// left expects the end of a client.
func (a *app) left(id string) *serviceproto.CloseConnection {
	a.t.Helper()
	m := expect[*serviceproto.CloseConnection](a)
	if m.ConnectionID != id {
		a.t.Fatalf("%s left, want %s", m.ConnectionID, id)
	}
	return m
}

// ---- clients ----

// A client is a WebSocket client.
type client struct {
	*ws.Conn
	t  testing.TB
	id string
}

// dial connects a WebSocket without id, or with the one in the query.
func (s *service) dial(query, token string) (*client, error) {
	c, err := ws.Dial(s.t.Context(), "ws://"+s.addr+"/client/?hub=chat"+query, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { c.NetConn().Close() })
	return &client{Conn: c, t: s.t}, nil
}

func (s *service) mustDial(query, token string) *client {
	s.t.Helper()
	c, err := s.dial(query, token)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// refused returns the status and text that a WebSocket is refused with.
func (s *service) refused(query, token string) (int, string) {
	s.t.Helper()
	_, err := s.dial(query, token)
	var e *ws.StatusError
	if !errors.As(err, &e) {
		s.t.Fatalf("not refused: %v", err)
	}
	return e.Code, e.Body
}

// connect takes a WebSocket client through the handshake.
func (s *service) connect(a *app, protocol string, claims ...string) *client {
	s.t.Helper()
	c := s.mustDial("", s.token(claims...))
	shake := `{"protocol":"` + protocol + `","version":1}` + rs
	c.say(shake)
	c.id = a.opened(shake).ConnectionID
	a.data(c.id, "{}"+rs)
	c.hears("{}" + rs)
	return c
}

func (c *client) say(pieces ...string) {
	c.t.Helper()
	for _, p := range pieces {
		if err := c.Write(ws.Text, []byte(p)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *client) message() (byte, string, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	op, p, err := c.Read()
	return op, string(p), err
}

// hears expects WebSocket messages, one for each text.
func (c *client) hears(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		if _, got, err := c.message(); err != nil || got != want {
			c.t.Fatalf("got %q, want %q: %v", got, want, err)
		}
	}
}

// ends expects the end of the WebSocket, with code 1000.
func (c *client) ends() {
	c.t.Helper()
	_, got, err := c.message()
	var e *ws.CloseError
	if !errors.As(err, &e) || e.Code != 1000 {
		c.t.Fatalf("got %q, %v, want the end", got, err)
	}
}

// lost expects the end of the WebSocket without a close frame.
func (c *client) lost() {
	c.t.Helper()
	_, got, err := c.message()
	var e *ws.CloseError
	if err == nil || errors.As(err, &e) {
		c.t.Fatalf("got %q, %v, want a cut", got, err)
	}
}

// An events is an event stream.
type events struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

// stream opens an event stream and returns its head.
func (s *service) stream(id, token string) (*events, *http.Response) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET /client/?hub=chat&id=%s&access_token=%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", id, url.QueryEscape(token))
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &events{s.t, c, bufio.NewReader(res.Body)}, res
}

// next returns the data of the next event, or io.EOF at the end.
func (e *events) next() (string, error) {
	var data []string
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "data: "):
			data = append(data, line[6:])
		case line == "" && data != nil:
			return strings.Join(data, "\n"), nil
		}
	}
}

// negotiate returns a fresh connection token.
func (s *service) negotiate(token string) string {
	s.t.Helper()
	r := s.ask("POST", "/client/negotiate?hub=chat&negotiateVersion=1", token, "")
	_, rest, ok := strings.Cut(r.body, `"connectionToken":"`)
	if r.status != 200 || !ok {
		s.t.Fatalf("negotiate: %d %s", r.status, r.body)
	}
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// path is the URL of a connection.
func path(id string) string { return "/client/?hub=chat&id=" + id }

// polling takes a long-polling client through the handshake.
func (s *service) polling(a *app, token string) (con, id string) {
	s.t.Helper()
	con = s.negotiate(token)
	if r := s.ask("GET", path(con), token, ""); r.status != 200 || r.body != "" {
		s.t.Fatalf("first poll: %+v", r)
	}
	if r := s.ask("POST", path(con), token, hello); r.status != 200 {
		s.t.Fatalf("post: %+v", r)
	}
	id = a.opened(hello).ConnectionID
	a.data(id, "{}"+rs)
	if r := s.ask("GET", path(con), token, ""); r.status != 200 || r.body != "{}"+rs {
		s.t.Fatalf("poll: %+v", r)
	}
	return con, id
}

// until waits for what another goroutine is about to bring about.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); {
		if time.Now().After(end) {
			t.Fatal("still not: " + what)
		}
		time.Sleep(time.Millisecond) // between two looks; the looks decide
	}
}

// closes returns how many clients ended in a category.
func (s *service) closes(c relay.Category) (n int64) {
	s.Closes(func(x relay.Category, m int64) {
		if x == c {
			n = m
		}
	})
	return n
}
