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
	}{
		{"core", "/chat", core, func(a *peers.App, check string) []string { return peers.CoreClient(dir, "", a, check) }, []string{
			"WebSockets/json echo", "WebSockets/messagepack echo", "ServerSentEvents/json echo", "LongPolling/json echo", "LongPolling/messagepack echo",
			"LongPolling/json client result", "LongPolling/json group", "WebSockets/messagepack close that allows reconnect",
		}},
		{"legacy", "/signalr", classic, func(a *peers.App, check string) []string { return peers.ClassicClient(dir, a, check) }, []string{
			"webSockets echo", "serverSentEvents echo", "longPolling echo", "serverSentEvents send others", "longPolling group",
		}},
	} {
		t.Run(flavour.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			app, err := flavour.start(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(app.Kill)
			for _, check := range flavour.checks {
				t.Run(check, func(t *testing.T) {
					r := startRecorder(t, record.Options{Name: "x"}, app.URL+flavour.path)
					tally, err := peers.RunBattery(ctx, func(c peers.Check) { t.Logf("%s %s %s", c.Outcome, c.Name, c.Why) }, flavour.client(&peers.App{URL: r.url}, check)...)
					if err != nil || tally[peers.Passed] == 0 || tally[peers.Failed] > 0 {
						t.Fatalf("battery: %v, %v", tally, err)
					}
					text := r.text(t)
					t.Logf("%s", text)
					noSecrets(t, text)
					tr, err := conformance.Load(text)
					if err != nil {
						t.Fatal(err)
					}
					for range 3 {
						if err := conformance.ReplayRecording(ctx, tr, conformance.Options{URL: app.URL + flavour.path}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		})
	}
}
