package suite_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// startCore serves the sample app with a relay behind it until the test ends.
func startCore(t *testing.T) *suite.Endpoint {
	t.Helper()
	conn := relaytest.ConnectionString(relaytest.StartRelay(t, accessKey), accessKey)
	app, err := sampleapp.New(sampleapp.Options{ConnectionString: conn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: relaytest.StartApp(t, app), Path: "/chat"}}
}

// coreAgrees runs the set against what is called so in the results and tells what failed. What is skipped must be among
// the names.
func coreAgrees(t *testing.T, e *suite.Endpoint, what string, known map[string]string, skipped ...string) {
	t.Helper()
	r, err := suite.Run(t.Context(), suite.CoreSet(), e, suite.Options{Parallel: 8, Known: known})
	if err != nil {
		t.Fatal(err)
	}
	recordReport(t, r, what)
	for _, x := range r.Results {
		switch {
		case x.Outcome == suite.Failed || x.Outcome == suite.Broken:
			t.Errorf("%s: want %s, got %s %s", x.Name, x.Want, x.Got, x.Why)
		case x.Outcome == suite.Skipped && !slices.Contains(skipped, x.Name):
			t.Errorf("%s: skipped: %s", x.Name, x.Why)
		}
	}
	for _, s := range r.Stale {
		t.Error(s)
	}
	for _, l := range []suite.Level{suite.Core, suite.Hub} {
		t.Logf("%s: %d passed, %d known, %d skipped", l, r.Count(l, suite.Passed), r.Count(l, suite.KnownFailed), r.Count(l, suite.Skipped))
	}
	if r.Took > time.Minute {
		t.Errorf("took %v, want less than a minute", r.Took)
	}
}

// The relay with the sample app behind it agrees, but for what is listed.
func TestCoreSetOnTheRelay(t *testing.T) {
	t.Parallel() // most of it is waiting for timers of the protocol
	coreAgrees(t, startCore(t), onRelay, listed(t, "core/known-relay.txt"))
}

// redirects are the cases that a hub without a service behind skips.
var redirects = []string{"redirect-answer", "redirect-token-in-query-websockets", "redirect-token-in-query-sse"}

// The real server agrees with every case, or the case is wrong.
func TestCoreSetOnTheRealServer(t *testing.T) {
	e := startCoreHub(t)
	t.Parallel()
	coreAgrees(t, e, onCoreHub, nil, redirects...)
}

// Nor does it make a difference that the app is on Microsoft's SDK, with the relay between.
func TestCoreSetOnTheRealApp(t *testing.T) {
	e := startAzureHub(t)
	t.Parallel()
	coreAgrees(t, e, onAzureHub, nil)
}

func TestCoreProbe(t *testing.T) {
	answer := func(status int, body string) *url.URL {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	right := startCore(t)
	bench := *right.URL
	bench.Path = "/bench" // has Echo, which is all that is asked for
	for name, c := range map[string]struct {
		at   *url.URL
		want string
		hub  bool
	}{
		"right":         {right.URL, "", true},
		"another hub":   {&bench, "", true},
		"no hub":        {answer(http.StatusNotFound, "nothing here"), "no hub: negotiate answers 404", false},
		"no JSON":       {answer(http.StatusOK, "<html>"), "no hub", false},
		"no transports": {answer(http.StatusOK, `{"connectionId":"a","connectionToken":"b"}`), "no transport is offered", false},
	} {
		t.Run(name, func(t *testing.T) {
			lacks, err := suite.CoreSet().Probe(t.Context(), &suite.Endpoint{URL: c.at})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if err == nil && (lacks[suite.Hub] == "") != c.hub {
				t.Errorf("lacks %v", lacks)
			}
		})
	}
}

// Names are unique and in the form of names, and every case says what it asks and
// where the answer is from.
func TestCoreCasesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range suite.CoreSet().Cases {
		if seen[c.Name] || c.Name == "" || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("name %q", c.Name)
		}
		seen[c.Name] = true
		if c.About == "" || c.From == "" {
			t.Errorf("%s does not say what it is about or where it is from", c.Name)
		}
	}
	for name, cases := range listed(t, "core/recordings.txt") {
		for c := range strings.FieldsSeq(cases) {
			if !seen[c] {
				t.Errorf("recordings.txt: %s: no case %s", name, c)
			}
		}
	}
}

// Every recorded scenario is a case or has a reason, not both.
func TestCoreRecordingsAreCasesOrListed(t *testing.T) {
	text, err := os.ReadFile("../../../shared/golden/core-client.json")
	if os.IsNotExist(err) {
		t.Skip("no golden files beside the checkout: ../shared/golden/core-client.json")
	}
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Scenarios map[string]any }
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	cases, not := listed(t, "core/recordings.txt"), listed(t, "core/not-cases.txt")
	used := map[string]bool{}
	for name := range golden.Scenarios {
		var reasons []string
		for pattern := range not {
			if ok, err := path.Match(pattern, name); err != nil {
				t.Fatal(err)
			} else if ok {
				reasons, used[pattern] = append(reasons, pattern), true
			}
		}
		if (cases[name] != "") == (len(reasons) > 0) || len(reasons) > 1 {
			t.Errorf("%s: cases %q, and no case by %q", name, cases[name], reasons)
		}
	}
	for pattern := range not {
		if !used[pattern] {
			t.Errorf("not-cases.txt: %s: no such scenario", pattern)
		}
	}
	for name := range cases {
		if golden.Scenarios[name] == nil {
			t.Errorf("recordings.txt: %s: no such scenario", name)
		}
	}
}

// listed reads a list of names with a reason each.
func listed(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("cases", name))
	if err != nil {
		t.Fatal(err)
	}
	list, err := conformance.Known(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
