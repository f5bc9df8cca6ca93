package peers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

// Connections that idle for 40 s, on all transports and protocols at once.
func TestIdle(t *testing.T) {
	dir := needPeers(t)
	t.Parallel()
	app := startAzureHub(t, "", startRelay(t))
	t.Run("clients", func(t *testing.T) { // returns when the parallel ones are done
		for _, lane := range []string{"WebSockets/json", "WebSockets/messagepack", "ServerSentEvents/json", "LongPolling/json", "LongPolling/messagepack"} {
			t.Run(lane, func(t *testing.T) {
				t.Parallel()
				b := battery{want: 1, options: []string{lane + " idle 40 s", "--slow"}}
				b.run(t, dir, app, newSDK)
			})
		}
	})
}

// The relay, or the app, restarts while clients are connected; clients with
// automatic reconnect come back by themselves.
func TestRestart(t *testing.T) {
	dir := needPeers(t)
	restarts := map[string]func(*restartable, *testing.T) error{
		"relay": (*restartable).restartRelay,
		"app":   (*restartable).restartApp,
	}
	for name, restart := range restarts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &restartable{relay: startRelay(t)}
			r.app = startAzureHub(t, "", r.relay)
			b := battery{want: 5, options: []string{"server restart", "--slow", "--restart", onDemand(t, func() error { return restart(r, t) })}}
			b.run(t, dir, r.app, newSDK)
		})
	}
}

// A restartable is a relay and an app of which one is replaced at its address.
type restartable struct {
	relay *peers.Relay
	app   *peers.App
}

func (r *restartable) restartRelay(t *testing.T) error {
	if err := r.relay.Stop(); err != nil {
		return err
	}
	again, err := peers.StartRelayAt(t.Context(), r.relay.Binary, r.relay.Addr, r.relay.Admin)
	if err != nil {
		return err
	}
	r.relay = again
	t.Cleanup(func() { stopped(t, again.Process) })
	return nil
}

func (r *restartable) restartApp(t *testing.T) error {
	if err := r.app.Stop(); err != nil {
		return err
	}
	again, err := peers.StartAzureHubAt(t.Context(), needPeers(t), "", r.app.Addr, r.relay.ConnectionString())
	if err != nil {
		return err
	}
	r.app = again
	t.Cleanup(again.Kill)
	return nil
}

// onDemand returns a shell command that has this process call f and succeeds
// when f does. Two named pipes carry the word.
func onDemand(t *testing.T, f func() error) string {
	t.Helper()
	dir := t.TempDir()
	ask, done := filepath.Join(dir, "ask"), filepath.Join(dir, "done")
	for _, name := range []string{ask, done} {
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Opened for both directions, a pipe neither blocks nor ends.
	asked, err := os.OpenFile(ask, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := os.OpenFile(done, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with asked
		defer close(ended)
		for b := make([]byte, 1); ; {
			if _, err := asked.Read(b); err != nil {
				return
			}
			word := "ok"
			if err := f(); err != nil {
				t.Errorf("restart: %v", err)
				word = "failed"
			}
			fmt.Fprintln(answers, word)
		}
	}()
	t.Cleanup(func() {
		asked.Close()
		<-ended
		answers.Close()
	})
	return fmt.Sprintf("printf . >'%s' && read -r word <'%s' && [ \"$word\" = ok ]", ask, done)
}
