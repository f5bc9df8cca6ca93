package aspnetcore_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const ping = `{"type":6}` + rs

func TestHandshakeInPieces(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	whole := hello + ping + `{"type":1,"target":"T","arguments":[]}` + rs
	for cut := 0; cut <= len(whole); cut++ {
		c := s.mustDial("", token)
		for _, p := range []string{whole[:cut], whole[cut:]} {
			if err := c.Write(ws.Binary, []byte(p)); err != nil { // Java's clients say everything so
				t.Fatal(err)
			}
		}
		o := nodetest.Expect[*serviceproto.OpenConnection](a.Link)
		if got := a.heard(o.ConnectionID, len(whole)); got != whole || o.Protocol != "json" {
			t.Fatalf("cut at %d: %q in %s", cut, got, o.Protocol)
		}
		c.NetConn().Close()
		a.Left(o.ConnectionID)
	}
	c := s.mustDial("", token)
	for _, b := range []byte(whole) {
		c.say(string(b))
	}
	o := nodetest.Expect[*serviceproto.OpenConnection](a.Link)
	if got := a.heard(o.ConnectionID, len(whole)); got != whole {
		t.Errorf("byte by byte: %q", got)
	}
}

func TestHandshakeRefused(t *testing.T) {
	const bad = "An unexpected error occurred during connection handshake."
	for _, c := range []struct{ name, say, text string }{
		{"no JSON", "hello" + rs, bad},
		{"empty", rs, bad},
		{"no protocol", `{"version":1}` + rs, bad},
		{"types", `{"protocol":5,"version":1}` + rs, bad},
		{"array", `[]` + rs, bad},
		{"too long", strings.Repeat("x", 33<<10), bad},
		{"a hub message first", ping, bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, aspnetcore.Options{})
			a := s.app("a", serviceproto.HandshakeRequest{})
			x := s.mustDial("", s.token())
			x.say(c.say)
			x.hears(fmt.Sprintf(`{"error":%q}`, c.text) + rs)
			x.ends()
			nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.HandshakeError) == 1 })
			a.Settle() // heard nothing
		})
	}
}

func TestHandshakeTimeout(t *testing.T) {
	for _, c := range []struct {
		name, claim string
		ends, lives time.Duration
	}{
		{"default", "", 16 * time.Second, 14 * time.Second},
		{"of the app", "3", 4 * time.Second, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, aspnetcore.Options{})
			var claims []string
			if c.claim != "" {
				claims = []string{auth.ClaimHandshakeTimeout, c.claim}
			}
			x := s.mustDial("", s.token(claims...))
			nodetest.Until(t, "a session", func() bool { return s.Clients() == 1 })
			now := time.Now()
			s.Tick(now.Add(c.lives))
			if s.Clients() != 1 {
				t.Fatal("too early")
			}
			s.Tick(now.Add(c.ends))
			x.hears(`{"error":"Handshake was canceled."}` + rs)
			x.ends()
		})
	}
}

func TestNoServer(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	c := s.mustDial("", s.token())
	c.say(hello)
	c.hears(`{"error":"No server available."}` + rs) // after two seconds
	c.ends()
	nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.NoAvailableServerConnection) == 1 })

	a := s.app("a", serviceproto.HandshakeRequest{})
	c = s.mustDial("", s.token(auth.ClaimServer, "b", auth.ClaimSticky, "Required"))
	c.say(hello)
	c.hears(`{"error":"No server available."}` + rs)
	c = s.mustDial("", s.token(auth.ClaimServer, "b", auth.ClaimSticky, "Preferred"))
	c.say(hello)
	a.opened(hello)
	c = s.mustDial("", s.token(auth.ClaimServer, "b", auth.ClaimSticky, "Required"))
	c.say(hello)
	b := s.attach("b", serviceproto.HandshakeRequest{}) // it comes while the client waits
	b.opened(hello)
}

// The name goes to the app as apps spell it, and the frames to the client are
// of the kind that it can read.
func TestProtocols(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	for _, c := range []struct {
		asked, told string
		binary      bool // the client's own frames
		op          byte
		message     string
	}{
		{"json", "json", true, ws.Text, ping},
		{"JSON", "json", false, ws.Text, ping},
		{"messagepack", "messagepack", false, ws.Binary, "\x02\x91\x06"},
		{"BlazorPack", "blazorpack", true, ws.Binary, "\x02\x91\x06"},
		{"My-Own", "My-Own", false, ws.Text, "anything"},
		{"My-Own", "My-Own", true, ws.Binary, "anything"},
	} {
		t.Run(fmt.Sprint(c.asked, c.binary), func(t *testing.T) {
			x := s.mustDial("", s.token())
			shake := `{"protocol":"` + c.asked + `","version":1}` + rs
			op := ws.Text
			if c.binary {
				op = ws.Binary
			}
			if err := x.Write(op, []byte(shake)); err != nil {
				t.Fatal(err)
			}
			o := a.opened(shake)
			if o.Protocol != c.told {
				t.Errorf("protocol %q", o.Protocol)
			}
			a.data(o.ConnectionID, "{}"+rs, c.message)
			a.Send(&serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: strings.ToUpper(c.told), Data: []byte(c.message)}}})
			for i, want := range []string{"{}" + rs, c.message, c.message} {
				if op, got, err := x.message(); err != nil || got != want || op != c.op {
					t.Errorf("%d: opcode %d %q %v", i, op, got, err)
				}
			}
			x.NetConn().Close()
			a.Left(o.ConnectionID)
		})
	}
}

func TestBinaryProtocolOverEventStream(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con := s.negotiate(token)
	e, _ := s.stream(con, token)
	if r := s.Ask("POST", path(con), token, `{"protocol":"messagepack","version":1}`+rs); r.Status != 200 {
		t.Errorf("post: %d", r.Status)
	}
	want := `{"error":"Cannot use the 'messagepack' protocol on the current transport. The transport does not support 'Binary' transfer format."}` + rs
	if got, err := e.next(); got != want {
		t.Errorf("%q %v", got, err)
	}
	if _, err := e.next(); err == nil {
		t.Error("the stream goes on")
	}
	a.Settle()
}

func TestHubRefusesHandshake(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	c := s.mustDial("", s.token())
	shake := `{"protocol":"json","version":9}` + rs
	c.say(shake)
	id := a.opened(shake).ConnectionID
	refusal := `{"error":"The server does not support version 9 of the 'json' protocol."}` + rs
	a.data(id, refusal)
	a.Send(&serviceproto.CloseConnection{ConnectionID: id})
	c.hears(refusal)
	c.ends()
}

// Messages of others wait until the hub has answered the handshake, and come
// in their order then.
func TestHeldUntilAnswered(t *testing.T) {
	for _, answer := range [][]string{{"{}" + rs}, {"{", "}", rs}, {"{}" + rs + ping}} {
		s := serve(t, aspnetcore.Options{})
		a, b := s.app("a", serviceproto.HandshakeRequest{}), s.app("b", serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak})
		c := s.mustDial("", s.token(auth.ClaimUser, "ann"))
		c.say(hello)
		id := a.opened(hello).ConnectionID
		p := func(s string) relay.Payload {
			return relay.Payload{{Protocol: "json", Data: []byte(`{"` + s + `":1}` + rs)}}
		}
		a.Send(&serviceproto.MultiConnectionData{ConnectionIDs: []string{id}, Payload: p("a1")})
		a.Settle()
		b.Send(&serviceproto.BroadcastData{Payload: p("b1")}, &serviceproto.UserData{UserID: "ann", Payload: p("b2")})
		b.Settle()
		a.Send(&serviceproto.JoinGroup{ConnectionID: id, Group: "g"}, &serviceproto.GroupBroadcastData{Group: "g", Payload: p("a2")})
		a.data(id, answer...)
		a.Settle()
		b.Send(&serviceproto.BroadcastData{Payload: p("b3")})
		want := []string{"{}", `{"a1":1}`, `{"b1":1}`, `{"b2":1}`, `{"a2":1}`}
		if len(answer[0]) > 3 {
			want = append(want, `{"type":6}`)
		}
		want = append(want, `{"b3":1}`)
		var got []string
		for len(got) < len(want) {
			_, m, err := c.message()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Split(strings.TrimSuffix(m, rs), rs)...)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", answer, d)
		}
	}
}

// A hub that never answers does not make messages pile up for ever.
func TestHeldIsBounded(t *testing.T) {
	s := serve(t, aspnetcore.Options{ClientBuffer: 64 << 10})
	a := s.app("a", serviceproto.HandshakeRequest{})
	c := s.mustDial("", s.token())
	c.say(hello)
	id := a.opened(hello).ConnectionID
	for range 20 {
		a.Send(&serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: "json", Data: []byte(strings.Repeat("x", 8<<10) + rs)}}})
	}
	c.lost()
	a.Left(id)
	nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.SlowClient) == 1 })
}

func TestOpening(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token(auth.ClaimUser, "ann", "role", "x", "role", "y", auth.ClaimDiagnostic, "true")
	h := map[string][]string{
		"Authorization": {"Bearer " + token}, "X-One": {"1"}, "x-one": {"2"}, "Cookie": {"c=1"},
		"X-Forwarded-For": {"9.9.9.9"}, "Asrs-Migrate-From": {"evil"}, "asrs-instance-id": {"evil"}, "X-ASRS-Server-Id": {"evil"},
		"Proxy-Authorization": {"secret"}, "Sec-WebSocket-Protocol": {"p"}, "TE": {"trailers"},
	}
	con := s.negotiate(token)
	c, err := ws.Dial(t.Context(), "ws://"+s.Addr+"/client/?hub=chat&id="+con+"&asrs.op=%2Fchat&a=1&a=2&access_token=x&b=%20+&c", h)
	if err != nil {
		t.Fatal(err)
	}
	defer c.NetConn().Close()
	if err := c.Write(ws.Text, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	o := a.opened(hello)
	if want := "?hub=chat&asrs.op=%2Fchat&a=1&a=2&b=%20+&c"; o.Query != want {
		t.Errorf("query %q, want %q", o.Query, want)
	}
	got := map[string][]string{}
	for _, x := range o.Headers {
		got[strings.ToLower(x.Name)] = append(got[strings.ToLower(x.Name)], x.Values...)
		if strings.ToLower(x.Name) == "x-one" && len(x.Values) == 2 && x.Values[0] > x.Values[1] {
			x.Values[0], x.Values[1] = x.Values[1], x.Values[0]
		}
	}
	delete(got, "host")
	delete(got, "user-agent")
	one := got["x-one"]
	if len(one) == 2 && one[0] > one[1] {
		one[0], one[1] = one[1], one[0]
	}
	want := map[string][]string{"x-one": {"1", "2"}, "cookie": {"c=1"}, "x-forwarded-for": {"127.0.0.1"}, "asrs-is-diagnostic-client": {"true"}, "asrs-instance-id": {"node-1"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	seen := map[string]bool{}
	for _, x := range o.Headers {
		if n := strings.ToLower(x.Name); seen[n] {
			t.Errorf("%s comes twice", n) // that would cost the app the frame
		} else {
			seen[n] = true
		}
	}
	claims := map[string][]string{}
	for _, x := range o.Claims {
		claims[x.Type] = append(claims[x.Type], x.Value)
	}
	if d := cmp.Diff([]string{"x", "y"}, claims["role"]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"ann"}, claims[auth.ClaimUser]); d != "" {
		t.Error(d)
	}
	if len(claims["aud"]) != 1 || len(claims["exp"]) != 1 {
		t.Errorf("%v", claims)
	}

	s = serveNode(t, aspnet.Options{TrustForwarded: true}, aspnetcore.Options{})
	a = s.app("a", serviceproto.HandshakeRequest{})
	c, err = ws.Dial(t.Context(), "ws://"+s.Addr+"/client/?hub=chat", h)
	if err != nil {
		t.Fatal(err)
	}
	defer c.NetConn().Close()
	if err := c.Write(ws.Text, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	for _, x := range a.opened(hello).Headers {
		if x.Name == "X-Forwarded-For" {
			if d := cmp.Diff([]string{"9.9.9.9, 127.0.0.1"}, x.Values); d != "" {
				t.Error(d)
			}
		}
	}
}

func TestCloseWhenLoginEnds(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	now := time.Now()
	end := strconv.FormatInt(now.Unix()+100, 10)
	c := s.connect(a, "json", auth.ClaimCloseOnExpiry, "true", auth.ClaimExpiresOn, end)
	d := s.connect(a, "json", auth.ClaimExpiresOn, end)
	s.Tick(now.Add(98 * time.Second))
	if s.hub().Len() != 2 {
		t.Fatal("too early")
	}
	s.Tick(now.Add(101 * time.Second))
	s.Tick(now.Add(102 * time.Second))
	c.hears(`{"type":7,"allowReconnect":true}` + rs)
	c.ends()
	a.Left(c.id)
	a.data(d.id, ping)
	d.hears(ping)

	// In the middle of the handshake there is no hub Close to be had.
	e := s.mustDial("", s.token(auth.ClaimCloseOnExpiry, "true", auth.ClaimExpiresOn, end))
	nodetest.Until(t, "a session", func() bool { return s.Clients() == 2 })
	s.Tick(now.Add(101 * time.Second))
	_, got, err := e.message()
	var ce *ws.CloseError
	if err == nil && !strings.HasPrefix(got, `{"error":`) || err != nil && !errors.As(err, &ce) {
		t.Errorf("%q %v", got, err)
	}
}
