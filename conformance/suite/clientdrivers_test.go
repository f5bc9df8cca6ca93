package suite_test

import (
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

var withClientDrivers = flag.Bool("drivers", os.Getenv("SIGNALRELAY_DRIVERS") != "",
	"run published clients in the scenarios for clients; they are fetched from npm ($SIGNALRELAY_DRIVERS)")

// TestPublishedClients has real clients do every scenario. A scenario that they
// fail, and that is not known for a fault of theirs, is wrong.
func TestPublishedClients(t *testing.T) {
	if !*withClientDrivers {
		t.Skip("no client drivers: give -drivers or SIGNALRELAY_DRIVERS=1; they need Node.js and Chromium")
	}
	for name, run := range map[string]string{
		"microsoft signalr 10 in Node.js":  "../drivers/clientlevel/run-core",
		"jquery signalr 2.4.3 in Chromium": "../drivers/clientlevel/run-legacy",
	} {
		t.Run(name, func(t *testing.T) {
			j, err := suite.NewClientJudge(suite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewServer(j)
			defer s.Close()
			defer j.Close()
			counted := peers.NewResults(peers.Subject{Run: t.Name(), Peer: name, Against: "conform client"})
			each := func(c peers.Check) {
				counted.Count(c)
				t.Run(c.Name, func(t *testing.T) {
					switch c.Outcome {
					case peers.Failed:
						t.Error(c.Why)
					case peers.Skipped:
						t.Skip(c.Why)
					}
				})
			}
			tally, err := peers.RunBattery(t.Context(), each, run, s.URL)
			switch {
			case errors.Is(err, peers.ErrMissing):
				t.Skip(err)
			case err != nil:
				t.Error(err)
			case tally[peers.Passed] == 0:
				t.Error("no scenario passed")
			}
			if err == nil {
				recordResults(t, counted.All()...)
			}
			t.Logf("tally: %v", tally)
		})
	}
}
