package aspnetcore_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const (
	allTransports = `"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},` +
		`{"transport":"ServerSentEvents","transferFormats":["Text"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}`
	v1 = `"negotiateVersion":1,"connectionId":"ID","connectionToken":"TOKEN",`
)

var (
	connectionID    = regexp.MustCompile(`"connectionId":"([A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{52})"`)
	connectionToken = regexp.MustCompile(`"connectionToken":"[A-Za-z0-9_-]{52}"`)
)

// The order of the members is .NET's, and no member is null.
func TestNegotiate(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	plain := s.token()
	for _, c := range []struct {
		name, query, token, want string
	}{
		{"version 1", "&negotiateVersion=1", plain, `{` + v1 + allTransports},
		{"version 0", "", plain, `{"negotiateVersion":0,"connectionId":"ID",` + allTransports},
		{"version 0, said so", "&negotiateVersion=0", plain, `{"negotiateVersion":0,"connectionId":"ID",` + allTransports},
		{"version of a time to come", "&negotiateVersion=7", plain, `{` + v1 + allTransports},
		{"the first of two versions", "&negotiateVersion=1&negotiateVersion=0", plain, `{` + v1 + allTransports},
		{"no number", "&negotiateVersion=one", plain, `{"error":"The client requested a non-integer protocol version."}`},
		{"negative", "&negotiateVersion=-1", plain, `{"error":"The client requested version '-1', but the server does not support this version."}`},
		{"stateful, no app allows it", "&negotiateVersion=1&useStatefulReconnect=true", plain, `{` + v1 + allTransports},
		{"WebSockets only", "&negotiateVersion=1", s.token(auth.ClaimTransports, "1"), `{` + v1 + `"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]}`},
		{"all but WebSockets", "&negotiateVersion=1", s.token(auth.ClaimTransports, "6"), `{` + v1 + `"availableTransports":[{"transport":"ServerSentEvents","transferFormats":["Text"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/client/negotiate?hub=chat", "/client/negotiate/?hub=Chat"} {
				r := s.Ask("POST", path+c.query, c.token, "")
				got := connectionToken.ReplaceAllString(connectionID.ReplaceAllString(r.Body, `"connectionId":"ID"`), `"connectionToken":"TOKEN"`)
				if r.Status != 200 || got != c.want || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%d %s %v\nwant %s", r.Status, got, r.Header, c.want)
				}
			}
		})
	}
	if s.Clients() != 0 || s.Server.Len() != 0 {
		t.Error("a negotiate leaves something behind")
	}
}

func TestNegotiateStateful(t *testing.T) {
	for _, c := range []struct {
		name, query string
		off         bool
		want        bool
	}{
		{"asked", "&negotiateVersion=1&useStatefulReconnect=true", false, true},
		{"asked twice, as .NET does", "&negotiateVersion=1&useStatefulReconnect=true&useStatefulReconnect=true", false, true},
		{"one of two", "&useStatefulReconnect=false&negotiateVersion=1&useStatefulReconnect=True", false, true},
		{"not asked", "&negotiateVersion=1", false, false},
		{"asked not", "&negotiateVersion=1&useStatefulReconnect=false", false, false},
		{"version 0", "&useStatefulReconnect=true", false, false},
		{"switched off", "&negotiateVersion=1&useStatefulReconnect=true", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, aspnetcore.Options{NoStatefulReconnect: c.off})
			s.app("a", serviceproto.HandshakeRequest{AllowStatefulReconnects: true})
			r := s.Ask("POST", "/client/negotiate?hub=chat"+c.query, s.token(), "")
			if got := strings.HasPrefix(r.Body, `{"useStatefulReconnect":true,"negotiateVersion":1,`); got != c.want || strings.Contains(r.Body, "useStateful") != c.want {
				t.Error(r.Body)
			}
		})
	}
}

// Every refusal is plain text and, to a page of another origin, readable.
func TestRefusals(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	app := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	socket := s.connect(app, "json", auth.ClaimUser, "")
	poll, _ := s.polling(app, token)
	sse := s.negotiate(token)
	events, head := s.stream(sse, token)
	if head.StatusCode != 200 {
		t.Fatal(head.Status)
	}
	fresh := s.negotiate(token)
	noPolls := s.token(auth.ClaimTransports, "1")
	noSockets := s.token(auth.ClaimTransports, "6")
	gone := s.negotiate(token)
	stream := []string{"Accept", "text/event-stream"}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	none := path(strings.Repeat("A", 52))
	for _, c := range []struct {
		name, method, path, token string
		header                    []string
		status                    int
		text                      string
	}{
		{"stream without id", "GET", "/client/?hub=chat", token, stream, 400, "Connection ID required"},
		{"poll without id", "GET", "/client?hub=chat", token, nil, 400, "Connection ID required"},
		{"post without id", "POST", "/client/?hub=chat", token, nil, 400, "Connection ID required"},
		{"delete without id", "DELETE", "/client/?hub=chat", token, nil, 400, "Connection ID required"},
		{"stream of an unknown id", "GET", none, token, stream, 404, "No Connection with that ID"},
		{"poll of an unknown id", "GET", none, token, nil, 404, "No Connection with that ID"},
		{"post to an unknown id", "POST", none, token, nil, 404, "No Connection with that ID"},
		{"delete of an unknown id", "DELETE", none, token, nil, 404, "No Connection with that ID"},
		{"WebSocket of an unknown id", "GET", none, token, upgrade, 404, "No Connection with that ID"},
		{"delete of what never connected", "DELETE", path(gone), token, nil, 404, "No Connection with that ID"},
		{"WebSocket to a poller", "GET", path(poll), token, upgrade, 400, "Cannot change transports mid-connection"},
		{"stream to a poller", "GET", path(poll), token, stream, 400, "Cannot change transports mid-connection"},
		{"poll of a stream", "GET", path(sse), token, nil, 400, "Cannot change transports mid-connection"},
		{"second stream", "GET", path(sse), token, stream, 409, ""},
		{"delete of a stream", "DELETE", path(sse), token, nil, 400, "Cannot terminate this connection using the DELETE endpoint."},
		{"poll where only WebSockets may", "GET", path(s.negotiate(noPolls)), noPolls, nil, 404, "LongPolling transport not supported by this end point type"},
		{"other method", "PUT", path(fresh), token, nil, 405, ""},
		{"negotiate by GET", "GET", "/client/negotiate?hub=chat", token, nil, 405, ""},
		{"negotiate without hub", "POST", "/client/negotiate", token, nil, 400, "Exactly one valid 'hub' is required in the query."},
		{"negotiate with two hubs", "POST", "/client/negotiate?hub=a&hub=b", token, nil, 400, "Exactly one valid 'hub' is required in the query."},
		{"hub with a space", "GET", "/client/?hub=a%20b", token, nil, 400, "Exactly one valid 'hub' is required in the query."},
		{"hub of another token", "POST", "/client/negotiate?hub=other", token, nil, 401, "Unauthorized: token is for another audience"},
		{"no such place", "GET", "/clients/?hub=chat", token, nil, 404, ""},
		{"server without WebSocket", "GET", "/server/?hub=chat", s.serverToken(), nil, 400, "A WebSocket is required."},
		{"health by POST", "POST", "/api/health", "", nil, 405, ""},
		{"health", "GET", "/api/health", "", nil, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.Ask(c.method, c.path, c.token, "", append(c.header, "Origin", "https://page.example")...)
			if r.Status != c.status || r.Body != c.text {
				t.Errorf("%d %q, want %d %q", r.Status, r.Body, c.status, c.text)
			}
			if c.status != 200 && r.Header.Get("Content-Type") != "text/plain" {
				t.Errorf("type %q", r.Header.Get("Content-Type"))
			}
			if r.Header.Get("Access-Control-Allow-Origin") != "https://page.example" || r.Header.Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("the page may not read it: %v", r.Header)
			}
		})
	}
	// The one without an id has a connection id that serves as none of ours.
	if r := s.Ask("POST", path(socket.id), token, ""); r.Status != 404 {
		t.Errorf("a connection id is no token: %d", r.Status)
	}
	if status, _ := s.refused("&id="+s.negotiate(noSockets), noSockets); status != 404 {
		t.Errorf("WebSocket where none may: %d", status)
	}
	events.c.Close()
}

func (s *service) serverToken() string {
	s.T.Helper()
	t, err := s.Keys.SignServer(serverAudience, "a", auth.Sign{})
	if err != nil {
		s.T.Fatal(err)
	}
	return t
}

func TestTransportOfConnection(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	app := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con := s.negotiate(token)
	c := s.mustDial("&id="+con, token)
	c.say(hello)
	id := app.opened(hello).ConnectionID
	if want := connectionIDOf(t, s, con); id != want {
		t.Errorf("the app knows it as %s, the client as %s", id, want)
	}
	for _, x := range []struct {
		method string
		status int
		text   string
	}{
		{"POST", 405, "POST requests are not allowed for WebSocket connections."},
		{"DELETE", 400, "Cannot terminate this connection using the DELETE endpoint."},
		{"GET", 400, "Cannot change transports mid-connection"},
	} {
		if r := s.Ask(x.method, path(con), token, ""); r.Status != x.status || r.Body != x.text {
			t.Errorf("%s: %d %q", x.method, r.Status, r.Body)
		}
	}
	if status, text := s.refused("&id="+con, token); status != 409 || text != "" {
		t.Errorf("second WebSocket: %d %q", status, text)
	}
	app.data(id, "{}"+rs)
	c.hears("{}" + rs)
	c.Close(1000, "")
	app.Left(id)
	for range 2 {
		if status, text := s.refused("&id="+con, token); status != 404 || text != "No Connection with that ID" {
			t.Errorf("token after the end: %d %q", status, text)
		}
	}
	noSockets := s.token(auth.ClaimTransports, "6")
	if status, text := s.refused("&id="+s.negotiate(noSockets), noSockets); status != 404 || text != "WebSockets transport not supported by this end point type" {
		t.Errorf("WebSocket where none may: %d %q", status, text)
	}
}

// connectionIDOf returns the public id of a token of an anonymous client.
func connectionIDOf(t *testing.T, s *service, con string) string {
	t.Helper()
	id, err := s.ReadToken(con, "chat", "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestConnectionTokens(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	app := s.app("a", serviceproto.HandshakeRequest{})
	ann := s.token(auth.ClaimUser, "ann")
	good := s.negotiate(ann)
	expired, _ := s.Token("chat", "ann", time.Now().Add(-20*time.Second))
	otherHub, _ := s.Token("other", "ann", time.Now())
	for name, con := range map[string]string{
		"expired": expired, "of another hub": otherHub, "cut": good[:47], "longer": good + "A", "padded": good[:47] + "=", "standard alphabet": good[:47] + "+",
	} {
		if r := s.Ask("GET", path(con), ann, ""); r.Status != 404 {
			t.Errorf("%s: %d", name, r.Status)
		}
	}
	for _, who := range []string{s.token(auth.ClaimUser, "eve"), s.token()} {
		if r := s.Ask("GET", path(good), who, ""); r.Status != 404 {
			t.Errorf("of another user: %d", r.Status)
		}
	}
	for i := range good {
		b := []byte(good)
		if b[i]++; b[i] == good[i] {
			continue
		}
		if r := s.Ask("GET", path(string(b)), ann, ""); r.Status != 404 && r.Status != 400 {
			t.Errorf("changed at %d: %d", i, r.Status)
		}
	}
	if s.Clients() != 0 {
		t.Errorf("%d sessions", s.Clients())
	}
	c := s.mustDial("&id="+good, ann)
	c.say(hello)
	app.opened(hello)
	if r := s.Ask("POST", path(good), s.token(auth.ClaimUser, "eve"), hello); r.Status != 404 {
		t.Errorf("a live connection of another user: %d", r.Status)
	}
}

func TestTokens(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	sign := func(audience string, o auth.Sign) string {
		token, err := s.Keys.SignClient(audience, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := sign(clientAudience, auth.Sign{})
	parts := strings.Split(good, ".")
	const none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0" // {"alg":"none","typ":"JWT"}
	stranger, err := auth.NewKeys(strings.Repeat("x", 44))
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := stranger.SignClient(clientAudience, nil, auth.Sign{})
	for _, c := range []struct {
		name, token string
		client      bool // good for a client
		server      bool // good for a server
	}{
		{"good", good, true, false},
		{"good, HS512", sign(clientAudience, auth.Sign{Algorithm: "HS512"}), true, false},
		{"good, server", s.serverToken(), false, true},
		{"none at all", "", false, false},
		{"no JWT", "abc", false, false},
		{"other hub", sign("http://localhost/client/?hub=other", auth.Sign{}), false, false},
		{"other path", sign("http://localhost/admin/?hub=chat", auth.Sign{}), false, false},
		{"expired", sign(clientAudience, auth.Sign{Now: time.Now().Add(-2 * time.Hour)}), false, false},
		{"expired, within the skew", sign(clientAudience, auth.Sign{Now: time.Now().Add(-62 * time.Minute)}), true, false},
		{"alg none", none + "." + parts[1] + ".", false, false},
		{"alg none with the old signature", none + "." + parts[1] + "." + parts[2], false, false},
		{"unsigned", parts[0] + "." + parts[1] + ".", false, false},
		{"two parts", parts[0] + "." + parts[1], false, false},
		{"other key", foreign, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := map[bool]int{true: 200, false: 401}
			r := s.Ask("POST", "/client/negotiate?hub=chat", c.token, "")
			if r.Status != want[c.client] {
				t.Errorf("negotiate: %d %s", r.Status, r.Body)
			}
			if strings.Contains(r.Body, parts[2]) {
				t.Error("the answer shows a token")
			}
			query := "/client/negotiate?hub=chat&access_token=" + c.token
			if r := s.Ask("POST", query, "", ""); r.Status != want[c.client] {
				t.Errorf("negotiate, token in the query: %d", r.Status)
			}
			if x, err := s.dial("", c.token); (err == nil) != c.client {
				t.Errorf("WebSocket: %v", err)
			} else if err != nil {
				if status, _ := s.refused("", c.token); status != 401 {
					t.Errorf("WebSocket: %d", status)
				}
			} else {
				x.NetConn().Close()
			}
			// Without an upgrade a server that may come in gets 400.
			want = map[bool]int{true: 400, false: 401}
			if r := s.Ask("GET", "/server/?hub=chat", c.token, ""); r.Status != want[c.server] {
				t.Errorf("server: %d", r.Status)
			}
		})
	}
	nodetest.Until(t, "all clients gone", func() bool { return s.Clients() == 0 })
}

func TestLimits(t *testing.T) {
	s := serveNode(t, aspnet.Options{MaxConnections: 1}, aspnetcore.Options{})
	app := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	early := s.negotiate(token)
	c := s.connect(app, "json")
	if r := s.Ask("POST", "/client/negotiate?hub=chat", token, ""); r.Status != 429 {
		t.Errorf("negotiate: %d", r.Status)
	}
	if status, _ := s.refused("&id="+early, token); status != 429 {
		t.Errorf("connect: %d", status)
	}
	c.NetConn().Close()
	app.Left(c.id)
	nodetest.Until(t, "room again", func() bool { return s.Clients() == 0 })
	d := s.mustDial("&id="+early, token)
	d.say(hello)
	app.opened(hello)

	s = serve(t, aspnetcore.Options{MaxMessage: 1000})
	app = s.app("a", serviceproto.HandshakeRequest{})
	c = s.connect(app, "json")
	c.say(strings.Repeat("x", 1001))
	_, _, err := c.message()
	if err == nil || !strings.Contains(err.Error(), "1009") {
		t.Errorf("message above the limit: %v", err)
	}
	app.Left(c.id)
	nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.BadRequest) == 1 })
	poll, id := s.polling(app, token)
	// The answer may come, and the socket go, before the body is sent.
	if r, err := s.Try("POST", path(poll), token, strings.Repeat("x", 5<<20)); err == nil && r.Status != 413 {
		t.Errorf("body above the limit: %d", r.Status)
	}
	if r := s.Ask("POST", path(poll), token, ping); r.Status != 200 {
		t.Errorf("the connection did not outlive it: %d", r.Status)
	}
	if got := app.heard(id, len(ping)); got != ping {
		t.Errorf("the app heard %q", got)
	}
	if r := s.Ask("DELETE", path(poll), token, ""); r.Status != 202 {
		t.Errorf("delete: %d", r.Status)
	}
	app.Left(id)
	if r := s.Ask("POST", fmt.Sprintf("/client/negotiate?hub=chat&x=%s", strings.Repeat("y", 13<<10)), token, ""); r.Status != 414 {
		t.Errorf("URI: %d", r.Status)
	}
	if r := s.Ask("POST", "/client/negotiate?hub=chat", token, "", "X-Long", strings.Repeat("y", 20<<10)); r.Status != 431 {
		t.Errorf("header: %d", r.Status)
	}
}
