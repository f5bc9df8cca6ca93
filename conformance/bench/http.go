package bench

import (
	"bufio"
	"context"
	"crypto/tls"
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

// stepTimeout bounds each step of a connect.
const stepTimeout = 20 * time.Second

// httpConn is one HTTP/1.1 connection. net/http's client has a connection pool and two goroutines a connection,
// which is much for eight thousand parked polls from chosen source addresses.
type httpConn struct {
	nc   net.Conn
	br   *bufio.Reader
	host string
}

func dialHTTP(ctx context.Context, i int, u *url.URL) (*httpConn, error) {
	d := dialer(i, u.Hostname())
	nc, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), fmt.Sprint(portOf(u))))
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" {
		nc = tls.Client(nc, &tls.Config{ServerName: u.Hostname()})
	}
	return &httpConn{nc: nc, br: bufio.NewReaderSize(nc, 512), host: u.Host}, nil
}

// do sends a request and reads the answer's head; the body is the caller's to read, and to bound by a deadline.
func (c *httpConn) do(method string, u *url.URL, token, accept, body string) (*http.Response, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, u.RequestURI(), c.host)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	if accept != "" {
		fmt.Fprintf(&b, "Accept: %s\r\n", accept)
	}
	if method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	if _, err := io.WriteString(c.nc, b.String()); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.br, &http.Request{Method: method})
}

// post sends one POST on a connection of its own, as the first request of a new client is.
func post(ctx context.Context, i int, u *url.URL, token, body string) ([]byte, error) {
	c, err := dialHTTP(ctx, i, u)
	if err != nil {
		return nil, err
	}
	defer c.nc.Close()
	c.nc.SetDeadline(time.Now().Add(stepTimeout))
	resp, err := c.do(http.MethodPost, u, token, "", body)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, p)
	}
	return p, nil
}

// errUnsupported is a target's honest "not in me": the cell of the table stays empty.
var errUnsupported = errors.New("not supported")

// grant is what negotiation came to: where to connect, id included, and with which token.
type grant struct {
	url   *url.URL
	token string
}

// negotiate follows redirects from the app to the service (core-client-protocol 2.3) and checks that the server
// offers the transport; a WebSocket is always tried.
func (s *subject) negotiate(ctx context.Context, i int, transport string) (grant, error) {
	g := grant{url: s.hub}
	if s.o.SkipNegotiation && transport == "WebSockets" && s.appPID == 0 {
		return g, nil
	}
	for range 10 {
		u := *g.url
		u.Path = strings.TrimSuffix(u.Path, "/") + "/negotiate"
		query(&u, "negotiateVersion", "1")
		p, err := post(ctx, i, &u, g.token, "")
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
	return g, errors.New("negotiate: too many redirects")
}

// query appends a parameter and leaves the others as the server wrote them.
func query(u *url.URL, name, value string) {
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += name + "=" + url.QueryEscape(value)
}

// open makes the i-th WebSocket client: negotiate, upgrade, hub handshake.
func (s *subject) open(ctx context.Context, i int, adjust func(*net.Dialer)) (*client, error) {
	g, err := s.negotiate(ctx, i, "WebSockets")
	if err != nil {
		return nil, err
	}
	d := ws.Dialer{Net: dialer(i, g.url.Hostname())}
	if adjust != nil {
		adjust(&d.Net)
	}
	h := http.Header{}
	if g.token != "" {
		h.Set("Authorization", "Bearer "+g.token)
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	conn, err := d.Dial(ctx, g.url.String(), h)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn}
	if err := c.handshake(); err != nil {
		conn.NetConn().Close()
		return nil, err
	}
	return c, nil
}
