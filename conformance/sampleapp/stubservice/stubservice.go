// Package stubservice plays the service for tests of the sample apps: it accepts
// server connections and leaves what to say on them to the test.
package stubservice

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// Key is the access key of the stub: the public one of Microsoft's emulator.
const Key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

// Service is a listening stub.
type Service struct {
	*httptest.Server
	// Refuse is the status that upgrades are refused with; 0: they are not.
	Refuse atomic.Int32
	// Refused is told of every upgrade that is refused; it is set before there is
	// any. It may be nil.
	Refused func(*http.Request)

	serve func(*Link)
	mu    sync.Mutex
	conns []net.Conn
}

// New starts a stub that hands every server connection to serve, in the order of
// their upgrades. Serve must return.
func New(t testing.TB, serve func(*Link)) *Service {
	s := &Service{serve: serve}
	s.Server = httptest.NewServer(http.HandlerFunc(s.accept))
	t.Cleanup(s.Close)
	return s
}

// ConnectionString leads an app to the stub.
func (s *Service) ConnectionString() string {
	return "Endpoint=" + s.URL + ";AccessKey=" + Key + ";Version=1.0;"
}

func (s *Service) accept(w http.ResponseWriter, r *http.Request) {
	if status := s.Refuse.Load(); status != 0 {
		if s.Refused != nil {
			s.Refused(r)
		}
		w.WriteHeader(int(status))
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	l := &Link{Conn: conn, Request: r, Frames: make(chan []byte, 4096), Closed: make(chan int, 1)}
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	go l.read(rw.Reader) // ends with the socket
	s.serve(l)
}

// HangUp drops all server connections, so that nobody waits for a word of the
// stub.
func (s *Service) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
}

// Link is the service's end of a server connection.
type Link struct {
	Conn    net.Conn
	Request *http.Request // the upgrade
	Frames  chan []byte   // bodies that the app sent, without length; closed at the end
	Closed  chan int      // the status of the app's close frame, 0 when there was none

	mu sync.Mutex
}

// read unmasks the app's WebSocket frames and splits what is in them.
func (l *Link) read(r *bufio.Reader) {
	defer close(l.Frames)
	split := serviceproto.Splitter{}
	for {
		var head [14]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			l.Closed <- 0
			return
		}
		op, n := head[0]&15, int(head[1]&127)
		more := map[int]int{126: 2, 127: 8}[n]
		if _, err := io.ReadFull(r, head[2:2+more+4]); err != nil {
			l.Closed <- 0
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
			l.Closed <- 0
			return
		}
		for i := range p {
			p[i] ^= head[2+more+i%4]
		}
		if op == 8 {
			l.Write(8, p)
			l.Conn.Close()
			l.Closed <- int(binary.BigEndian.Uint16(p))
			return
		}
		split.Feed(p, func(body []byte, _ bool) error {
			l.Frames <- append([]byte(nil), body...)
			return nil
		})
	}
}

// Write sends a WebSocket message with an opcode, 8 for a close frame.
func (l *Link) Write(op byte, p []byte) {
	b := []byte{0x80 | op, 127}
	b = append(binary.BigEndian.AppendUint64(b, uint64(len(p))), p...)
	if op == 8 { // a control frame has a short length
		b = append([]byte{0x80 | op, byte(len(p))}, p...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Conn.Write(b)
}

// Send sends a frame.
func (l *Link) Send(m serviceproto.Message) { l.Write(2, serviceproto.Append(nil, m)) }

// Decode reads a frame's body.
func Decode(t testing.TB, body []byte) serviceproto.Message {
	t.Helper()
	m, err := new(serviceproto.Decoder).Decode(body)
	if err != nil {
		t.Fatalf("frame %x: %v", body, err)
	}
	return m
}

// KeepAlive tells whether a message is a ping that an app sends by the clock.
func KeepAlive(m serviceproto.Message) bool {
	p, ok := m.(*serviceproto.Ping)
	return ok && (len(p.Words) == 0 || strings.HasPrefix(p.Words[0], "#client") || p.Words[0] == "status")
}
