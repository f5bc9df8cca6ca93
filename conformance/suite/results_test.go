package suite_test

import (
	"flag"
	"os"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

var resultsFile = flag.String("results", os.Getenv("SIGNALRELAY_RESULTS"),
	"file, by its absolute path, that every run adds lines of results to; scripts/compat makes docs/compatibility.md of them ($SIGNALRELAY_RESULTS)")

// recordReport records what came of a set, by levels.
func recordReport(t *testing.T, r *suite.Report, against string) {
	t.Helper()
	x := peers.Result{
		Subject: peers.Subject{Run: t.Name(), Peer: "conform " + r.Set, Against: against},
		Lanes:   map[string]peers.Counts{}, Why: map[string]int{},
	}
	for _, c := range r.Results {
		var one peers.Counts
		switch c.Outcome {
		case suite.Passed:
			one.Passed = 1
		case suite.KnownFailed:
			one.Known = 1
		case suite.Skipped:
			one.Skipped = 1
			x.Why[c.Why]++
		default:
			one.Failed = 1
		}
		x.Add(one)
		sum := x.Lanes[string(c.Level)]
		sum.Add(one)
		x.Lanes[string(c.Level)] = sum
	}
	recordResults(t, x)
}

func recordResults(t *testing.T, all ...peers.Result) {
	t.Helper()
	if *resultsFile == "" {
		return
	}
	if err := peers.AppendResults(*resultsFile, all...); err != nil {
		t.Error(err)
	}
}
