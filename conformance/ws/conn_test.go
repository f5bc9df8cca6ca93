package ws_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// serve answers every upgrade, with early bytes in the packet of the 101, and hands the socket to f.
func serve(t *testing.T, early string, f func(net.Conn, *bufio.ReadWriter)) *httptest.Server {
	t.Helper()
	done := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(sum[:])+"\r\nX-Token: "+r.Header.Get("Authorization")+"\r\n\r\n"+early)
		f(c, rw)
	}))
	t.Cleanup(func() { <-done; s.Close() })
	return s
}

// clientFrame reads one frame as a server does and checks that it is masked.
func clientFrame(t *testing.T, r io.Reader) (byte, string) {
	t.Helper()
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		t.Errorf("read frame: %v", err)
		return 0, ""
	}
	if h[1]&0x80 == 0 {
		t.Error("frame is not masked")
	}
	n := int(h[1] & 0x7f)
	switch n {
	case 126:
		var e [2]byte
		io.ReadFull(r, e[:])
		n = int(binary.BigEndian.Uint16(e[:]))
	case 127:
		var e [8]byte
		io.ReadFull(r, e[:])
		n = int(binary.BigEndian.Uint64(e[:]))
	}
	var key [4]byte
	io.ReadFull(r, key[:])
	p := make([]byte, n)
	io.ReadFull(r, p)
	for i := range p {
		p[i] ^= key[i&3]
	}
	return h[0], string(p)
}

// What stands between the socket and its reader can end the connection.
func TestDialerReader(t *testing.T) {
	s := serve(t, "", func(c net.Conn, rw *bufio.ReadWriter) {
		clientFrame(t, rw) // what comes with the answer is not read by Reader
		io.WriteString(c, frame(0x81, "ab")+frame(0x81, "cd"))
		io.Copy(io.Discard, rw)
	})
	s.Start()
	enough := errors.New("enough")
	d := ws.Dialer{Reader: func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 4), iotest.ErrReader(enough)) }}
	c, err := d.Dial(t.Context(), s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.NetConn().Close() })
	if err := c.Write(ws.Text, []byte("go on")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(); string(p) != "ab" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if _, _, err := c.Read(); !errors.Is(err, enough) {
		t.Errorf("%v, want %v", err, enough)
	}
}

func dial(t *testing.T, s *httptest.Server) *ws.Conn {
	t.Helper()
	d := ws.Dialer{}
	if s.TLS != nil {
		d.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	}
	c, err := d.Dial(t.Context(), s.URL, http.Header{"Authorization": {"Bearer x"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.NetConn().Close() })
	return c
}

func TestConversation(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "tls"}[secure], func(t *testing.T) {
			long := strings.Repeat("long ", 20000)
			s := serve(t, frame(0x81, "early"), func(c net.Conn, rw *bufio.ReadWriter) {
				io.WriteString(c, frame(0x89, "are you there"))
				for _, want := range []message{{0x8A, "are you there"}, {0x81, "short"}, {0x82, long[:3000]}, {0x82, long}} {
					op, p := clientFrame(t, rw)
					if d := cmp.Diff(want, message{op, p}); d != "" {
						t.Error(d)
					}
				}
				io.WriteString(c, frame(0x82, long)+frame(0x88, "\x03\xe9going away"))
				if op, p := clientFrame(t, rw); op != 0x88 || p != "\x03\xe9" {
					t.Errorf("close answered by %#x %q", op, p)
				}
			})
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			c := dial(t, s)
			if _, p, err := c.Read(); string(p) != "early" || err != nil {
				t.Fatalf("first message %q, %v", p, err)
			}
			// The pong is the reader's work, so a reader must be waiting before anything else is written.
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, _, err := c.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("Read = %v, want a deadline", err)
			}
			c.SetReadDeadline(time.Time{})
			for _, m := range []message{{ws.Text, "short"}, {ws.Binary, long[:3000]}, {ws.Binary, long}} {
				if err := c.Write(m.Op, []byte(m.Data)); err != nil {
					t.Fatal(err)
				}
			}
			op, p, err := c.Read()
			if d := cmp.Diff(message{ws.Binary, long}, message{op, string(p)}); d != "" || err != nil {
				t.Error(err, d)
			}
			_, _, err = c.Read()
			var closed *ws.CloseError
			if !errors.As(err, &closed) {
				t.Fatalf("Read = %v, want a CloseError", err)
			}
			if d := cmp.Diff(&ws.CloseError{Code: 1001, Reason: "going away"}, closed); d != "" {
				t.Error(d)
			}
			if err := c.Write(ws.Text, nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after close = %v, want net.ErrClosed", err)
			}
		})
	}
}

func TestClose(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
		want string
	}{{"with a code", 1000, "\x03\xe8bye"}, {"without", 1005, ""}} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, "", func(c net.Conn, rw *bufio.ReadWriter) {
				if op, p := clientFrame(t, rw); op != 0x88 || p != tc.want {
					t.Errorf("closed by %#x %q, want %q", op, p, tc.want)
				}
				io.WriteString(c, frame(0x81, "on its way")+frame(0x88, tc.want))
				if _, err := rw.ReadByte(); err != io.EOF {
					t.Errorf("after both close frames: %v, want EOF", err)
				}
			})
			s.Start()
			c := dial(t, s)
			if err := c.Close(tc.code, "bye"); err != nil {
				t.Error(err)
			}
			if err := c.Close(tc.code, "again"); err != nil {
				t.Error(err)
			}
		})
	}
}

// The answer to Ping comes after what was said before it, and is no message.
func TestPing(t *testing.T) {
	s := serve(t, "", func(c net.Conn, rw *bufio.ReadWriter) {
		if head, p := clientFrame(t, rw); head != 0x89 || p != "there?" {
			t.Errorf("ping: %#x %q", head, p)
		}
		io.WriteString(c, "\x81\x03one\x8a\x06there?\x81\x03two")
		rw.ReadByte() // until the client goes
	})
	s.Start()
	c := dial(t, s)
	defer c.NetConn().Close()
	var came []string
	c.OnPong(func(p []byte) { came = append(came, "pong "+string(p)) })
	if err := c.Ping([]byte("there?")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, p, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		came = append(came, string(p))
	}
	if d := cmp.Diff([]string{"one", "pong there?", "two"}, came); d != "" {
		t.Error(d)
	}
}

// A server that vanishes is not a clean close.
func TestCut(t *testing.T) {
	s := serve(t, frame(0x81, "last")+"\x81", func(net.Conn, *bufio.ReadWriter) {})
	s.Start()
	c := dial(t, s)
	if _, p, err := c.Read(); string(p) != "last" || err != nil {
		t.Fatalf("%q, %v", p, err)
	}
	if _, _, err := c.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read = %v, want io.ErrUnexpectedEOF", err)
	}
}

func TestDialRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/404":
			w.WriteHeader(404)
			io.WriteString(w, "No Connection with that ID")
		case "/key":
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", "b3JnIGtleQ==")
			w.WriteHeader(101)
		case "/head":
			w.Header().Set("X-Long", strings.Repeat("x", 64<<10))
		case "/hang":
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	t.Run("status", func(t *testing.T) {
		_, err := ws.Dial(t.Context(), s.URL+"/404", nil)
		var refused *ws.StatusError
		if !errors.As(err, &refused) || refused.Code != 404 || refused.Body != "No Connection with that ID" {
			t.Errorf("Dial = %v", err)
		}
	})
	for name, path := range map[string]string{"wrong key": "/key", "endless head": "/head"} {
		t.Run(name, func(t *testing.T) {
			if _, err := ws.Dial(t.Context(), s.URL+path, nil); !errors.Is(err, ws.ErrProtocol) {
				t.Errorf("Dial = %v, want ErrProtocol", err)
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := ws.Dial(ctx, s.URL+"/hang", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial = %v, want the context's error", err)
		}
	})
	t.Run("scheme", func(t *testing.T) {
		if _, err := ws.Dial(t.Context(), "ftp://127.0.0.1/", nil); err == nil {
			t.Error("Dial took ftp")
		}
	})
}

func TestAppendFrameMasks(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 65535, 65536} {
		p := strings.Repeat("abcdefghijk", n/11+1)[:n]
		if op, got := clientFrame(t, strings.NewReader(string(ws.AppendFrame(nil, ws.Text, []byte(p), 0x04030201)))); op != 0x81 || got != p {
			t.Errorf("%d bytes do not survive masking", n)
		}
	}
}
