package legacy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
)

// known are the scenarios that the app does not follow, and why. One that it
// follows all the same fails the test.
var known = map[string]string{
	"invoke-progress":         "the SDK refuses progress on the server; the app sends it, so that clients see the feature",
	"open-nil-query":          "serviceproto reads nil as an empty text, so the error has the text of an empty query; a service must not send nil",
	"open-nil-claims-headers": "serviceproto reads nil as an empty map and the client opens; a service must not send nil",
	"close-then-open-at-once": "the SDK forgets an id some time after CloseConnection, the app at once; a service must not use an id twice",
	"two-endpoints":           "the app has one endpoint",
}

// sessions are the scenarios that were recorded one after the other with one
// application: clients of one are there in the next. What is in none has a test
// of its own, because it is about the start, the end or the time.
var sessions = []struct {
	name      string
	options   legacy.Options
	scenarios []string
}{
	{name: "one", scenarios: strings.Fields(`open-anonymous invoke invoke-progress invoke-large second-client sends groups groups-ack-status
		groups-no-ack owner-hub-connection backend-sends data-unknown-id data-wrong-connection reconnect close-by-service connected-hello
		open-fail-onconnected open-fail-hubexception open-no-token open-nil-query open-empty-query open-no-connectiondata
		open-empty-connectiondata open-unknown-hub open-duplicate-hub open-unauthorized open-authorized open-duplicate-id open-diagnostic
		open-diagnostic-bad open-headers-repeated open-four-elements open-nil-claims-headers open-dot-in-id open-claims-long
		open-claims-short open-claims-system-only frames-split frames-unknown-type frames-extra-element frames-undecodable ping-offline
		ping-echo ping-target on-demand-client service-error server-connection-lost groups-ack-lost-connection`)},
	{name: "detailed", options: legacy.Options{DetailedErrors: true}, scenarios: []string{"detailed-errors"}},
	{name: "endpoints", scenarios: []string{"two-endpoints"}},
	{name: "two", scenarios: strings.Fields(`ping-offline-scope close-then-open-at-once ping-message-tracing data-large-in open-and-data-joined`)},
	{name: "stop", scenarios: []string{"app-stop"}},
}

// timed are the scenarios with a test of their own.
var timed = strings.Fields("server-connections keep-alive handshake-refused upgrade-refused handshake-silent service-silent handshake-after-ping handshake-short")

func TestEveryScenarioIsPlayed(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(transcripts, "index.txt"))
	if err != nil {
		t.Fatal(err)
	}
	played := slices.Clone(timed)
	for _, s := range sessions {
		played = append(played, s.scenarios...)
	}
	all := strings.Fields(string(index))
	for _, name := range all {
		if n := len(slices.DeleteFunc(slices.Clone(played), func(other string) bool { return other != name })); n != 1 {
			t.Errorf("%s is played %d times", name, n)
		}
	}
	if len(played) != len(all) {
		t.Errorf("%d are played, %d recorded", len(played), len(all))
	}
}

func TestTranscripts(t *testing.T) {
	const links = 2
	for _, s := range sessions {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := newReplay(t, s.options, links, 1, 2*time.Second)
			r.shake(t, links)
			for _, name := range s.scenarios {
				t.Run(name, func(t *testing.T) {
					steps := readTranscript(t, name)
					r.patient = patience
					if known[name] != "" {
						r.patient = 300 * time.Millisecond
					}
					err := r.play(steps)
					switch {
					case err != nil && known[name] != "":
						t.Logf("known: %s: %v", known[name], err)
						r.settle(steps)
					case err != nil:
						r.settle(steps)
						t.Error(err)
					case known[name] != "":
						t.Errorf("passes, but is listed: %s", known[name])
					}
				})
			}
		})
	}
}
