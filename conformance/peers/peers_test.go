package peers_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

var (
	peersDir = flag.String("peers", os.Getenv("SIGNALRELAY_PEERS"), "directory of the peers (dotnetpeer); tests that need them are skipped without ($SIGNALRELAY_PEERS)")
	binary   = flag.String("relay", os.Getenv("SIGNALRELAY_BINARY"), "relay to test; built from this checkout without ($SIGNALRELAY_BINARY)")
)

// needPeers skips a test that has nothing to run. That is the default, since
// all of them together take longer than the rest of the tests by far.
func needPeers(t *testing.T) string {
	t.Helper()
	if *peersDir == "" {
		t.Skip("no peers: give -peers DIR or SIGNALRELAY_PEERS, the directory that holds dotnetpeer")
	}
	dir, err := filepath.Abs(*peersDir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dotnetpeer")); err != nil {
		t.Fatalf("no peers: %v", err)
	}
	return dir
}

// build builds the relay once for all tests. Go's flags apply: with
// GOFLAGS=-race the relay runs under the race detector.
var build = sync.OnceValues(func() (string, error) {
	if *binary != "" {
		return filepath.Abs(*binary)
	}
	dir, err := os.MkdirTemp("", "signalrelay-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "signalrelay")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/signalrelay").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the relay: %w: %s", err, out)
	}
	return path, nil
})

var buildDir string // removed at the end; set by build

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

func relayBinary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func startRelay(t *testing.T, options ...string) *peers.Relay {
	t.Helper()
	r, err := peers.StartRelay(t.Context(), relayBinary(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopped(t, r.Process)
		if t.Failed() {
			explain(t, r)
		}
	})
	return r
}

// explain shows what the relay says of connections that ended for another
// reason than that somebody wanted it.
func explain(t *testing.T, r *peers.Relay) {
	t.Helper()
	odd := r.Lines(`"level":"(WARN|ERROR)"|"category":"(SlowClient|PingTimeout|BadRequest|HandshakeError|ServiceTransientError|NoAvailableServerConnection)"`)
	for _, line := range odd[:min(len(odd), 20)] {
		t.Log("relay: ", line)
	}
	t.Logf("relay: %d such lines", len(odd))
}

func startAzureHub(t *testing.T, variant string, r *peers.Relay, options ...string) *peers.App {
	t.Helper()
	a, err := peers.StartAzureHub(t.Context(), needPeers(t), variant, r.ConnectionString(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Kill)
	return a
}

// stopped ends a relay as its operator would and wants it to obey.
func stopped(t *testing.T, p *peers.Process) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// consistent wants the relay's registries to agree with each other once its
// clients have left.
func consistent(t *testing.T, r *peers.Relay) {
	t.Helper()
	soon(t, "a consistent relay", func(ctx context.Context) error {
		_, err := peers.Get(ctx, "http://"+r.Admin+"/debug/consistency")
		return err
	})
}

// soon polls f, for what another process does in its own time. It may be called
// from a Cleanup.
func soon(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time: %v", what, err)
		}
	}
}
