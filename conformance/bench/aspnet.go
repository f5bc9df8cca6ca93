package bench

import (
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
)

// aspnet is how clients of ASP.NET SignalR talk: as those for .NET do, with the token in a header of every request
// (legacy-service-protocol 1.4).
var aspnet = dialect{
	mount: "/signalr", open: openASPNET, stream: streamASPNET, poll: pollASPNET, leave: (*client).abort, feed: (*client).feedFrame,
	invocation: func(method string, size int) []byte {
		return []byte(`{"H":"benchHub","M":"` + method + `","A":["` + strings.Repeat("x", size) + `"],"I":0}`)
	},
}

// aspnetQuery is what every request of a client has: its version, and the hub it listens to
// (legacy-client-protocol 1.4).
var aspnetQuery = "clientProtocol=2.1&connectionData=" + url.QueryEscape(`[{"Name":"benchHub"}]`)

// step is where a client asks for an action: the server's address with the action behind its path, and with
// parameters before those that are there.
func (g grant) step(action, parameters string) grant {
	u := *g.url
	u.Path = strings.TrimSuffix(u.Path, "/") + action
	if parameters != "" && u.RawQuery != "" {
		parameters += "&"
	}
	u.RawQuery = parameters + u.RawQuery
	return grant{&u, g.token}
}

// negotiateASPNET follows redirects from the app to the service (legacy-client-protocol 2.3). What it returns has the
// parameters that all further requests need.
func (s *subject) negotiateASPNET(ctx context.Context, i int, transport string) (grant, error) {
	g := grant{url: s.hub}
	for range maxRedirects {
		p, err := request(ctx, http.MethodGet, i, g.step("/negotiate", aspnetQuery), "")
		if err != nil {
			return g, fmt.Errorf("negotiate: %w", err)
		}
		var answer struct {
			RedirectURL, AccessToken, ConnectionToken, Error string
			TryWebSockets                                    bool
		}
		if err := json.Unmarshal(p, &answer); err != nil {
			return g, fmt.Errorf("negotiate: %w", err)
		}
		switch {
		case answer.Error != "":
			return g, fmt.Errorf("negotiate: %s", answer.Error)
		case answer.RedirectURL != "":
			if g.url, err = url.Parse(answer.RedirectURL); err != nil {
				return g, fmt.Errorf("negotiate: %w", err)
			}
			g.token = answer.AccessToken
		case transport == "webSockets" && !answer.TryWebSockets:
			return g, errUnsupported
		case answer.ConnectionToken == "":
			return g, fmt.Errorf("negotiate: no connection token in %q", p)
		default:
			return g.step("", aspnetQuery+"&transport="+transport+"&connectionToken="+url.QueryEscape(answer.ConnectionToken)), nil
		}
	}
	return g, errRedirects
}

// start makes a client that has been initialized a connected one (legacy-client-protocol 4.1).
func start(ctx context.Context, i int, g grant) error {
	p, err := request(ctx, http.MethodGet, i, g.step("/start", ""), "")
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	var answer struct{ Response string }
	if err := json.Unmarshal(p, &answer); err != nil || answer.Response != "started" {
		return fmt.Errorf("start: server answered %q", p)
	}
	return nil
}

// openASPNET makes a client: negotiate, upgrade, first frame, start.
func openASPNET(ctx context.Context, s *subject, i int, adjust func(*net.Dialer)) (*client, error) {
	g, err := s.negotiateASPNET(ctx, i, "webSockets")
	if err != nil {
		return nil, err
	}
	c, err := s.dial(ctx, i, g.step("/connect", ""), adjust)
	if err != nil {
		return nil, err
	}
	c.at = g
	if err = c.initialized(); err == nil {
		err = start(ctx, i, g)
	}
	if err != nil {
		c.conn.NetConn().Close()
		return nil, err
	}
	return c, nil
}

// initialized waits for the frame that says so; only keep-alives may come before it.
func (c *client) initialized() error {
	c.conn.SetReadDeadline(time.Now().Add(stepTimeout))
	defer c.conn.SetReadDeadline(time.Time{})
	for {
		_, p, err := c.conn.Read()
		if err != nil {
			return fmt.Errorf("first frame: %w", err)
		}
		if string(p) == keepAlive {
			continue
		}
		f, err := parseFrame(p)
		if err == nil && string(f.init) != "1" {
			err = fmt.Errorf("server began with %q", beginning(p))
		}
		return err
	}
}

// abort ends the client for good, which the end of its WebSocket alone does not (legacy-client-protocol 4.6). A
// server that does not hear of it has to find out by itself.
func (c *client) abort() {
	_, _ = request(context.Background(), http.MethodPost, c.i, c.at.step("/abort", ""), "")
	c.conn.Close(1000, "")
}

// streamASPNET follows legacy-client-protocol 4.4.
func streamASPNET(ctx context.Context, s *subject, i int) (*httpConn, func() error, error) {
	g, err := s.negotiateASPNET(ctx, i, "serverSentEvents")
	if err != nil {
		return nil, nil, err
	}
	return openStream(ctx, i, g.step("/connect", ""), func(body io.Reader) error {
		if err := waitFor(body, "data: initialized\n\n", `"S":1`); err != nil {
			return err
		}
		return start(ctx, i, g)
	})
}

// pollASPNET follows legacy-client-protocol 4.5: every poll names the last cursor it got.
func pollASPNET(ctx context.Context, s *subject, i int) (*httpConn, func() error, error) {
	g, err := s.negotiateASPNET(ctx, i, "longPolling")
	if err != nil {
		return nil, nil, err
	}
	cursor := "" // none before the first answer
	poll := func(c *httpConn) ([]byte, error) {
		next := g.step("/connect", "")
		if cursor != "" {
			next = g.step("/poll", "messageId="+url.QueryEscape(cursor))
		}
		p, err := c.poll(http.MethodPost, next)
		if err != nil {
			return nil, err
		}
		var answer struct{ C, E string }
		if err := json.Unmarshal(p, &answer); err != nil {
			return nil, fmt.Errorf("poll: %w", err)
		}
		if answer.E != "" {
			return nil, &closeError{text: beginning(p)}
		}
		if cursor = answer.C; cursor == "" {
			return nil, errors.New("poll: answer without a cursor")
		}
		return p, nil
	}
	return openPoll(ctx, i, g, poll, func(c *httpConn) error {
		p, err := poll(c)
		if err != nil {
			return err
		}
		if f, err := parseFrame(p); err != nil || string(f.init) != "1" {
			return fmt.Errorf("server began with %q", beginning(p))
		}
		return start(ctx, i, g)
	})
}
