package peers_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

// A lane is one app with the batteries that run against it.
type lane struct {
	name    string
	app     string // variant of azurehub; demo is the Go sample app
	against string // for the results
	clients []battery
}

// What the clients ran against, in the results.
const (
	onSDK  = "relay with an app on Microsoft.Azure.SignalR "
	newSDK = onSDK + "1.34.0"
	onDemo = "relay with the Go sample app"
)

// A battery is one client variant and how many checks pass with a service without
// a fault. What the battery skips is not in that client or SDK.
type battery struct {
	name    string
	variant string
	want    int
	options []string
}

// Batteries mark their messages, so that several may share an app; they run two
// at a time, which is what two cores bear.
var lanes = []lane{
	{name: "sdk-1.34.0", against: newSDK, clients: []battery{
		{name: "client-" + newestClient, want: 339},
		{name: "client-8.0.34", variant: "client-8.0.34", want: 339},
		{name: "client-9.0.23", variant: "client-9.0.23", want: 339},
		{name: "client-11.0.0", variant: "client-11.0.0", want: 339},
		{name: "client-6.0.1", variant: "client-6.0.1", want: 192},
		{name: "client-1.2.14", variant: "client-1.2.14", want: 159},
	}},
	{name: "sdk-1.15.2", app: "sdk-1.15.2", against: onSDK + "1.15.2", clients: []battery{
		{name: "client-" + newestClient, want: 315},
	}},
	{name: "demo", app: "demo", against: onDemo, clients: []battery{
		{name: "client-" + newestClient, want: 339},
	}},
}

const (
	newestClient = "10.0.15" // what runs without a variant
	batteryTime  = 15 * time.Minute
)

func TestBatteries(t *testing.T) {
	dir := needPeers(t)
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			app := l.start(t, dir)
			t.Run("clients", func(t *testing.T) { // returns when the parallel ones are done
				for _, b := range l.clients {
					t.Run(b.name, func(t *testing.T) {
						t.Parallel()
						b.run(t, dir, app, l.against)
					})
				}
			})
		})
	}
}

func (l *lane) start(t *testing.T, dir string) *peers.App {
	t.Helper()
	if l.app == "demo" {
		app, err := peers.StartDemo(t.Context(), relayBinary(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stopped(t, app.Process) })
		return app
	}
	relay := startRelay(t)
	t.Cleanup(func() { consistent(t, relay) })
	return startAzureHub(t, l.app, relay)
}

func (b *battery) run(t *testing.T, dir string, app *peers.App, against string) {
	version := cmp.Or(strings.TrimPrefix(b.variant, "client-"), newestClient)
	s := peers.Subject{Peer: "Microsoft.AspNetCore.SignalR.Client", Version: version, Against: against}
	b.check(t, s, peers.CoreClient(dir, b.variant, app, b.options...))
}

// check runs the battery's command and compares its tally.
func (b *battery) check(t *testing.T, s peers.Subject, command []string) {
	got, err := runBattery(t, s, command...)
	t.Logf("tally: %v", got)
	if err != nil {
		t.Error(err)
	}
	if got[peers.Passed] != b.want || got[peers.Failed] != 0 {
		t.Errorf("%v, want %d passed, 0 failed", got, b.want)
	}
}

// report makes each check a test of its own.
func report(t *testing.T) func(peers.Check) {
	return func(c peers.Check) {
		t.Run(c.Name, func(t *testing.T) {
			switch c.Outcome {
			case peers.Failed:
				t.Error(c.Why)
			case peers.Skipped:
				t.Skip(c.Why)
			}
		})
	}
}
