package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
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
	return nil, errors.New("the relay is not wired in yet")
}
