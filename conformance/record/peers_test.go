package record_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/record"
)

var peersDir = flag.String("peers", os.Getenv("SIGNALRELAY_PEERS"), "directory of the peers (dotnetpeer); tests that need them are skipped without ($SIGNALRELAY_PEERS)")

// TestRecordPeers records checks of Microsoft's clients with Microsoft's servers
// and plays them against the same server.
func TestRecordPeers(t *testing.T) {
	if *peersDir == "" {
		t.Skip("no peers: give -peers DIR or SIGNALRELAY_PEERS, the directory that holds dotnetpeer")
	}
	dir, err := filepath.Abs(*peersDir)
	if err != nil {
		t.Fatal(err)
	}
	core := func(ctx context.Context) (*peers.App, error) {
		addr, err := peers.FreeAddr()
		if err != nil {
			return nil, err
		}
		p, err := peers.Start("corehub", nil, filepath.Join(dir, "dotnetpeer"), "corehub", "--urls", "http://"+addr)
		if err != nil {
			return nil, err
		}
		return &peers.App{Process: p, Addr: addr, URL: "http://" + addr}, p.Says(ctx, 1, "^READY")
	}
	classic := func(ctx context.Context) (*peers.App, error) { return peers.StartLegacyHub(ctx, dir) }
	for _, flavour := range []struct {
		name, path string
		start      func(context.Context) (*peers.App, error)
		client     func(a *peers.App, check string) []string
		checks     []string
		// fresh are checks in which the app tells what it has done since it started.
		fresh []string
	}{
		{"core", "/chat", core, func(a *peers.App, check string) []string { return peers.CoreClient(dir, "", a, check) }, []string{
			"WebSockets/json echo", "WebSockets/messagepack echo", "ServerSentEvents/json echo", "LongPolling/json echo", "LongPolling/messagepack echo",
			"WebSockets/json send others", "ServerSentEvents/json hub exception", "LongPolling/json group", "LongPolling/messagepack upload stream",
			"LongPolling/json client result", "WebSockets/messagepack client result", "LongPolling/messagepack client result error",
			"WebSockets/messagepack big bytes both ways", "ServerSentEvents/json too big up closes", "WebSockets/json server abort closes",
			"WebSockets/messagepack close that allows reconnect", "WebSockets/json stateful reconnect", "WebSockets/messagepack stateful reconnect",
		}, []string{"ServerSentEvents/json stop", "WebSockets/messagepack a cut ends the connection"}},
		{"legacy", "/signalr", classic, func(a *peers.App, check string) []string { return peers.ClassicClient(dir, a, check) }, []string{
			"webSockets echo", "serverSentEvents echo", "longPolling echo", "serverSentEvents send others", "longPolling group",
			"webSockets progress", "longPolling client state", "serverSentEvents big up and down", "longPolling three cuts lose and double nothing",
			"webSockets another hub on the same connection",
		}, []string{"webSockets reconnect after a cut", "serverSentEvents stop raises OnDisconnected"}},
	} {
		t.Run(flavour.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			start := func(t *testing.T) string {
				app, err := flavour.start(ctx)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(app.Kill)
				return app.URL
			}
			recorded := func(t *testing.T, app, check string) *conformance.Transcript {
				var r *recorder
				for attempt, passed := 1, false; !passed; attempt++ {
					r = startRecorder(t, record.Options{Name: "x"}, app+flavour.path)
					tally, err := peers.RunBattery(ctx, func(c peers.Check) { t.Logf("%s %s %s", c.Outcome, c.Name, c.Why) }, flavour.client(&peers.App{URL: r.url}, check)...)
					passed = err == nil && tally[peers.Passed] > 0 && tally[peers.Failed] == 0
					// Checks have limits of time that a busy machine does not keep, with
					// and without a recorder between.
					if !passed && attempt == 2 {
						t.Fatalf("battery: %v, %v", tally, err)
					}
				}
				text := r.text(t)
				t.Logf("%.20000s", text)
				noSecrets(t, text)
				tr, err := conformance.Load(text)
				if err != nil {
					t.Fatal(err)
				}
				return tr
			}
			replays := func(t *testing.T, tr *conformance.Transcript, app string) {
				if err := conformance.ReplayRecording(ctx, tr, conformance.Options{URL: app + flavour.path}); err != nil {
					t.Error(err)
				}
			}
			app := start(t)
			for _, check := range flavour.checks {
				t.Run(check, func(t *testing.T) {
					tr := recorded(t, app, check)
					for range 2 {
						replays(t, tr, app)
					}
				})
			}
			for _, check := range flavour.fresh {
				t.Run(check, func(t *testing.T) { replays(t, recorded(t, start(t), check), start(t)) })
			}
		})
	}
}
