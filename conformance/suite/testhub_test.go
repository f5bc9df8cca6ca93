package suite_test

import (
	"errors"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// The test hubs that are published in C# are what the cases of the level hub ask for.
func TestPublishedHubs(t *testing.T) {
	dir := needPeers(t)
	if !*withClientDrivers {
		t.Skip("no compiler for the test hubs: give -drivers or SIGNALRELAY_DRIVERS=1; it is fetched from npm")
	}
	t.Parallel()
	out := t.TempDir()
	text, err := exec.CommandContext(t.Context(), "../testhub/check/build", dir, out).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == missingStatus:
		t.Skipf("%s", text)
	case err != nil:
		t.Fatalf("build: %v: %s", err, text)
	}
	start := func(t *testing.T, flavour, path string) *suite.Endpoint {
		addr, err := peers.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		p, err := peers.Start("testhub", nil, "env", "DOTNET_ROOT="+filepath.Join(dir, "runtime"), "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1",
			filepath.Join(dir, "runtime", "dotnet"), filepath.Join(out, flavour, "testhub.dll"), "--urls", "http://"+addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		if err := p.Says(t.Context(), 1, "Now listening"); err != nil {
			t.Fatal(err)
		}
		return &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: addr, Path: path}}
	}
	t.Run("aspnetcore", func(t *testing.T) {
		t.Parallel()
		coreAgrees(t, start(t, "aspnetcore", "/chat"), "the test hub in C#", nil, redirects...)
	})
	t.Run("aspnet", func(t *testing.T) {
		t.Parallel()
		agrees(t, start(t, "aspnet", "/signalr"), "the test hub in C#", nil)
	})
}
