package peers_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

var resultsFile = flag.String("results", os.Getenv("SIGNALRELAY_RESULTS"),
	"file, by its absolute path, that every run adds lines of results to; scripts/compat makes docs/compatibility.md of them ($SIGNALRELAY_RESULTS)")

// runBattery runs a battery, makes each check a test of its own and records what
// came of them, if the battery came to its end.
func runBattery(t *testing.T, s peers.Subject, command ...string) (peers.Tally, error) {
	t.Helper()
	s.Run = t.Name()
	counted, each := peers.NewResults(s), report(t)
	ctx, cancel := context.WithTimeout(t.Context(), batteryTime)
	defer cancel()
	tally, err := peers.RunBattery(ctx, func(c peers.Check) {
		counted.Count(c)
		each(c)
	}, command...)
	if err == nil {
		record(t, counted.All()...)
	}
	return tally, err
}

// recordOutcome records at the end of a test, which is no battery, whether it
// passed.
func recordOutcome(t *testing.T, s peers.Subject) {
	s.Run = t.Name()
	t.Cleanup(func() {
		x := peers.Result{Subject: s}
		switch {
		case t.Skipped():
			return
		case t.Failed():
			x.Failed = 1
		default:
			x.Passed = 1
		}
		record(t, x)
	})
}

func record(t *testing.T, all ...peers.Result) {
	t.Helper()
	if *resultsFile == "" {
		return
	}
	if err := peers.AppendResults(*resultsFile, all...); err != nil {
		t.Error(err)
	}
}

func TestResults(t *testing.T) {
	check := func(name string, o peers.Outcome) peers.Check {
		c := peers.Check{Name: name, Outcome: o}
		if o != peers.Passed {
			c.Why = "a reason"
		}
		return c
	}
	of := peers.Subject{Run: "TestX/y", Peer: "client", Version: "1", Against: "relay"}
	named := func(peer, version string) peers.Subject {
		s := of
		s.Peer, s.Version = peer, version
		return s
	}
	one := peers.Counts{Passed: 1}
	skipped := map[string]int{"a reason": 1}
	tests := []struct {
		name   string
		of     peers.Subject
		checks []peers.Check
		want   []peers.Result
	}{
		{"by transport and hub protocol", of,
			[]peers.Check{check("WebSockets/json echo", peers.Passed), check("WebSockets/json big", peers.Failed), check("LongPolling/messagepack echo", peers.Skipped)},
			[]peers.Result{{Subject: of, Counts: peers.Counts{Passed: 1, Failed: 1, Skipped: 1}, Why: skipped,
				Lanes: map[string]peers.Counts{"WebSockets/json": {Passed: 1, Failed: 1}, "LongPolling/messagepack": {Skipped: 1}}}}},
		{"a check without a transport", of, []peers.Check{check("blazor auto", peers.Passed)}, []peers.Result{{Subject: of, Counts: one}}},
		{"the other flavour", of, []peers.Check{check("auto echo", peers.Passed)},
			[]peers.Result{{Subject: of, Counts: one, Lanes: map[string]peers.Counts{"auto": one}}}},
		{"versions in the names", named("js", ""), []peers.Check{check("node 10.0.11 WebSockets/json a", peers.Passed), check("node 1.1.4 WebSockets/json a", peers.Passed)},
			[]peers.Result{{Subject: named("js", "10.0.11"), Counts: one, Lanes: map[string]peers.Counts{"WebSockets/json": one}},
				{Subject: named("js", "1.1.4"), Counts: one, Lanes: map[string]peers.Counts{"WebSockets/json": one}}}},
		{"peers in the names", named("", ""), []peers.Check{check("signalrcore 1.0.2 WebSockets/json a", peers.Passed)},
			[]peers.Result{{Subject: named("signalrcore", "1.0.2"), Counts: one, Lanes: map[string]peers.Counts{"WebSockets/json": one}}}},
		{"known to fail", of, []peers.Check{{Name: "auto null", Outcome: peers.Skipped, Why: "known failing: it never ends (within 10 s)"}},
			[]peers.Result{{Subject: of, Counts: peers.Counts{Known: 1}, Lanes: map[string]peers.Counts{"auto": {Known: 1}}, Why: map[string]int{"known failing: it never ends": 1}}}},
		{"nothing", of, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			counted := peers.NewResults(test.of)
			for _, c := range test.checks {
				counted.Count(c)
			}
			if diff := cmp.Diff(test.want, counted.All(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

// What is appended is read again, in the order of the subjects; of a run that
// was done again the last results count.
func TestReadResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results")
	b := peers.Result{Subject: peers.Subject{Run: "B", Peer: "p", Version: "1", Against: "s"}, Counts: peers.Counts{Failed: 1}}
	a := peers.Result{Subject: peers.Subject{Run: "A", Peer: "p", Against: "s"}, Counts: peers.Counts{Passed: 2, Skipped: 1, Known: 3},
		Lanes: map[string]peers.Counts{"auto": {Passed: 2}}, Why: map[string]int{"<none> here": 1}}
	again := b
	again.Counts = peers.Counts{Passed: 1}
	for _, x := range []peers.Result{b, a, again} {
		if err := peers.AppendResults(path, x); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := peers.ReadResults(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]peers.Result{a, again}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestReadResultsErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":        {"{\n", "line 1"},
		"another member": {`{"run":"r","peer":"p","against":"a","colour":1}`, "colour"},
		"no peer":        {`{"run":"r","against":"a"}`, "lacks"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := peers.ReadResults(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if err := peers.AppendResults("results", peers.Result{}); err == nil {
		t.Error("a path that is not absolute was taken")
	}
}
