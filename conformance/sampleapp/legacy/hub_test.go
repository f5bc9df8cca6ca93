package legacy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// contract is the app as others run it, with one link for each container.
type contract struct {
	*legacy.App
	links map[string]*stubservice.Link // by the name after sampleapp_
}

func newContract(t testing.TB, o legacy.Options) *contract {
	t.Helper()
	c := &contract{links: map[string]*stubservice.Link{}}
	links := make(chan *stubservice.Link, 16)
	svc := stubservice.New(t, func(l *stubservice.Link) { links <- l })
	o.ConnectionString, o.Connections = svc.ConnectionString(), 1
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	app, err := legacy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.App = app
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		app.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		svc.HangUp()
		<-ended
	})
	for range 5 { // the application and four hubs
		select {
		case l := <-links:
			<-l.Frames
			l.Send(&serviceproto.HandshakeResponse{})
			c.links[strings.TrimPrefix(l.Request.URL.Query().Get("hub"), "sampleapp_")] = l
		case <-time.After(patience):
			t.Fatal("no server connection")
		}
	}
	<-app.Connected()
	return c
}

// open makes a client of chatHub on the application's link.
func (c *contract) open(id, query string) {
	c.links["sampleapp"].Send(&serviceproto.OpenConnection{
		ConnectionID: id, Query: "?transport=webSockets&connectionToken=" + id + "&connectionData=" + url.QueryEscape(`[{"name":"chathub"}]`) + query,
		Headers: []relay.Header{{Name: "X-Test", Values: []string{"seen", "twice"}}, {Name: "Cookie", Values: []string{"a=1; b=two%20words"}}},
		Claims: []relay.Claim{
			{Type: "asrs.s.uid", Value: "alice"}, {Type: "asrs.s.aut", Value: "query"},
			{Type: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", Value: "alice"},
		},
	})
}

// says sends a text of a client.
func (c *contract) says(id, text string) {
	c.links["sampleapp"].Send(&serviceproto.ConnectionData{ConnectionID: id, Data: []byte(text)})
}

// next is the next frame of a container that is no keep-alive.
func (c *contract) next(t testing.TB, container string) serviceproto.Message {
	t.Helper()
	for {
		select {
		case b := <-c.links[container].Frames:
			if m := stubservice.Decode(t, b); !stubservice.KeepAlive(m) {
				return m
			}
		case <-time.After(patience):
			t.Fatalf("nothing on %s", container)
		}
	}
}

// hears checks the text that a client gets next.
func (c *contract) hears(t testing.TB, id, want string) {
	t.Helper()
	d, ok := c.next(t, "sampleapp").(*serviceproto.ConnectionData)
	if !ok || d.ConnectionID != id {
		t.Fatalf("got %+v, want text for %s", d, id)
	}
	if got := unwrapped(t, d.Data); got != want {
		t.Errorf("%s hears %s, want %s", id, got, want)
	}
}

// unwrapped takes the inner frame off a payload.
func unwrapped(t testing.TB, payload []byte) (text string) {
	t.Helper()
	err := new(serviceproto.Splitter).Feed(payload, func(body []byte, _ bool) error {
		d, ok := stubservice.Decode(t, body).(*serviceproto.ConnectionData)
		if !ok || d.ConnectionID != "" || text != "" {
			t.Errorf("inner frame is %x", body)
		}
		text = string(d.Data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAnswers(t *testing.T) {
	c := newContract(t, legacy.Options{})
	c.open("c", "&colour=deep%20red%26more")
	failed := func(method string) string {
		return `{"I":"7","E":"There was an error invoking Hub method 'chatHub.` + method + `'."}`
	}
	for _, v := range []struct{ name, method, args, want string }{
		{"echo", "Echo", `"x"`, `{"R":"x","I":"7"}`},
		{"case of a method does not matter", "eCHO", `"x"`, `{"R":"x","I":"7"}`},
		{"null is left out", "Echo", `null`, `{"I":"7"}`},
		{"odd letters", "Echo", `"<é𝄞\"\u0000>"`, `{"R":"<é𝄞\"\u0000>","I":"7"}`},
		{"number for a text", "Echo", `15`, `{"R":"15","I":"7"}`},
		{"text for a number", "Add", `"2",3`, `{"R":5,"I":"7"}`},
		{"no number", "Add", `"x",3`, failed("Add")},
		{"null for a number", "Add", `null,3`, failed("Add")},
		{"object for a text", "Echo", `{}`, failed("Echo")},
		{"anything", "Mirror", `{"a":[1,{"b":null}],"A":1.50}`, `{"R":{"a":[1,{"b":null}],"A":1.50},"I":"7"}`},
		{"void", "Nothing", ``, `{"I":"7"}`},
		{"HubException", "Fail", ``, `{"I":"7","H":true,"E":"told you so","D":{"code":42,"reason":"because"}}`},
		{"other exception", "Crash", ``, failed("Crash")},
		{"unknown method", "NoSuch", ``, failed("NoSuch")},
		{"too many arguments", "Echo", `1,2`, failed("Echo")},
		{"out of range", "Big", `-1`, failed("Big")},
		{"long", "Big", `3`, `{"R":"zzz","I":"7"}`},
		{"UTF-16 length", "Length", `"a𝄞"`, `{"R":3,"I":"7"}`},
		{"overload of one", "Overload", `4`, `{"R":4,"I":"7"}`},
		{"overload of two", "Overload", `4,5`, `{"R":9,"I":"7"}`},
		{"no overload of three", "Overload", `4,5,6`, failed("Overload")},
		{"slow", "Slow", `1`, `{"R":"slept 1","I":"7"}`},
		{"id", "MyId", ``, `{"R":"c","I":"7"}`},
		{"user", "MyUser", ``, `{"R":"alice","I":"7"}`},
		{"query", "Query", `"COLOUR"`, `{"R":"deep red&more","I":"7"}`},
		{"no such query", "Query", `"no"`, `{"I":"7"}`},
		{"header", "Header", `"x-test"`, `{"R":"seen,twice","I":"7"}`},
		{"cookie", "Cookie", `"b"`, `{"R":"two words","I":"7"}`},
		{"stats", "Stats", ``, `{"R":"1 0 0","I":"7"}`},
		{"empty user", "SendUser", `"","m"`, failed("SendUser")},
	} {
		t.Run(v.name, func(t *testing.T) {
			c.says("c", `{"H":"chatHub","M":"`+v.method+`","A":[`+v.args+`],"I":7}`)
			c.hears(t, "c", v.want)
		})
	}
}

func TestDetailedErrors(t *testing.T) {
	c := newContract(t, legacy.Options{DetailedErrors: true})
	c.open("c", "")
	c.says("c", `{"H":"chatHub","M":"Crash","I":1}`)
	c.hears(t, "c", `{"I":"1","E":"secret detail"}`)
}

func TestState(t *testing.T) {
	c := newContract(t, legacy.Options{})
	c.open("c", "")
	for _, v := range []struct{ name, call, want string }{
		{"get", `"M":"GetState","A":["K"],"S":{"k":{"x":1}}`, `{"R":{"x":1},"I":"1"}`},
		{"get nothing", `"M":"GetState","A":["k"]`, `{"I":"1"}`},
		{"set", `"M":"SetState","A":["k",[1]]`, `{"S":{"k":[1]},"I":"1"}`},
		{"set what it is", `"M":"SetState","A":["k",1],"S":{"k":1}`, `{"I":"1"}`},
	} {
		t.Run(v.name, func(t *testing.T) {
			c.says("c", `{"H":"chatHub","I":1,`+v.call+`}`)
			c.hears(t, "c", v.want)
		})
	}
}

// TestProgress is what the real SDK refuses: reports reach the caller before the
// result, under an id that old clients do not know.
func TestProgress(t *testing.T) {
	c := newContract(t, legacy.Options{})
	c.open("c", "")
	c.says("c", `{"H":"chatHub","M":"Progress","A":[2],"I":9}`)
	c.hears(t, "c", `{"C":"0","M":[{"I":"P|9","P":{"I":"9","D":1}}]}`)
	c.hears(t, "c", `{"C":"0","M":[{"I":"P|9","P":{"I":"9","D":2}}]}`)
	c.hears(t, "c", `{"R":2,"I":"9"}`)
}

// TestBadInput has what a client may send; the next call is served.
func TestBadInput(t *testing.T) {
	c := newContract(t, legacy.Options{})
	c.open("c", "")
	for name, text := range map[string]string{
		"no JSON": "x", "list": "[]", "number": "1", "null": "null", "wrong types": `{"H":1,"M":2}`, "arguments no list": `{"H":"chatHub","M":"Echo","A":{}}`,
		"state no object": `{"H":"chatHub","M":"Echo","A":["x"],"S":1}`, "state too long": `{"H":"chatHub","M":"Echo","A":["x"],"S":{"a":"` + strings.Repeat("x", 4096) + `"}}`,
		"unknown hub": `{"H":"no","M":"Echo","A":["x"]}`, "deep": strings.Repeat("[", 20000), "bad UTF-8": "{\"H\":\"\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			c.says("c", text)
			c.says("c", `{"H":"chatHub","M":"Echo","A":["alive"],"I":1}`)
			c.hears(t, "c", `{"R":"alive","I":"1"}`)
		})
	}
}

func TestBackend(t *testing.T) {
	c := newContract(t, legacy.Options{})
	post := func(path string) {
		t.Helper()
		w := httptest.NewRecorder()
		c.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/backend/"+path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s is answered with %d %s", path, w.Code, w.Body)
		}
	}
	const frame = `{"C":"0","M":[{"H":"chatHub","M":"message","A":["hi"]}]}`
	post("all?m=hi")
	if m, ok := c.next(t, "chathub").(*serviceproto.BroadcastData); !ok || unwrapped(t, m.Payload[0].Data) != frame {
		t.Errorf("all sends %+v", m)
	}
	post("user/bob?m=hi")
	if m, ok := c.next(t, "chathub").(*serviceproto.UserData); !ok || m.UserID != "bob" || unwrapped(t, m.Payload[0].Data) != frame {
		t.Errorf("user sends %+v", m)
	}
	post("client/x?m=hi")
	c.hears(t, "x", frame)
	post("group/g?m=hi")
	if m, ok := c.next(t, "sampleapp").(*serviceproto.GroupBroadcastData); !ok || m.Group != "hg-chatHub.g" || unwrapped(t, m.Payload[0].Data) != frame {
		t.Errorf("group sends %+v", m)
	}
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		post("join/x/g")
		post("leave/x/g")
	}()
	join, ok := c.next(t, "sampleapp").(*serviceproto.JoinGroupWithAck)
	if !ok || join.ConnectionID != "x" || join.Group != "hg-chatHub.g" {
		t.Fatalf("join sends %+v", join)
	}
	c.links["sampleapp"].Send(&serviceproto.Ack{AckID: join.AckID, Status: serviceproto.StatusNotFound})
	leave, ok := c.next(t, "sampleapp").(*serviceproto.LeaveGroupWithAck)
	if !ok {
		t.Fatal("leave sends something else")
	}
	c.links["sampleapp"].Send(&serviceproto.Ack{AckID: leave.AckID, Status: serviceproto.StatusOK})
	<-acked
}

// TestFloodBeforeConnected sends more than may wait for a hub's OnConnected. The
// recorded hubs wait there for the Ack of a group.
func TestFloodBeforeConnected(t *testing.T) {
	r := newReplay(t, legacy.Options{}, 1, 1, patience)
	r.shake(t, 1)
	l := r.links["legacyapp_legacyapp#0"]
	l.Send(&serviceproto.OpenConnection{ConnectionID: "c", Query: "connectionToken=c&on=hello&connectionData=" + url.QueryEscape(`[{"name":"chat"}]`)})
	for range 1001 {
		l.Send(&serviceproto.ConnectionData{ConnectionID: "c", Data: []byte(`{"H":"chat","M":"Echo","A":["x"],"I":1}`)})
	}
	for n := r.lane("legacyapp_legacyapp"); ; {
		select {
		case h := <-n.frames:
			if m, ok := stubservice.Decode(t, h.body).(*serviceproto.CloseConnection); ok {
				if m.ConnectionID != "c" || m.Error == "" {
					t.Errorf("told %+v", m)
				}
				return
			}
		case <-time.After(patience):
			t.Fatal("the client stays")
		}
	}
}

// TestSharedRoom has the pages of this app hear what another's say.
func TestSharedRoom(t *testing.T) {
	r := room.New()
	c := newContract(t, legacy.Options{Room: r})
	here, err := r.Enter(room.Person{ID: "other", Name: "Ann", Transport: "LongPolling"}, func() bool { return true })
	if err != nil || len(here) != 1 {
		t.Fatalf("entered: %v, %v", here, err)
	}
	if err := r.Say("other", "hello"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 2 {
		m, ok := c.next(t, "sampleapp").(*serviceproto.GroupBroadcastData)
		if !ok || m.Group != "hg-roomHub."+room.Group {
			t.Fatalf("sent %+v", m)
		}
		got = append(got, unwrapped(t, m.Payload[0].Data))
	}
	want := []string{
		`{"C":"0","M":[{"H":"roomHub","M":"people","A":[[{"id":"other","name":"Ann","transport":"LongPolling"}]]}]}`,
		`{"C":"0","M":[{"H":"roomHub","M":"said","A":["Ann","hello","other"]}]}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestOptions(t *testing.T) {
	good := "Endpoint=http://127.0.0.1:1;AccessKey=" + stubservice.Key
	for _, c := range []struct {
		name string
		o    legacy.Options
	}{
		{"no connection string", legacy.Options{}},
		{"no key", legacy.Options{ConnectionString: "Endpoint=http://127.0.0.1;AuthType=aad"}},
		{"sticky", legacy.Options{ConnectionString: good, Sticky: "very"}},
		{"poll interval", legacy.Options{ConnectionString: good, MaxPollInterval: 301}},
		{"application named as a hub", legacy.Options{ConnectionString: good, ApplicationName: "CHATHUB"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := legacy.New(c.o); err == nil {
				t.Error("taken")
			} else if strings.Contains(err.Error(), stubservice.Key) {
				t.Errorf("the error has the key: %v", err)
			}
		})
	}
}

// FuzzMessage feeds texts of clients: whatever one sends, the next is served.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"H":"chatHub","M":"Echo","A":["x"],"I":1}`, `{"H":"chathub","M":"SetState","A":["k",{}],"I":"a","S":{"K":1}}`,
		`{"H":"otherHub","M":"Ping","I":true}`, `{"H":"chatHub","M":"Add","A":[1e9,"-5"],"I":null}`, "asrs:reconnect", "",
	} {
		f.Add(s)
	}
	c := newContract(f, legacy.Options{})
	c.open("c", "")
	for name, l := range c.links {
		if name != "sampleapp" {
			go func() { // ends with the link
				for range l.Frames {
				}
			}()
		}
	}
	n := 0
	f.Fuzz(func(t *testing.T, text string) {
		n++
		fence := fmt.Sprintf(`{"R":"fence %d","I":"f"}`, n)
		c.says("c", text)
		c.says("c", fmt.Sprintf(`{"H":"chatHub","M":"Echo","A":["fence %d"],"I":"f"}`, n))
		for {
			d, ok := c.next(t, "sampleapp").(*serviceproto.ConnectionData)
			if ok && d.ConnectionID == "c" && unwrapped(t, d.Data) == fence {
				return
			}
		}
	})
}
