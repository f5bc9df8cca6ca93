package transport_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/signalrelay/signalrelay/transport"
)

// Every way of cutting a client's bytes in two gives the same messages and
// the same answers.
func TestFramesSplitAtEveryByte(t *testing.T) {
	in := string(frame(text, "hello")) + string(frame(bin, strings.Repeat("b", 126))) + string(frame(0x01, "frag")) +
		string(frame(ping, "p")) + string(frame(0x00, "")) + string(frame(0x80, "ment")) + string(frame(text, ""))
	want := []string{"hello", strings.Repeat("b", 126), "fragment", ""}
	r := newRig(t).start(transport.Options{})
	for i := 1; i < len(in); i++ {
		c, p := r.connect(transport.WebSocket, fmt.Sprint(i), 0)
		c.send([]byte(in[:i]))
		// Whether they are read apart is up to the system, so this is the
		// likely case; TestParse has the certain one.
		c.send([]byte(in[i:]))
		var got []string
		for range want {
			got = append(got, wait(t, "message", p.got))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("split at %d: %s", i, d)
		}
		c.wantFrame(pong, "p")
		c.Close()
	}
}

func TestMessages(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 4095, 4096, 65535, 65536, 1 << 20} {
		for name, start := range map[string]func(*rig) *rig{
			"plain": func(r *rig) *rig { return r.start(transport.Options{}) },
			"TLS":   func(r *rig) *rig { return r.startTLS(transport.Options{}) },
		} {
			t.Run(fmt.Sprint(n, " bytes ", name), func(t *testing.T) {
				r := start(newRig(t))
				c, p := r.connect(transport.WebSocket, "a", 0)
				m := strings.Repeat("0123456789abcdef", n/16+1)[:n]
				c.send(frame(bin, m))
				if got := wait(t, "message", p.got); got != m {
					t.Errorf("got %d bytes, want %d", len(got), n)
				}
				if err := p.Send([]byte(m), false, 0); err != nil {
					t.Fatal(err)
				}
				c.wantFrame(bin, m)
				c.send(frame(ping, "?"))
				c.wantFrame(pong, "?")
				p.send("end")
				c.wantFrame(text, "end")
			})
		}
	}
}

// A broken rule of RFC 6455 is answered by a close frame, ends the Conn with
// a cause, and is not survived by a peer that could come back.
func TestProtocolErrors(t *testing.T) {
	huge := binary.BigEndian.AppendUint64([]byte{bin, 0x80 | 127}, 1<<63+5)
	for _, test := range []struct {
		name string
		in   []byte
		code int
		err  error
	}{
		{"unmasked", []byte{text, 5, 'h', 'e', 'l', 'l', 'o'}, 1002, transport.ErrProtocol},
		{"unmasked and empty", []byte{text, 0}, 1002, transport.ErrProtocol},
		{"RSV1", frame(text|0x40, "x"), 1002, transport.ErrProtocol},
		{"RSV2", frame(text|0x20, "x"), 1002, transport.ErrProtocol},
		{"RSV3", frame(ping|0x10, "x"), 1002, transport.ErrProtocol},
		{"opcode 3", frame(0x83, "x"), 1002, transport.ErrProtocol},
		{"opcode 11", frame(0x8b, "x"), 1002, transport.ErrProtocol},
		{"fragmented ping", frame(0x09, "x"), 1002, transport.ErrProtocol},
		{"ping of 126 bytes", frame(ping, strings.Repeat("x", 126)), 1002, transport.ErrProtocol},
		{"continuation of nothing", frame(0x80, "x"), 1002, transport.ErrProtocol},
		{"text within a message", append(frame(0x01, "x"), frame(text, "y")...), 1002, transport.ErrProtocol},
		{"too large", frame(bin, strings.Repeat("x", 101)), 1009, transport.ErrTooLarge},
		{"too large, the rest unread", frame(bin, strings.Repeat("x", 1<<20)), 1009, transport.ErrTooLarge},
		{"too large in fragments", append(frame(0x02, strings.Repeat("x", 60)), frame(0x80, strings.Repeat("x", 60))...), 1009, transport.ErrTooLarge},
		{"length with its highest bit", append(huge, 0, 0, 0, 0), 1009, transport.ErrTooLarge},
	} {
		for name, start := range map[string]func(*rig) *rig{
			"plain": func(r *rig) *rig { return r.start(transport.Options{}) },
			"TLS":   func(r *rig) *rig { return r.startTLS(transport.Options{}) },
		} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				r := newRig(t)
				r.message = func(*peer, []byte, transport.Frame) error { return nil }
				r.profile.MaxMessage = 100
				r = start(r)
				c, p := r.connect(transport.WebSocket, "a", 0)
				p.SetGrace(time.Minute)
				c.send(test.in)
				c.wantFrame(shut, closing(test.code, ""))
				if err := wait(t, "end", p.closed); !errors.Is(err, test.err) {
					t.Errorf("Closed(%v), want %v", err, test.err)
				}
				if !c.ended() {
					t.Error("the socket is open")
				}
			})
		}
	}
}

// MaxMessage itself is allowed, in one frame or many.
func TestMessageOfMaxSize(t *testing.T) {
	r := newRig(t)
	r.profile.MaxMessage = 100
	r.start(transport.Options{})
	c, p := r.connect(transport.WebSocket, "a", 0)
	for range 3 {
		c.send(frame(text, strings.Repeat("x", 100)))
		c.send(append(frame(0x01, strings.Repeat("y", 50)), frame(0x80, strings.Repeat("y", 50))...))
		for _, want := range []string{strings.Repeat("x", 100), strings.Repeat("y", 100)} {
			if got := wait(t, "message", p.got); got != want {
				t.Errorf("got %d bytes", len(got))
			}
		}
	}
}

func TestCloseHandshake(t *testing.T) {
	for name, start := range map[string]func(*rig, transport.Options) *rig{"plain": (*rig).start, "TLS": (*rig).startTLS} {
		t.Run("by the peer "+name, func(t *testing.T) {
			r := start(newRig(t), transport.Options{})
			c, p := r.connect(transport.WebSocket, "a", 0)
			p.SetGrace(time.Minute) // a close frame is a farewell: nobody comes back
			c.send(frame(shut, closing(1000, "bye")))
			c.wantFrame(shut, closing(1000, ""))
			if err := wait(t, "end", p.closed); err != nil {
				t.Errorf("Closed(%v), want nil", err)
			}
			if !c.ended() {
				t.Error("the socket is open")
			}
		})
		t.Run("by us "+name, func(t *testing.T) {
			r := start(newRig(t), transport.Options{CloseTimeout: time.Minute})
			c, p := r.connect(transport.WebSocket, "a", 0)
			p.more("last")
			p.Close(1001, "going away")
			p.Close(1011, "a second call says nothing")
			if err := p.send("late"); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("send after Close: %v", err)
			}
			c.wantFrame(text, "last")
			c.wantFrame(shut, closing(1001, "going away"))
			if err := wait(t, "end", p.closed); err != nil {
				t.Errorf("Closed(%v), want nil", err)
			}
			c.send(frame(text, "not wanted any more"))
			c.send(frame(shut, closing(1001, "")))
			if !c.ended() {
				t.Error("the socket is open")
			}
			select {
			case m := <-p.got:
				t.Errorf("message %q after the end", m)
			default:
			}
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		r := newRig(t).start(transport.Options{CloseTimeout: 50 * time.Millisecond})
		c, p := r.connect(transport.WebSocket, "a", 0)
		p.Close(1000, "")
		c.wantFrame(shut, closing(1000, ""))
		wait(t, "end", p.closed)
		if !c.ended() {
			t.Error("the socket is open")
		}
	})
	t.Run("code 0", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 0)
		p.send("last")
		p.Close(0, "")
		c.wantFrame(text, "last")
		if _, _, err := c.readFrame(); err != io.EOF {
			t.Errorf("read %v, want the end of the stream", err)
		}
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v)", err)
		}
	})
	t.Run("long reason", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 0)
		p.Close(1000, strings.Repeat("r", 500))
		c.wantFrame(shut, closing(1000, strings.Repeat("r", 123)))
	})
	t.Run("the peer's, while much waits for it", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 64<<10)
		m := strings.Repeat("m", 256<<10)
		for p.send(m) == nil { // until the socket takes no more
		}
		c.send(frame(shut, closing(1000, "")))
		var last byte
		for {
			f, _, err := c.readFrame()
			if err != nil {
				break
			}
			last = f
		}
		if last != shut {
			t.Errorf("the last frame is %#x, want a close frame", last)
		}
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v), want nil", err)
		}
	})
}

// A lost socket ends the Conn with a cause, and what is half received is not
// a message.
func TestHalfOpen(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	c, p := r.connect(transport.WebSocket, "a", 0)
	c.send(frame(text, "half a frame")[:9])
	c.Conn.(*net.TCPConn).CloseWrite()
	if err := wait(t, "end", p.closed); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Closed(%v), want an unexpected end", err)
	}
	if len(p.got) != 0 {
		t.Errorf("message %q", <-p.got)
	}
}

// What the Receiver returns ends the Conn, also one whose peer might return.
func TestMessageError(t *testing.T) {
	bad := errors.New("bad message")
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprint("grace ", grace), func(t *testing.T) {
			r := newRig(t)
			r.message = func(*peer, []byte, transport.Frame) error { return bad }
			r.start(transport.Options{})
			c, p := r.connect(transport.WebSocket, "a", 0)
			p.SetGrace(grace)
			c.send(frame(text, "x"))
			if err := wait(t, "end", p.closed); err != bad {
				t.Errorf("Closed(%v)", err)
			}
			if !c.ended() {
				t.Error("the socket is open")
			}
		})
	}
}

// A Receiver that blocks is the peer's back-pressure, and its Conn can be
// closed meanwhile; Closed comes after Message.
func TestMessageBlocks(t *testing.T) {
	r := newRig(t)
	in, out := make(chan struct{}), make(chan struct{})
	r.message = func(*peer, []byte, transport.Frame) error {
		in <- struct{}{}
		<-out
		return nil
	}
	r.start(transport.Options{})
	c, p := r.connect(transport.WebSocket, "a", 0)
	c.send(frame(text, "x"))
	wait(t, "message", in)
	p.send("y")
	c.wantFrame(text, "y")
	p.Cut(io.ErrNoProgress)
	select {
	case <-p.closed:
		t.Fatal("Closed overlaps Message")
	default:
	}
	close(out)
	if err := wait(t, "end", p.closed); err != io.ErrNoProgress {
		t.Errorf("Closed(%v)", err)
	}
}

// What is no proper upgrade is a plain request; the adapter refuses it.
func TestUpgradeRequests(t *testing.T) {
	key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, test := range []struct {
		name, lines string
		want        bool
	}{
		{"as browsers do", upgradeLines, true},
		{"as Firefox does", "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" + key, true},
		{"lower case", strings.ToLower("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n") + key, true},
		{"version 8", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" + key, false},
		{"no key", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", false},
		{"no connection", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + key, false},
		{"other protocol", "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + key, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			seen := make(chan bool, 1)
			r.other = func(x *transport.Exchange) {
				seen <- x.IsWebSocket()
				if !x.IsWebSocket() || !x.Carry(r.peer("a").Conn, transport.WebSocket, &r.format) {
					x.Reply(transport.Response{Status: 400})
				}
			}
			r.start(transport.Options{})
			c := r.dial(0)
			c.send([]byte("GET / HTTP/1.1\r\nHost: relay\r\n" + test.lines + "\r\n"))
			res := c.head()
			if got := <-seen; got != test.want {
				t.Errorf("IsWebSocket is %v", got)
			}
			if test.want {
				// RFC 6455, 1.3 has this key and its answer.
				if got := res.Header.Get("Sec-WebSocket-Accept"); res.StatusCode != 101 || got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
					t.Errorf("%s, accept %q", res.Status, got)
				}
			} else if res.StatusCode != 400 {
				t.Error(res.Status)
			}
		})
	}
}
