package suite_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// patience is how long a judge of these tests waits for a client.
const patience = 3 * time.Second

// judge has a client do one scenario, and returns what became of it, and the
// client's error.
func judge(t *testing.T, scenario, fault string) (r suite.Result, failed error) {
	verdict := make(chan suite.Result, 1)
	j, err := suite.NewClientJudge(suite.Options{
		Only: regexp.MustCompile("^" + scenario + "$"), Limit: patience, Each: func(r suite.Result) { verdict <- r },
	})
	if err != nil {
		return r, err
	}
	s := httptest.NewServer(j)
	ctx, cancel := context.WithCancel(t.Context())
	c := &rightClient{ctx: ctx, base: s.URL + "/" + scenario, fault: fault}
	c.token = map[string]string{"redirect": "app-token", "token-websockets": "tok+/=1", "polling-401": "test-token"}[scenario]
	name, pack := strings.CutSuffix(scenario, "-messagepack")
	c.pack = pack
	task := coreTasks[name]
	if task == nil {
		task = legacyTasks[scenario]
	}
	// The query of the app, which a redirect replaces.
	if scenario == "legacy-redirect" {
		c.own = "user=1"
	}
	done := make(chan error, 1)
	go func() { done <- task(c) }()
	r = <-verdict
	cancel()
	err = <-done
	j.Close()
	s.Close()
	return r, err
}

// wrongClients are what a client does wrong, in the scenario that finds it, and
// what the judge sees then.
var wrongClients = []struct{ scenario, fault, got string }{
	{"websockets", "negotiates by GET", "GET hub/negotiate"},
	{"websockets", "negotiates twice", "POST hub/negotiate"},
	{"negotiate-version-1", "takes the connection id for the token", "the-id"},
	{"websockets", "ends the handshake without a separator", "bytes of a message that does not end"},
	{"websockets", "calls before the handshake is answered", `"Echo"`},
	{"websockets", "never stops", "nothing"},
	{"polling", "leaves long polling without DELETE", "nothing"},
	{"polling-401", "polls on after 401", "one more poll"},
	{"handshake-joined", "drops what comes with the handshake answer", "nothing"},
	{"handshake-error", "takes a refused handshake for a granted one", `nothing`},
	{"handshake-error", "hides the server's error", "something went wrong"},
	{"negotiate-error", "hides the server's error", "something went wrong"},
	{"negotiate-404", "tries again after a failed start", "POST hub/negotiate"},
	{"unknown-type", "ends at a type it does not know", "closed the WebSocket"},
	{"completion-unknown", "takes any answer for its own", "not yours"},
	{"redirect", "keeps the app's token after a redirect", "app-token"},
	{"redirect", "drops the query of a redirect", `hub []`},
	{"redirect-loop", "follows redirects without end", "POST hub/negotiate"},
	{"token-websockets", "upgrades without the token", "token []"},
	{"close", "reconnects though it must not", "POST hub/negotiate"},
	{"close-reconnect", "stays away though it may come back", "nothing"},
	{"close-reconnect", "comes back with the old id", "id=c1-id"},
	{"server-timeout", "waits for ever", "nothing"},
	{"stateful", "sends no Sequence", `"Got"`},
	{"stateful", "takes a message twice", `"m1"`},
	{"stateful", "negotiates anew though it has an id", "POST hub/negotiate"},
	{"stateful-ack", "never acknowledges", "nothing"},
	{"stateful-acknowledged", "sends again what is acknowledged", `"sequenceId":1`},
	{"websockets-messagepack", "speaks JSON after a handshake for MessagePack", "bytes of a message that does not end"},
	{"websockets-messagepack", "never stops", "nothing"},
	{"polling-messagepack", "leaves long polling without DELETE", "nothing"},
	{"unknown-type-messagepack", "ends at a type it does not know", "closed the WebSocket"},
	{"completion-unknown-messagepack", "takes any answer for its own", "not yours"},
	{"close-reconnect-messagepack", "stays away though it may come back", "nothing"},
	{"stateful-messagepack", "takes a message twice", `"m1"`},
	{"stateful-ack-messagepack", "never acknowledges", "nothing"},
	{"legacy-websockets", "never asks for start", "nothing"},
	{"legacy-websockets", "stops without abort", "nothing"},
	{"legacy-init-late", "starts before the server is ready", "GET signalr/start"},
	{"legacy-version-old", "takes any version", "GET signalr/connect"},
	{"legacy-reconnect", "reconnects without its cursor", "messageId []"},
	{"legacy-reconnect", "reconnects without its groups", "groupsToken []"},
	{"legacy-reconnect", "connects instead of reconnecting", "GET signalr/connect"},
	{"legacy-error-frame", "reconnects after an error frame", "GET signalr/reconnect"},
	{"legacy-redirect", "follows a redirect without its token", "Authorization []"},
}

// TestWrongClients has a client that is right, and then one that does one thing
// wrong, in the scenarios that ask for it.
func TestWrongClients(t *testing.T) {
	// Clients wait for most of their time: all of them at once.
	type end struct {
		r      suite.Result
		client error
	}
	ends := map[[2]string]chan end{}
	begin := func(scenario, fault string) {
		if at := [2]string{scenario, fault}; ends[at] == nil {
			c := make(chan end, 1)
			ends[at] = c
			go func() {
				r, err := judge(t, scenario, fault)
				c <- end{r, err}
			}()
		}
	}
	for _, f := range wrongClients {
		begin(f.scenario, "")
		begin(f.scenario, f.fault)
	}
	right := map[string]bool{}
	for _, f := range wrongClients {
		if !right[f.scenario] {
			right[f.scenario] = true
			t.Run(f.scenario, func(t *testing.T) {
				if e := <-ends[[2]string{f.scenario, ""}]; e.r.Outcome != suite.Passed {
					t.Errorf("%s: want %s, got %s %s\n%v\nthe client: %v", e.r.Outcome, e.r.Want, e.r.Got, e.r.Why, e.r.Log, e.client)
				}
			})
		}
		t.Run(f.scenario+": "+f.fault, func(t *testing.T) {
			r := (<-ends[[2]string{f.scenario, f.fault}]).r
			if r.Outcome != suite.Failed || !strings.Contains(r.Got, f.got) {
				t.Errorf("%s: want %s, got %s %s; it should have got %s", r.Outcome, r.Want, r.Got, r.Why, f.got)
			}
			if len(r.Log) == 0 {
				t.Error("a failure without what was said before")
			}
		})
	}
}

// TestClientJudgePages asks what the authors of clients ask.
func TestClientJudgePages(t *testing.T) {
	verdict := make(chan suite.Result, 1)
	j, err := suite.NewClientJudge(suite.Options{Limit: patience, Each: func(r suite.Result) { verdict <- r }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(j)
	defer s.Close()
	defer j.Close()
	ask := func(method, path string) (int, string) {
		t.Helper()
		c := rightClient{ctx: t.Context()}
		status, body, err := c.request(method, s.URL+path, "")
		if err != nil {
			t.Fatal(err)
		}
		return status, string(body)
	}
	outcome := func(name string) (outcome, why string) {
		t.Helper()
		_, body := ask("GET", "/verdicts")
		var report struct {
			Results []struct{ Name, Outcome, Why string }
		}
		if err := json.Unmarshal([]byte(body), &report); err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Results {
			if r.Name == name {
				return r.Outcome, r.Why
			}
		}
		t.Fatal("no verdict of " + name)
		return "", ""
	}
	_, list := ask("GET", "/scenarios")
	var tasks []struct{ Name, Flavour, URL, Do, From string }
	if err := json.Unmarshal([]byte(list), &tasks); err != nil || len(tasks) < 90 {
		t.Fatalf("%d scenarios, %v", len(tasks), err)
	}
	_, page := ask("GET", "/")
	for _, task := range tasks {
		path := map[string]string{"core": "/hub", "legacy": "/signalr"}[task.Flavour]
		if task.URL != s.URL+"/"+task.Name+path || !strings.Contains(page, task.URL) {
			t.Errorf("%s is at %s, and the page does not say so", task.Name, task.URL)
		}
	}
	if o, why := outcome("websockets"); o != "skipped" || why != "no client came" {
		t.Errorf("before anybody came: %s %s", o, why)
	}
	if status, _ := ask("GET", "/websockets/hub/negotiate"); status != 404 {
		t.Errorf("a client that is wrong gets %d", status)
	}
	<-verdict
	if o, _ := outcome("websockets"); o != "failed" {
		t.Errorf("after a wrong client: %s", o)
	}
	if status, text := ask("GET", "/websockets"); status != 200 || !strings.Contains(text, "FAILED   websockets (client)") {
		t.Errorf("the verdict of one scenario: %d %s", status, text)
	}
	if _, page := ask("GET", "/"); !strings.Contains(page, `<a href="/websockets">failed</a>`) || !strings.Contains(page, "no client came") {
		t.Error("the page does not tell what became of it")
	}
	if status, text := ask("GET", "/websockets/hub/negotiate"); status != 404 || !strings.Contains(text, "POST /websockets/reset") {
		t.Errorf("a client that comes after the end: %d %s", status, text)
	}
	if status, _ := ask("POST", "/websockets/reset"); status != 204 {
		t.Errorf("reset of a scenario that is over: %d", status)
	}
	if o, _ := outcome("websockets"); o != "skipped" {
		t.Errorf("after reset: %s", o)
	}
	if status, text := ask("GET", "/websockets"); status != 200 || !strings.Contains(text, "no client came") {
		t.Errorf("looking began the scenario: %d %s", status, text)
	}
	if status, text := ask("POST", "/websockets/reset?page"); status != 200 || !strings.HasPrefix(text, "<!DOCTYPE html>") {
		t.Errorf("the button: %d %.40s", status, text)
	}
	if status, _ := ask("GET", "/nothing/hub"); status != 404 {
		t.Errorf("no such scenario: %d", status)
	}
	if status, text := ask("GET", "/verdicts?format=tap"); status != 200 || !strings.HasPrefix(text, "TAP version 14") {
		t.Errorf("TAP: %d %.40s", status, text)
	}
}

// TestServeClients serves until its context ends.
func TestServeClients(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type end struct {
		r   *suite.Report
		err error
	}
	ended, verdicts := make(chan end, 1), make(chan suite.Result, 2)
	go func() {
		r, err := suite.ServeClients(ctx, l, suite.Options{
			Only: regexp.MustCompile("^(websockets|close)$"), Limit: patience, Known: map[string]string{"close": "it passes"},
			Each: func(r suite.Result) { verdicts <- r },
		})
		ended <- end{r, err}
	}()
	for _, name := range []string{"websockets", "close"} {
		if err := coreTasks[name](&rightClient{ctx: ctx, base: "http://" + l.Addr().String() + "/" + name}); err != nil {
			t.Error(err)
		}
	}
	<-verdicts
	<-verdicts
	cancel()
	e := <-ended
	if e.err != nil {
		t.Fatal(e.err)
	}
	if n := e.r.Count(suite.Client, suite.Passed); n != 2 || len(e.r.Stale) != 1 {
		t.Errorf("%d passed, stale %q", n, e.r.Stale)
	}
}

// TestClientRecordings finds every recording of a real client in a scenario, or
// in the list of those that are none.
func TestClientRecordings(t *testing.T) {
	const golden = "../../../shared/golden/"
	core, err := os.ReadFile(golden + "core-client.json")
	if err != nil {
		t.Skipf("no recordings beside the checkout: %v", err)
	}
	legacy, err := os.ReadFile(golden + "legacy-client.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Scenarios map[string]any }
	var entries []struct{ Name string }
	if err := errors.Join(json.Unmarshal(core, &recorded), json.Unmarshal(legacy, &entries)); err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys(recorded.Scenarios))
	for _, e := range entries {
		names = append(names, e.Name)
	}
	cases := map[string]bool{}
	files, err := filepath.Glob("cases/client/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		for _, word := range regexp.MustCompile(`[a-z0-9-]+`).FindAllString(lineOf(t, name, "# from: "), -1) {
			cases[word] = true
		}
	}
	list, err := os.ReadFile("cases/client/not-cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range names {
		found := cases[name]
		for line := range strings.SplitSeq(string(list), "\n") {
			pattern, _, ok := strings.Cut(line, ": ")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			if fits, err := path.Match(pattern, name); err != nil {
				t.Fatal(err)
			} else if fits {
				found, used[line] = true, true
			}
		}
		if !found {
			t.Errorf("%s is in no scenario and in no list", name)
		}
	}
	for line := range strings.SplitSeq(string(list), "\n") {
		if strings.Contains(line, ": ") && !strings.HasPrefix(line, "#") && !used[line] {
			t.Errorf("no recording is meant by %q", line)
		}
	}
}

// lineOf is what a file says behind a prefix.
func lineOf(t *testing.T, name, prefix string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return rest
		}
	}
	return ""
}
