package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// core is how clients of ASP.NET Core SignalR talk.
var core = dialect{
	mount: "/bench", open: openCore, stream: streamCore, poll: pollCore, feed: (*client).feed,
	leave: func(c *client) { c.conn.Close(1000, "") },
	invocation: func(method string, size int) []byte {
		id := ""
		if method == "Echo" {
			id = `"invocationId":"1",` // of a broadcast nobody awaits the end
		}
		return []byte(`{"type":1,` + id + `"target":"` + method + `","arguments":["` + strings.Repeat("x", size) + "\"]}\x1e")
	},
}

// Hub messages of the JSON protocol, each ended by the record separator (core-client-protocol 5.2).
const (
	recordSeparator  = 0x1e
	handshakeRequest = "{\"protocol\":\"json\",\"version\":1}\x1e"
	handshakeAnswer  = "{}"
)

// negotiate follows redirects from the app to the service (core-client-protocol 2.3) and checks that the server
// offers the transport; a WebSocket is always tried.
func (s *subject) negotiate(ctx context.Context, i int, transport string) (grant, error) {
	g := grant{url: s.hub}
	if s.o.SkipNegotiation && transport == "WebSockets" && s.appPID == 0 {
		return g, nil
	}
	for range maxRedirects {
		u := *g.url
		u.Path = strings.TrimSuffix(u.Path, "/") + "/negotiate"
		query(&u, "negotiateVersion", "1")
		p, err := request(ctx, http.MethodPost, i, grant{&u, g.token}, "")
		if err != nil {
			return g, fmt.Errorf("negotiate: %w", err)
		}
		var answer struct {
			URL, AccessToken, ConnectionID, ConnectionToken, Error string
			AvailableTransports                                    []struct{ Transport string }
		}
		if err := json.Unmarshal(p, &answer); err != nil {
			return g, fmt.Errorf("negotiate: %w", err)
		}
		if answer.Error != "" {
			return g, fmt.Errorf("negotiate: %s", answer.Error)
		}
		if answer.URL != "" {
			if g.url, err = url.Parse(answer.URL); err != nil {
				return g, fmt.Errorf("negotiate: %w", err)
			}
			g.token = answer.AccessToken
			if s.o.SkipNegotiation && transport == "WebSockets" {
				return g, nil
			}
			continue
		}
		ok := transport == "WebSockets"
		for _, t := range answer.AvailableTransports {
			ok = ok || t.Transport == transport
		}
		if !ok {
			return g, errUnsupported
		}
		u = *g.url
		query(&u, "id", answer.ConnectionToken)
		g.url = &u
		return g, nil
	}
	return g, errRedirects
}

// openCore makes a client: negotiate, upgrade, hub handshake.
func openCore(ctx context.Context, s *subject, i int, adjust func(*net.Dialer)) (*client, error) {
	g, err := s.negotiate(ctx, i, "WebSockets")
	if err != nil {
		return nil, err
	}
	c, err := s.dial(ctx, i, g, adjust)
	if err != nil {
		return nil, err
	}
	if err := c.handshake(); err != nil {
		c.conn.NetConn().Close()
		return nil, err
	}
	return c, nil
}

// handshake asks for the JSON protocol and waits for the answer; what came behind it is kept in rest.
func (c *client) handshake() error {
	if err := c.conn.Write(ws.Text, []byte(handshakeRequest)); err != nil {
		return err
	}
	c.conn.SetReadDeadline(time.Now().Add(stepTimeout))
	defer c.conn.SetReadDeadline(time.Time{})
	for {
		_, p, err := c.conn.Read()
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		c.rest = append(c.rest, p...)
		answer, rest, ok := bytes.Cut(c.rest, []byte{recordSeparator})
		if !ok {
			continue
		}
		if string(answer) != handshakeAnswer {
			return fmt.Errorf("handshake: server answered %q", answer)
		}
		if c.rest = rest; len(rest) == 0 {
			c.rest = nil
		}
		return nil
	}
}

// feed is split behind what came of a message before.
func (c *client) feed(p []byte, on func(kind byte) error) error {
	if len(c.rest) > 0 {
		p, c.rest = append(c.rest, p...), nil
	}
	return c.split(p, on)
}

// split looks at no more of a message than its type, which every server writes first.
func (c *client) split(p []byte, on func(kind byte) error) error {
	const head = `{"type":`
	for len(p) > 0 {
		i := bytes.IndexByte(p, recordSeparator)
		if i < 0 {
			c.rest = append(c.rest, p...)
			return nil
		}
		m := p[:i]
		p = p[i+1:]
		if len(m) < len(head)+2 || string(m[:len(head)]) != head {
			return fmt.Errorf("message does not start with its type: %.60q", m)
		}
		kind := m[len(head)]
		if kind == hubClose {
			return newCloseError(m)
		}
		if kind == completion && bytes.HasPrefix(m, []byte(`{"type":3,"invocationId":"1","error":`)) {
			return errors.New(beginning(m))
		}
		if err := on(kind); err != nil {
			return err
		}
	}
	return nil
}

// newCloseError reads a Close (core-client-protocol 7.1).
func newCloseError(m []byte) *closeError {
	e := &closeError{text: beginning(m)}
	_ = json.Unmarshal(m, e) // a Close that cannot be read does not allow anything
	return e
}

// streamCore follows core-client-protocol 3.4.
func streamCore(ctx context.Context, s *subject, i int) (*httpConn, func() error, error) {
	g, err := s.negotiate(ctx, i, "ServerSentEvents")
	if err != nil {
		return nil, nil, err
	}
	return openStream(ctx, i, g, func(body io.Reader) error {
		if _, err := request(ctx, http.MethodPost, i, g, handshakeRequest); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		return waitFor(body, handshakeAnswer+"\x1e")
	})
}

// pollCore follows core-client-protocol 3.5; the poll it leaves parked is repeated whenever it is answered.
func pollCore(ctx context.Context, s *subject, i int) (*httpConn, func() error, error) {
	g, err := s.negotiate(ctx, i, "LongPolling")
	if err != nil {
		return nil, nil, err
	}
	poll := func(c *httpConn) ([]byte, error) { return c.poll(http.MethodGet, g) }
	return openPoll(ctx, i, g, poll, func(c *httpConn) error {
		if _, err := poll(c); err != nil {
			return err
		}
		if _, err := request(ctx, http.MethodPost, i, g, handshakeRequest); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		p, err := poll(c)
		if err == nil && !bytes.HasPrefix(p, []byte(handshakeAnswer+"\x1e")) {
			err = fmt.Errorf("handshake: server answered %q", p)
		}
		return err
	})
}
