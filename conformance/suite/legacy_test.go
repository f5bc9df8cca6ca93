package suite_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// startLegacy serves the sample app with a relay behind it until the test ends.
func startLegacy(t *testing.T) *suite.Endpoint {
	t.Helper()
	conn := relaytest.ConnectionString(relaytest.StartRelay(t, accessKey), accessKey)
	app, err := legacy.New(legacy.Options{ConnectionString: conn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: relaytest.StartApp(t, app), Path: "/signalr"}}
}

// legacySkips are parts of the reasons for which a case may be skipped at an endpoint that has all the test hubs.
var legacySkips = []string{"JSONP is ", "other origin", "no forever frame", "the SDK throws out of Report"}

// agrees runs the set against what is called so in the results and tells what failed.
func agrees(t *testing.T, e *suite.Endpoint, what string, known map[string]string) {
	t.Helper()
	r, err := suite.Run(t.Context(), suite.LegacySet(), e, suite.Options{Parallel: 8, Known: known, Limit: 40 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	recordReport(t, r, what)
	for _, x := range r.Results {
		switch {
		case x.Outcome == suite.Failed || x.Outcome == suite.Broken:
			t.Errorf("%s: want %s, got %s %s", x.Name, x.Want, x.Got, x.Why)
		case x.Outcome == suite.Skipped && !slices.ContainsFunc(legacySkips, func(why string) bool { return strings.Contains(x.Why, why) }):
			t.Errorf("%s: skipped: %s", x.Name, x.Why)
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
	agrees(t, startLegacy(t), onRelay, listed(t, "legacy/known-relay.txt"))
}

// The real server agrees with every case, or the case is wrong.
func TestLegacySetOnTheRealServer(t *testing.T) {
	dir := needPeers(t)
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
			agrees(t, &suite.Endpoint{URL: u}, "Microsoft's ASP.NET SignalR 2.4.1, "+name, nil)
		})
	}
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
		lists[name] = listed(t, "legacy/"+name)
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

// What an endpoint need not have is skipped where it has not.
func TestLegacyNeeds(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	noSockets := wrong{answer: negotiated(`"TryWebSockets":true`, `"TryWebSockets":false`)}
	for name, c := range map[string]struct {
		by      string
		outcome suite.Outcome
	}{
		"a case in code":      {"connect-websockets", suite.Skipped},
		"a script":            {"call-echo-string-websockets", suite.Skipped},
		"another transport":   {"connect-sse", suite.Passed},
		"a script of another": {"call-echo-string-sse", suite.Passed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := suite.LegacySet()
			set.Probe = nil
			if x := askOne(t, set, startWrong(t, e, noSockets), c.by); x.Outcome != c.outcome {
				t.Errorf("%s, want %s: want %s, got %s %s", x.Outcome, c.outcome, x.Want, x.Got, x.Why)
			}
		})
	}
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
