package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// relayServer is what serve needs of a relay.
type relayServer interface {
	// Serve takes connections from l until Close, which makes it return nil.
	Serve(l net.Listener) error
	// Drain turns newcomers away and closes the present clients with an
	// invitation to reconnect, spread over a time. It returns once all are gone
	// or ctx is done.
	Drain(ctx context.Context, over time.Duration) error
	// Close ends the listener and everything that is left, at once.
	Close() error
	// Stats may be called at any time, from any goroutine.
	Stats() Stats
	// Check compares the relay's registries with each other; it is for tests and
	// for /debug/consistency.
	Check() error
}

// Stats is one reading of a relay's counters. All but the first two only grow.
type Stats struct {
	Clients, Servers             int64                    // connected now
	ClientsOpened, ServersOpened int64                    // since the start
	ClientsClosed                map[relay.Category]int64 // by why they ended
	ServersClosed                int64
	MessagesIn, MessagesOut      int64 // of clients; a broadcast counts once for each receiver
	BytesIn, BytesOut            int64 // of clients
	Panics                       int64 // connections lost to an error of our own
}

// newRelayFunc makes the relay that serve runs.
type newRelayFunc func(c *Config, keys *auth.Keys, log *slog.Logger) (relayServer, error)

// newRelay makes the real one.
func newRelay(c *Config, keys *auth.Keys, log *slog.Logger) (relayServer, error) {
	n := &node{relay: relay.New()}
	n.node = aspnet.NewNode(n.relay, aspnet.Options{
		Keys: keys, Logger: log, Hosts: c.Hosts, InstanceID: c.InstanceID, ServerBuffer: int(c.ServerBuffer),
		MaxConnections: c.MaxConnections, ClientsPerServer: c.ClientsPerServer, TrustForwarded: c.TrustForwarded,
	})
	core := aspnetcore.New(n.node, aspnetcore.Options{
		ClientBuffer: int(c.ClientBuffer), MaxMessage: int64(c.MaxMessage),
		HandshakeTimeout: c.HandshakeTimeout, NoStatefulReconnect: !c.StatefulReconnect,
	})
	legacy := aspnetlegacy.New(n.node, aspnetlegacy.Options{
		ClientBuffer: int(c.ClientBuffer), MaxMessage: int64(c.MaxMessage),
		ReplayBuffer: int(c.ReplayBuffer), ReplayTime: c.ReplayTime, KeepAlive: c.KeepAlive, DisconnectTimeout: c.DisconnectTimeout, JSONP: c.JSONP, RedirectTo: c.RedirectTo,
	})
	both := aspnet.Flavours{legacy, core}
	n.srv = transport.NewServer(both.Serve, transport.Options{Logger: log, MaxBody: int(c.MaxMessage), AllowedOrigins: c.AllowedOrigins, AdmitBody: both.AdmitBody})
	n.node.Bind(n.srv)
	return n, nil
}

// A node is one relay with its listener: both flavours on one port, told
// apart by the path.
type node struct {
	relay *relay.Relay
	node  *aspnet.Node
	srv   *transport.Server
	once  sync.Once
}

func (n *node) Serve(l net.Listener) error { return n.srv.Serve(l) }

func (n *node) Drain(ctx context.Context, over time.Duration) error {
	n.node.Drain()
	n.relay.Drain(ctx, over)
	return n.node.Wait(ctx)
}

func (n *node) Close() (err error) {
	n.once.Do(func() {
		n.node.Close()
		ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
		defer cancel()
		err = n.srv.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil // what was left has been cut, as it had to be
		}
	})
	return err
}

// lastWrites is how long closing connections may take for what they have
// still to write.
const lastWrites = 2 * time.Second

func (n *node) Stats() Stats {
	r := n.relay.Stats()
	s := Stats{
		Clients: int64(n.node.Clients()), ClientsOpened: r.Opened.Load(), ClientsClosed: map[relay.Category]int64{},
		ServersOpened: n.node.ServersOpened(), Panics: n.srv.Stats().Panics.Load(),
		MessagesIn: r.MessagesIn.Load(), MessagesOut: r.MessagesOut.Load(), BytesIn: r.BytesIn.Load(), BytesOut: r.BytesOut.Load(),
	}
	n.node.Closes(func(c relay.Category, count int64) { s.ClientsClosed[c] = count })
	for _, h := range n.relay.Hubs() {
		s.Servers += int64(h.Routes())
	}
	s.ServersClosed = max(0, s.ServersOpened-s.Servers)
	return s
}

func (n *node) Check() error { return n.relay.Check() }
