package record_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/record"
	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

const accessKey = "an access key that must not be in any transcript"

// startApps serves a sample app of each flavour behind a relay until the test
// ends, and returns the address of the apps.
func startApps(t *testing.T) string {
	t.Helper()
	app, _ := startAppsAndRelay(t)
	return app
}

func startAppsAndRelay(t *testing.T) (appURL, relayURL string) {
	t.Helper()
	relay := relaytest.StartRelay(t, accessKey)
	conn, log := relaytest.ConnectionString(relay, accessKey), slog.New(slog.DiscardHandler)
	a, err := sampleapp.New(sampleapp.Options{ConnectionString: conn, Connections: 1, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	b, err := legacy.New(legacy.Options{ConnectionString: conn, Connections: 1, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	relaytest.StartApp(t, a)
	relaytest.StartApp(t, b)
	mux := http.NewServeMux()
	mux.Handle("/signalr/", b.Handler())
	mux.Handle("/", a.Handler())
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	return app.URL, "http://" + relay
}

// startRecorder serves a Recorder until the test ends.
func startRecorder(t *testing.T, o record.Options, to string) *recorder {
	t.Helper()
	var err error
	if o.To, err = url.Parse(to); err != nil {
		t.Fatal(err)
	}
	r, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	x := &recorder{Recorder: r}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		x.underWay.Add(1)
		defer x.underWay.Done()
		r.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	x.url = s.URL
	return x
}

// A recorder is a Recorder that is served.
type recorder struct {
	*record.Recorder
	url      string
	underWay sync.WaitGroup
}

// text is the transcript once all that is under way has ended.
func (r *recorder) text(t *testing.T) []byte {
	t.Helper()
	ended := make(chan struct{})
	go func() { r.underWay.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("something goes on")
	}
	return r.Transcript().Text()
}

// A scenario is what a client does with an app at an address.
type scenario struct {
	path string // of the hub or the mount
	do   func(ctx context.Context, t *testing.T, app string)
	// has are parts of the transcript.
	has []string
}

var scenarios = map[string]scenario{
	"core WebSockets": {"/chat", webSocket, []string{
		"POST /negotiate?negotiateVersion=1", `"url":"${service1}/client/?hub=chathub&asrs.op=%2Fchat&`, "asrs_request_id=${request1}", `"accessToken":"${access1}"`,
		"POST ${service1}/client/negotiate?", `"connectionToken":"${c1token}"`, "Authorization: Bearer ${access1}", "id=${c1token}",
		"server c1> text", "client c1> close 1000", `"invocationId":"1"`, "client h4> POST ${origin}/backend/all?m=hello", "${1*$}{cash}",
	}},
	"core ServerSentEvents": {"/chat", func(ctx context.Context, t *testing.T, app string) { httpClient(ctx, t, app, true) },
		[]string{"server c1> event", "client c1> drop"}},
	"core LongPolling": {"/chat", func(ctx context.Context, t *testing.T, app string) { httpClient(ctx, t, app, false) },
		[]string{"DELETE ${service1}/client/?"}},
	"core stateful": {"/chat", stateful, []string{
		"useStatefulReconnect=true", " c1> drop" /* of the server, where the recorder learned of that first */, "server c1-2> text", `{"type":9,"sequenceId":1}`, `client c1-2> text`,
	}},
	"core messagepack": {"/chat", packedQuestion, []string{"client c1> binary", "${ask1}a8" + hex.EncodeToString([]byte("question"))}},
	"core uploads":     {"/chat", uploads, []string{`"streamIds":["a"]`, `"invocationId":"1","result":7}`}},
	"core leaving":     {"/chat", leavesEvents, []string{"body `{\"type\":7}␞`"}},
	"core stream":      {"/chat", cancelledStream, []string{`{"type":5,"invocationId":"1"}␞`, `"item":2`}},
	"legacy webSockets": {"/signalr", func(ctx context.Context, t *testing.T, app string) { classic(ctx, t, app, peers.WebSockets) },
		[]string{`"RedirectUrl":"${service1}/aspnetclient?`, "connectionToken=${c1token}", `text ` + "`" + `{"C":"${cursor1}","S":1`, "Upgrade: websocket"}},
	"legacy serverSentEvents": {"/signalr", func(ctx context.Context, t *testing.T, app string) { classic(ctx, t, app, peers.ServerSentEvents) },
		[]string{"event `initialized`", `"C":"${cursor2}"`}},
	"legacy longPolling": {"/signalr", func(ctx context.Context, t *testing.T, app string) { classic(ctx, t, app, peers.LongPolling) },
		[]string{"messageId=${cursor1}", "messageId=${cursor2}"}},
}

// webSocket echoes and hears a message of the app's back end.
func webSocket(ctx context.Context, t *testing.T, app string) {
	c := connectHub(ctx, t, app, "&user=alice", `{"protocol":"json","version":1}`)
	for i, text := range []string{"one", "${cash}", c.id} {
		c.say(ws.Text, fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Echo","arguments":[%q]}`+"\x1e", i+1, text))
		c.hears(fmt.Sprintf(`"result":%q`, text))
	}
	ask(ctx, t, http.MethodPost, app+"/backend/all?m=hello", "", "")
	c.hears(`"hello"`)
	c.socket.Close(1000, "")
}

func ask(ctx context.Context, t *testing.T, method, target, login, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if login != "" {
		req.Header.Set("Authorization", "Bearer "+login)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// httpClient echoes on an event stream or by polls.
func httpClient(ctx context.Context, t *testing.T, app string, events bool) {
	at, login, _ := negotiateHub(ctx, t, app, "")
	next := func() string { // what comes next
		_, text := ask(ctx, t, http.MethodGet, at, login, "")
		return text
	}
	if events {
		stream, cancel := context.WithCancel(ctx)
		defer cancel()
		req, _ := http.NewRequestWithContext(stream, http.MethodGet, at+"&access_token="+login, nil)
		req.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		next = func() string {
			for lines.Scan() {
				if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					return text
				}
			}
			t.Fatal("the stream ended")
			return ""
		}
	} else {
		next() // the first poll is answered at once
	}
	say := func(body string) {
		if status, text := ask(ctx, t, http.MethodPost, at, login, body); status != 200 {
			t.Fatalf("send: %d %s", status, text)
		}
	}
	say("{\"protocol\":\"json\",\"version\":1}\x1e")
	all := ""
	for i, want := range []string{"{}\x1e", `"target":"welcome"`, `"result":"hello"`} {
		if i == 2 {
			say("{\"type\":6}\x1e")
			say("{\"type\":1,\"invocationId\":\"7\",\"target\":\"Echo\",\"arguments\":[\"hello\"]}\x1e")
		}
		for !strings.Contains(all, want) {
			all += next()
		}
	}
	if !events {
		if status, _ := ask(ctx, t, http.MethodDelete, at, login, ""); status != 202 {
			t.Fatalf("delete: %d", status)
		}
	}
}

// classic echoes as a client of ASP.NET SignalR.
func classic(ctx context.Context, t *testing.T, app, via string) {
	c, err := peers.ConnectLegacy(ctx, &peers.App{URL: app}, via)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "a+b&c=d%"} {
		if got, err := c.Call(ctx, "Echo", text); err != nil || got != fmt.Sprintf("%q", text) {
			if got, err2 := c.Call(ctx, "Length", text); err2 != nil {
				t.Fatalf("Echo(%q) is %s, %v", text, got, err)
			}
		}
	}
	if err := c.Abort(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRecordAndReplay(t *testing.T) {
	for name, s := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r := startRecorder(t, record.Options{Name: "x"}, startApps(t)+s.path)
			s.do(ctx, t, r.url)
			text := r.text(t)
			t.Logf("%s", text)
			for _, part := range s.has {
				if !bytes.Contains(text, []byte(part)) {
					t.Errorf("the transcript lacks %s", part)
				}
			}
			noSecrets(t, text)
			tr, err := conformance.Load(text)
			if err != nil {
				t.Fatal(err)
			}
			if !tr.Recorded() {
				t.Error("it is not known as a recording")
			}
			for range 2 {
				if err := conformance.ReplayRecording(ctx, tr, conformance.Options{URL: startApps(t) + s.path}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// noSecrets wants nothing in a transcript by which anybody could come in.
func noSecrets(t *testing.T, text []byte) {
	t.Helper()
	for _, found := range secretsIn(text) {
		t.Errorf("in the transcript: %s", found)
	}
}

// secrets are what a transcript must not have.
var secrets = regexp.MustCompile(`(?m)` + regexp.QuoteMeta(accessKey) + // the access key
	`|eyJ[A-Za-z0-9_-]{10,}\.` + // a JSON Web Token
	`|(?i:connection(token|id)"?[=:]"?[^"$])|[?&]id=[^$]` + // an id or token of a connection
	`|asrs_request_id=[^$]` + // an id of a request
	`|^[^#].*http://127\.0\.0\.1:`) // an address of a service

func secretsIn(text []byte) [][]byte { return secrets.FindAll(text, -1) }

func newRecorder(to string) (*record.Recorder, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	return record.New(record.Options{To: u})
}
