package aspnetlegacy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// What an app hears of a client's query is what it said to connect, escapes
// and all, without what is for us (3.2).
func TestOpeningQuery(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1", "chat")
	for _, tt := range []struct{ name, query, want string }{
		{"JavaScript", "transport=webSockets&clientProtocol=2.1&user=a%20b&asrs_request_id=x%3D&asrs.op=%2Fsignalr&connectionToken={con}&connectionData=%5B%7B%22name%22%3A%22chat%22%7D%5D&access_token={login}&tid=7",
			"?transport=webSockets&clientProtocol=2.1&user=a%20b&asrs_request_id=x%3D&asrs.op=%2Fsignalr&connectionToken={con}&connectionData=%5B%7B%22name%22%3A%22chat%22%7D%5D"},
		{".NET", `clientProtocol=2.1&transport=webSockets&connectionData=[{"Name":"Chat"}]&connectionToken={con}&access_token={login}`,
			`?clientProtocol=2.1&transport=webSockets&connectionData=[{"Name":"Chat"}]&connectionToken={con}`},
		{"in odd order and case", "_=1&Access_Token={login}&messageId=x&TRANSPORT=WEBSOCKETS&groupsToken=y&frameId=1&ConnectionToken={con}&_=2&flag",
			"?TRANSPORT=WEBSOCKETS&ConnectionToken={con}&flag"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.negotiate(nil)
			fill := strings.NewReplacer("{con}", c.con, "{login}", c.login)
			if _, err := s.socket("/aspnetclient/connect?"+fill.Replace(tt.query), c.login); err != nil {
				t.Fatal(err)
			}
			if got := a.opened(c.id).Query; got != fill.Replace(tt.want) {
				t.Errorf("query %q, want %q", got, fill.Replace(tt.want))
			}
		})
	}
}

// Claims come under the names that the SDK looks for, one entry a value (1.3,
// 3.3).
func TestOpeningClaims(t *testing.T) {
	const (
		role   = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
		nameID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
		name   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
		acr    = "http://schemas.microsoft.com/claims/authnclassreference"
	)
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1")
	c := s.negotiate(nil, "asrs.s.uid", "ann", role, "admin", role, "ops", nameID, "7", name, "Ann", acr, "1", "plan", "gold", "roles", "guest",
		"aud", "x", "asrs.s.aut", "Forms")
	c.connect(webSockets)
	got := a.opened(c.id).Claims
	for _, want := range []relay.Claim{
		{Type: "asrs.s.apn", Value: application}, {Type: "asrs.s.uid", Value: "ann"}, {Type: "asrs.s.aut", Value: "Forms"},
		{Type: role, Value: "admin"}, {Type: role, Value: "ops"}, {Type: role, Value: "guest"},
		{Type: nameID, Value: "7"}, {Type: name, Value: "Ann"}, {Type: acr, Value: "1"},
		{Type: "plan", Value: "gold"}, {Type: "asrs.u.aud", Value: "x"},
	} {
		n := 0
		for _, c := range got {
			if c == want {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s=%s comes %d times in %v", want.Type, want.Value, n, got)
		}
	}
	for _, short := range []string{"role", "roles", "nameid", "unique_name", "acr"} {
		if slices.ContainsFunc(got, func(c relay.Claim) bool { return c.Type == short }) {
			t.Errorf("%s comes by its short name: %v", short, got)
		}
	}
}

// Headers come each once, without what is of this hop or for us alone (3.4).
func TestOpeningHeaders(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1")
	c := s.negotiate(nil)
	h := http.Header{
		"Authorization": {"Bearer " + c.login}, "Cookie": {"a=b"}, "X-Many": {"1", "2"}, "x-many": {"3"}, "User-Agent": {"test"},
		"Asrs-Is-Diagnostic-Client": {"nonsense"}, "ASRS-Instance-Id": {"forged"}, "X-ASRS-Server-Id": {"forged"}, "X-Forwarded-For": {"10.0.0.1"},
	}
	w, err := ws.Dial(t.Context(), "ws://"+s.Addr+c.target("connect", webSockets), h)
	if err != nil {
		t.Fatal(err)
	}
	defer w.NetConn().Close()
	got := map[string][]string{}
	for _, h := range a.opened(c.id).Headers {
		name := strings.ToLower(h.Name)
		if _, twice := got[name]; twice {
			t.Errorf("%s comes twice", h.Name)
		}
		got[name] = h.Values
	}
	slices.Sort(got["x-many"]) // sent in any order
	for name, want := range map[string][]string{
		"cookie": {"a=b"}, "x-many": {"1", "2", "3"}, "user-agent": {"test"}, "x-forwarded-for": {"127.0.0.1"}, "asrs-instance-id": {"node-1"},
		"authorization": nil, "connection": nil, "upgrade": nil, "sec-websocket-key": nil, "asrs-is-diagnostic-client": nil, "x-asrs-server-id": nil,
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestDiagnosticClient(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1")
	c := s.negotiate(nil, "asrs.s.dc", "true")
	c.connect(webSockets)
	if !slices.ContainsFunc(a.opened(c.id).Headers, func(h relay.Header) bool {
		return h.Name == "Asrs-Is-Diagnostic-Client" && slices.Equal(h.Values, []string{"true"})
	}) {
		t.Error("the app is not told")
	}
}

// The name of an application may have any character in it; the SDK escapes
// blanks and leaves a '+' alone (2.1).
func TestServerKeys(t *testing.T) {
	for raw, want := range map[string]string{
		"hub=shop_chat&cid=1":                         "shop_chat",
		"cid=1&hub=Shop_Chat":                         "shop_chat",
		"hub=contoso.web.outer+start%20up_chat&cid=1": "contoso.web.outer+start up_chat",
		"hub=a_b_c":                                   "a_b_c",
		"hub=":                                        "",
		"cid=1":                                       "",
		"hub=a&hub=b":                                 "",
		"hub=a%zz":                                    "",
		"hub=a%0a":                                    "",
		"hub=" + strings.Repeat("x", 1025):            "",
		"hub=" + strings.Repeat("x", 1024):            strings.Repeat("x", 1024),
	} {
		if got := aspnetlegacy.KeyOf(raw); got != want {
			t.Errorf("%q: key %q, want %q", raw, got, want)
		}
	}
}

// Old SDKs put no application before the names of their hubs (2.6).
func TestOldSDK(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.link("server-1", application, serviceproto.HandshakeRequest{})
	hub := s.link("server-1", "Chat", serviceproto.HandshakeRequest{})
	newer := s.app("server-1", "chat")
	c := s.negotiate([]string{"chat"}, "asrs.s.vn", "1.0.8.9")
	c.connect(webSockets)
	a.opened(c.id)
	newer.hubs["chat"].broadcasts(`1`)
	newer.Settle()
	hub.broadcasts(`2`)
	c.hears(`2`)
}

// Clients may name hubs before their app has connected them, and hubs are for
// ever: so there is a bound.
func TestClaimedHubs(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1")
	c := s.connect(a, webSockets, []string{"late", application}) // no hub may be called like its application
	if s.Relay.Existing("aspnet shop_late") == nil || len(s.Relay.Hubs()) != 2 {
		t.Errorf("%d hubs", len(s.Relay.Hubs()))
	}
	late := s.link("server-1", "Shop_late", serviceproto.HandshakeRequest{})
	late.broadcasts(`1`)
	c.hears(`1`)
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint("hub", i))
	}
	c = s.connect(a, webSockets, many)
	if n := len(s.Relay.Hubs()); n != 1+64 {
		t.Errorf("%d hubs", n)
	}
	a.says(c.id, `2`)
	c.hears(`2`)
}

func TestServerRefused(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	a := s.app("server-1", "chat")
	for _, tt := range []struct {
		name, query, token string
		status             int
	}{
		{"no hub", "", "", 400},
		{"no token", "hub=shop_shop", "", 401},
		{"token of a client", "hub=shop_shop", s.token(), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.socket("/aspnetserver/?"+tt.query, tt.token)
			if status(err) != tt.status {
				t.Errorf("got %v, want %d", err, tt.status)
			}
		})
	}
	if r := s.Ask("GET", "/aspnetserver/other", "", ""); r.Status != 404 {
		t.Errorf("another path: %+v", r)
	}
	a.Settle()
}

// The SDK's own first frames, one with the element that newer libraries add
// (2.3).
func TestServerHandshake(t *testing.T) {
	for name, frame := range map[string]string{
		"six elements":   "\x07\x96\x01\x01\x00\xa0\x00\x80",
		"seven elements": "\x08\x97\x01\x01\x00\xa0\x00\x80\xc2",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, aspnetlegacy.Options{})
			l, err := s.dialLink("server-1", application+"_"+application)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Write(ws.Binary, []byte(frame)); err != nil {
				t.Fatal(err)
			}
			if got := nodetest.Expect[*serviceproto.HandshakeResponse](l.Link); got.Error != "" || got.ConnectionID != "cid-server-1" {
				t.Errorf("answer %+v", got)
			}
			l.Settle()
		})
	}
}
