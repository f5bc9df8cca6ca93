package peers_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

// The classic clients run against the relay, with the sample app behind it, and
// against Microsoft's own server: a check that fails there would be wrong.
var classicServers = map[string]func(*testing.T) *peers.App{
	"relay": func(t *testing.T) *peers.App {
		// A forever frame notices a cut by missing keep-alives only, after 20 s and
		// more; on a busy machine it once took twice as long to come back.
		relay := startRelay(t, "--replay-time", "80s")
		t.Cleanup(func() { consistent(t, relay) })
		return startLegacyApp(t, relay)
	},
	"Microsoft's server": func(t *testing.T) *peers.App {
		app, err := peers.StartLegacyHub(t.Context(), needPeers(t), "--cors")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(app.Kill)
		return app
	},
}

// What they are called in the results.
var onClassic = map[string]string{"relay": onDemo, "Microsoft's server": "Microsoft's ASP.NET SignalR 2.4.1"}

func TestClassicBatteries(t *testing.T) {
	dir := needPeers(t)
	for name, start := range classicServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := start(t)
			t.Run("clients", func(t *testing.T) { // returns when the parallel ones are done
				t.Run("client-2.4.2", func(t *testing.T) {
					t.Parallel()
					b := battery{want: 125}
					b.classic(t, dir, app, onClassic[name])
				})
				for _, transport := range []string{"webSockets", "serverSentEvents", "longPolling", "auto"} {
					t.Run(transport+" away for good", func(t *testing.T) {
						t.Parallel()
						b := battery{want: 1, options: []string{transport + " lost for good", "--slow"}}
						b.classic(t, dir, app, onClassic[name])
					})
				}
			})
		})
	}
}

func (b *battery) classic(t *testing.T, dir string, app *peers.App, against string) {
	s := peers.Subject{Peer: "Microsoft.AspNet.SignalR.Client", Version: "2.4.2", Against: against}
	b.check(t, s, peers.ClassicClient(dir, app, b.options...))
}

// TestJQuery runs the published JavaScript clients for ASP.NET SignalR in
// Chromium, from another origin.
func TestJQuery(t *testing.T) {
	if !*withDrivers {
		t.Skip("no client drivers: give -drivers or SIGNALRELAY_DRIVERS=1; they need Node.js and Chromium")
	}
	for name, start := range classicServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for what a client is slow to notice
			if name != "relay" {
				needPeers(t)
			}
			app := start(t)
			command := []string{"../drivers/jquery/run", "--url", app.URL + "/signalr"}
			if os.Getenv("CI") != "" { // those between are like one of these
				command = append(command, "--versions", "2.4.3,2.2.3")
			}
			runDriver(t, peers.Subject{Peer: "jQuery client in Chromium", Against: onClassic[name]}, command,
				func(check string) []string { return []string{"--only", "^" + regexp.QuoteMeta(check) + "$"} })
		})
	}
}
