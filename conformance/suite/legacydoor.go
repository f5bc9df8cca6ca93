package suite

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

	"github.com/signalrelay/signalrelay/conformance"
)

// A legacyDoor is where a user's requests go: the endpoint itself or, when that
// sends its clients on, the service that it sends them to
// (legacy-client-protocol 2.3).
type legacyDoor struct {
	t      *T
	base   *url.URL // without a query
	query  string   // what goes with every request: the redirect's, else the endpoint's and the user's
	bearer string   // the access token that came with a redirect
	// redirected says that a service is behind the endpoint.
	redirected bool
	first      legacyAnswer // to the last negotiate
}

// legacyHops is how many redirects a client follows.
const legacyHops = 100

// legacyKnock negotiates with protocol 2.1 as a client of 2.4 does, as a user of
// the hub contract or, for "", as nobody.
func legacyKnock(ctx context.Context, t *T, user, connectionData string) *legacyDoor {
	base := *t.Endpoint.URL
	base.RawQuery = ""
	base.Path = strings.TrimSuffix(base.Path, "/")
	d := &legacyDoor{t: t, base: &base}
	own := t.Endpoint.query()
	if user != "" {
		own.Set("user", user)
	}
	d.query = own.Encode()
	for range legacyHops {
		target := "/negotiate?clientProtocol=2.1"
		if connectionData != "" {
			target += "&connectionData=" + url.QueryEscape(connectionData)
		}
		d.first = d.ask(ctx, "", &legacyRequest{method: "GET", target: target})
		var n struct{ RedirectURL, AccessToken, ProtocolVersion string }
		if d.first.status != http.StatusOK || json.Unmarshal([]byte(d.first.body), &n) != nil {
			t.Fail("an answer to negotiate", legacyShort(d.first.String()))
		}
		if n.RedirectURL == "" {
			return d
		}
		to, err := d.base.Parse(n.RedirectURL)
		if err != nil {
			t.Fail("a RedirectUrl that is a URL", n.RedirectURL)
		}
		d.redirected, d.query, d.bearer = true, to.RawQuery, n.AccessToken
		to.RawQuery, to.Path = "", strings.TrimSuffix(to.Path, "/")
		d.base = to
	}
	t.Failf("negotiate redirects more than %d times", legacyHops)
	return nil
}

// A legacyRequest is one HTTP request, sent as it is written.
type legacyRequest struct {
	method, target string // the target is put behind the base
	headers        []string
	body           string
	upgrade        bool
}

// target is the request target on the wire.
func (d *legacyDoor) target(r *legacyRequest) string {
	path := d.base.EscapedPath() + r.target
	switch {
	case d.query == "" || !strings.Contains(r.target, "?"):
	case strings.HasSuffix(path, "?"):
		path += d.query
	default:
		path += "&" + d.query
	}
	return path
}

// send sends a request and reads the head of the answer. The connection is the
// caller's, and no longer than ctx.
func (d *legacyDoor) send(ctx context.Context, conn string, r *legacyRequest) (*http.Response, net.Conn) {
	target := d.target(r)
	said := r.method + " " + r.target
	if r.body != "" {
		said += " " + r.body
	}
	d.t.Said("client", conn, "%s", legacyShort(said))
	nc, err := legacyDial(ctx, d.base)
	if err != nil {
		d.t.Broken(err)
	}
	context.AfterFunc(ctx, func() { nc.Close() })
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, target, d.base.Host)
	own := http.Header{}
	if d.bearer != "" {
		own.Set("Authorization", "Bearer "+d.bearer)
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", d.bearer)
	}
	if r.upgrade {
		b.WriteString("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	}
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		own.Add(name, value)
		b.WriteString(h + "\r\n")
	}
	d.t.calls().Fields(r.method, d.base, own).Write(&b) // a Builder takes all
	if r.body != "" || r.method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	if _, err := io.WriteString(nc, b.String()); err != nil {
		d.t.Failf("%s %s: %v", r.method, r.target, err)
	}
	res, err := http.ReadResponse(bufio.NewReader(d.t.calls().Reader(nc)), &http.Request{Method: r.method})
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		d.t.Failf("%s %s: no answer: %v", r.method, r.target, err)
	}
	return res, nc
}

// ask sends a request whose answer ends, and reads it.
func (d *legacyDoor) ask(ctx context.Context, conn string, r *legacyRequest) legacyAnswer {
	res, nc := d.send(ctx, conn, r)
	defer nc.Close()
	a := legacyAnswerOf(res)
	if res.StatusCode != http.StatusSwitchingProtocols && res.Header.Get("Content-Type") != legacyTypes["sse"] { // what goes on has no end
		var from io.Reader = res.Body
		if strings.HasPrefix(r.target, "/negotiate") {
			from = io.LimitReader(from, mostNegotiated)
		}
		body, err := io.ReadAll(from)
		switch {
		case errors.Is(err, conformance.ErrFlood):
			d.t.Failf("%s %s: %v", r.method, r.target, err)
		case err != nil:
			d.t.Said("note", conn, "the body breaks off: %v", err)
		}
		a.body = string(body)
	}
	d.t.Said("server", conn, "%s", legacyShort(a.String()))
	return a
}

// legacyDial opens a connection to where u is.
func legacyDial(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[u.Scheme == "https"]
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		d := tls.Dialer{Config: &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}}
		return d.DialContext(ctx, "tcp", addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// A legacyAnswer is what came back to one request.
type legacyAnswer struct {
	status int
	reason string
	header http.Header
	body   string
}

func legacyAnswerOf(res *http.Response) legacyAnswer {
	_, reason, _ := strings.Cut(res.Status, " ")
	return legacyAnswer{status: res.StatusCode, reason: reason, header: res.Header}
}

// String tells the answer as scripts write it.
func (a legacyAnswer) String() string {
	s := fmt.Sprint(a.status)
	kind := a.header.Get("Content-Type")
	for short, long := range legacyTypes {
		if kind == long {
			kind = short
		}
	}
	if s += " " + kind; a.body != "" {
		s += " " + a.body
	}
	return s
}

// legacyTypes are the short names of content types in scripts.
var legacyTypes = map[string]string{
	"none":  "",
	"json":  "application/json; charset=UTF-8",
	"js":    "application/javascript; charset=UTF-8",
	"sse":   "text/event-stream",
	"html":  "text/html; charset=UTF-8",
	"plain": "text/plain",
}

// legacyShort keeps the beginning of a long text.
func legacyShort(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:most], len(s))
}
