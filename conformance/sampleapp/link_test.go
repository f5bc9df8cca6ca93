package sampleapp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

var empty = cmpopts.EquateEmpty()

// eventually waits until f no longer fails because the app has not yet read
// what was sent: it asks the app after every round trip over the link.
func (r *running) eventually(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if f() {
			return
		}
	}
	t.Fatal("it does not happen")
}

func TestConnects(t *testing.T) {
	s := newStub(t)
	app := s.start(t, sampleapp.Options{Connections: 5, ApplicationName: "App", ServerID: "me", Shutdown: "migrate"})
	keys, err := auth.NewKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	cids := map[string]bool{}
	for range 5 {
		l := s.next(t)
		q := l.Request.URL.Query()
		if q.Get("hub") != "app_chathub" && q.Get("hub") != "app_benchhub" {
			t.Errorf("hub is %q", q.Get("hub"))
		}
		cids[q.Get("cid")] = true
		h := l.Request.Header
		if h.Get("X-ASRS-Server-Id") != "me" || h.Get("X-Requested-With") != "XMLHttpRequest" || h.Get("Asrs-User-Agent") == "" {
			t.Errorf("headers are %v", h)
		}
		token, err := keys.Server(strings.TrimPrefix(h.Get("Authorization"), "Bearer "), q.Get("hub"), auth.Check{})
		if err != nil || token.Get("nameid") != "me" {
			t.Errorf("token: %v", err)
		}
		want := &serviceproto.HandshakeRequest{Version: 1, MigrationLevel: 1, AllowStatefulReconnects: q.Get("hub") == "app_chathub"}
		if diff := cmp.Diff(want, l.shake(t)); diff != "" {
			t.Error(diff)
		}
	}
	for range 5 {
		s.next(t).shake(t)
	}
	if len(cids) != 5 {
		t.Errorf("%d different cids", len(cids))
	}
	select {
	case <-app.Connected():
	case <-time.After(patience):
		t.Error("not connected")
	}
}

func TestComesBack(t *testing.T) {
	app, l := chat(t, sampleapp.Options{})
	l.Conn.Close()
	next := app.stub.next(t)
	if a, b := l.Request.URL.Query().Get("cid"), next.Request.URL.Query().Get("cid"); a == b {
		t.Error("the cid is the same")
	}
	next.shake(t)
	next.open(t, alice("d", "json"))
	if got := app.get(t, "GET", "/backend/ended/c"); got != "clean" {
		t.Errorf("c ended %q", got)
	}
}

func TestRefusedHandshakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer serviceproto.Message
	}{
		{"error text", &serviceproto.HandshakeResponse{Error: "go away"}},
		{"a ping first", &serviceproto.Ping{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStub(t)
			s.start(t, sampleapp.Options{})
			l := s.next(t)
			expect[*serviceproto.HandshakeRequest](t, l)
			l.Send(c.answer)
			if status := <-l.Closed; status != 1000 {
				t.Errorf("closed with %d", status)
			}
			s.next(t).shake(t) // after a second or two
		})
	}
}

func TestPings(t *testing.T) {
	app, l := chat(t, sampleapp.Options{})
	l.Send(&serviceproto.Ping{Words: []string{"echo", "x1"}})
	if diff := cmp.Diff([]string{"echo", "x1"}, expect[*serviceproto.Ping](t, l).Words); diff != "" {
		t.Error(diff)
	}
	l.Send(&serviceproto.Ping{Words: []string{"status", "1", "clientcount", "odd"}})
	l.Send(&serviceproto.Ping{Words: []string{"target", "east 2"}})
	more := app.stub.next(t)
	if got := more.Request.URL.Query().Get("target"); got != "east 2" {
		t.Errorf("target is %q", got)
	}
	if r := more.shake(t); r.ConnectionType != serviceproto.ConnectionOnDemand || r.Target != "" {
		t.Errorf("handshake is %+v", r)
	}
	more.Conn.Close() // it is not replaced

	l.Send(&serviceproto.Ping{Words: []string{"d-m", "1"}})
	l.data("c", `{"type":1,"target":"SendAll","arguments":["m"]}`+"\x1e")
	if m := expect[*serviceproto.BroadcastData](t, l); m.TracingID == 0 {
		t.Error("no tracing id")
	}
	l.Send(&serviceproto.Ping{Words: []string{"offline", "west"}})
	l.Send(&serviceproto.Ping{Words: []string{"offline", "east"}})
	l.hears(t, "c", `{"type":7,"allowReconnect":true}`)
	l.Send(&serviceproto.Ping{Words: []string{"echo", "x2"}})
	expect[*serviceproto.Ping](t, l) // and no CloseConnection
	select {
	case extra := <-app.stub.links:
		t.Errorf("one more connection, target %q", extra.Request.URL.Query().Get("target"))
	default:
	}
}

func TestFlowControl(t *testing.T) {
	s := newStub(t)
	s.start(t, sampleapp.Options{Connections: 2})
	a, b := s.next(t), s.next(t)
	a.shake(t)
	b.shake(t)
	a.open(t, alice("c", "json"))
	echo := func(l *stubLink, text string) {
		l.data("c", `{"type":1,"invocationId":"1","target":"Echo","arguments":["`+text+`"]}`+"\x1e")
	}
	a.Send(&serviceproto.ConnectionFlowControl{ConnectionID: "c", ConnectionType: serviceproto.FlowClient, Operation: serviceproto.FlowPause})
	if m := expect[*serviceproto.ConnectionFlowControl](t, a); m.Operation != serviceproto.FlowPauseAck || m.ConnectionID != "c" {
		t.Errorf("got %+v", m)
	}
	echo(a, "held")
	a.Send(&serviceproto.Ping{Words: []string{"echo", "x"}})
	expect[*serviceproto.Ping](t, a)
	b.Send(&serviceproto.ConnectionFlowControl{ConnectionID: "c", ConnectionType: serviceproto.FlowClient, Operation: serviceproto.FlowResume})
	b.hears(t, "c", `{"type":3,"invocationId":"1","result":"held"}`)
	echo(b, "moved")
	b.hears(t, "c", `{"type":3,"invocationId":"1","result":"moved"}`)

	b.Send(&serviceproto.ConnectionFlowControl{ConnectionID: "x", ConnectionType: serviceproto.FlowServer, Operation: serviceproto.FlowOffline})
	b.data("c", `{"type":1,"target":"SendAll","arguments":["m"]}`+"\x1e")
	expect[*serviceproto.BroadcastData](t, a)
}

func TestMigration(t *testing.T) {
	app, l := chat(t, sampleapp.Options{})
	l.Send(&serviceproto.CloseConnection{ConnectionID: "c", Headers: []relay.Header{{Name: "Asrs-Migrate-To", Values: []string{"other"}}}})
	in := alice("d", "json")
	in.Headers = append(in.Headers, relay.Header{Name: "Asrs-Migrate-From", Values: []string{"other"}})
	l.Send(in)
	l.data("d", `{"protocol":"json","version":1}`+"\x1e"+`{"type":1,"invocationId":"1","target":"MyId","arguments":[]}`+"\x1e")
	// Neither a Close for c nor a handshake answer for d, but OnConnected runs.
	if m := expect[*serviceproto.MultiConnectionData](t, l); m.ConnectionIDs[0] != "d" {
		t.Errorf("welcomes %v", m.ConnectionIDs)
	}
	l.hears(t, "d", `{"type":3,"invocationId":"1","result":"d"}`)
	if got := app.get(t, "GET", "/backend/ended/c"); got != "clean" {
		t.Errorf("c ended %q", got)
	}
}

// TestStopsUnacknowledged stops an app whose service never answers fin.
func TestStopsUnacknowledged(t *testing.T) {
	app, l := chat(t, sampleapp.Options{Shutdown: "migrate", ShutdownTimeout: 100 * time.Millisecond})
	app.stop()
	if diff := cmp.Diff([]string{"shutdown", "fin:1"}, expect[*serviceproto.Ping](t, l).Words); diff != "" {
		t.Error(diff)
	}
	app.wait(t)
	if status := <-l.Closed; status != 1000 {
		t.Errorf("closed with %d", status)
	}
}

func TestNegotiate(t *testing.T) {
	s := newStub(t)
	app := s.start(t, sampleapp.Options{Sticky: "required", AuthExpire: true, ServerID: "me"})
	s.next(t).shake(t)
	keys, err := auth.NewKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, target, url string // of url what is between the address and the request id
		claims            []string
	}{
		{"anonymous", "/chat/negotiate", "/client/?hub=chathub&asrs.op=%2Fchat&", []string{"asrs.s.sn=me", "asrs.s.ssticky=Required"}},
		{"bench", "/bench/negotiate?x=a%2Bb", "/client/?hub=benchhub&asrs.op=%2Fbench&x=a%2Bb&", []string{"asrs.s.sn=me", "asrs.s.ssticky=Required"}},
		{"bare ?", "/chat/negotiate?", "/client/?hub=chathub&asrs.op=%2Fchat&&", nil},
		{"alice", "/chat/negotiate?user=alice&expires=20", "/client/?hub=chathub&asrs.op=%2Fchat&user=alice&expires=20&", []string{
			"asrs.s.uid=alice", "asrs.s.sn=me", "asrs.s.ssticky=Required", "asrs.s.aut=query", "asrs.s.coae=true", "asrs.s.aeo=",
			"nameid=alice", "unique_name=alice", "role=tester", "favourite=blue",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			app.Handler().ServeHTTP(w, httptest.NewRequest("POST", c.target, nil))
			var a struct {
				NegotiateVersion int
				URL, AccessToken string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			u, query, _ := strings.Cut(strings.TrimPrefix(a.URL, s.URL), "asrs_request_id=")
			if u != c.url || query == "" {
				t.Errorf("url is %s", a.URL)
			}
			exact := `{"negotiateVersion":0,"url":"` + a.URL + `","accessToken":"` + a.AccessToken + `","availableTransports":[]}`
			if w.Body.String() != exact || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("answer is %s", w.Body)
			}
			parsed, err := url.Parse(a.URL)
			if err != nil {
				t.Fatal(err)
			}
			token, err := keys.Client(a.AccessToken, parsed.Query().Get("hub"), auth.Check{})
			if err != nil {
				t.Fatal(err)
			}
			i := 0
			for _, claim := range token.Claims {
				if i < len(c.claims) && strings.HasPrefix(claim.Type+"="+claim.Value, c.claims[i]) {
					i++
				}
			}
			if i != len(c.claims) {
				t.Errorf("claims %v lack %v", token.Claims, c.claims[i:])
			}
		})
	}
}

func TestNegotiateRefuses(t *testing.T) {
	s := newStub(t)
	s.Refuse.Store(http.StatusUnauthorized)
	app := s.start(t, sampleapp.Options{})
	ask := func(method, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		app.Handler().ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
	if w := ask("GET", "/chat/negotiate"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered with %d", w.Code)
	}
	app.eventually(t, func() bool { return ask("POST", "/chat/negotiate").Code == http.StatusInternalServerError })
	if w := ask("POST", "/chat/negotiate"); !strings.Contains(w.Body.String(), "not connected yet") {
		t.Errorf("answer is %s", w.Body)
	}
	app.eventually(t, func() bool { return ask("POST", "/bench/negotiate").Code == http.StatusInternalServerError })
}

func TestNegotiateTooLong(t *testing.T) {
	s := newStub(t)
	app := s.start(t, sampleapp.Options{})
	w := httptest.NewRecorder()
	app.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/chat/negotiate?user="+strings.Repeat("x", 2000), nil))
	if w.Code != http.StatusRequestEntityTooLarge || w.Body.String() != "AccessToken must not be longer than 4K." {
		t.Errorf("answer is %d %s", w.Code, w.Body)
	}
}

func TestCORS(t *testing.T) {
	s := newStub(t)
	app := s.start(t, sampleapp.Options{})
	r := httptest.NewRequest("OPTIONS", "/chat/negotiate", nil)
	r.Header.Set("Origin", "https://elsewhere.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "x-requested-with,x-signalr-user-agent")
	w := httptest.NewRecorder()
	app.Handler().ServeHTTP(w, r)
	want := http.Header{
		"Vary": {"Origin"}, "Access-Control-Allow-Origin": {"https://elsewhere.example"}, "Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Allow-Methods": {"POST"}, "Access-Control-Allow-Headers": {"x-requested-with,x-signalr-user-agent"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" || w.Code != http.StatusNoContent {
		t.Errorf("%d %s", w.Code, diff)
	}
}

func TestOptions(t *testing.T) {
	good := "Endpoint=http://127.0.0.1:1;AccessKey=" + key
	for _, c := range []struct {
		name string
		o    sampleapp.Options
	}{
		{"no connection string", sampleapp.Options{}},
		{"no key", sampleapp.Options{ConnectionString: "Endpoint=http://127.0.0.1;AuthType=aad"}},
		{"sticky", sampleapp.Options{ConnectionString: good, Sticky: "very"}},
		{"shutdown", sampleapp.Options{ConnectionString: good, Shutdown: "slow"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := sampleapp.New(c.o); err == nil {
				t.Error("taken")
			} else if strings.Contains(err.Error(), key) {
				t.Errorf("the error has the key: %v", err)
			}
		})
	}
}

func TestPage(t *testing.T) {
	s := newStub(t)
	app := s.start(t, sampleapp.Options{})
	page := app.get(t, "GET", "/")
	for _, external := range []string{"src=\"http", "href=\"http", "@import", "url(http"} {
		if strings.Contains(page, external) {
			t.Errorf("the page asks for something: %s", external)
		}
	}
	if !strings.Contains(page, "<title>SignalRelay demo</title>") {
		t.Error("that is another page")
	}
}
