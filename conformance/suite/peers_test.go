package suite_test

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

var peersDir = flag.String("peers", os.Getenv("SIGNALRELAY_PEERS"), "directory of the peers; tests that need them are skipped without ($SIGNALRELAY_PEERS)")

// What the sets were run against, in the results.
const (
	onRelay    = "relay with the Go sample app"
	onAzureHub = "relay with an app on Microsoft.Azure.SignalR 1.34.0"
	onCoreHub  = "Microsoft's ASP.NET Core SignalR 10"
	bareRelay  = "relay"
)

// needPeers skips a test that has nothing to run.
func needPeers(t *testing.T) (dir string) {
	t.Helper()
	if *peersDir == "" {
		t.Skip("no peers: give -peers DIR or SIGNALRELAY_PEERS, the directory that holds dotnetpeer")
	}
	dir, err := filepath.Abs(*peersDir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// startCoreHub starts Microsoft's own server until the test ends.
func startCoreHub(t *testing.T) *suite.Endpoint {
	t.Helper()
	app, err := peers.StartCoreHub(t.Context(), needPeers(t))
	if err != nil {
		t.Fatal(err)
	}
	return chat(t, app)
}

// startAzureHub starts Microsoft's SDK behind a relay until the test ends.
func startAzureHub(t *testing.T) *suite.Endpoint {
	t.Helper()
	dir := needPeers(t)
	conn := relaytest.ConnectionString(relaytest.StartRelay(t, peers.DevelopmentKey), peers.DevelopmentKey)
	app, err := peers.StartAzureHub(t.Context(), dir, "", conn)
	if err != nil {
		t.Fatal(err)
	}
	return chat(t, app)
}

// chat is the test hub of an app that runs until the test ends.
func chat(t *testing.T, app *peers.App) *suite.Endpoint {
	t.Helper()
	t.Cleanup(app.Kill)
	return &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: app.Addr, Path: "/chat"}}
}
