package conformance

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// mostReceived is how much a Caller takes, in bytes: who never stops sending shall
// not fill the memory of who asks.
const mostReceived = 64 << 20

// ErrFlood is how all ends that would bring a [Caller] more than it takes.
var ErrFlood = errors.New("the endpoint sends more than 64 MiB")

// A Caller makes the requests of one case, or of one replay: those to the endpoint
// with the header that it wants, and all of them together bring no more than
// 64 MiB. It may be used by many goroutines.
type Caller struct {
	// At is the endpoint; only its scheme and host count.
	At *url.URL
	// Header is sent with every request and upgrade to At. Another host, to which an
	// answer or a redirect leads, does not get it: who logs in at an app tells nobody
	// else. A field that a request has of its own stays as it is.
	Header http.Header

	received atomic.Int64
}

// Client makes requests by a transport. What it reads of the answers counts.
func (c *Caller) Client(by http.RoundTripper) *http.Client {
	return &http.Client{Transport: &calls{c, by}}
}

// Dial opens a WebSocket as [ws.Dial] does. What comes by it counts.
func (c *Caller) Dial(ctx context.Context, address string, h http.Header) (*ws.Conn, error) {
	if to, err := url.Parse(address); err == nil { // or Dial says what is wrong
		all := http.Header{}
		maps.Copy(all, h)
		maps.Copy(all, c.Fields(http.MethodGet, to, h))
		h = all
	}
	return (&ws.Dialer{Reader: c.Reader}).Dial(ctx, address, h)
}

// Fields are what the header of a request lacks of the Caller's. A CORS preflight
// lacks nothing: browsers send no credentials with one (Fetch standard, section
// CORS-preflight fetch), and whether it is answered without them is the question.
func (c *Caller) Fields(method string, to *url.URL, h http.Header) http.Header {
	lacks := http.Header{}
	if len(c.Header) == 0 || !sameOrigin(c.At, to) || method == http.MethodOptions && h.Get("Access-Control-Request-Method") != "" {
		return lacks
	}
	for name, values := range c.Header {
		if h.Get(name) == "" {
			lacks[name] = values
		}
	}
	return lacks
}

// Reader reads from r, and what it reads counts.
func (c *Caller) Reader(r io.Reader) io.Reader { return &counted{c, r} }

// sameOrigin says whether both have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if u.Port() == "" {
			return map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		return u.Port()
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// calls are requests of a Caller. They get their header here, behind the Client, so
// that each hop of a redirect is looked at anew.
type calls struct {
	*Caller
	by http.RoundTripper
}

// RoundTrip makes one request.
func (c *calls) RoundTrip(req *http.Request) (*http.Response, error) {
	if more := c.Fields(req.Method, req.URL, req.Header); len(more) > 0 {
		req = req.Clone(req.Context())
		maps.Copy(req.Header, more)
	}
	resp, err := c.by.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols { // whose body can be written to, too
		resp.Body = &countedBody{c.Reader(resp.Body), resp.Body}
	}
	return resp, err
}

// CloseIdleConnections is for the method of [http.Client].
func (c *calls) CloseIdleConnections() { (&http.Client{Transport: c.by}).CloseIdleConnections() }

type counted struct {
	*Caller
	r io.Reader
}

// Read reads as long as there was no flood.
func (c *counted) Read(p []byte) (int, error) {
	if c.received.Load() > mostReceived {
		return 0, ErrFlood
	}
	n, err := c.r.Read(p)
	c.received.Add(int64(n))
	return n, err
}

type countedBody struct {
	io.Reader
	io.Closer
}
