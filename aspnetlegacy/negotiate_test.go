package aspnetlegacy_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
)

func TestNegotiate(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{KeepAlive: 2500 * time.Millisecond, DisconnectTimeout: 8 * time.Second})
	s.app("server-1")
	token := s.token()
	for _, tt := range []struct{ method, target, url, version string }{
		{"GET", "/aspnetclient/negotiate?clientProtocol=2.1", "/aspnetclient", "2.0"},
		{"POST", "/aspnetclient/negotiate?clientProtocol=1.5&_=1&_=2", "/aspnetclient", "1.5"},
		{"PUT", "/aspnetclient/negotiate", "/aspnetclient", "1.2"},
		{"GET", "/aspnetclient/a%22b/negotiate?clientProtocol=2.1", `/aspnetclient/a\"b`, "2.0"},
		{"GET", "/ASPNETCLIENT/NEGOTIATE?CLIENTPROTOCOL=2.1", "/ASPNETCLIENT/NEGOTIATE", "2.0"}, // as recorded
	} {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			r := s.Ask(tt.method, tt.target, token, "clientProtocol=1.3") // bodies are not looked at
			want := regexp.MustCompile(`^\{"Url":"` + regexp.QuoteMeta(tt.url) + `","ConnectionToken":"[\w-]{52}","ConnectionId":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",` +
				`"KeepAliveTimeout":5\.0,"DisconnectTimeout":8\.0,"ConnectionTimeout":110\.0,"TryWebSockets":true,"ProtocolVersion":"` + tt.version +
				`","TransportConnectTimeout":5\.0,"LongPollDelay":0\.0\}$`)
			if r.Status != 200 || !want.MatchString(r.Body) || !json.Valid([]byte(r.Body)) {
				t.Errorf("got %d %s", r.Status, r.Body)
			}
			if r.Header.Get("Content-Type") != "application/json; charset=UTF-8" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", r.Header)
			}
		})
	}
}

// Recorded as negotiate.clientProtocol.* of legacy-server.json, the rest by the
// rule of legacy-client-protocol 2.2.
func TestVersionOf(t *testing.T) {
	for asked, want := range map[string]string{
		"": "1.2", "abc": "1.2", "2": "1.2", "-1.0": "1.2", "1.0": "1.2", "1.1.9": "1.2", "0.9": "1.2", "1.2": "1.2", "1.3": "1.3", "1.4": "1.4",
		"1.5": "1.5", "1.5.3": "1.5.3", "1.5.3.4": "1.5.3.4", "1.5.3.4.5": "1.2", "2.0": "2.0", "2.0.1": "2.0", "2.1": "2.0", "9.9": "2.0",
		"01.05": "1.5", "+1.5": "1.2", "1.": "1.2", "99999999999.1": "1.2", "1.5,1.5": "1.2",
	} {
		if got := aspnetlegacy.VersionOf(asked); got != want {
			t.Errorf("%q: %q, want %q", asked, got, want)
		}
	}
}

func TestNegotiateRefused(t *testing.T) {
	t.Run("no server", func(t *testing.T) {
		t.Parallel() // two seconds
		s := serve(t, aspnetlegacy.Options{})
		if r := s.Ask("GET", "/aspnetclient/negotiate", s.token(), ""); r.Status != 503 || r.Body != "No server available" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("no server any more", func(t *testing.T) {
		t.Parallel()
		s := serve(t, aspnetlegacy.Options{})
		a := s.app("server-1")
		c := s.negotiate(nil)
		a.NetConn().Close()
		nodetest.Until(t, "gone", func() bool { return s.Relay.Hub("aspnet shop_shop").Routes() == 0 })
		if err := c.open("connect", webSockets); status(err) != 503 {
			t.Fatalf("connect: %v", err)
		}
		s.nothingKept()
		a = s.app("server-1") // the next transport finds one
		c.connect(serverSentEvents)
		a.opened(c.id)
	})
	t.Run("full", func(t *testing.T) {
		s := serveNode(t, aspnet.Options{MaxConnections: 1}, aspnetlegacy.Options{})
		a := s.app("server-1")
		late := s.negotiate(nil)
		s.connect(a, webSockets, nil)
		if r := s.Ask("GET", "/aspnetclient/negotiate", late.login, ""); r.Status != 429 {
			t.Errorf("negotiate: %+v", r)
		}
		if err := late.open("connect", webSockets); status(err) != 429 {
			t.Errorf("connect: %v", err)
		}
	})
	t.Run("draining", func(t *testing.T) {
		s := serve(t, aspnetlegacy.Options{})
		a := s.app("server-1")
		late := s.negotiate(nil)
		c := s.connect(a, webSockets, nil)
		s.Drain()
		if r := s.Ask("GET", "/aspnetclient/negotiate", late.login, ""); r.Status != 503 {
			t.Errorf("negotiate: %+v", r)
		}
		if err := late.open("connect", webSockets); status(err) != 503 {
			t.Errorf("connect: %v", err)
		}
		if _, err := s.dialLink("server-2", "shop_shop"); status(err) != 503 {
			t.Errorf("server connection: %v", err)
		}
		c.away() // who is there may come back
		c.reconnect(serverSentEvents)
		a.says(c.id, `1`)
		c.hears(`1`)
		s.Relay.Drain(t.Context(), 0)
		c.told("The service is shutting down.")
	})
	t.Run("too late", func(t *testing.T) {
		s := serve(t, aspnetlegacy.Options{})
		s.app("server-1")
		c := s.negotiate(nil)
		for age, want := range map[time.Duration]int{59 * time.Second: 0, 61 * time.Second: 404} {
			c.con = s.Token("shop", "", time.Now().Add(-age))
			if err := c.open("connect", serverSentEvents); status(err) != want {
				t.Errorf("after %s: %v", age, err)
			}
		}
	})
}

// Where a client shows a reason or follows to another relay, it gets that
// instead of a status (1.5).
func TestTurnedAway(t *testing.T) {
	for _, tt := range []struct{ name, to, query, want string }{
		{"told why", "", "clientProtocol=2.1", `{"ProtocolVersion":"2.0","Error":"The service is shutting down."}`},
		{"sent on", "https://b.example/", "clientProtocol=2.1&user=x%20y&connectionData=[]&access_token=z&_=1",
			`{"ProtocolVersion":"2.0","RedirectUrl":"https://b.example/aspnetclient?user=x%20y","AccessToken":"{login}","TryWebSockets":true}`},
		{"sent on without a query", "https://b.example", "clientProtocol=2.0&user=x",
			`{"ProtocolVersion":"2.0","RedirectUrl":"https://b.example/aspnetclient","AccessToken":"{login}","TryWebSockets":true}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, aspnetlegacy.Options{RedirectTo: tt.to})
			s.Drain()
			login := s.token()
			r := s.Ask("GET", "/aspnetclient/negotiate?"+tt.query, login, "")
			if want := strings.ReplaceAll(tt.want, "{login}", login); r.Status != 200 || r.Body != want {
				t.Errorf("got %d %s, want %s", r.Status, r.Body, want)
			}
		})
	}
}

// An expired token lets nobody in and throws nobody out (issue 4, part 4).
func TestExpiredToken(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s := serve(t, aspnetlegacy.Options{})
		a := s.app("server-1")
		now := time.Now()
		c := s.negotiate(nil)
		// Good for connect, and over with it: a token may be a little late.
		c.login = s.sign(auth.Sign{NoIssuer: true, Now: now.Add(-auth.DefaultSkew - time.Hour + 2*time.Second)})
		c.connect(via)
		a.opened(c.id)
		c.start(via)
		nodetest.Until(t, "expired", func() bool {
			return s.Ask("GET", "/aspnetclient/negotiate", c.login, "").Status == 401
		})
		if r := s.Ask("GET", "/aspnetclient/ping", c.login, ""); r.Status != 200 || r.Body != `{ "Response": "pong" }` {
			t.Errorf("ping: %+v", r)
		}
		a.says(c.id, `1`)
		c.hears(`1`)
		if via != webSockets {
			c.says(via, "x")
			a.heard(c.id, "x")
		}
		c.away()
		c.returns(a, via)
		a.says(c.id, `2`)
		c.hears(`2`)
		c.start(via)

		fresh := s.negotiate(nil)
		fresh.login = c.login
		if err := fresh.open("connect", serverSentEvents); status(err) != 401 {
			t.Errorf("connect: %v", err)
		}
		if r := s.Ask("POST", fresh.target("poll", longPolling), c.login, ""); r.Status != 401 {
			t.Errorf("poll of nobody: %+v", r)
		}
		other := s.expired("x", "y")
		if r := s.Ask("GET", "/aspnetclient/ping", other, ""); r.Status != 401 {
			t.Errorf("ping of nobody: %+v", r)
		}
		c.abort(via)
		a.Left(c.id)
		nodetest.Until(t, "refused", func() bool { return s.Ask("GET", "/aspnetclient/ping", c.login, "").Status == 401 })
	})
}

// The id that an app sees has no dot, where the SDK would cut it (1.5).
func TestConnectionID(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	s.app("server-1")
	a, b := s.negotiate(nil), s.negotiate(nil)
	if strings.ContainsAny(a.id, ".:|") || a.id == b.id || strings.Contains(a.con, a.id) {
		t.Errorf("ids %s, %s", a.id, b.id)
	}
}
