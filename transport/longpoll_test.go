package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// poll sends a poll on c and returns its answer.
func (c *client) poll(id string) (*http.Response, string) {
	c.t.Helper()
	c.send([]byte(request(transport.LongPoll, id)))
	return c.respond()
}

// wantPoll compares an answer.
func wantPoll(t *testing.T, res *http.Response, body, kind, want string) {
	t.Helper()
	if got := res.Header.Get("X-Poll"); got != kind || body != want {
		t.Errorf("poll is %q with %.60q, want %q with %.60q", got, body, kind, want)
	}
}

// A client keeps its TCP connection from poll to poll, whether messages wait
// for it or it waits for them, and for other requests between.
func TestPollsShareASocket(t *testing.T) {
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.other = func(x *transport.Exchange) { x.Reply(transport.Response{Status: 200, Body: []byte(x.Path)}) }
			r = start(r, transport.Options{})
			c := r.dial(0)
			p := r.peer("a")
			for i := range 20 {
				m := fmt.Sprint("message ", i)
				if i%2 == 0 {
					p.send(m)
				}
				c.send([]byte(request(transport.LongPoll, "a")))
				if i%2 != 0 {
					until(t, "poll", p.Carried)
					p.send(m)
				}
				res, body := c.respond()
				wantPoll(t, res, body, "data", m)
				if res.Close {
					t.Fatal("the server closes the connection")
				}
				if i%3 == 0 {
					c.send([]byte(post("a", m)))
					if res, _ := c.respond(); res.StatusCode != 200 || wait(t, "message", p.got) != m {
						t.Errorf("POST: %s", res.Status)
					}
				}
				if i%5 == 0 {
					c.send([]byte("GET /other HTTP/1.1\r\nHost: relay\r\n\r\n"))
					if _, body := c.respond(); body != "/other" {
						t.Errorf("other request: %q", body)
					}
				}
			}
		})
	}
}

// A large answer that the socket takes in part is whole before the next
// request on it is served.
func TestLargePollsShareASocket(t *testing.T) {
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.profile.Buffer = 64 << 20
			r = start(r, transport.Options{})
			c := r.dial(64 << 10)
			p := r.peer("a")
			for i := range 5 {
				m := strings.Repeat(fmt.Sprint(i), 4<<20)
				p.send(m)
				res, body := c.poll("a")
				wantPoll(t, res, body, "data", m)
			}
		})
	}
}

func TestPollConnectionClose(t *testing.T) {
	for _, size := range []int{1, 8 << 20} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			r := newRig(t).start(transport.Options{})
			c := r.dial(64 << 10)
			m := strings.Repeat("m", size)
			r.peer("a").send(m)
			c.send([]byte(request(transport.LongPoll, "a", "connection: close")))
			res, body := c.respond()
			wantPoll(t, res, body, "data", m)
			if !res.Close || !c.ended() {
				t.Error("the connection is kept")
			}
		})
	}
}

// A second poll takes the place of the first, which is told so and may poll
// again on its socket.
func TestTwoPollsAtOnce(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	first, p := r.connect(transport.LongPoll, "a", 0)
	second := r.dial(0)
	second.send([]byte(request(transport.LongPoll, "a")))
	res, body := first.respond()
	wantPoll(t, res, body, "replaced", "")
	p.send("m")
	res, body = second.respond()
	wantPoll(t, res, body, "data", "m")
	p.send("n")
	res, body = first.poll("a")
	wantPoll(t, res, body, "data", "n")
}

// Messages are not given to a poll whose client has gone.
func TestVanishedPollKeepsMessages(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	for i := range 50 {
		id := fmt.Sprint(i)
		c, p := r.connect(transport.LongPoll, id, 0)
		c.Close()
		p.send("one") // the owner may not have seen the end yet
		p.more("two")
		res, body := r.dial(0).poll(id)
		wantPoll(t, res, body, "data", "onetwo")
	}
}

func TestPollJoin(t *testing.T) {
	r := newRig(t)
	r.format.Join = func(_ string, messages [][]byte) ([]byte, int) {
		return fmt.Appendf(nil, "[%s]", bytes.Join(messages, []byte{','})), len(messages)
	}
	r.start(transport.Options{})
	c := r.dial(0)
	p := r.peer("a")
	p.send("1")
	p.send("2")
	res, body := c.poll("a")
	wantPoll(t, res, body, "data", "[1,2]")
	p.send("3")
	res, body = c.poll("a")
	wantPoll(t, res, body, "data", "[3]")
}

func TestPollEnds(t *testing.T) {
	t.Parallel()
	t.Run("by Close while it is parked", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.LongPoll, "a", 0)
		if p.Ended() {
			t.Error("it has ended before")
		}
		p.Close(1000, "")
		res, body := c.respond()
		wantPoll(t, res, body, "ended", "")
		if !p.Ended() { // Closed may be yet to come
			t.Error("the client was told so, but it has not ended")
		}
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v)", err)
		}
		// One that comes later, on the same socket, is answered alike.
		res, body = c.poll("a")
		wantPoll(t, res, body, "ended", "")
		c.send([]byte(post("a", "late")))
		if res, _ := c.respond(); res.StatusCode != 404 {
			t.Errorf("POST after the end: %s", res.Status)
		}
	})
	t.Run("by Close between polls", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c := r.dial(0)
		p := r.peer("a")
		p.send("first")
		c.poll("a")
		p.send("last")
		p.Close(1000, "")
		res, body := c.poll("a")
		wantPoll(t, res, body, "data", "last")
		res, body = c.poll("a")
		wantPoll(t, res, body, "ended", "")
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v)", err)
		}
	})
	t.Run("by Close and nobody polls", func(t *testing.T) {
		r := newRig(t)
		r.profile.PollGap = time.Millisecond
		r.start(transport.Options{})
		c, p := r.connect(transport.LongPoll, "a", 0)
		p.send("first")
		c.respond()
		p.send("last")
		p.Close(1000, "")
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v), want nil: it is our own Close", err)
		}
	})
	t.Run("by PollTimeout", func(t *testing.T) {
		r := newRig(t)
		r.profile.PollTimeout = time.Millisecond
		r.start(transport.Options{})
		c, p := r.connect(transport.LongPoll, "a", 0)
		res, body := c.respond()
		wantPoll(t, res, body, "empty", "")
		p.send("m")
		res, body = c.poll("a")
		wantPoll(t, res, body, "data", "m")
	})
	t.Run("by Cut", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.LongPoll, "a", 0)
		p.Cut(io.ErrNoProgress)
		if !c.ended() {
			t.Error("the socket is open")
		}
	})
}

// A Conn that lives on polls lives in them and between them, and no longer.
func TestPollGap(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.profile.PollGap = time.Millisecond
	r.start(transport.Options{})
	c, p := r.connect(transport.LongPoll, "a", 0)
	p.send("m")
	c.respond()
	if err := wait(t, "end", p.closed); !errors.Is(err, transport.ErrTimeout) {
		t.Errorf("Closed(%v), want ErrTimeout", err)
	}
	if n := r.srv.Stats().TimedOut.Load(); n != 1 {
		t.Errorf("%d timeouts are counted", n)
	}
}

// Bodies come to the Receiver one after another, and after a WebSocket's.
func TestInject(t *testing.T) {
	t.Run("order and overlap", func(t *testing.T) {
		const posts = 20
		r := newRig(t)
		in, busy := 0, false
		done := make(chan struct{})
		r.message = func(_ *peer, b []byte, f transport.Frame) error {
			if busy || !f.End {
				t.Errorf("Message overlaps: %v, end %v", busy, f.End)
			}
			busy = true
			defer func() { busy = false }()
			if len(b) != 100<<10 || strings.Trim(string(b), string(b[:1])) != "" {
				t.Errorf("a body is mixed, %d bytes", len(b))
			}
			if in++; in == posts {
				close(done)
			}
			return nil
		}
		r.start(transport.Options{})
		r.peer("a")
		for i := range posts {
			go io.WriteString(r.dial(0), post("a", strings.Repeat(string(rune('a'+i)), 100<<10)))
		}
		wait(t, "bodies", done)
	})
	t.Run("chunked", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c := r.dial(0)
		p := r.peer("a")
		c.send([]byte("POST /c?id=a HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"))
		if res, _ := c.respond(); res.StatusCode != 200 {
			t.Error(res.Status)
		}
		if got := wait(t, "message", p.got); got != "hello!" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("error of the Receiver", func(t *testing.T) {
		bad := errors.New("bad message")
		r := newRig(t)
		r.message = func(*peer, []byte, transport.Frame) error { return bad }
		r.start(transport.Options{})
		c, p := r.connect(transport.LongPoll, "a", 0)
		up := r.dial(0)
		up.send([]byte(post("a", "x")))
		if res, _ := up.respond(); res.StatusCode != 404 {
			t.Error(res.Status)
		}
		if err := wait(t, "end", p.closed); err != bad {
			t.Errorf("Closed(%v)", err)
		}
		if !c.ended() {
			t.Error("the poll is open")
		}
	})
	for name, body := range map[string]string{
		"length":  "Content-Length: 2000\r\n\r\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + strings.Repeat("x", 2000) + "\r\n0\r\n\r\n",
	} {
		t.Run("body too large by "+name, func(t *testing.T) {
			r := newRig(t).start(transport.Options{MaxBody: 1999})
			c := r.dial(0)
			io.WriteString(c, "POST /c?id=a HTTP/1.1\r\nHost: relay\r\nOrigin: http://page\r\n"+body)
			res, _ := c.respond()
			// fasthttp has forgotten the origin when chunks are too many;
			// pages send a length.
			if res.StatusCode != 413 || name == "length" && res.Header.Get("Access-Control-Allow-Origin") != "http://page" {
				t.Errorf("%s, %v", res.Status, res.Header)
			}
		})
	}
}

// Large bodies are read only for those who may send them.
func TestAdmitBody(t *testing.T) {
	const small, large = 64 << 10, 64<<10 + 1
	for _, test := range []struct {
		name, token string
		size, want  int
		chunked     bool
	}{
		{"small without a token", "", small, 200, false},
		{"large without a token", "", large, 413, false},
		{"large with a token", "Authorization: good\r\n", large, 200, false},
		{"large with a token behind a proxy in lower case", "authorization: good\r\n", large, 200, false},
		{"large with a bad token", "Authorization: bad\r\n", large, 413, false},
		{"of unknown length without a token", "", large, 413, true},
		{"of unknown length with a token", "Authorization: good\r\n", large, 200, true},
	} {
		for _, method := range []string{"POST", "PUT"} {
			t.Run(method+" "+test.name, func(t *testing.T) {
				r := newRig(t)
				r.other = func(x *transport.Exchange) {
					status := 200
					if len(x.Body()) != test.size {
						status = 400
					}
					x.Reply(transport.Response{Status: status})
				}
				r.start(transport.Options{AdmitBody: func(target, authorization string) bool {
					return target == "/up?q" && authorization == "good"
				}})
				c := r.dial(0)
				body := strings.Repeat("b", test.size)
				length := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", test.size, body)
				if test.chunked {
					length = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", test.size, body)
				}
				go io.WriteString(c, method+" /up?q HTTP/1.1\r\nHost: relay\r\n"+test.token+length)
				if res, _ := c.respond(); res.StatusCode != test.want {
					t.Errorf("%s, want %d", res.Status, test.want)
				}
			})
		}
	}
}
