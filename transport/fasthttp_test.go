package transport_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/signalrelay/signalrelay/transport"
)

// One test for each trap of fasthttp, so that an upgrade of the library tells
// what changed.

// A hijacked connection that goes back to a pool would lead a late write to
// another client's socket.
func TestHijackedConnIsNotPooled(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	for i := range 50 {
		old := fmt.Sprint("old", i)
		c, p := r.connect(transport.WebSocket, old, 0)
		c.Close()
		wait(t, "end", p.closed)
		next, q := r.connect(transport.WebSocket, fmt.Sprint("new", i), 0)
		if err := p.send("late"); !errors.Is(err, transport.ErrClosed) {
			t.Fatalf("late send: %v, want ErrClosed", err)
		}
		q.send("mine")
		next.wantFrame(text, "mine")
		next.Close()
	}
}

// Close of a hijacked connection is ours: the peer sees it and the owner, who
// is reading, wakes.
func TestCloseOfHijackedConn(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).start(transport.Options{})
			c, p := r.connect(kind, "a", 0)
			p.Cut(io.ErrNoProgress)
			if err := wait(t, "end", p.closed); err != io.ErrNoProgress {
				t.Errorf("Closed(%v)", err)
			}
			if !c.ended() {
				t.Error("the socket is open")
			}
		})
	}
}

// fasthttp's memory belongs to the next request; an Exchange's strings do not.
func TestExchangeKeepsItsStrings(t *testing.T) {
	type seen struct {
		x                              *transport.Exchange
		method, path, raw, q, h, names string
	}
	look := func(x *transport.Exchange) seen {
		s := seen{x: x, method: x.Method, path: x.Path, raw: x.RawQuery, q: x.Query("q"), h: x.Header("x-one")}
		x.EachHeader(func(name, value string) { s.names += name + "=" + value + ";" })
		return s
	}
	var all []seen
	r := newRig(t)
	r.other = func(x *transport.Exchange) {
		all = append(all, look(x))
		x.Reply(transport.Response{Status: 200})
	}
	r.start(transport.Options{})
	c := r.dial(0)
	for _, s := range []string{"aaaa", "bbbb", "cccc"} {
		c.send([]byte("GET /" + s + "?q=" + s + " HTTP/1.1\r\nHost: " + s + "\r\nX-One: " + s + "\r\n\r\n"))
		c.respond()
	}
	for i, s := range []string{"aaaa", "bbbb", "cccc"} {
		want := seen{all[i].x, "GET", "/" + s, "q=" + s, s, s, "Host=" + s + ";X-One=" + s + ";"}
		if all[i] != want {
			t.Errorf("request %d was seen as %+v, want %+v", i, all[i], want)
		}
		if now := look(all[i].x); now != want {
			t.Errorf("request %d became %+v, want %+v", i, now, want)
		}
	}
}

// A frame in one packet with the upgrade is in fasthttp's buffer; with the
// settings we need, versions before 1.77 ended the process for it.
func TestEarlyFrame(t *testing.T) {
	for name, early := range map[string]string{
		"one frame":             string(frame(text, "first")) + string(frame(text, "second")),
		"more than its buffers": string(frame(text, strings.Repeat("e", 60<<10))),
		"part of a frame":       string(frame(text, "first"))[:3],
	} {
		t.Run(name, func(t *testing.T) {
			for tlsOn, start := range map[bool]func(*rig) *rig{
				false: func(r *rig) *rig { return r.start(transport.Options{}) },
				true:  func(r *rig) *rig { return r.startTLS(transport.Options{}) },
			} {
				r := start(newRig(t))
				c := r.dial(0)
				c.send([]byte(request(transport.WebSocket, "a") + early))
				if res := c.head(); res.StatusCode != 101 {
					t.Fatal(res.Status)
				}
				want, _, err := transport.Parse(1<<20, []byte(early))
				if err != nil {
					t.Fatal(err)
				}
				if len(want) == 0 {
					c.send(frame(text, "first")[3:])
					want = []transport.Parsed{{Op: 1, Data: "first"}}
				}
				for _, m := range want {
					if got := wait(t, "message", r.peer("a").got); got != m.Data {
						t.Errorf("TLS %v: got %.40q, want %.40q", tlsOn, got, m.Data)
					}
				}
			}
		})
	}
}

// A request behind a poll in one packet is taken for what it says, or the
// poll's answer says that the connection ends: it must not hang.
func TestEarlyRequestBehindPoll(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	c := r.dial(0)
	p := r.peer("a")
	c.send([]byte(request(transport.LongPoll, "a") + request(transport.LongPoll, "a")))
	until(t, "poll", p.Carried)
	p.send("one")
	res, body := c.respond()
	if body != "one" {
		t.Fatalf("poll: %q", body)
	}
	if res.Close {
		if !c.ended() {
			t.Error("the connection stays open")
		}
		return
	}
	p.send("two")
	if _, body := c.respond(); body != "two" {
		t.Errorf("poll behind a poll: %q", body)
	}
}

// The 32 KiB reader of the request must not stay for the socket's life.
func TestRequestReaderIsReleased(t *testing.T) {
	const n, most = 200, 12 << 10 // both ends of a connection are ours here
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).start(transport.Options{})
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			c, _ := r.connect(kind, "first", 0)
			before := heap()
			var clients []net.Conn
			for i := range n {
				nc := must[net.Conn](t)(net.Dial("tcp", r.addr))
				defer nc.Close()
				io.WriteString(nc, request(kind, fmt.Sprint(i), "X-Token: "+strings.Repeat("t", 4<<10)))
				clients = append(clients, nc)
			}
			until(t, "carriers", func() bool { return r.srv.Stats().Carriers[kind].Load() == n+1 })
			each := (int64(heap()) - int64(before)) / n
			t.Logf("%d bytes of heap for each idle %v, its client and its peer included", each, kind)
			if each > most {
				t.Errorf("%d bytes of heap each, want at most %d", each, most)
			}
			runtime.KeepAlive(clients)
			runtime.KeepAlive(c)
		})
	}
}

// fasthttp's header limit is its read buffer; ours are an URI of 12 KiB and
// headers of 16 KiB, refused in words that a page may read.
func TestHeaderLimits(t *testing.T) {
	for _, test := range []struct {
		name        string
		uri, header int
		want        int
	}{
		{"access token of 8 KB", 8 << 10, 0, 200},
		{"URI too long", 12<<10 + 1, 0, 414},
		{"header of 15 KB", 0, 15 << 10, 200},
		{"header too large", 0, 16<<10 + 1, 431},
		{"above the read buffer", 0, 40 << 10, 431},
		{"URI above the read buffer", 40 << 10, 0, 431},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.other = func(x *transport.Exchange) {
				x.Reply(transport.Response{Status: 200, Body: []byte(fmt.Sprint(len(x.RawQuery), len(x.Header("X-Long"))))})
			}
			r.start(transport.Options{})
			c := r.dial(0)
			io.WriteString(c, "GET /?"+strings.Repeat("u", test.uri)+" HTTP/1.1\r\nHost: relay\r\nOrigin: http://page\r\nX-Long: "+
				strings.Repeat("h", test.header)+"\r\n\r\n")
			res, body := c.respond()
			if res.StatusCode != test.want {
				t.Fatalf("%s, want %d", res.Status, test.want)
			}
			if test.want == 200 {
				if want := fmt.Sprint(test.uri, test.header); body != want {
					t.Errorf("seen %s, want %s", body, want)
				}
				return
			}
			if !res.Close {
				t.Error("the connection is kept")
			}
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != "http://page" && test.uri+test.header < 32<<10 {
				t.Errorf("allowed origin is %q", got)
			}
		})
	}
}

// ctx.Done of fasthttp does not tell that a client has gone; our owner reads
// the socket.
func TestClientGoneIsNoticed(t *testing.T) {
	for _, kind := range kinds {
		for _, how := range []string{"end", "reset"} {
			t.Run(kind.String()+" "+how, func(t *testing.T) {
				r := newRig(t).start(transport.Options{})
				c, p := r.connect(kind, "a", 0)
				if how == "reset" {
					c.Conn.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
				if kind != transport.LongPoll {
					if err := wait(t, "end", p.closed); err == nil {
						t.Error("Closed(nil), want a cause")
					}
					return
				}
				until(t, "end of the poll", func() bool { return !p.Carried() })
				select {
				case err := <-p.closed:
					t.Errorf("Closed(%v) with a poll", err)
				default:
				}
			})
		}
	}
}

// SetBodyStreamWriter holds the head back until there is a body, and
// WriteTimeout cuts a stream; a hijacked one has neither trait.
func TestEventStreamHeadComesAtOnce(t *testing.T) {
	r := newRig(t).start(transport.Options{WriteTimeout: 50 * time.Millisecond})
	c, p := r.connect(transport.EventStream, "a", 0) // reads head and preamble
	// The stream is silent for longer than the write timeout: that is the
	// point here, and nothing is waited for.
	<-time.After(150 * time.Millisecond)
	p.send("hello")
	if s := c.chunk(); s != "data: hello\r\n\r\n" {
		t.Errorf("event %q", s)
	}
}

// fasthttp forgets hijacked connections; Shutdown waits for ours.
func TestShutdownWaitsForHijackedConns(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).start(transport.Options{})
			c, p := r.connect(kind, "a", 0)
			down := make(chan error, 1)
			go func() { down <- r.srv.Shutdown(t.Context()) }()
			until(t, "closed listener", func() bool {
				nc, err := net.Dial("tcp", r.addr)
				if err == nil {
					nc.Close()
				}
				return err != nil
			})
			select {
			case <-down:
				t.Fatal("Shutdown did not wait")
			default:
			}
			p.send("still here")
			if s, err := (stream{c, kind, "a"}).read(); err != nil || s != "still here" {
				t.Fatalf("read %q, %v", s, err)
			}
			p.Close(transport.CloseGoingAway, "")
			if kind == transport.LongPoll {
				p.Cut(nil) // nobody polls any more
			}
			if err := wait(t, "end of Shutdown", down); err != nil {
				t.Error(err)
			}
			wait(t, "end", p.closed)
			if !c.ended() {
				t.Error("the socket is open")
			}
		})
	}
}

// Nothing in fasthttp recovers: one panic would end the process.
func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	t.Run("handler", func(t *testing.T) {
		r := newRig(t)
		r.panics = 1
		r.other = func(x *transport.Exchange) { panic("handler") }
		r.start(transport.Options{})
		c := r.dial(0)
		c.send([]byte("GET / HTTP/1.1\r\nHost: relay\r\nOrigin: http://page\r\n\r\n"))
		res, _ := c.respond()
		if res.StatusCode != 500 || res.Header.Get("Access-Control-Allow-Origin") != "http://page" {
			t.Errorf("%s, %v", res.Status, res.Header)
		}
	})
	t.Run("handler after Carry", func(t *testing.T) {
		r := newRig(t)
		r.panics = 1
		r.profile.Await = time.Millisecond
		r.other = func(x *transport.Exchange) {
			x.Carry(r.peer("a").Conn, transport.WebSocket, &r.format)
			panic("handler")
		}
		r.start(transport.Options{})
		c := r.dial(0)
		c.send([]byte("GET / HTTP/1.1\r\nHost: relay\r\n" + upgradeLines + "\r\n"))
		wait(t, "end", r.peer("a").closed)
	})
	for _, kind := range kinds {
		t.Run("message by "+kind.String(), func(t *testing.T) {
			r := newRig(t)
			r.panics = 1
			r.message = func(*peer, []byte, transport.Frame) error { panic("message") }
			r.start(transport.Options{})
			c, p := r.connect(kind, "a", 0)
			_, q := r.connect(kind, "other", 0)
			if kind == transport.WebSocket {
				c.send(frame(text, "x"))
			} else {
				up := r.dial(0)
				up.send([]byte(post("a", "x")))
				if res, _ := up.respond(); res.StatusCode != 500 {
					t.Errorf("POST: %s", res.Status)
				}
			}
			if err := wait(t, "end", p.closed); !errors.Is(err, transport.ErrPanic) {
				t.Errorf("Closed(%v), want ErrPanic", err)
			}
			if !c.ended() || !q.Carried() {
				t.Error("want an end of this connection, and of no other")
			}
		})
	}
	for name, panics := range map[string]*faulty{
		"closed": {where: "closed", called: make(chan struct{}, 1)},
		"tick":   {where: "tick", called: make(chan struct{}, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.panics = 1
			r.start(transport.Options{})
			c := r.srv.NewConn(panics, &r.profile)
			if name == "closed" {
				c.Close(0, "")
			}
			wait(t, "call", panics.called)
			until(t, "end of the Conn", func() bool { return r.srv.Len() == 0 })
		})
	}
}

type faulty struct {
	where  string
	called chan struct{}
}

func (f *faulty) Message([]byte, transport.Frame) error { return nil }
func (f *faulty) Closed(error)                          { f.at("closed") }
func (f *faulty) Tick(time.Time)                        { f.at("tick") }

func (f *faulty) at(where string) {
	if where == f.where {
		f.called <- struct{}{}
		panic(where)
	}
}

// The library's own client, with its ping and close handlers: our answers
// come from the outbox and never in the middle of a message.
func TestForeignClientPingAndClose(t *testing.T) {
	r := newRig(t)
	r.profile.Buffer = 64 << 20 // above it pings have no answer
	r.start(transport.Options{})
	p := r.peer("a")
	c, _, err := websocket.DefaultDialer.Dial("ws://"+r.addr+"/c?id=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	until(t, "carrier", p.Carried)
	pongs := make(chan string, 1000)
	c.SetPongHandler(func(s string) error { pongs <- s; return nil })
	const n = 300
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			p.Send([]byte(strings.Repeat("m", i*37)), true, uint32(i%3))
		}
	}()
	go func() {
		for i := range n {
			c.WriteControl(websocket.PingMessage, []byte(fmt.Sprint(i)), time.Now().Add(10*time.Second))
		}
	}()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i := range n {
		if _, b, err := c.ReadMessage(); err != nil || len(b) != i*37 {
			t.Fatalf("message %d has %d bytes, %v", i, len(b), err)
		}
	}
	<-sent
	p.send("end")
	for i, k := 0, 0; k < n; i++ {
		select {
		case s := <-pongs:
			if s != fmt.Sprint(k) {
				t.Fatalf("pong %d says %s", k, s)
			}
			k++
		default:
			if i > 0 { // only reading calls the handler
				p.send("more")
			}
			if _, _, err := c.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"))
	for err == nil {
		_, _, err = c.ReadMessage()
	}
	if !websocket.IsCloseError(err, 1000) {
		t.Errorf("got %v, want a close frame 1000", err)
	}
	if err := wait(t, "end", p.closed); err != nil {
		t.Errorf("Closed(%v), want nil", err)
	}
}

// The library's upgrader takes its own host's pages only. SignalR's come from
// anywhere, so AllowedOrigins decides, as it does for CORS.
func TestForeignOriginMayNotUpgrade(t *testing.T) {
	r := newRig(t).start(transport.Options{AllowedOrigins: []string{"https://only.example"}})
	_, res, err := websocket.DefaultDialer.Dial("ws://"+r.addr+"/c?id=a", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || res == nil || res.StatusCode != 403 {
		t.Fatalf("dial from a foreign origin: %v, %v, want 403", res, err)
	}
	c, res, err := websocket.DefaultDialer.Dial("ws://"+r.addr+"/c?id=a", http.Header{"Origin": {"https://only.example"}})
	if err != nil {
		t.Fatal(err, res)
	}
	c.Close()
}

// Old proxies speak HTTP/1.0: no chunks, no kept connection.
func TestHTTP10(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).start(transport.Options{})
			c := r.dial(0)
			p := r.peer("a")
			c.send([]byte(strings.Replace(request(kind, "a"), "HTTP/1.1", "HTTP/1.0", 1)))
			until(t, "carrier", p.Carried)
			switch kind {
			case transport.WebSocket:
				c.head()
				p.send("m")
				c.wantFrame(text, "m")
				return
			case transport.EventStream:
				res := c.head()
				if len(res.TransferEncoding) != 0 {
					t.Errorf("transfer encoding is %v", res.TransferEncoding)
				}
				p.send("one\r\ntwo")
				p.more("three")
				p.Close(0, "")
				b, err := io.ReadAll(res.Body)
				if want := ":\r\ndata: one\r\ndata: two\r\n\r\ndata: three\r\n\r\n"; err != nil || string(b) != want {
					t.Errorf("stream %q, %v, want %q", b, err, want)
				}
			case transport.LongPoll:
				p.send("m")
				if res, body := c.respond(); body != "m" || !res.Close {
					t.Errorf("%q, close %v", body, res.Close)
				}
			}
			if !c.ended() {
				t.Error("the connection is kept")
			}
		})
	}
}
