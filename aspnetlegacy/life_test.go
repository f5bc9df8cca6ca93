package aspnetlegacy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// call is a call of a client's method.
func call(hub, method, args string) string {
	return `{"H":"` + hub + `","M":"` + method + `","A":[` + args + `]}`
}

func TestLife(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s := serve(t, aspnetlegacy.Options{})
		a := s.app("server-1", "chat")
		c := s.connect(a, via, []string{"Chat"})
		neighbour := s.connect(a, webSockets, []string{"chat"})

		const invocation = `{"H":"chat","M":"Echo","A":["ü & <b>+"],"I":0}`
		c.says(via, invocation)
		a.heard(c.id, invocation)
		a.answers(c.id, `{"R":"ü & <b>+","I":"0"}`)
		c.hears(`{"R":"ü & <b>+","I":"0"}`)
		a.says(c.id, call("chat", "direct", `1`))
		c.hears(call("chat", "direct", `1`))
		a.hubs["chat"].broadcasts(call("chat", "all", `2`), call("chat", "all", `3`))
		c.hears(call("chat", "all", `2`), call("chat", "all", `3`))
		neighbour.hears(call("chat", "all", `2`), call("chat", "all", `3`))

		c.abort(via)
		c.ends()
		a.Left(c.id)
		nodetest.Until(t, "counted as normal", func() bool { return nodetest.Ended(s, relay.Normal) == 1 })
		a.hubs["chat"].broadcasts(call("chat", "all", `4`))
		neighbour.hears(call("chat", "all", `4`))
		a.Settle()
	})
}

// A response is a message of its own on a WebSocket, and an element elsewhere,
// where every message has a cursor (4.3).
func TestResponse(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		_, a, c := connected(t, aspnetlegacy.Options{}, via)
		a.answers(c.id, `{"I":"1"}`)
		got, err := c.document()
		if err != nil {
			t.Fatal(err)
		}
		want := `{"I":"1"}`
		if via != webSockets {
			want = `{"C":"` + aspnetlegacy.Cursor(1) + `","M":[{"I":"1"}]}`
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestForeverFrame(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, foreverFrame)
	st := c.channel.(*stream)
	if got := st.res.Header.Get("Content-Type"); got != "text/html; charset=UTF-8" {
		t.Errorf("Content-Type %q", got)
	}
	if !strings.HasPrefix(st.head, "<!DOCTYPE html>") || !strings.Contains(st.head, `getConnection("7")`) {
		t.Errorf("head %q", st.head)
	}
	a.says(c.id, `"</script>"`)
	const head = `<script>r(c, {"C":"`
	want := head + aspnetlegacy.Cursor(1) + `","M":["\u003c/script\u003e"]});</script>` + "\r\n"
	if got, err := st.through("\r\n"); got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestEventStreamHead(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1")
	h := s.connect(a, serverSentEvents, nil).channel.(*stream).res.Header
	if h.Get("Content-Type") != "text/event-stream" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("head %v", h)
	}
}

func TestPollHead(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	a.says(c.id, `1`)
	got := <-c.poll("poll").answer
	want := `{"C":"` + aspnetlegacy.Cursor(1) + `","M":[1]}`
	if got.err != nil || got.Body != want || got.Header.Get("Content-Type") != "application/json; charset=UTF-8" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %+v, want %s", got, want)
	}
}

// What waits comes in one document, in order, under the last cursor (4.3).
func TestPollMerge(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, longPolling, "chat")
	a.says(c.id, `1`)
	a.answers(c.id, `{"R":2,"I":"7"}`)
	a.Settle()
	a.hubs["chat"].broadcasts(`3`)
	a.Settle()
	want := `{"C":"` + aspnetlegacy.Cursor(3) + `","M":[1,{"R":2,"I":"7"},3]}`
	if got, err := c.document(); got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// Messages that an app sends before a client has connected come with the init
// message of a poll, or behind it (3.7).
func TestEarlyMessages(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s := serve(t, aspnetlegacy.Options{})
		a := s.app("server-1", "chat")
		c := s.negotiate([]string{"chat"})
		c.connect(webSockets) // a transport that will not do
		a.opened(c.id)
		a.says(c.id, `1`, `2`)
		a.Settle()
		a.hubs["chat"].broadcasts(`3`)
		a.Settle()
		c.cut()
		c.mustOpen("connect", via)
		if via != longPolling {
			c.initialized("0")
			c.hears(`1`, `2`, `3`)
			return
		}
		want := `{"C":"` + aspnetlegacy.Cursor(3) + `","S":1,"M":[1,2,3]}`
		if got, err := c.document(); got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	})
}

func TestKeepAlive(t *testing.T) {
	tick := time.Now()
	for _, tt := range []struct{ via, want string }{
		{webSockets, ""},
		{serverSentEvents, "data: {}\n\n"},
		{foreverFrame, "<script>r(c, {});</script>\r\n"},
	} {
		t.Run(tt.via, func(t *testing.T) {
			s, _, c := connected(t, aspnetlegacy.Options{KeepAlive: time.Second}, tt.via)
			s.Tick(tick)
			switch ch := c.channel.(type) {
			case *socket:
				op, p, err := ch.Read()
				if op != ws.Text || string(p) != "{}" {
					t.Errorf("got %d %q, %v", op, p, err)
				}
			case *stream:
				if got, err := ch.through("\n"); strings.TrimRight(got, "\r\n") != strings.TrimRight(tt.want, "\r\n") {
					t.Errorf("got %q, %v, want %q", got, err, tt.want)
				}
			}
		})
	}
}

// A poll gets blanks ahead of its document, and its head with the first.
func TestKeepAlivePoll(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{KeepAlive: time.Second}, longPolling)
	p := c.parkedPoll()
	s.Tick(time.Now())
	s.Tick(time.Now())
	a.says(c.id, `1`)
	got := <-p.answer
	want := `{"C":"` + aspnetlegacy.Cursor(1) + `","M":[1]}`
	if blanks, ok := strings.CutSuffix(got.Body, want); !ok || len(blanks) < 2 || strings.Trim(blanks, " ") != "" {
		t.Errorf("got %q, %v, want blanks and %s", got.Body, got.err, want)
	}
}

// Only who has been idle for KeepAlive hears of it, however long that is.
func TestKeepAliveIsRare(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{KeepAlive: 300 * time.Second}, webSockets)
	w := c.channel.(*socket)
	next := func() string {
		t.Helper()
		_, p, err := w.Read()
		if err != nil {
			t.Fatal(err)
		}
		return string(p)
	}
	seconds := func(n int) {
		for range n {
			s.Tick(time.Now())
		}
	}
	seconds(280)
	a.says(c.id, `1`)
	if got := next(); !strings.Contains(got, `"M":[1]`) {
		t.Errorf("before its time: %q", got)
	}
	seconds(20)
	if got := next(); got != "{}" {
		t.Errorf("after its time: %q", got)
	}
}

func TestPollTimeout(t *testing.T) {
	t.Parallel()
	_, a, c := connected(t, aspnetlegacy.Options{PollTimeout: time.Millisecond}, longPolling)
	a.says(c.id, `1`)
	c.hears(`1`)
	// The sweeper comes once a second.
	want := `{"C":"` + aspnetlegacy.Cursor(1) + `","M":[]}`
	if got := <-c.poll("poll").answer; got.Body != want || got.Status != 200 {
		t.Errorf("got %+v, want %s", got, want)
	}
	a.says(c.id, `2`)
	c.hears(`2`)
}

// A newer poll takes the place of an older one, which is answered at once.
func TestPollReplaced(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	first := c.parkedPoll()
	second := c.poll("poll")
	if got := <-first.answer; got.Status != 200 || got.Body != `{"C":"0","M":[]}` {
		t.Errorf("the older poll got %+v", got)
	}
	a.says(c.id, `1`)
	if got := <-second.answer; got.Status != 200 || !strings.Contains(got.Body, `"M":[1]`) {
		t.Errorf("the newer poll got %+v", got)
	}
}

func TestAbortPoll(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	p := c.parkedPoll()
	c.abort(longPolling)
	if got := <-p.answer; got.Status != 200 || got.Body != `{"C":"0","M":[]}` {
		t.Errorf("the poll got %+v", got)
	}
	a.Left(c.id)
}

// After an abort the token is worth nothing, whatever it is tried with.
func TestAfterAbort(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1")
	other := s.connect(a, webSockets, nil)
	eachAfter := func(via string) {
		c := s.connect(a, via, nil)
		c.abort(via)
		c.ends()
		a.Left(c.id)
		for _, action := range []string{"connect", "reconnect", "poll", "send", "start", "abort"} {
			if r := s.Ask("POST", c.target(action, longPolling), c.login, "data=x"); r.Status != 404 {
				t.Errorf("%s, then %s: %+v", via, action, r)
			}
		}
	}
	for _, via := range transports {
		eachAfter(via)
	}
	a.Settle()
	a.says(other.id, `1`)
	other.hears(`1`)
}

// One client, one OpenConnection, whatever transports it tries (3.7). Each
// transport ends the one before it cleanly, although something may just be
// being written there, and gets everything again: the client has started none.
func TestFallback(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1", "chat")
	c := s.negotiate([]string{"chat"})
	c.connect(webSockets)
	a.opened(c.id)
	a.says(c.id, `1`)
	c.hears(`1`)
	before := c.channel
	c.connect(serverSentEvents)
	c.hears(`1`)
	if _, err := before.document(); !isEnd(err) {
		t.Errorf("the WebSocket ends with %v", err)
	}
	before = c.channel
	c.mustOpen("connect", longPolling)
	c.hears(`1`)
	if _, err := before.document(); !isEnd(err) {
		t.Errorf("the event stream ends with %v", err)
	}
	c.start(longPolling)
	a.Settle()
	a.hubs["chat"].broadcasts(`2`)
	c.hears(`2`)
	c.says(longPolling, "x")
	a.heard(c.id, "x")
}

// The app ends a client: with its reason, then the end of the transport (3.6).
func TestClosedByApp(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s := serve(t, aspnetlegacy.Options{})
		a := s.app("server-1", "chat")
		neighbour := s.connect(a, webSockets, []string{"chat"})
		for _, tt := range []struct{ sent, told string }{
			{`Unable to "authorize" <request>`, `Unable to "authorize" <request>`},
			{"", "Connection closed by the server."},
		} {
			c := s.connect(a, via, []string{"chat"})
			a.says(c.id, `1`)
			a.Send(&serviceproto.CloseConnection{ConnectionID: c.id, Error: tt.sent})
			c.hears(`1`)
			c.told(tt.told)
			nodetest.Until(t, "gone", func() bool { return s.Clients() == 1 })
			if err := c.open("reconnect", via); err == nil {
				_, err = c.document()
				if !isEnd(err) {
					t.Errorf("reconnects after the close: %v", err)
				}
			} else if status(err) != 404 {
				t.Errorf("reconnects after the close: %v", err)
			}
		}
		a.Settle() // it is not told of what it said itself
		nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.ClosedByAppServer) == 2 })
		a.says(neighbour.id, `2`)
		neighbour.hears(`2`)
	})
}

// The same for a poll that waits.
func TestClosedByAppParked(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	p := c.parkedPoll()
	a.Send(&serviceproto.CloseConnection{ConnectionID: c.id, Error: "enough"})
	if got := <-p.answer; got.Status != 200 || got.Body != `{"E":"enough"}` {
		t.Errorf("got %+v", got)
	}
	nodetest.Until(t, "gone", func() bool { return s.Clients() == 0 })
}

// The end of a server connection is the end of its clients and of no others
// (6.4).
func TestServerLost(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s, a, c := connected(t, aspnetlegacy.Options{}, via, "chat")
		b := s.app("server-2", "chat")
		other := s.connect(b, via, []string{"chat"}) // it has fewer clients

		a.hubs["chat"].NetConn().Close() // that alone ends nobody
		nodetest.Until(t, "hub connection gone", func() bool { return s.Relay.Hub("aspnet shop_chat").Routes() == 1 })
		a.says(c.id, `1`)
		c.hears(`1`)

		a.NetConn().Close()
		c.told("Server offline")
		b.hubs["chat"].broadcasts(`2`)
		other.hears(`2`)
		if n := nodetest.Ended(s, relay.ServerConnectionClosed); n > 1 {
			t.Errorf("%d clients closed", n)
		}
		b.Settle()
	})
}

// A client that is away hears of its end when it comes back in time.
func TestClosedWhileAway(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		_, a, c := connected(t, aspnetlegacy.Options{}, via)
		c.away()
		a.says(c.id, `1`)
		a.Send(&serviceproto.CloseConnection{ConnectionID: c.id, Error: "enough"})
		a.Settle()
		c.reconnect(via)
		c.hears(`1`)
		c.told("enough")
	})
}

// Grace is how long an app waits for a client that has gone without a word.
func TestGrace(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s := serve(t, aspnetlegacy.Options{})
		s.SetGrace(time.Millisecond)
		a := s.app("server-1")
		c := s.connect(a, via, nil)
		c.cut()
		a.Left(c.id)
		nodetest.Until(t, "gone", func() bool { return s.Clients() == 0 })
		nodetest.Until(t, "counted as timed out", func() bool { return nodetest.Ended(s, relay.PingTimeout) == 1 })
		if r := s.Ask("POST", c.target("poll", longPolling), c.login, ""); r.Status != 404 || r.Body != "No connection with that token." {
			t.Errorf("poll: %+v", r)
		}
	})
}

// A client may be gone before an app server has come that could take it.
func TestAbortWhileConnecting(t *testing.T) {
	for _, comes := range []bool{true, false} {
		t.Run(map[bool]string{true: "server comes", false: "no server"}[comes], func(t *testing.T) {
			t.Parallel()
			s := serve(t, aspnetlegacy.Options{})
			a := s.app("server-1")
			c := s.negotiate(nil)
			a.NetConn().Close()
			nodetest.Until(t, "no server", func() bool { return s.Relay.Hub("aspnet shop_shop").Routes() == 0 })
			refused := make(chan error, 1)
			go func() { refused <- c.open("connect", webSockets) }() // ends with the answer
			nodetest.Until(t, "a session", func() bool { return s.Clients() == 1 })
			c.abort(webSockets)
			want := 503
			if comes {
				want = 404
				l, err := s.dialLink("server-2", application+"_"+application)
				if err != nil {
					t.Fatal(err)
				}
				l.Shake(serviceproto.HandshakeRequest{})
				l.opened(c.id)
				l.Left(c.id)
			}
			if err := <-refused; status(err) != want {
				t.Errorf("connect: %v", err)
			}
			s.nothingKept()
		})
	}
}

// A token may say how long its client may be without a poll (6.3).
func TestPollGap(t *testing.T) {
	t.Parallel()
	s := serve(t, aspnetlegacy.Options{DisconnectTimeout: time.Millisecond})
	s.SetGrace(time.Hour)
	a := s.app("server-1")
	stays := s.connect(a, longPolling, nil)
	c := s.connect(a, longPolling, nil, "asrs.s.ttl", "1")
	a.Left(c.id)
	a.says(stays.id, `1`)
	stays.hears(`1`)
}

// A close frame of the client is no abort: it may come back (legacy-client-protocol 4.3).
func TestCloseFrame(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, webSockets)
	if err := c.channel.(*socket).Write(8, []byte("\x0f\xa0bye")); err != nil { // 4000
		t.Fatal(err)
	}
	if _, err := c.document(); !isEnd(err) {
		t.Errorf("the answer is %v", err)
	}
	a.says(c.id, `1`)
	c.reconnect(webSockets)
	c.hears(`1`)
	a.heard(c.id, "asrs:reconnect")
}

func TestReconnectIsTold(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		_, a, c := connected(t, aspnetlegacy.Options{}, via)
		if w, ok := c.channel.(*socket); ok {
			for _, text := range []string{"asrs:reconnect", ""} { // not for clients to say
				if err := w.Write(ws.Text, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			c.says(via, "asrs:reconnect")
		}
		c.says(via, `"asrs:reconnect"`)
		a.heard(c.id, `"asrs:reconnect"`)
		a.Settle()
		c.cut()
		c.returns(a, via)
		a.says(c.id, `1`)
		c.hears(`1`)
		a.Settle()
	})
}
