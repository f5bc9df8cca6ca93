package suite_test

import (
	"cmp"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

var withClientDrivers = flag.Bool("drivers", os.Getenv("SIGNALRELAY_DRIVERS") != "",
	"run published clients in the scenarios for clients; they are fetched from npm, Maven and PyPI ($SIGNALRELAY_DRIVERS)")

// publishedNames is what the drivers' short names stand for.
var publishedNames = map[string]string{
	"signalr": "JavaScript client in Node.js",
	"jquery":  "jQuery client in Chromium",
	"dotnet":  "Microsoft.AspNetCore.SignalR.Client",
	"classic": "Microsoft.AspNet.SignalR.Client",
	"java":    "com.microsoft.signalr (Java)",
}

// TestPublishedClients has real clients do every scenario. A scenario that they
// fail, and that is not known for a fault of theirs, is wrong.
func TestPublishedClients(t *testing.T) {
	if !*withClientDrivers {
		t.Skip("no client drivers: give -drivers or SIGNALRELAY_DRIVERS=1; they need Node.js, Chromium, Java and Python")
	}
	t.Parallel()
	drivers, err := filepath.Glob("../drivers/clientlevel/*/run")
	if err != nil || len(drivers) == 0 {
		t.Fatalf("no drivers: %v", err)
	}
	for _, run := range drivers {
		driver := []string{run}
		if *peersDir != "" {
			driver = []string{"env", "SIGNALRELAY_PEERS=" + needPeers(t), run}
		}
		for _, client := range driven(t, driver) {
			t.Run(client, func(t *testing.T) {
				t.Parallel()
				haveJudged(t, client, append(driver[:len(driver):len(driver)], client)...)
			})
		}
	}
}

// driven asks a driver which clients it has.
func driven(t *testing.T, driver []string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), driver[0], append(driver[1:], "--list")...).Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == missingStatus:
		t.Logf("skip %s: %s", driver[len(driver)-1], out)
		return nil
	case err != nil:
		t.Errorf("%s --list: %v: %s", driver[len(driver)-1], err, out)
		return nil
	}
	return strings.Fields(string(out))
}

// missingStatus is how a driver ends where its language is missing.
const missingStatus = 77

// published is what a client's name and version, as its driver has them, stand
// for.
func published(client, run string) peers.Subject {
	name, version, _ := strings.Cut(client, "-")
	name = strings.ReplaceAll(name, "_", "-") // as the package is called
	s := peers.Subject{Run: run, Peer: cmp.Or(publishedNames[name], name), Version: version, Against: "conform client"}
	if in, ok := strings.CutSuffix(version, "-chromium"); ok {
		s.Peer, s.Version = "JavaScript client in Chromium", in
	}
	return s
}

// haveJudged has one client do the scenarios, each of which is a test. One that it
// fails is asked again, alone.
func haveJudged(t *testing.T, client string, command ...string) {
	checks, err := drive(t, command, "")
	switch {
	case errors.Is(err, peers.ErrMissing):
		t.Skip(err)
	case err != nil:
		t.Error(err)
	}
	flaky := peers.AskAgain(checks, func(name string) []peers.Check {
		alone, err := drive(t, command, name)
		if err != nil && len(alone) == 0 {
			t.Error(err)
		}
		return alone
	})
	for _, c := range flaky {
		t.Logf("%s: failed among the others, not alone: %s", c.Name, c.Why)
	}
	counted := peers.NewResults(published(client, t.Name()))
	for _, c := range checks {
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
	if !slices.ContainsFunc(checks, func(c peers.Check) bool { return c.Outcome == peers.Passed }) {
		t.Error("no scenario passed")
	}
	if err == nil {
		recordResults(t, counted.All()...)
	}
	for _, r := range counted.All() {
		t.Logf("tally: %d passed, %d failed, %d known to fail, %d skipped", r.Passed, r.Failed, r.Known, r.Skipped)
	}
}

// drive runs a driver at a judge of its own, in the scenarios whose names contain
// a part.
func drive(t *testing.T, command []string, part string) (checks []peers.Check, err error) {
	t.Helper()
	j, err := suite.NewClientJudge(suite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(j)
	defer s.Close()
	defer j.Close()
	command = append(command[:len(command):len(command)], s.URL, part)
	_, err = peers.RunBattery(t.Context(), func(c peers.Check) { checks = append(checks, c) }, command...)
	return checks, err
}
