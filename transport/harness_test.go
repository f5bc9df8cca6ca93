package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// A rig is a server whose Handler serves peers by their id: GET carries, POST
// injects, and other paths belong to the test.
type rig struct {
	t       testing.TB
	srv     *transport.Server
	addr    string
	tls     *tls.Config // of clients; nil without TLS
	profile transport.Profile
	format  transport.Format
	other   func(x *transport.Exchange) // requests for other paths than /c
	message func(p *peer, b []byte, f transport.Frame) error
	churns  bool   // the test closes its clients: a Cleanup for each would be kept
	panics  int64  // that the test provokes
	stop    func() // ends the server and checks that nothing is left

	mu    sync.Mutex
	peers map[string]*peer
}

// A peer is one Conn and its Receiver.
type peer struct {
	*transport.Conn
	rig    *rig
	open   []byte
	got    chan string // whole messages
	closed chan error
}

func (p *peer) Message(b []byte, f transport.Frame) error {
	if p.rig.message != nil {
		return p.rig.message(p, b, f)
	}
	p.open = append(p.open, b...)
	if f.End {
		p.got <- string(p.open)
		p.open = nil
	}
	return nil
}

func (p *peer) Closed(err error) {
	select {
	case p.closed <- err:
	default:
		p.rig.t.Error("Closed was called twice")
	}
}

var format = transport.Format{
	Preamble: ":\r\n", EventHead: "data: ", EventTail: "\r\n\r\n", LineBreak: "\r\ndata: ",
	StreamHeader: [][2]string{{"Cache-Control", "no-cache"}},
	Poll:         transport.Response{Status: 200, Type: "application/octet-stream", Header: [][2]string{{"X-Poll", "data"}}},
	Empty:        transport.Response{Status: 200, Type: "text/plain", Header: [][2]string{{"X-Poll", "empty"}}},
	Ended:        transport.Response{Status: 204, Header: [][2]string{{"X-Poll", "ended"}}},
	Replaced:     transport.Response{Status: 204, Header: [][2]string{{"X-Poll", "replaced"}}},
}

var profile = transport.Profile{
	Buffer: 1 << 20, HighWater: 64 << 10, MaxMessage: 4 << 20, ReadBuffer: 4 << 10,
	Await: 15 * time.Second, PollTimeout: 90 * time.Second, PollGap: 15 * time.Second,
}

// newRig returns a rig that start starts, so that the test can change it.
func newRig(t testing.TB) *rig {
	return &rig{t: t, profile: profile, format: format, peers: map[string]*peer{}}
}

func (r *rig) start(o transport.Options) *rig { return r.startOn(o, listen(r.t)) }

func (r *rig) startTLS(o transport.Options) *rig {
	cert, pool := certificate(r.t)
	r.tls = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	return r.startOn(o, tls.NewListener(listen(r.t), &tls.Config{Certificates: []tls.Certificate{cert}}))
}

func (r *rig) startOn(o transport.Options, l net.Listener) *rig {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r.addr = l.Addr().String()
	r.srv = transport.NewServer(r.serve, o)
	served := make(chan error, 1)
	go func() { served <- r.srv.Serve(l) }()
	r.stop = sync.OnceFunc(func() {
		r.mu.Lock()
		for _, p := range r.peers {
			p.Cut(transport.ErrClosed)
		}
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.srv.Shutdown(ctx); err != nil {
			r.t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			r.t.Errorf("serve: %v", err)
		}
		if n := r.srv.Len(); n != 0 {
			r.t.Errorf("%d Conns are left", n)
		}
		for k := range 4 {
			if n := r.srv.Stats().Carriers[k].Load(); n != 0 {
				r.t.Errorf("%d carriers are left of %v", n, transport.Kind(k))
			}
		}
		if n := r.srv.Stats().Panics.Load(); n != r.panics {
			r.t.Errorf("%d panics, want %d", n, r.panics)
		}
	})
	r.t.Cleanup(r.stop)
	return r
}

// peer returns the peer of an id and makes it when it is new.
func (r *rig) peer(id string) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[id]
	if p == nil {
		p = &peer{rig: r, got: make(chan string, 64), closed: make(chan error, 1)}
		p.Conn = r.srv.NewConn(p, &r.profile)
		r.peers[id] = p
	}
	return p
}

func (r *rig) serve(x *transport.Exchange) {
	if x.Path != "/c" {
		if r.other == nil {
			x.Reply(transport.Response{Status: 404})
			return
		}
		r.other(x)
		return
	}
	p := r.peer(strings.Clone(x.Query("id")))
	kind := transport.LongPoll
	switch {
	case x.Method == "POST":
		status := 200
		if err := p.Conn.Inject(x.Body()); err != nil {
			status = 404
		}
		x.Reply(transport.Response{Status: status})
		return
	case x.IsWebSocket():
		kind = transport.WebSocket
	case x.Accepts("text/event-stream"):
		kind = transport.EventStream
	}
	if !x.Carry(p.Conn, kind, &r.format) {
		x.Reply(transport.Response{Status: 409})
	}
}

// wait gets the next value, or fails the test.
func wait[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
	}
	return v
}

// until waits for a condition that nothing signals.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !f(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// ours returns the stacks of the goroutines that the package has started,
// here or in other tests: fasthttp's own end some seconds late.
func ours() (all []string) {
	b := make([]byte, 8<<20)
	for g := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(g, "signalrelay/transport.") {
			all = append(all, g)
		}
	}
	return all
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, c, c, key.Public(), key))
	pool := x509.NewCertPool()
	pool.AddCert(must[*x509.Certificate](t)(x509.ParseCertificate(der)))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// A client is a raw connection to the rig, with a deadline for all it does.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// dial connects. A receive buffer of rcv bytes makes a client that takes
// little when it does not read; 0 leaves the size to the system.
func (r *rig) dial(rcv int) *client {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	if rcv > 0 {
		nc.(*net.TCPConn).SetReadBuffer(rcv)
	}
	if r.tls != nil {
		nc = tls.Client(nc, r.tls)
	}
	nc.SetDeadline(time.Now().Add(15 * time.Second))
	if !r.churns {
		r.t.Cleanup(func() { nc.Close() })
	}
	return &client{Conn: nc, t: r.t, r: bufio.NewReaderSize(nc, 64<<10)}
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// respond reads a response with its body.
func (c *client) respond() (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(b)
}

// head reads a response's head only.
func (c *client) head() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// ended says whether the server has closed the connection: by an end of the
// stream or, when it had bytes unread, a reset.
func (c *client) ended() bool {
	c.t.Helper()
	_, err := c.r.Discard(1 << 30)
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

const upgradeLines = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// request returns the text of a request for a peer.
func request(kind transport.Kind, id string, lines ...string) string {
	s := "GET /c?id=" + id + " HTTP/1.1\r\nHost: relay\r\n"
	switch kind {
	case transport.WebSocket:
		s += upgradeLines
	case transport.EventStream:
		s += "Accept: text/event-stream\r\n"
	}
	for _, l := range lines {
		s += l + "\r\n"
	}
	return s + "\r\n"
}

// post returns the text of a POST for a peer.
func post(id, body string) string {
	return fmt.Sprintf("POST /c?id=%s HTTP/1.1\r\nHost: relay\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
}

// connect opens a carrier and waits until it is one. Polls have no answer yet.
func (r *rig) connect(kind transport.Kind, id string, rcv int) (*client, *peer) {
	r.t.Helper()
	p := r.peer(id)
	c := r.dial(rcv)
	c.send([]byte(request(kind, id)))
	switch kind {
	case transport.WebSocket:
		if res := c.head(); res.StatusCode != 101 {
			r.t.Fatalf("upgrade: %s", res.Status)
		}
	case transport.EventStream:
		if res := c.head(); res.StatusCode != 200 {
			r.t.Fatalf("event stream: %s", res.Status)
		}
		if s := c.chunk(); s != r.format.Preamble {
			r.t.Fatalf("preamble is %q", s)
		}
	}
	until(r.t, "carrier", p.Carried)
	return c, p
}

// chunk reads one chunk; "" is the last.
func (c *client) chunk() string {
	c.t.Helper()
	var n int
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "%x\r\n", &n); err != nil {
		c.t.Fatalf("chunk size %q: %v", line, err)
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	if string(b[n:]) != "\r\n" {
		c.t.Fatalf("chunk of %d bytes ends with %q", n, b[n:])
	}
	return string(b[:n])
}

const (
	text, bin        = 0x81, 0x82
	shut, ping, pong = 0x88, 0x89, 0x8a
)

// frame returns a client's frame, masked.
func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x11, 0xa2, 0x3c, 0x7f}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return b
}

// readFrame reads a server's frame.
func (c *client) readFrame() (first byte, payload []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(c.r, h[:2]); err != nil {
		return 0, nil, err
	}
	first = h[0]
	n := uint64(h[1])
	switch {
	case n > 127:
		return 0, nil, errors.New("server's frame is masked")
	case n == 126:
		_, err = io.ReadFull(c.r, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case n == 127:
		_, err = io.ReadFull(c.r, h[:8])
		n = binary.BigEndian.Uint64(h[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return first, payload, err
}

// wantFrame reads a frame and compares it.
func (c *client) wantFrame(first byte, payload string) {
	c.t.Helper()
	f, p, err := c.readFrame()
	if err != nil {
		c.t.Fatal(err)
	}
	if f != first || string(p) != payload {
		c.t.Fatalf("frame %#x %.60q, want %#x %.60q", f, p, first, payload)
	}
}

func closing(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// A stream reads what a peer sends, whatever the transport, as one text.
type stream struct {
	c    *client
	kind transport.Kind
	id   string
}

// read returns the next piece of the stream. A poll that is answered is
// followed by the next.
func (s stream) read() (string, error) {
	switch s.kind {
	case transport.WebSocket:
		_, p, err := s.c.readFrame()
		return string(p), err
	case transport.EventStream:
		ev := s.c.chunk()
		var b bytes.Buffer
		for e := range strings.SplitSeq(strings.TrimSuffix(ev, "\r\n\r\n"), "\r\n\r\n") {
			b.WriteString(strings.ReplaceAll(strings.TrimPrefix(e, "data: "), "\r\ndata: ", "\n"))
		}
		return b.String(), nil
	}
	res, body := s.c.respond()
	if res.StatusCode == 200 {
		s.c.send([]byte(request(transport.LongPoll, s.id)))
	}
	return body, nil
}

var kinds = []transport.Kind{transport.WebSocket, transport.EventStream, transport.LongPoll}

// send sends a text message by itself, more as one of a batch.
func (p *peer) send(s string) error { return p.Send([]byte(s), true, 0) }
func (p *peer) more(s string) error { return p.Send([]byte(s), true, 1) }
