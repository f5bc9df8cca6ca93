package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// stepTimeout bounds each step of a connect.
const stepTimeout = 20 * time.Second

// maxRedirects is how many answers a negotiation may take.
const maxRedirects = 10

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
func (c *httpConn) do(method string, g grant, accept, body string) (*http.Response, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, g.url.RequestURI(), c.host)
	if g.token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", g.token)
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

// request is one request on a connection of its own, as the first of a new client is.
func request(ctx context.Context, method string, i int, g grant, body string) ([]byte, error) {
	c, err := dialHTTP(ctx, i, g.url)
	if err != nil {
		return nil, err
	}
	defer c.nc.Close()
	c.nc.SetDeadline(time.Now().Add(stepTimeout))
	resp, err := c.do(method, g, "", body)
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

var errRedirects = errors.New("negotiate: too many redirects")

// grant is what negotiation came to: where to connect, who the client is included, and with which token.
type grant struct {
	url   *url.URL
	token string
}

// query appends a parameter and leaves the others as the server wrote them.
func query(u *url.URL, name, value string) {
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += name + "=" + url.QueryEscape(value)
}
