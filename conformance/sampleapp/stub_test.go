package sampleapp_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH" // the public key of Microsoft's emulator

// patience is how long a test waits for what must come. It only passes when
// something is wrong.
const patience = 20 * time.Second

// stub plays the service: it accepts server connections and leaves what to say
// on them to the test, apart from those of BenchHub.
type stub struct {
	*httptest.Server
	links  chan *stubLink // of chathub, in the order of their upgrades
	status int            // refuses upgrades when not 0

	mu    sync.Mutex
	conns []net.Conn
}

func newStub(t testing.TB) *stub {
	s := &stub{links: make(chan *stubLink, 64)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) connectionString() string {
	return "Endpoint=" + s.URL + ";AccessKey=" + key + ";Version=1.0;"
}

// next is the next server connection of chathub.
func (s *stub) next(t testing.TB) *stubLink {
	t.Helper()
	select {
	case l := <-s.links:
		return l
	case <-time.After(patience):
		t.Fatal("no server connection")
		return nil
	}
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	l := &stubLink{conn: conn, request: r, frames: make(chan []byte, 4096), closed: make(chan int, 1)}
	go l.read(rw.Reader)                        // ends with the socket
	if r.URL.Query().Get("hub") == "benchhub" { // its handshake is enough
		<-l.frames
		l.send(&serviceproto.HandshakeResponse{})
		return
	}
	s.links <- l
}

// hangUp drops all server connections, so that nobody waits for a word of ours.
func (s *stub) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
}

// stubLink is the service's end of a server connection.
type stubLink struct {
	conn    net.Conn
	request *http.Request
	frames  chan []byte // bodies that the app sent, without length
	closed  chan int    // the status of the app's close frame, 0 when there was none

	mu sync.Mutex
}

// read unmasks the app's WebSocket frames and splits what is in them.
func (l *stubLink) read(r *bufio.Reader) {
	defer close(l.frames)
	split := serviceproto.Splitter{}
	for {
		var head [14]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			l.closed <- 0
			return
		}
		op, n := head[0]&15, int(head[1]&127)
		more := map[int]int{126: 2, 127: 8}[n]
		if _, err := io.ReadFull(r, head[2:2+more+4]); err != nil {
			l.closed <- 0
			return
		}
		switch more {
		case 2:
			n = int(binary.BigEndian.Uint16(head[2:]))
		case 8:
			n = int(binary.BigEndian.Uint64(head[2:]))
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(r, p); err != nil {
			l.closed <- 0
			return
		}
		for i := range p {
			p[i] ^= head[2+more+i%4]
		}
		if op == 8 {
			l.write(8, p)
			l.conn.Close()
			l.closed <- int(binary.BigEndian.Uint16(p))
			return
		}
		split.Feed(p, func(body []byte, _ bool) error {
			l.frames <- append([]byte(nil), body...)
			return nil
		})
	}
}

func (l *stubLink) write(op byte, p []byte) {
	b := []byte{0x80 | op, 127}
	b = append(binary.BigEndian.AppendUint64(b, uint64(len(p))), p...)
	if op == 8 { // a control frame has a short length
		b = append([]byte{0x80 | op, byte(len(p))}, p...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.Write(b)
}

func (l *stubLink) send(m serviceproto.Message) { l.write(2, serviceproto.Append(nil, m)) }

// frame is the next frame of the app that is no keep-alive.
func (l *stubLink) frame(t testing.TB) []byte {
	t.Helper()
	for {
		select {
		case b, ok := <-l.frames:
			if !ok {
				t.Fatal("the app ended the connection")
			}
			if !keepAlive(decode(t, b)) {
				return b
			}
		case <-time.After(patience):
			t.Fatal("no frame of the app")
		}
	}
}

// expect is the next frame, which must be an M.
func expect[M serviceproto.Message](t testing.TB, l *stubLink) M {
	t.Helper()
	m := decode(t, l.frame(t))
	want, ok := m.(M)
	if !ok {
		t.Fatalf("got %v %+v, want a %T", m.Type(), m, want)
	}
	return want
}

func decode(t testing.TB, body []byte) serviceproto.Message {
	t.Helper()
	m, err := new(serviceproto.Decoder).Decode(body)
	if err != nil {
		t.Fatalf("frame %x: %v", body, err)
	}
	return m
}

func keepAlive(m serviceproto.Message) bool {
	p, ok := m.(*serviceproto.Ping)
	return ok && (len(p.Words) == 0 || strings.HasPrefix(p.Words[0], "#client") || p.Words[0] == "status")
}

// shake accepts the handshake of a link.
func (l *stubLink) shake(t testing.TB) *serviceproto.HandshakeRequest {
	t.Helper()
	r := expect[*serviceproto.HandshakeRequest](t, l)
	l.send(&serviceproto.HandshakeResponse{})
	return r
}

// open makes a client that has finished its hub handshake, and takes its
// welcome.
func (l *stubLink) open(t testing.TB, m *serviceproto.OpenConnection) {
	t.Helper()
	l.send(m)
	l.data(m.ConnectionID, `{"protocol":"`+m.Protocol+`","version":1}`+"\x1e")
	if d := expect[*serviceproto.ConnectionData](t, l); string(d.Data) != "{}\x1e" || d.DataType != serviceproto.DataHandshake {
		t.Fatalf("handshake answer is %q of type %d", d.Data, d.DataType)
	}
	expect[*serviceproto.MultiConnectionData](t, l)
}

func (l *stubLink) data(id, text string) {
	l.send(&serviceproto.ConnectionData{ConnectionID: id, Data: []byte(text)})
}

// hears checks the next output of a hub for a client.
func (l *stubLink) hears(t testing.TB, id, text string) {
	t.Helper()
	d := expect[*serviceproto.ConnectionData](t, l)
	if d.ConnectionID != id || string(d.Data) != text+"\x1e" {
		t.Fatalf("%s gets %q, want %s to get %q", d.ConnectionID, d.Data, id, text)
	}
}

// running is an app under test.
type running struct {
	*sampleapp.App
	stub  *stub
	stop  context.CancelFunc
	ended chan struct{}
}

// start runs an app with one server connection per hub unless o says more.
func (s *stub) start(t testing.TB, o sampleapp.Options) *running {
	t.Helper()
	o.ConnectionString = s.connectionString()
	if o.Connections == 0 {
		o.Connections = 1
	}
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = patience
	}
	app, err := sampleapp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{app, s, stop, make(chan struct{})}
	go func() {
		defer close(r.ended)
		app.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		s.hangUp()
		r.wait(t)
	})
	return r
}

// wait waits for the end of Run.
func (r *running) wait(t testing.TB) {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Error("the app does not end")
	}
}
