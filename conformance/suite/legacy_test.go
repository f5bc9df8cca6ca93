package suite_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

var legacyPeers = flag.String("legacy-peers", os.Getenv("SIGNALRELAY_PEERS"), "directory that holds legacypeer")

// legacyDir holds the cases that are text.
const legacyDir = "cases/legacy"

// startLegacy serves the sample app with a relay behind it, whose clients come by
// way of a proxy that changes what they hear.
func startLegacy(t *testing.T, change func(*http.Response)) *suite.Endpoint {
	t.Helper()
	service := startRelay(t)
	conn := "Endpoint=" + service.URL.String() + ";AccessKey=" + accessKey + ";Version=1.0;"
	if change != nil {
		proxy := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(service.URL); r.Out.Host = service.URL.Host },
			ModifyResponse: func(r *http.Response) error { change(r); return nil },
			FlushInterval:  -1,
			ErrorHandler:   func(http.ResponseWriter, *http.Request, error) {}, ErrorLog: log.New(io.Discard, "", 0), // clients go when they like
		})
		t.Cleanup(func() { proxy.CloseClientConnections(); proxy.Close() })
		conn += "ClientEndpoint=" + proxy.URL + ";"
	}
	app, err := legacy.New(legacy.Options{ConnectionString: conn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served, connected := make(chan error, 1), make(chan struct{})
	go func() { served <- app.Serve(ctx, l, func() { close(connected) }) }() // ends with ctx
	t.Cleanup(func() {
		stop()
		<-served
	})
	select {
	case <-connected:
	case <-time.After(10 * time.Second):
		t.Fatal("the app does not reach the relay")
	}
	return &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/signalr"}}
}

// agrees runs the set and tells what failed.
func agrees(t *testing.T, e *suite.Endpoint, known map[string]string) {
	t.Helper()
	r, err := suite.Run(t.Context(), suite.LegacySet(), e, suite.Options{Parallel: 8, Known: known, Limit: 40 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if x.Outcome == suite.Failed || x.Outcome == suite.Broken {
			t.Errorf("%s: want %s, got %s %s", x.Name, x.Want, x.Got, x.Why)
		}
	}
	for _, s := range r.Stale {
		t.Error(s)
	}
	for _, l := range []suite.Level{suite.Core, suite.Hub} {
		t.Logf("%s: %d passed, %d known, %d skipped", l, r.Count(l, suite.Passed), r.Count(l, suite.KnownFailed), r.Count(l, suite.Skipped))
	}
}

// The relay with the sample app behind it agrees, but for what is listed.
func TestLegacySetOnTheRelay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(legacyDir, "known-relay.txt"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := conformance.Known(text)
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, startLegacy(t, nil), known)
}

// The real server agrees with every case, or the case is wrong.
func TestLegacySetOnTheRealServer(t *testing.T) {
	if *legacyPeers == "" {
		t.Skip("no peers: give -legacy-peers DIR or SIGNALRELAY_PEERS, the directory that holds legacypeer")
	}
	dir, err := filepath.Abs(*legacyPeers)
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]string{"as it comes": nil, "with CORS and JSONP": {"--cors", "--jsonp"}} {
		t.Run(name, func(t *testing.T) {
			app, err := peers.StartLegacyHub(t.Context(), dir, options...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(app.Kill)
			u, err := url.Parse(app.URL + "/signalr")
			if err != nil {
				t.Fatal(err)
			}
			agrees(t, &suite.Endpoint{URL: u}, nil)
		})
	}
}

// legacyMutations are what a server does wrong, each with the case that finds it.
var legacyMutations = []struct {
	name, found string // by which case
	change      func(*http.Response)
}{
	{"no nosniff", "ping-get", func(r *http.Response) { r.Header.Del("X-Content-Type-Options") }},
	{"a newer version", "negotiate-basic", text("negotiate", `"ProtocolVersion":"2.0"`, `"ProtocolVersion":"2.1"`)},
	{"versions are not clamped", "negotiate-client-protocol-1-0", text("negotiate", `"ProtocolVersion":"1.2"`, `"ProtocolVersion":"1.0"`)},
	{"whole numbers", "negotiate-basic", text("negotiate", `:30.0`, `:30`)},
	{"members in another order", "negotiate-types", text("negotiate", `"TryWebSockets":true,"ProtocolVersion":"2.0"`, `"ProtocolVersion":"2.0","TryWebSockets":true`)},
	{"transports of ASP.NET Core", "negotiate-types", text("negotiate", `{"Url"`, `{"availableTransports":[],"Url"`)},
	{"another answer to start", "start-sse", text("start", "started", "Started")},
	{"another answer to ping", "ping-get", text("ping", `{ "Response"`, `{  "Response"`)},
	{"404 for 400", "connect-no-transport", status(400, 404)},
	{"another text of an error", "connect-unknown-transport", text("connect", "Unknown transport.", "unknown transport")},
	{"one blank in an error", "connect-other-user", text("connect", "identity.  The", "identity. The")},
	{"200 for another user", "start-other-user", status(403, 200)},
	{"abort with JSON", "abort-sse", func(r *http.Response) {
		if strings.HasSuffix(r.Request.URL.Path, "/abort") {
			r.Header.Set("Content-Type", "application/json")
		}
	}},
	{"event stream with a charset", "connect-sse", func(r *http.Response) {
		if r.Header.Get("Content-Type") == "text/event-stream" {
			r.Header.Set("Content-Type", "text/event-stream; charset=utf-8")
		}
	}},
	{"no preamble", "stream-bytes", lines(func(line string) []string { return only(line, line != "data: initialized") })},
	{"no init", "connect-sse", lines(func(line string) []string { return only(strings.Replace(line, `"S":1,`, "", 1), true) })},
	{"init at reconnect", "reconnect-sse", reconnected("data: initialized\n\n", `data: {"C":"0","S":1,"M":[]}`+"\n\n")},
	{"a message is lost", "send-all-sse", lines(func(line string) []string { return only(line, !strings.Contains(line, `"M":"message"`)) })},
	{"a message comes twice", "order-sse", lines(func(line string) []string {
		if strings.Contains(line, `"M":"message"`) {
			return []string{line, "", line}
		}
		return []string{line}
	})},
	{"a hub in lower case", "send-caller-sse", lines(func(line string) []string { return only(strings.ReplaceAll(line, `"chatHub"`, `"chathub"`), true) })},
	{"an id that is a number", "call-echo-string-sse", lines(func(line string) []string { return only(strings.ReplaceAll(line, `"I":"0"`, `"I":0`), true) })},
	{"members of a result in another order", "call-fail-sse", lines(func(line string) []string {
		return only(strings.ReplaceAll(line, `"H":true,"E":"told you so"`, `"E":"told you so","H":true`), true)
	})},
	{"null in a result", "call-void-sse", lines(func(line string) []string {
		return only(strings.ReplaceAll(line, `{"I":"0"}`, `{"R":null,"I":"0"}`), true)
	})},
	{"a text of an error tells more", "call-crash-sse", lines(func(line string) []string {
		return only(strings.ReplaceAll(line, "There was an error invoking Hub method 'chathub.Crash'.", "secret detail"), true)
	})},
	{"messages change places", "order-sse", lines(func(line string) []string { return only(swapped(line), true) })},
	{"a poll without a cursor", "connect-longpolling", text("connect", `{"C":"0",`, `{`)},
	{"abort does not end the stream", "abort-sse", func(r *http.Response) {
		if r.Header.Get("Content-Type") == "text/event-stream" {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(r.Body, never{r.Request.Context().Done()}), r.Body}
		}
	}},
}

// What is not quite right is found, by the case that asks for it; and what the
// proxy itself does is not.
func TestLegacySetFindsWhatIsWrong(t *testing.T) {
	for _, c := range legacyMutations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			only := suite.Options{Only: regexp.MustCompile("^" + c.found + "$")}
			r, err := suite.Run(t.Context(), suite.LegacySet(), startLegacy(t, func(*http.Response) {}), only)
			if err != nil || r.Count("", suite.Passed) != 1 {
				t.Fatalf("%s when nothing is wrong: %v, %+v", c.found, err, r)
			}
			r, err = suite.Run(t.Context(), suite.LegacySet(), startLegacy(t, c.change), only)
			switch {
			case err != nil:
				t.Fatal(err)
			case len(r.Results) != 1:
				t.Fatalf("%d cases are called %s", len(r.Results), c.found)
			case r.Results[0].Outcome != suite.Failed:
				t.Errorf("%s %s: %s", c.found, r.Results[0].Outcome, r.Results[0].Why)
			}
		})
	}
}

// text changes the text of what is answered to an action.
func text(action, from, to string) func(*http.Response) {
	return func(r *http.Response) {
		if !strings.HasSuffix(r.Request.URL.Path, "/"+action) || r.Header.Get("Content-Type") == "text/event-stream" || r.StatusCode == http.StatusSwitchingProtocols {
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went
		}
		b = bytes.ReplaceAll(b, []byte(from), []byte(to))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		r.Header.Del("Content-Length")
	}
}

func status(from, to int) func(*http.Response) {
	return func(r *http.Response) {
		if r.StatusCode == from {
			r.StatusCode, r.Status = to, ""
		}
	}
}

// lines changes the lines of event streams.
func lines(change func(string) []string) func(*http.Response) {
	return func(r *http.Response) {
		if r.Header.Get("Content-Type") != "text/event-stream" {
			return
		}
		in := r.Body
		body, out := io.Pipe()
		r.Body = body
		go func() { // ends with the stream, or when nobody reads it
			defer in.Close()
			s := bufio.NewScanner(in)
			s.Buffer(nil, 1<<20)
			for s.Scan() {
				for _, line := range change(s.Text()) {
					if _, err := io.WriteString(out, line+"\n"); err != nil {
						return
					}
				}
			}
			out.CloseWithError(s.Err())
		}()
	}
}

// only is a line, if it is kept.
func only(line string, kept bool) []string {
	if kept {
		return []string{line}
	}
	return nil
}

// swapped gives one message the number of another.
func swapped(line string) string {
	return strings.NewReplacer(` 3"]`, ` 4"]`, ` 4"]`, ` 3"]`).Replace(line)
}

// reconnected changes the beginning of what reconnect answers.
func reconnected(from, more string) func(*http.Response) {
	return func(r *http.Response) {
		if strings.HasSuffix(r.Request.URL.Path, "/reconnect") && r.Header.Get("Content-Type") == "text/event-stream" {
			body := r.Body
			head := make([]byte, len(from))
			if _, err := io.ReadFull(body, head); err != nil {
				return // the client went
			}
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader(from+more), body), body}
		}
	}
}

// never reads nothing until its end.
type never struct{ end <-chan struct{} }

func (n never) Read([]byte) (int, error) {
	<-n.end
	return 0, io.ErrUnexpectedEOF
}

// Every recording is a case, or a list says why not.
func TestLegacyRecordingsAreCasesOrListed(t *testing.T) {
	cases := map[string]bool{}
	for _, c := range suite.LegacySet().Cases {
		if cases[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		cases[c.Name] = true
	}
	scripted := suite.LegacyRecordings()
	lists := map[string]map[string]string{}
	used := map[string]bool{}
	for _, name := range []string{"recorded.txt", "not-cases.txt"} {
		text, err := os.ReadFile(filepath.Join(legacyDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if lists[name], err = conformance.Known(text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for recording, name := range lists["recorded.txt"] {
		if !cases[name] {
			t.Errorf("%s: no case is called %s", recording, name)
		}
	}
	names, all := legacyRecordingNames(t)
	for _, name := range names {
		if scripted[name] != "" {
			used[name] = true
			continue
		}
		if plain := strings.TrimPrefix(name, "frame "); scripted[plain] != "" {
			used[plain] = true
			continue
		}
		found := false
		for _, list := range lists {
			for pattern := range list {
				if like(pattern, name) {
					found, used[pattern] = true, true
				}
			}
		}
		if !found {
			t.Errorf("%s is no case, and not listed", name)
		}
	}
	if !all {
		t.Log("the recordings of clients are not beside the checkout: only those of the server were looked at")
		return
	}
	for _, list := range lists {
		for pattern := range list {
			if !used[pattern] {
				t.Errorf("%s: no recording is called so", pattern)
			}
		}
	}
	for recording := range scripted {
		if !used[recording] {
			t.Errorf("%s: no recording is called so", recording)
		}
	}
}

// legacyRecordingNames are the names of the recordings of the server and, when those
// are beside the checkout, of the clients.
func legacyRecordingNames(t *testing.T) (names []string, all bool) {
	t.Helper()
	text, err := os.ReadFile("../../testdata/aspnetlegacy/recordings.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var r struct{ Name string }
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name)
	}
	text, err = os.ReadFile("../../../shared/golden/legacy-client.json")
	if errors.Is(err, fs.ErrNotExist) {
		return names, false
	}
	var clients []struct{ Name string }
	if err == nil {
		err = json.Unmarshal(text, &clients)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		names = append(names, c.Name)
	}
	return names, true
}

// like matches a name with a pattern in which '*' stands for anything.
func like(pattern, name string) bool {
	var parts []string
	for p := range strings.SplitSeq(pattern, "*") {
		parts = append(parts, regexp.QuoteMeta(p))
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(name)
}

func TestLoadLegacyScriptsErrors(t *testing.T) {
	const head = "# name: n\n# level: core\n# about: a\n# from: f\n"
	for name, c := range map[string]struct{ text, want string }{
		"nobody speaks":            {head + "x> GET /ping", "said by nobody"},
		"no case":                  {"client> GET /ping", "no case has begun"},
		"unknown header":           {"# colour: red", "no header"},
		"nothing above":            {head + "  body x", "no line above"},
		"a service by itself":      {head + "service> 404", "none of server above"},
		"a service after a client": {head + "client> GET /ping\nservice> 404", "none of server above"},
		"a service without a why":  {head + "server> 200\nservice> 404", "does not say why"},
		"no lines":                 {head, "lacks"},
		"no about":                 {"# name: n\n# level: core\n# from: f\nclient> GET /ping", "lacks"},
		"a step that is none":      {head + "client> dance", "cannot say"},
		"an answer that is none":   {head + "server> maybe", "cannot say"},
		"a transport that is none": {"# on: carrierPigeon", "no transport"},
		"a level that is none":     {"# level: high", "no level"},
		"a limit that is none":     {"# limit: long", "invalid duration"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := suite.LoadLegacyScripts(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestLoadLegacyScripts(t *testing.T) {
	cases, err := suite.LoadLegacyScripts("#! for the reader\n\n# name: a\n# level: hub\n# about: b\n# from: c\n# on: webSockets longPolling\nclient c1> join chathub\nserver c1> ends\n")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range cases {
		names = append(names, c.Name+" "+string(c.Level)+" "+c.About+" "+c.From)
	}
	if got, want := strings.Join(names, "\n"), "a-websockets hub b, on webSockets c\na-longpolling hub b, on longPolling c"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
