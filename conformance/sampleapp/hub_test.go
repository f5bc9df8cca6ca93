package sampleapp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// alice is a client with a login.
func alice(id, protocol string) *serviceproto.OpenConnection {
	return &serviceproto.OpenConnection{
		ConnectionID: id, Protocol: protocol, Query: "?hub=chathub&asrs.op=%2Fchat&colour=red&colour=blue",
		Headers: []relay.Header{{Name: "x-test", Values: []string{"a", "b"}}, {Name: "Asrs-Instance-Id", Values: []string{"east"}}},
		Claims: []relay.Claim{
			{Type: "asrs.s.uid", Value: "alice"}, {Type: "asrs.s.aut", Value: "query"}, {Type: "asrs.s.rt", Value: "role"},
			{Type: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", Value: "Alice"},
			{Type: "role", Value: "tester"}, {Type: "role", Value: "boss"}, {Type: "asrs.u.jti", Value: "7"}, {Type: "exp", Value: "1"},
		},
	}
}

// chat is an app with one link and one client "c" that speaks json.
func chat(t *testing.T, o sampleapp.Options) (*running, *stubLink) {
	t.Helper()
	s := newStub(t)
	app := s.start(t, o)
	l := s.next(t)
	l.shake(t)
	l.open(t, alice("c", "json"))
	return app, l
}

func TestAnswers(t *testing.T) {
	_, l := chat(t, sampleapp.Options{})
	for _, c := range []struct{ name, call, answer string }{
		{"case of a method does not matter", `"target":"ECHO","arguments":["x"]`, `"result":"x"`},
		{"null", `"target":"Echo","arguments":[null]`, `"result":null`},
		{"text", `"target":"Echo","arguments":["h\u00e9 \ud834\udd1e \u001e \u0000"]`, `"result":"hé 𝄞 \u001E \u0000"`},
		{"object", `"target":"Mirror","arguments":[{"x":1,"Y":2,"label":"p"}]`, `"result":{"x":2,"y":1,"label":"p"}`},
		{"anything", `"target":"Same","arguments":[{"a":[1,{}]}]`, `"result":{"a":[1,{}]}`},
		{"bytes", `"target":"Backwards","arguments":["AQID"]`, `"result":"AwIB"`},
		{"UTF-16 length", `"target":"Length","arguments":["a\ud834\udd1e"]`, `"result":3`},
		{"user", `"target":"MyUser","arguments":[]`, `"result":"alice"`},
		{"name", `"target":"MyName","arguments":[]`, `"result":"Alice"`},
		{"role by the token's role type", `"target":"InRole","arguments":["boss"]`, `"result":true`},
		{"no such role", `"target":"InRole","arguments":["Boss"]`, `"result":false`},
		{"claim with a colliding name", `"target":"Claim","arguments":["jti"]`, `"result":"7"`},
		{"claim of the token", `"target":"Claim","arguments":["exp"]`, `"result":null`},
		{"authenticated", `"target":"Authenticated","arguments":[]`, `"result":true`},
		{"query", `"target":"Query","arguments":["COLOUR"]`, `"result":"red,blue"`},
		{"header", `"target":"Header","arguments":["X-Test"]`, `"result":"a,b"`},
		{"path", `"target":"Path","arguments":[]`, `"result":"/chat"`},
		{"no such header", `"target":"Header","arguments":["X-No"]`, `"result":null`},
		{"too many arguments", `"target":"Echo","arguments":[1,2]`, `"error":"Failed to invoke 'Echo' due to an error on the server."`},
		{"number for text", `"target":"Echo","arguments":[1]`, `"error":"Failed to invoke 'Echo' due to an error on the server."`},
		{"stream as a call", `"target":"Counter","arguments":[1,0]`, `"error":"The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation."`},
		{"upload without a stream", `"target":"Sum","arguments":[]`, `"error":"An unexpected error occurred invoking 'Sum' on the server. HubException: Client sent 0 stream(s), Hub method expects 1."`},
		{"out of range", `"target":"Big","arguments":[-1]`, `"error":"An unexpected error occurred invoking 'Big' on the server."`},
		{"a panic", `"target":"Mirror","arguments":[null]`, `"error":"An unexpected error occurred invoking 'Mirror' on the server."`},
	} {
		l.data("c", `{"type":1,"invocationId":"7",`+c.call+"}\x1e")
		d := expect[*serviceproto.ConnectionData](t, l)
		if want := `{"type":3,"invocationId":"7",` + c.answer + "}\x1e"; string(d.Data) != want || d.DataType != serviceproto.DataInvocation {
			t.Errorf("%s: answer %q, want %q", c.name, d.Data, want)
		}
	}
}

func TestAnonymous(t *testing.T) {
	s := newStub(t)
	s.start(t, sampleapp.Options{})
	l := s.next(t)
	l.shake(t)
	l.open(t, &serviceproto.OpenConnection{ConnectionID: "c", Protocol: "messagepack", Claims: []relay.Claim{{Type: "aud", Value: "x"}, {Type: "exp", Value: "1"}}})
	for target, want := range map[string]string{"Authenticated": "\xc2", "MyUser": "\xc0", "MyName": "\xc0"} {
		l.data("c", string(hubproto.MessagePack.Append(nil, hubproto.Call("1", target))))
		got := string(expect[*serviceproto.ConnectionData](t, l).Data)
		if want := string(hubproto.MessagePack.Append(nil, &hubproto.Message{Type: hubproto.Completion, ID: "1", Result: hubproto.Raw(want)})); got != want {
			t.Errorf("%s answers %q, want %q", target, got, want)
		}
	}
}

// TestBadInput has what a client may do wrong; another client must not notice.
func TestBadInput(t *testing.T) {
	const gone = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
	for _, c := range []struct{ name, sends, hears, ended string }{
		{"no JSON", "{\x1e", gone, "error: "},
		{"no type", "{}\x1e", gone, "error: "},
		{"too large", `{"type":1,"target":"` + strings.Repeat("x", 1000), gone, "error: The maximum message size of 1000B was exceeded. The message size can be configured in AddHubOptions."},
		{"too large in one piece", `{"type":1,"target":"` + strings.Repeat("x", 1000) + "\"}\x1e", gone, "error: The maximum"},
		{"its own close", `{"type":7}` + "\x1e", `{"type":7}`, "clean"},
	} {
		t.Run(c.name, func(t *testing.T) {
			app, l := chat(t, sampleapp.Options{HubMaxMessage: 1000})
			l.open(t, alice("other", "json"))
			l.data("c", c.sends)
			l.hears(t, "c", c.hears)
			if m := expect[*serviceproto.CloseConnection](t, l); m.ConnectionID != "c" || m.Error != "" {
				t.Errorf("told %+v", m)
			}
			l.data("c", "late\x1e")
			l.data("other", `{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}`+"\x1e")
			l.hears(t, "other", `{"type":3,"invocationId":"1","result":3}`)
			if got := app.get(t, "GET", "/backend/ended/c"); !strings.HasPrefix(got, c.ended) {
				t.Errorf("ended %q, want %q", got, c.ended)
			}
		})
	}
}

func TestBadHandshakes(t *testing.T) {
	for _, c := range []struct{ name, sends, hears string }{
		{"unknown protocol", `{"protocol":"x","version":1}` + "\x1e", "The protocol 'x' is not supported."},
		{"version", `{"protocol":"JSON","version":3}` + "\x1e", "The server does not support version 3 of the 'json' protocol."},
		{"no JSON", "hello\x1e", "An unexpected error occurred during connection handshake."},
		{"too long", strings.Repeat("x", 2<<20), "Handshake was canceled."},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, l := chat(t, sampleapp.Options{})
			l.Send(alice("bad", "json"))
			l.data("bad", c.sends)
			d := expect[*serviceproto.ConnectionData](t, l)
			if want := `{"error":"` + c.hears + "\"}\x1e"; string(d.Data) != want || d.DataType != serviceproto.DataHandshake {
				t.Errorf("got %q of type %d, want %q", d.Data, d.DataType, want)
			}
			expect[*serviceproto.CloseConnection](t, l)
		})
	}
}

func TestHeartbeat(t *testing.T) {
	app, l := chat(t, sampleapp.Options{})
	opened := time.Now()
	app.Tick("c", opened.Add(16*time.Second))
	if d := expect[*serviceproto.ConnectionData](t, l); string(d.Data) != "{\"type\":6}\x1e" || d.DataType != serviceproto.DataOther {
		t.Errorf("got %q of type %d", d.Data, d.DataType)
	}
	app.Tick("c", opened.Add(40*time.Second)) // silent, but it has never pinged
	l.hears(t, "c", `{"type":6}`)
	l.data("c", `{"type":6}`+"\x1e"+`{"type":1,"invocationId":"1","target":"Nothing","arguments":[]}`+"\x1e")
	l.hears(t, "c", `{"type":3,"invocationId":"1","result":null}`)
	app.Tick("c", time.Now().Add(31*time.Second))
	l.hears(t, "c", `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
	expect[*serviceproto.CloseConnection](t, l)

	l.Send(alice("slow", "json"))
	l.data("slow", `{"protocol":`)
	app.eventually(t, func() bool { return app.Tick("slow", time.Now().Add(16*time.Second)) })
	if d := expect[*serviceproto.ConnectionData](t, l); string(d.Data) != "{\"error\":\"Handshake was canceled.\"}\x1e" {
		t.Errorf("got %q", d.Data)
	}
}

// TestTurns checks that two calls of a client run at a time, in order, and that
// its streams and their items are not held up by them.
func TestTurns(t *testing.T) {
	app, l := chat(t, sampleapp.Options{})
	call := func(id, target, more string) {
		l.data("c", fmt.Sprintf(`{"type":1,"invocationId":"%s","target":"%s",%s}`+"\x1e", id, target, more))
	}
	call("1", "Sum", `"arguments":[],"streamIds":["s1"]`)
	call("2", "Sum", `"arguments":[],"streamIds":["s2"]`)
	call("3", "Add", `"arguments":[1,2]`)
	call("4", "Sum", `"arguments":[],"streamIds":["s4"]`)
	l.data("c", `{"type":2,"invocationId":"s4","item":5}`+"\x1e"+`{"type":3,"invocationId":"s4"}`+"\x1e")
	l.data("c", `{"type":4,"invocationId":"5","target":"Counter","arguments":[1,0]}`+"\x1e")
	l.hears(t, "c", `{"type":2,"invocationId":"5","item":0}`)
	l.hears(t, "c", `{"type":3,"invocationId":"5"}`)
	if _, queued := app.Held("c"); queued != 2 {
		t.Errorf("%d calls wait, want 2", queued)
	}
	l.data("c", `{"type":2,"invocationId":"s2","item":3}`+"\x1e"+`{"type":3,"invocationId":"s2","error":"no more"}`+"\x1e")
	l.hears(t, "c", `{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Sum' on the server. HubException: no more"}`)
	l.hears(t, "c", `{"type":3,"invocationId":"3","result":3}`)
	l.hears(t, "c", `{"type":3,"invocationId":"4","result":5}`)
	l.data("c", `{"type":3,"invocationId":"s1"}`+"\x1e")
	l.hears(t, "c", `{"type":3,"invocationId":"1","result":0}`)
}

func TestFloods(t *testing.T) {
	for _, c := range []struct {
		name  string
		flood func(l *stubLink)
	}{
		{"calls", func(l *stubLink) {
			for range sampleapp.MaxQueued/100 + 1 {
				l.data("c", strings.Repeat(`{"type":1,"target":"Nothing","arguments":[]}`+"\x1e", 100))
			}
		}},
		{"stream items", func(l *stubLink) {
			item := `{"type":2,"invocationId":"a","item":"` + strings.Repeat("x", 500_000) + "\"}\x1e"
			for range sampleapp.MaxUploaded/500_000 + 1 {
				l.data("c", item)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, l := chat(t, sampleapp.Options{})
			// Both slots are taken by calls that read nothing: they wait for an ack.
			l.data("c", `{"type":1,"target":"Join","arguments":["g"]}`+"\x1e"+`{"type":1,"target":"Join","arguments":["h"]}`+"\x1e")
			l.data("c", `{"type":1,"target":"Sum","arguments":[],"streamIds":["a"]}`+"\x1e")
			expect[*serviceproto.JoinGroupWithAck](t, l)
			expect[*serviceproto.JoinGroupWithAck](t, l)
			c.flood(l)
			l.hears(t, "c", `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
			expect[*serviceproto.CloseConnection](t, l)
		})
	}
}

func TestStreamCancel(t *testing.T) {
	_, l := chat(t, sampleapp.Options{})
	l.data("c", `{"type":4,"invocationId":"1","target":"Counter","arguments":[1000000,1000]}`+"\x1e")
	l.hears(t, "c", `{"type":2,"invocationId":"1","item":0}`)
	l.data("c", `{"type":4,"invocationId":"1","target":"Counter","arguments":[1,0]}`+"\x1e")
	l.hears(t, "c", `{"type":3,"invocationId":"1","error":"Invocation ID '1' is already in use."}`)
	l.data("c", `{"type":5,"invocationId":"1"}`+"\x1e"+`{"type":5,"invocationId":"unknown"}`+"\x1e")
	l.hears(t, "c", `{"type":3,"invocationId":"1"}`)
	l.data("c", `{"type":1,"invocationId":"2","target":"Streams","arguments":[]}`+"\x1e")
	l.hears(t, "c", `{"type":3,"invocationId":"2","result":1}`)
}

func TestAckStatus(t *testing.T) {
	_, l := chat(t, sampleapp.Options{})
	for status, want := range map[int]string{
		serviceproto.StatusOK: `"result":null`, serviceproto.StatusNotFound: `"result":null`,
		serviceproto.StatusTimeout:       `"error":"An unexpected error occurred invoking 'Join' on the server."`,
		serviceproto.StatusInternalError: `"error":"An unexpected error occurred invoking 'Join' on the server."`,
	} {
		l.data("c", `{"type":1,"invocationId":"1","target":"Join","arguments":["g"]}`+"\x1e")
		l.Send(&serviceproto.Ack{AckID: expect[*serviceproto.JoinGroupWithAck](t, l).AckID, Status: status})
		l.hears(t, "c", `{"type":3,"invocationId":"1",`+want+"}")
	}
}

// get asks the app's own HTTP and returns the body of a 200.
func (r *running) get(t *testing.T, method, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestBackend(t *testing.T) {
	app, l := chat(t, sampleapp.Options{})
	json := func(m string) relay.Encoding {
		return relay.Encoding{Protocol: "json", Data: []byte(`{"type":1,"target":"message","arguments":["` + m + `"]}` + "\x1e")}
	}
	pack := func(m string) relay.Encoding {
		raw, _ := hubproto.MessagePack.AppendValue(nil, m)
		return relay.Encoding{Protocol: "messagepack", Data: hubproto.MessagePack.Append(nil, hubproto.Call("", "message", raw))}
	}
	for _, c := range []struct {
		path string
		want serviceproto.Message
	}{
		{"all?m=x1", &serviceproto.BroadcastData{Payload: relay.Payload{json("x1"), pack("x1")}}},
		{"client/c?m=x2", &serviceproto.MultiConnectionData{ConnectionIDs: []string{"c"}, Payload: relay.Payload{json("x2")}}},
		{"client/elsewhere?m=x3", &serviceproto.MultiConnectionData{ConnectionIDs: []string{"elsewhere"}, Payload: relay.Payload{json("x3"), pack("x3")}}},
		{"user/a%2Fb?m=x4", &serviceproto.UserData{UserID: "a/b", Payload: relay.Payload{json("x4"), pack("x4")}}},
		{"group/g%20h?m=x5", &serviceproto.GroupBroadcastData{Group: "g h", Payload: relay.Payload{json("x5"), pack("x5")}}},
	} {
		app.get(t, "POST", "/backend/"+c.path)
		if diff := cmp.Diff(c.want, stubservice.Decode(t, l.frame(t)), empty); diff != "" {
			t.Errorf("%s: %s", c.path, diff)
		}
	}
	asked := make(chan string)
	go func() { asked <- app.get(t, "POST", "/backend/ask/c?q=why") }()
	ask := expect[*serviceproto.ClientInvocation](t, l)
	l.data("c", `{"type":3,"invocationId":"`+ask.InvocationID+`","result":"because"}`+"\x1e")
	if got := <-asked; got != "because" {
		t.Errorf("asked, got %q", got)
	}
	if m := expect[*serviceproto.ClientCompletion](t, l); m.InvocationID != ask.InvocationID || len(m.Data) != 0 {
		t.Errorf("told %+v", m)
	}
	<-app.Connected()
	if got := app.get(t, "GET", "/backend/service"); got != "2 2" {
		t.Errorf("links: %s", got)
	}
	if got := app.get(t, "GET", "/backend/connections"); got != "c" {
		t.Errorf("connections: %s", got)
	}
	app.get(t, "POST", "/backend/close/c")
	l.hears(t, "c", `{"type":7}`)
	if got := app.get(t, "GET", "/backend/stats"); got != "1 1 " {
		t.Errorf("stats: %q", got)
	}
}
