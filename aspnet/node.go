// Package aspnet is what the two flavours of SignalR have in common at our
// door: the node they are parts of, connection tokens, the sessions of a
// flavour, server connections, and what an app sees of a client's request.
// The packages aspnetcore and aspnetlegacy are built on it and do not know
// each other.
package aspnet

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// Options configure a Node. Keys is needed; the zero value of everything else
// is a sane default.
type Options struct {
	Keys   *auth.Keys
	Logger *slog.Logger // nil: slog.Default

	// Hosts that a token's audience may name; empty means any
	// (service-protocol 1.9).
	Hosts []string
	// InstanceID names this node to the apps; it is in every OpenConnection.
	InstanceID string
	// ServerBuffer is how many bytes may wait for one app server connection;
	// from half of it on, the clients that write to it wait. 0 means 8 MiB.
	ServerBuffer int
	// MaxFrame is the size of the largest frame of an app server. 0 means
	// 64 MiB.
	MaxFrame int
	// MaxConnections is the most clients at a time; 0 means no limit.
	MaxConnections int
	// ClientsPerServer is how many clients a server connection has from when on
	// its app is asked for one more; 0 never asks.
	ClientsPerServer int
	// TrustForwarded keeps the X-Forwarded-For of requests, for a relay that
	// only a proxy can reach. Otherwise apps see the peer's address.
	TrustForwarded bool
}

// A Node is one instance of the relay as its adapters see it. All methods but
// Bind may be called concurrently.
type Node struct {
	Options // with the defaults filled in; static
	Relay   *relay.Relay
	Server  *transport.Server // see Bind
	Tokens  Tokens
	// Context ends with the Node: nobody waits for app servers then.
	Context context.Context

	stop     context.CancelFunc
	servers  *transport.Profile
	draining atomic.Bool

	clients       atomic.Int64
	serversOpened atomic.Int64
	closes        [16]atomic.Int64 // by category, see Closes
}

// NewNode returns a Node. Call Bind before it serves.
func NewNode(r *relay.Relay, o Options) *Node {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.InstanceID == "" {
		o.InstanceID = rand.Text()
	}
	OrDefault(&o.ServerBuffer, 8<<20)
	OrDefault(&o.MaxFrame, 64<<20)
	n := &Node{Options: o, Relay: r, Tokens: newTokens(o.Keys, o.InstanceID)}
	n.Context, n.stop = context.WithCancel(context.Background())
	own := n.ServerOptions()
	n.servers = own.Profile()
	return n
}

// OrDefault gives an option that is zero its default.
func OrDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Bind names the server that carries the connections.
func (n *Node) Bind(s *transport.Server) { n.Server = s }

// Drain turns new clients and server connections away with 503.
func (n *Node) Drain() { n.draining.Store(true) }

// Draining says whether Drain has been called.
func (n *Node) Draining() bool { return n.draining.Load() }

// Full says whether MaxConnections are there.
func (n *Node) Full() bool { return n.MaxConnections > 0 && n.Clients() >= n.MaxConnections }

// Clients returns the number of connections that are open or being opened.
func (n *Node) Clients() int { return int(n.clients.Load()) }

// ServersOpened returns the number of server connections so far.
func (n *Node) ServersOpened() int64 { return n.serversOpened.Load() }

// Wait returns once no client is left, or with the error of ctx.
func (n *Node) Wait(ctx context.Context) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for n.Clients() > 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends the server connections and releases whoever waits for an app
// server. Shut the transport down next.
func (n *Node) Close() {
	n.stop()
	for _, h := range n.Relay.Hubs() {
		h.ShutBackends()
	}
}

// Closes calls f with the number of clients that ended so far, by category.
func (n *Node) Closes(f func(c relay.Category, n int64)) {
	for i, c := range relay.Categories {
		f(c, n.closes[i].Load())
	}
}

// CountClose counts a client that ended.
func (n *Node) CountClose(c relay.Category) {
	for i, x := range relay.Categories {
		if x == c {
			n.closes[i].Add(1)
			return
		}
	}
}
