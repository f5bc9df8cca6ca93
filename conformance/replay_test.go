package conformance_test

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
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

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

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
	keys, err := auth.NewKeys(accessKey)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	core := aspnetcore.New(aspnet.NewNode(relay.New(), aspnet.Options{Keys: keys, Logger: log, InstanceID: "relay-1"}), aspnetcore.Options{})
	srv := transport.NewServer(core.Serve, transport.Options{Logger: log})
	core.Bind(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		core.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		srv.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

func field(fields []conformance.Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
