package peers_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

var withDrivers = flag.Bool("drivers", os.Getenv("SIGNALRELAY_DRIVERS") != "",
	"run the client drivers in ../drivers, which fetch their libraries from npm, Maven and PyPI ($SIGNALRELAY_DRIVERS)")

// TestDrivers runs the published clients of other languages against an app on
// Microsoft's SDK, or, without the peers, against the demo's Go sample app.
func TestDrivers(t *testing.T) {
	if !*withDrivers {
		t.Skip("no client drivers: give -drivers or SIGNALRELAY_DRIVERS=1; they need Node.js, Java and Python")
	}
	all, err := filepath.Glob("../drivers/*/run")
	if err != nil || len(all) == 0 {
		t.Fatalf("no drivers: %v", err)
	}
	app, against := driverApp(t)
	t.Run("clients", func(t *testing.T) { // returns when the parallel ones are done
		for _, run := range all {
			name := filepath.Base(filepath.Dir(run))
			if name == "jquery" {
				continue // TestJQuery: it is of the other flavour
			}
			if name != "js" {
				s := peers.Subject{Against: against} // Python's checks say which of two clients it is
				if name == "java" {
					s.Peer, s.Version = "com.microsoft.signalr (Java)", javaVersion(t)
				}
				drive(t, name, s, app, run)
				continue
			}
			drive(t, "js in Node.js", peers.Subject{Peer: "JavaScript client in Node.js", Against: against}, app, run, "--in", "node")
			drive(t, "js in Chromium", peers.Subject{Peer: "JavaScript client in Chromium", Against: against}, app, run, "--in", "chromium")
			if *peersDir == "" {
				t.Log("skip js on Blazor: its page is in the peers' app only")
				continue
			}
			drive(t, "js on Blazor", peers.Subject{Peer: "Blazor Server page in Chromium", Against: against}, app, run, "--in", "blazor")
		}
	})
}

func driverApp(t *testing.T) (app *peers.App, against string) {
	t.Helper()
	if *peersDir == "" {
		demo := lane{app: "demo"}
		return demo.start(t, ""), onDemo
	}
	relay := startRelay(t)
	t.Cleanup(func() { consistent(t, relay) })
	return startAzureHub(t, "", relay, "--sticky", "required"), newSDK // sticky for Blazor Server; the others do not mind
}

// javaVersion is that of the client in the driver's pom.xml.
func javaVersion(t *testing.T) string {
	t.Helper()
	pom, err := os.ReadFile("../drivers/java/pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`<signalr\.version>(.+)</signalr\.version>`).FindSubmatch(pom)
	if version == nil {
		t.Fatal("pom.xml has no signalr.version")
	}
	return string(version[1])
}

// drive is a test of a driver that takes an app's hub and, to ask for one check alone,
// its name.
func drive(t *testing.T, name string, s peers.Subject, app *peers.App, run string, options ...string) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		command := append([]string{run, app.URL + "/chat"}, options...)
		runDriver(t, s, command, func(check string) []string { return []string{check} })
	})
}

// runDriver makes each check of a driver a test of its own. What a driver knows to
// fail for a reason of its client's own comes as skipped, with the reason. What
// fails is asked again, alone: that is what only adds to the command.
func runDriver(t *testing.T, s peers.Subject, command []string, only func(check string) []string) {
	checks, err := collect(t, command...)
	switch {
	case errors.Is(err, peers.ErrMissing):
		t.Skip(err)
	case err != nil:
		t.Error(err)
	}
	flaky := peers.AskAgain(checks, func(name string) []peers.Check {
		alone, _ := collect(t, slices.Concat(command, only(name))...) // that it did not come to its end says the check
		return alone
	})
	for _, c := range flaky {
		t.Logf("%s: failed among the others, not alone: %s", c.Name, c.Why)
	}
	s.Run = t.Name()
	tally, counted, each := peers.Tally{}, peers.NewResults(s), report(t)
	for _, c := range checks {
		tally[c.Outcome]++
		counted.Count(c)
		each(c)
	}
	if tally[peers.Passed] == 0 {
		t.Error("no check passed")
	}
	if err == nil {
		record(t, counted.All()...)
	}
	t.Logf("tally: %v", tally)
}

// collect runs a driver to its end.
func collect(t *testing.T, command ...string) (checks []peers.Check, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), batteryTime)
	defer cancel()
	_, err = peers.RunBattery(ctx, func(c peers.Check) { checks = append(checks, c) }, command...)
	return checks, err
}
