// Package relaytest starts what the tests of several packages need in their own
// process: a relay of both flavours, and apps behind it.
package relaytest

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// lastWrites is how long the relay may take to say goodbye.
const lastWrites = time.Second

// StartRelay serves a relay until the test ends and returns its HOST:PORT.
func StartRelay(t testing.TB, accessKey string) (addr string) {
	t.Helper()
	keys, err := auth.NewKeys(accessKey)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	node := aspnet.NewNode(relay.New(), aspnet.Options{Keys: keys, Logger: log, InstanceID: "relay-1"})
	both := aspnet.Flavours{aspnetlegacy.New(node, aspnetlegacy.Options{}), aspnetcore.New(node, aspnetcore.Options{})}
	srv := transport.NewServer(both.Serve, transport.Options{Logger: log, AdmitBody: both.AdmitBody})
	node.Bind(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() {
		node.Close()
		ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
		defer cancel()
		srv.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// ConnectionString is what an app needs to reach the relay at addr.
func ConnectionString(addr, accessKey string) string {
	return "Endpoint=http://" + addr + ";AccessKey=" + accessKey + ";Version=1.0;"
}

// StartApp serves an app until the test ends, waits until it has reached its
// relay, and returns its HOST:PORT.
func StartApp(t testing.TB, app web.App) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served, connected := make(chan error, 1), make(chan struct{})
	go func() { served <- web.Serve(ctx, l, app, func() { close(connected) }) }() // ends with ctx
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve the app: %v", err)
		}
	})
	select {
	case <-connected:
	case <-time.After(10 * time.Second):
		t.Fatal("the app does not reach the relay")
	}
	return l.Addr().String()
}
