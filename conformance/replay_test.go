package conformance_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/relaytest"
)

var update = flag.Bool("update", false, "convert the transcripts anew from the golden files beside the checkout")

// patience is for a machine that does other things too.
const patience = 5 * time.Second

const (
	transcripts       = "transcripts/aspnetcore"
	clientTranscripts = "transcripts/coreclient"
	handWritten       = "transcripts/service"
	legacyApp         = "transcripts/aspnet"
	accessKey         = "an access key of the relay under test, long enough"
)

// readList reads one of the lists beside the transcripts.
func readList(t *testing.T, dir, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	list, err := conformance.Known(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// startRelay serves a relay of our own until the test ends and returns its URL.
func startRelay(t *testing.T) string {
	t.Helper()
	return "http://" + relaytest.StartRelay(t, accessKey)
}

func field(fields []conformance.Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
