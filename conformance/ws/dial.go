package ws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 section 1.3
	maxHead    = 32 << 10                               // largest answer head we read, in bytes
	maxBody    = 64 << 10                               // largest part of an error's body we keep, in bytes
)

// StatusError is a server's refusal to upgrade.
type StatusError struct {
	Code   int
	Header http.Header
	Body   string // at most 64 KiB of it
}

// Error tells status and body.
func (e *StatusError) Error() string {
	return fmt.Sprintf("websocket refused: %d %s: %s", e.Code, http.StatusText(e.Code), e.Body)
}

// Dialer opens WebSockets. The zero value works; it may be used by many goroutines.
type Dialer struct {
	Net net.Dialer  // LocalAddr chooses among several loopback addresses
	TLS *tls.Config // for wss and https; nil = defaults
	// Reader, if not nil, wraps what the WebSocket reads from once it is open, but for what came with the answer: to
	// count, or to stop. Its errors end the connection.
	Reader func(io.Reader) io.Reader
}

// Dial opens a WebSocket with the zero Dialer.
func Dial(ctx context.Context, rawURL string, h http.Header) (*Conn, error) {
	return new(Dialer).Dial(ctx, rawURL, h)
}

// Dial opens a WebSocket at a ws, wss, http or https URL with the extra headers h (a Host among them replaces the
// URL's). ctx bounds the handshake only. A server that answers but does not upgrade is a *StatusError.
func (d *Dialer) Dial(ctx context.Context, rawURL string, h http.Header) (*Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("dial websocket: %w", err)
	}
	secure := u.Scheme == "wss" || u.Scheme == "https"
	if !secure && u.Scheme != "ws" && u.Scheme != "http" {
		return nil, fmt.Errorf("dial websocket: scheme %q", u.Scheme)
	}
	nc, err := d.connect(ctx, u, secure)
	if err != nil {
		return nil, fmt.Errorf("dial websocket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	early, err := upgrade(nc, u, h)
	if !stop() && err == nil { // the deadline is, or is about to be, in the past
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("dial websocket: %w", err)
	}
	return d.newConn(nc, early), nil
}

func (d *Dialer) connect(ctx context.Context, u *url.URL, secure bool) (net.Conn, error) {
	port := u.Port()
	switch {
	case port != "":
	case secure:
		port = "443"
	default:
		port = "80"
	}
	nc, err := d.Net.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || !secure {
		return nc, err
	}
	c := &tls.Config{}
	if d.TLS != nil {
		c = d.TLS.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = u.Hostname()
	}
	c.NextProtos = []string{"http/1.1"} // an upgrade is HTTP/1.1's
	tc := tls.Client(nc, c)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// upgrade sends the request and checks the answer; early is what came behind it in the same packets.
func upgrade(nc net.Conn, u *url.URL, h http.Header) (early []byte, err error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	host := u.Host
	if v := h.Get("Host"); v != "" {
		host = v
	}
	var req bytes.Buffer
	fmt.Fprintf(&req, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
		u.RequestURI(), host, key)
	h.WriteSubset(&req, map[string]bool{"Host": true})
	req.WriteString("\r\n")
	if _, err := nc.Write(req.Bytes()); err != nil {
		return nil, err
	}
	head, rest, err := readHead(nc)
	if err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(io.MultiReader(bytes.NewReader(head), bytes.NewReader(rest), nc), 512), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		return nil, &StatusError{Code: resp.StatusCode, Header: resp.Header, Body: string(body)}
	}
	sum := sha1.Sum([]byte(key + acceptGUID))
	switch {
	case !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket"),
		resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return nil, fmt.Errorf("answer does not match the key: %w", ErrProtocol)
	case resp.Header.Get("Sec-WebSocket-Extensions") != "":
		return nil, fmt.Errorf("extension nobody offered: %w", ErrProtocol)
	}
	return rest, nil
}

// readHead reads up to and including the empty line; rest is what the last read brought beyond it.
func readHead(r io.Reader) (head, rest []byte, err error) {
	b := make([]byte, 0, smallBuffer)
	for {
		if len(b) == cap(b) {
			if len(b) >= maxHead {
				return nil, nil, fmt.Errorf("answer head over %d bytes: %w", maxHead, ErrProtocol)
			}
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
		from := max(0, len(b)-3)
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
			end := from + i + 4
			return b[:end], b[end:], nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read answer: %w", err)
		}
	}
}
