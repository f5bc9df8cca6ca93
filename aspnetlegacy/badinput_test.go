package aspnetlegacy_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
)

// Texts of the real server (legacy-client-protocol 1.2).
const (
	unknownTransport = "Protocol error: Unknown transport."
	missingToken     = "Protocol error: Missing connection token."
	badToken         = "The ConnectionId is in the incorrect format."
	otherUser        = "Unrecognized user identity.  The user identity cannot change during an active SignalR connection."
	notWebSocket     = "Not a valid web socket request."
	unknownID        = "No connection with that token."
)

// TestRefused asks what nobody should, of a relay with two live clients that
// notice nothing. In targets {con} is the connection token of one of them.
func TestRefused(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1", "chat")
	c := s.connect(a, serverSentEvents, []string{"chat"}, "asrs.s.uid", "ann")
	neighbour := s.connect(a, webSockets, []string{"chat"})
	tampered := []byte(c.con)
	tampered[30] ^= 1
	bob := s.token("asrs.s.uid", "bob")
	anyone := s.token()
	elsewhere := s.token("asrs.s.uid", "ann", "asrs.s.apn", "Store")

	const bare, sniff = "", "nosniff"
	type test struct {
		name, target, token, data string
		status                    int
		text, nosniff             string
	}
	tests := []test{
		{"no access token", "connect?transport=longPolling&connectionToken={con}", "-", "", 401, "", sniff},
		{"broken access token", "negotiate", "x.y.z", "", 401, "", sniff},
		{"access token of a server", "negotiate", mustServerToken(s), "", 401, "", sniff},
		{"expired access token, negotiate", "negotiate", s.expired(), "", 401, "", sniff},
		{"expired access token, ping", "ping", s.expired(), "", 401, "", sniff},
		{"JSONP", "ping?callback=f", "", "", 403, "", bare},
		{"JSONP before all else", "connect?callback=f", "-", "", 403, "", bare},
		{"trailing slash", "negotiate/", "", "", 400, unknownTransport, sniff},
	}
	for _, action := range []string{"connect", "reconnect", "poll", "send", "start", "abort"} {
		for _, x := range []test{
			{"no transport", "?connectionToken={con}", "", "", 400, unknownTransport, sniff},
			{"unknown transport", "?transport=carrierPigeon&connectionToken={con}", "", "", 400, unknownTransport, sniff},
			{"transport twice", "?transport=longPolling&transport=longPolling&connectionToken={con}", "", "", 400, unknownTransport, sniff},
			{"no token", "?transport=longPolling", "", "", 400, missingToken, sniff},
			{"empty token", "?transport=longPolling&connectionToken=", "", "", 400, missingToken, sniff},
			{"token twice", "?transport=longPolling&connectionToken={con}&CONNECTIONTOKEN={con}", "", "", 400, badToken, sniff},
			{"tampered token", "?transport=longPolling&connectionToken=" + string(tampered), "", "", 400, badToken, sniff},
			{"token that is none", "?transport=longPolling&connectionToken=%21%21%21", "", "", 400, badToken, sniff},
			{"connection id", "?transport=longPolling&connectionToken=" + c.id, "", "", 400, badToken, sniff},
			{"other user", "?transport=longPolling&connectionToken={con}", bob, "", 403, otherUser, sniff},
			{"no user", "?transport=longPolling&connectionToken={con}", anyone, "", 403, otherUser, sniff},
			{"user of another application", "?transport=longPolling&connectionToken={con}", elsewhere, "", 403, otherUser, sniff},
			{"hubs that are none", "?transport=longPolling&connectionToken={con}&connectionData=%5B%7B", "", "", 500, "", bare},
			{"hub twice", "?transport=longPolling&connectionToken={con}&connectionData=[{\"name\":\"a\"},{\"name\":\"A\"}]", "", "", 500, "", bare},
			{"expired token of somebody else", "?transport=longPolling&connectionToken=" + s.Token("shop", "ann", time.Now()), s.expired("asrs.s.uid", "ann"), "", 401, "", sniff},
		} {
			x.name, x.target = action+" "+x.name, action+x.target
			tests = append(tests, x)
		}
		if action != "connect" {
			tests = append(tests, test{action + " nobody", action + "?transport=longPolling&connectionToken=" + s.Token("shop", "ann", time.Now()), "", "data=x", 404, unknownID, sniff})
		}
		if action != "start" && action != "abort" {
			tests = append(tests, test{action + " no WebSocket", action + "?transport=webSockets&connectionToken={con}", "", "data=x", 400, notWebSocket, sniff})
		}
	}
	for name, data := range map[string]string{
		"nothing": "", "empty": "data=", "JSON": `{"data":"x"}`, "another field": "date=x", "multipart": "--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\nx\r\n--x--",
	} {
		tests = append(tests, test{"send " + name, "send?transport=serverSentEvents&connectionToken={con}&data=x", "", data, 500, "", bare})
	}
	for _, id := range []string{"", "-1", "+1", "x", "4294967296", "1,1"} {
		tests = append(tests, test{"frame " + id, "reconnect?transport=foreverFrame&connectionToken={con}&frameId=" + id, "", "", 500, "", bare})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := tt.token
			switch token {
			case "":
				token = c.login
			case "-":
				token = ""
			}
			r := s.Ask("POST", "/aspnetclient/"+strings.ReplaceAll(tt.target, "{con}", c.con), token, tt.data)
			if r.Status != tt.status || r.Status != 401 && r.Body != tt.text {
				t.Errorf("got %s %q, want %d %q", r.Line, r.Body, tt.status, tt.text)
			}
			if r.Header.Get("Content-Type") != "" || r.Header.Get("X-Content-Type-Options") != tt.nosniff {
				t.Errorf("header %v", r.Header)
			}
			if r.Status == 403 && r.Body == "" && r.Line != "403 Forbidden: JSONP is disabled." {
				t.Errorf("status line %q", r.Line)
			}
		})
	}
	a.Settle() // the app has heard of none of it
	a.hubs["chat"].broadcasts(`1`)
	c.hears(`1`)
	neighbour.hears(`1`)
	if n := s.carriers(); n != int64(2+2) { // and the app's two
		t.Errorf("%d carriers", n)
	}
}

func mustServerToken(s *service) string {
	t, err := s.Keys.SignServer("http://localhost/aspnetserver/?hub=shop_shop", "server-1", auth.Sign{NoIssuer: true})
	if err != nil {
		s.T.Fatal(err)
	}
	return t
}

// What is odd and no error.
func TestTolerated(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1", "chat")
	c := s.connect(a, serverSentEvents, []string{"chat"}, "asrs.s.uid", "ann")
	for _, tt := range []struct{ name, query, body, contentType, want string }{
		{"JavaScript", "", "data=%7B%22A%22%3A%5B%22%C3%BC+%2B%22%5D%7D", "application/x-www-form-urlencoded; charset=UTF-8", `{"A":["ü +"]}`},
		{".NET, without Content-Type", "", "data=%7b%22A%22%3a%5b1%5d%7d", "", `{"A":[1]}`},
		{"a wrong Content-Type", "", "data=x", "application/json", "x"},
		{"name by case", "", "DATA=x", "", "x"},
		{"several", "", "data=x&data=y", "", "x,y"},
		{"semicolon", "", "a=b;data=x", "", "x"},
		{"nothing escaped", "", `data={"A":[1]}`, "", `{"A":[1]}`},
		{"half escaped", "", "data=100%", "", "100%"},
		{"user by case", "", "data=x", "", "x"},
		{"semicolons in the query", ";a=b", "data=x", "", "x"},
		{"transport by case", "", "data=x", "", "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, login := c.target("send", serverSentEvents)+tt.query, c.login
			switch tt.name {
			case "user by case":
				login = s.token("asrs.s.uid", "ANN")
			case "semicolons in the query":
				target = strings.ReplaceAll(target, "&", ";")
			case "transport by case":
				target = strings.ReplaceAll(target, serverSentEvents, "SERVERSENTEVENTS")
			}
			var header []string
			if tt.contentType != "" {
				header = []string{"Content-Type", tt.contentType}
			}
			if r := s.Ask("POST", target, login, tt.body, header...); r.Status != 200 || r.Body != "" {
				t.Fatalf("got %+v", r)
			}
			a.heard(c.id, tt.want)
		})
	}
	// Only a poll may say it in its query.
	target := strings.ReplaceAll(c.target("send", longPolling), "&clientProtocol=2.1", "&data=%22x%22")
	if r := s.Ask("GET", target, c.login, ""); r.Status != 200 {
		t.Fatalf("got %+v", r)
	}
	a.heard(c.id, `"x"`)
}

// Polls bring their cursor in the query or, as JavaScript does, in the form.
func TestCursorInForm(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	a.says(c.id, `1`, `2`)
	a.Settle()
	want := `{"C":"` + aspnetlegacy.Cursor(2) + `","M":[2]}`
	target := c.target("poll", longPolling)
	target = target[:strings.Index(target, "&messageId")]
	if r := s.Ask("POST", target, c.login, "messageId="+aspnetlegacy.Cursor(1)+"&groupsToken=x"); r.Body != want {
		t.Errorf("got %+v, want %s", r, want)
	}
}

// What is too large is refused, or ends the WebSocket without a word, as the
// real server does (legacy-server-recordings, webSocket). The client may come
// back either way.
func TestTooLarge(t *testing.T) {
	const most = 100 << 10
	s := serve(t, aspnetlegacy.Options{MaxMessage: most})
	a := s.app("server-1")
	neighbour := s.connect(a, webSockets, nil)
	fits := strings.Repeat("x", most)
	eachCarrier := func(via string) {
		c := s.connect(a, via, nil)
		c.says(via, fits)
		a.heard(c.id, fits)
		if via == webSockets {
			c.says(via, fits+"x")
			c.lost()
			c.returns(a, via)
		} else if r := c.post(via, fits+"x"); r.Status != 413 {
			t.Errorf("%s: got %+v", via, r)
		}
		a.says(c.id, `1`)
		c.hears(`1`)
		c.abort(via)
		c.ends()
		a.Left(c.id)
	}
	for _, via := range transports {
		eachCarrier(via)
	}
	a.says(neighbour.id, `1`)
	neighbour.hears(`1`)
	a.Settle()
}

// A large body is read for those only who have a token.
func TestLargeBody(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	big := "data=" + strings.Repeat("x", 100<<10)
	for name, token := range map[string]string{"none": "", "another's key": c.login[:len(c.login)-6] + "AAAAAA"} {
		nc, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(nodetest.Patience))
		// The body is refused before it comes.
		fmt.Fprintf(nc, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", c.target("send", longPolling), token, len(big))
		if r, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || r.StatusCode != 413 {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if r := s.Ask("POST", c.target("send", longPolling)+"&access_token="+url.QueryEscape(c.login), "", big); r.Status != 200 {
		t.Errorf("token in the query: got %+v", r)
	}
	a.heard(c.id, big[len("data="):])
}

// A request line may say scheme and host, as those of proxies do (RFC 9112, 3.2.2).
func TestAbsoluteTarget(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
	big := strings.Repeat("x", 100<<10) // whose token is looked at first
	_, r, err := s.request("POST", "http://"+s.Addr+c.target("send", longPolling), c.login, "data="+big)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("got %+v, %v", r, err)
	}
	a.heard(c.id, big)
}

func TestBinaryFrame(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, webSockets)
	if err := c.channel.(*socket).Write(ws.Binary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	c.lost()
	c.returns(a, webSockets)
	a.says(c.id, `1`)
	c.hears(`1`)
}

// A message may come in fragments; one that is cut off is forgotten.
func TestFragments(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, webSockets)
	raw := func(frames string) {
		t.Helper()
		if _, err := c.channel.(*socket).NetConn().Write([]byte(frames)); err != nil {
			t.Fatal(err)
		}
	}
	const mask = "\x00\x00\x00\x00"
	raw("\x01\x82" + mask + `{"` + "\x00\x82" + mask + `a"` + "\x89\x80" + mask + "\x80\x83" + mask + `:1}`)
	a.heard(c.id, `{"a":1}`)
	raw("\x01\x82" + mask + `{"`)
	c.away()
	c.returns(a, webSockets)
	c.says(webSockets, `{}`)
	a.heard(c.id, `{}`)
}

func TestJSONP(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{JSONP: true, KeepAlive: time.Second})
	a := s.app("server-1")
	c := s.negotiate(nil)
	script := func(target, want string) {
		t.Helper()
		r := s.Ask("GET", target, c.login, "")
		if r.Status != 200 || r.Body != want || r.Header.Get("Content-Type") != "application/javascript; charset=UTF-8" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("got %+v, want %s", r, want)
		}
	}
	c.more, c.mark = "&callback=a.b_$1", "0"
	script("/aspnetclient/ping?callback=f", `f({ "Response": "pong" });`)
	script(c.target("connect", longPolling), `a.b_$1({"C":"0","S":1,"M":[]});`)
	a.opened(c.id)
	script(c.target("start", longPolling), `a.b_$1({ "Response": "started" });`)
	a.says(c.id, `1`)
	a.Settle()
	script(c.target("poll", longPolling), `a.b_$1({"C":"`+aspnetlegacy.Cursor(1)+`","M":[1]});`)

	// Keep-alives are no script.
	c.mark = aspnetlegacy.Cursor(1)
	p := c.parkedPoll()
	s.Tick(time.Now())
	a.says(c.id, `2`)
	if got := <-p.answer; got.Body != `a.b_$1({"C":"`+aspnetlegacy.Cursor(2)+`","M":[2]});` {
		t.Errorf("got %+v", got)
	}
	if r := s.Ask("GET", "/aspnetclient/send?transport=longPolling&connectionToken="+c.con+"&callback=f&data=x", c.login, ""); r.Status != 200 || r.Body != "" {
		t.Errorf("send: %+v", r)
	}
	a.heard(c.id, "x")
	for _, bad := range []string{"1a", "a-b", "a..b", "if", "a.new", "f(", "%3Cscript%3E"} {
		for _, action := range []string{"negotiate", "ping"} {
			if r := s.Ask("GET", "/aspnetclient/"+action+"?callback="+bad, c.login, ""); r.Status != 500 || r.Body != "" {
				t.Errorf("%s with %s: %+v", action, bad, r)
			}
		}
	}
}

// Whoever leaves while a poll is answered in part, or in a hurry, costs
// nobody anything.
func TestRudeClients(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	s.SetGrace(time.Millisecond)
	a := s.app("server-1", "chat")
	neighbour := s.connect(a, webSockets, []string{"chat"}, "stay", "on")
	for i := range 20 {
		c := s.negotiate([]string{"chat"})
		via := transports[i%len(transports)]
		nc, _, err := s.request("GET", c.target("connect", via), c.login, "")
		if err == nil {
			nc.Close()
		}
	}
	nodetest.Until(t, "gone", func() bool { return s.Clients() == 1 && s.Server.Len() == 1+2 })
	a.hubs["chat"].broadcasts(`1`)
	neighbour.hears(`1`)
	if n := nodetest.Ended(s, relay.BadRequest); n != 0 {
		t.Errorf("%d bad requests", n)
	}
}

func TestOwns(t *testing.T) {
	for path, want := range map[string]bool{
		"/aspnetclient": true, "/aspnetclient/": true, "/aspnetclient/negotiate": true, "/AspNetClient/x": true, "/aspnetserver/": true, "/aspnetserver": true,
		"/aspnetclients": false, "/client/": false, "/x/aspnetclient": false, "": false,
	} {
		if got := new(aspnetlegacy.Adapter).Owns(path); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
}

func TestCORS(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	s.app("server-1")
	c := s.negotiate(nil)
	const origin = "https://shop.example"
	for _, target := range []string{"/aspnetclient/negotiate", c.target("connect", longPolling), "/aspnetclient/ping?callback=f"} {
		h := s.Ask("GET", target, c.login, "", "Origin", origin).Header
		if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: %v", target, h)
		}
	}
	r := s.Ask("OPTIONS", c.target("send", longPolling), "", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-requested-with")
	if r.Status != 204 || r.Header.Get("Access-Control-Allow-Headers") != "authorization,x-requested-with" || r.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("preflight: %+v", r)
	}
}
