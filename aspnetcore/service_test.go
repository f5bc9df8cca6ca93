package aspnetcore_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

const (
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
	nodetest.Site
}

func serve(t testing.TB, o aspnetcore.Options) *service {
	return serveNode(t, aspnet.Options{}, o)
}

func serveNode(t testing.TB, n aspnet.Options, o aspnetcore.Options) *service {
	n.Keys, n.InstanceID, n.Logger = nodetest.Keys(t), "node-1", slog.New(slog.DiscardHandler)
	s := &service{Adapter: aspnetcore.New(aspnet.NewNode(relay.New(), n), o)}
	s.Bind(transport.NewServer(s.Serve, transport.Options{Logger: n.Logger, CloseTimeout: time.Second / 2}))
	t.Cleanup(func() { // once the node is down
		if n := s.Clients(); n != 0 {
			t.Errorf("left: %d sessions", n)
		}
	})
	s.Site = nodetest.Serve(t, s.Server, s.Relay)
	t.Cleanup(s.Adapter.Close)
	return s
}

func (s *service) hub() *relay.Hub { return s.Relay.Hub("chat") }

// token signs a client's token. Claims are type, value pairs.
func (s *service) token(claims ...string) string {
	s.T.Helper()
	var list []relay.Claim
	for i := 0; i+1 < len(claims); i += 2 {
		list = append(list, relay.Claim{Type: claims[i], Value: claims[i+1]})
	}
	t, err := s.Keys.SignClient(clientAudience, list, auth.Sign{})
	if err != nil {
		s.T.Fatal(err)
	}
	return t
}

// ---- app servers ----

// An app is the other end of a server connection.
type app struct{ *nodetest.Link }

// app attaches an app server; Version is set.
func (s *service) app(serverID string, h serviceproto.HandshakeRequest) *app {
	s.T.Helper()
	a := s.attach(serverID, h)
	a.Settle()
	return a
}

// attach is app while clients wait for it: they may come at once.
func (s *service) attach(serverID string, h serviceproto.HandshakeRequest) *app {
	s.T.Helper()
	token, err := s.Keys.SignServer(serverAudience, serverID, auth.Sign{})
	if err != nil {
		s.T.Fatal(err)
	}
	l, err := nodetest.Dial(s.T, "ws://"+s.Addr+"/server/?hub=chat", serverID, token)
	if err != nil {
		s.T.Fatal(err)
	}
	l.Listen()
	l.Shake(h)
	return &app{l}
}

// data sends bytes of the hub to its client.
func (a *app) data(id string, pieces ...string) {
	a.T.Helper()
	for _, p := range pieces {
		a.Send(&serviceproto.ConnectionData{ConnectionID: id, Data: []byte(p)})
	}
}

// opened expects a client and the first bytes of its stream.
func (a *app) opened(early string) *serviceproto.OpenConnection {
	a.T.Helper()
	o := nodetest.Expect[*serviceproto.OpenConnection](a.Link)
	if got := a.heard(o.ConnectionID, len(early)); got != early {
		a.T.Fatalf("first bytes %q, want %q", got, early)
	}
	return o
}

// heard collects n bytes of a client's stream.
func (a *app) heard(id string, n int) string {
	a.T.Helper()
	var b strings.Builder
	for b.Len() < n {
		m := nodetest.Expect[*serviceproto.ConnectionData](a.Link)
		if m.ConnectionID != id {
			a.T.Fatalf("data of %s, want %s", m.ConnectionID, id)
		}
		b.Write(m.Data)
	}
	return b.String()
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
	c, err := ws.Dial(s.T.Context(), "ws://"+s.Addr+"/client/?hub=chat"+query, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return nil, err
	}
	s.T.Cleanup(func() { c.NetConn().Close() })
	return &client{Conn: c, t: s.T}, nil
}

func (s *service) mustDial(query, token string) *client {
	s.T.Helper()
	c, err := s.dial(query, token)
	if err != nil {
		s.T.Fatal(err)
	}
	return c
}

// refused returns the status and text that a WebSocket is refused with.
func (s *service) refused(query, token string) (int, string) {
	s.T.Helper()
	_, err := s.dial(query, token)
	var e *ws.StatusError
	if !errors.As(err, &e) {
		s.T.Fatalf("not refused: %v", err)
	}
	return e.Code, e.Body
}

// connect takes a WebSocket client through the handshake.
func (s *service) connect(a *app, protocol string, claims ...string) *client {
	s.T.Helper()
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
	c.SetReadDeadline(time.Now().Add(nodetest.Patience))
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
	s.T.Helper()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(nodetest.Patience))
	fmt.Fprintf(c, "GET /client/?hub=chat&id=%s&access_token=%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", id, url.QueryEscape(token))
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	return &events{s.T, c, bufio.NewReader(res.Body)}, res
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
	s.T.Helper()
	r := s.Ask("POST", "/client/negotiate?hub=chat&negotiateVersion=1", token, "")
	_, rest, ok := strings.Cut(r.Body, `"connectionToken":"`)
	if r.Status != 200 || !ok {
		s.T.Fatalf("negotiate: %d %s", r.Status, r.Body)
	}
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// path is the URL of a connection.
func path(id string) string { return "/client/?hub=chat&id=" + id }

// polling takes a long-polling client through the handshake.
func (s *service) polling(a *app, token string) (con, id string) {
	s.T.Helper()
	con = s.negotiate(token)
	if r := s.Ask("GET", path(con), token, ""); r.Status != 200 || r.Body != "" {
		s.T.Fatalf("first poll: %+v", r)
	}
	if r := s.Ask("POST", path(con), token, hello); r.Status != 200 {
		s.T.Fatalf("post: %+v", r)
	}
	id = a.opened(hello).ConnectionID
	a.data(id, "{}"+rs)
	if r := s.Ask("GET", path(con), token, ""); r.Status != 200 || r.Body != "{}"+rs {
		s.T.Fatalf("poll: %+v", r)
	}
	return con, id
}
