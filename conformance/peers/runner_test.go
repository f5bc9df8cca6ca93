package peers_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

// Shell scripts stand for batteries: what a battery may say, and what becomes
// of it.
func TestRunBattery(t *testing.T) {
	tests := []struct {
		name   string
		script string
		checks []peers.Check
		fails  string // part of the error, empty for none
	}{
		{"all pass", "echo hello; echo 'ok   WebSockets/json echo'; echo '1 passed, 0 failed'",
			[]peers.Check{{Name: "WebSockets/json echo", Outcome: peers.Passed}}, ""},
		{"failed and skipped", "echo 'FAIL a: x: y'; echo 'skip b: not here'; echo '(1 skipped)'; echo '0 passed, 1 failed'; exit 1",
			[]peers.Check{{"a", peers.Failed, "x: y"}, {"b", peers.Skipped, "not here"}}, ""},
		{"last line without its end", "echo 'ok   a'; printf '1 passed, 0 failed'", []peers.Check{{Name: "a", Outcome: peers.Passed}}, ""},
		{"counts otherwise", "echo 'ok   a'; echo '2 passed, 0 failed'", []peers.Check{{Name: "a", Outcome: peers.Passed}}, "2 passed"},
		{"breaks off", "echo 'ok   a'", []peers.Check{{Name: "a", Outcome: peers.Passed}}, `ended with ""`},
		{"breaks off after a failure", "echo 'FAIL a: x'; exit 1", []peers.Check{{"a", peers.Failed, "x"}}, `ended with ""`},
		{"fails without a failed check", "echo 'ok   a'; echo '1 passed, 0 failed'; exit 1", []peers.Check{{Name: "a", Outcome: peers.Passed}}, "exit status 1"},
		{"nothing to run with", "echo 'no Java here'; exit 77", nil, "no Java here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var checks []peers.Check
			tally, err := peers.RunBattery(t.Context(), func(c peers.Check) { checks = append(checks, c) }, "sh", "-c", test.script)
			if diff := cmp.Diff(test.checks, checks); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
			want := peers.Tally{}
			for _, c := range test.checks {
				want[c.Outcome]++
			}
			if diff := cmp.Diff(want, tally); diff != "" {
				t.Errorf("tally (-want +got):\n%s", diff)
			}
			switch {
			case test.fails == "" && err != nil:
				t.Errorf("error %v", err)
			case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Errorf("error %v, want one with %q", err, test.fails)
			}
			if missing := errors.Is(err, peers.ErrMissing); missing != (test.name == "nothing to run with") {
				t.Errorf("ErrMissing: %v", missing)
			}
		})
	}
}

func TestAskAgain(t *testing.T) {
	alone := map[string][]peers.Check{
		"late":         {{Name: "late", Outcome: peers.Passed}, {Name: "late too", Outcome: peers.Failed}},
		"wrong":        {{Name: "wrong", Outcome: peers.Failed, Why: "again"}},
		"of its own":   {{Name: "of its own", Outcome: peers.Skipped, Why: "known failing"}},
		"not answered": {{Name: "another", Outcome: peers.Passed}},
	}
	failed := func(name string) peers.Check { return peers.Check{Name: name, Outcome: peers.Failed, Why: "at first"} }
	checks := []peers.Check{{Name: "right", Outcome: peers.Passed}, failed("late"), failed("wrong"), failed("of its own"), failed("not answered")}
	flaky := peers.AskAgain(checks, func(name string) []peers.Check {
		if alone[name] == nil {
			t.Errorf("asked for %s", name)
		}
		return alone[name]
	})
	if diff := cmp.Diff([]peers.Check{failed("late"), failed("of its own")}, flaky); diff != "" {
		t.Errorf("flaky (-want +got):\n%s", diff)
	}
	want := []peers.Check{{Name: "right", Outcome: peers.Passed}, alone["late"][0], failed("wrong"), alone["of its own"][0], failed("not answered")}
	if diff := cmp.Diff(want, checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

func TestProcessSays(t *testing.T) {
	p, err := peers.Start("talker", nil, "sh", "-c", "echo one; echo DISCONNECTED; echo one; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Says(t.Context(), 2, "^one"); err != nil {
		t.Error(err)
	}
	if err := p.Says(t.Context(), 1, "^CONNECTED"); err == nil || !strings.Contains(err.Error(), "DISCONNECTED") {
		t.Errorf("error %v, want one that shows what was said", err)
	}
	if err := p.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want the exit status", err)
	}
	p.Kill() // of what has ended: nothing happens
}
