package aspnetcore

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// Options configure an Adapter. Keys is needed; the zero value of everything
// else is a sane default.
type Options struct {
	Keys   *auth.Keys
	Logger *slog.Logger // nil: slog.Default

	// Hosts that a token's audience may name; empty means any
	// (service-protocol 1.9).
	Hosts []string
	// InstanceID names this node to the apps; it is in every OpenConnection.
	InstanceID string
	// ClientBuffer is how many bytes may wait for one client before it is
	// closed as too slow. 0 means 1 MiB.
	ClientBuffer int
	// ServerBuffer is how many bytes may wait for one app server connection;
	// from half of it on, the clients that write to it wait. 0 means 8 MiB.
	ServerBuffer int
	// MaxMessage is the size of the largest WebSocket message or POST body a
	// client may send, in bytes. 0 means 16 MiB: the hub has a smaller limit of
	// its own, and says so better.
	MaxMessage int64
	// MaxFrame is the size of the largest frame of an app server. 0 means
	// 64 MiB.
	MaxFrame int
	// HandshakeTimeout is how long a client may take for its hub handshake
	// when its token does not say. 0 means 15 s.
	HandshakeTimeout time.Duration
	// NoStatefulReconnect never grants stateful reconnect.
	NoStatefulReconnect bool
	// MaxConnections is the most clients at a time; 0 means no limit.
	MaxConnections int
	// TrustForwarded keeps the X-Forwarded-For of requests, for a relay that
	// only a proxy can reach. Otherwise apps see the peer's address.
	TrustForwarded bool
}

// An Adapter serves ASP.NET Core SignalR clients and the server connections
// of their apps. All methods may be called concurrently.
type Adapter struct {
	relay *relay.Relay
	srv   *transport.Server
	o     Options
	log   *slog.Logger
	ctx   context.Context // ends with the Adapter: nobody waits for app servers then
	stop  context.CancelFunc

	tokens   tokens
	sessions sessions
	servers  appserver.Options
	draining atomic.Bool
	profiles sync.Map // poll gap (time.Duration) to *transport.Profile
	profile  transport.Profile

	serverProfile *transport.Profile
	serversOpened atomic.Int64

	closes [16]atomic.Int64 // by category, see Closes
}

// New returns an Adapter. Call Bind before it serves.
func New(r *relay.Relay, o Options) *Adapter {
	a := &Adapter{relay: r, o: o, log: o.Logger}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.o.InstanceID == "" {
		a.o.InstanceID = rand.Text()
	}
	if a.o.HandshakeTimeout == 0 {
		a.o.HandshakeTimeout = handshakeTimeout
	}
	if a.o.MaxMessage == 0 {
		a.o.MaxMessage = maxMessage
	}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.tokens = newTokens(a.o.InstanceID)
	a.sessions.live = map[string]*session{}
	a.sessions.ended = map[string]time.Time{}
	a.profile = transport.Profile{
		Buffer: orDefault(o.ClientBuffer, 1<<20), MaxMessage: a.o.MaxMessage, ReadBuffer: 4 << 10,
		Await: connectTimeout, PollTimeout: 90 * time.Second, PollGap: pollGap,
	}
	a.servers = appserver.Options{Logger: a.log, Buffer: orDefault(o.ServerBuffer, 8<<20), MaxFrame: orDefault(o.MaxFrame, 64<<20), InstanceID: a.o.InstanceID}
	a.serverProfile = a.servers.Profile()
	return a
}

const (
	handshakeTimeout = 15 * time.Second
	// connectTimeout is how long a negotiated connection waits for its
	// transport (core-client-protocol 3.6).
	connectTimeout = 15 * time.Second
	// pollGap is how long a long-polling client may stay without a poll.
	pollGap    = 15 * time.Second
	maxMessage = 16 << 20
)

func orDefault(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}

// Bind names the server that carries the connections. Its handler is Serve.
func (a *Adapter) Bind(s *transport.Server) { a.srv = s }

// Drain turns new clients and server connections away with 503.
func (a *Adapter) Drain() { a.draining.Store(true) }

// Clients returns the number of connections that are open or being opened.
func (a *Adapter) Clients() int { return a.sessions.len() }

// ServersOpened returns the number of server connections so far.
func (a *Adapter) ServersOpened() int64 { return a.serversOpened.Load() }

// Wait returns once no client is left, or with the error of ctx.
func (a *Adapter) Wait(ctx context.Context) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for a.sessions.len() > 0 {
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
func (a *Adapter) Close() {
	a.stop()
	for _, h := range a.relay.Hubs() {
		h.ShutBackends()
	}
}

// clientProfile returns the profile for a client whose token sets how long it
// may stay without a poll; zero means the default.
func (a *Adapter) clientProfile(gap time.Duration) *transport.Profile {
	if gap == 0 {
		return &a.profile
	}
	if p, ok := a.profiles.Load(gap); ok {
		return p.(*transport.Profile)
	}
	p := a.profile
	p.PollGap = gap
	stored, _ := a.profiles.LoadOrStore(gap, &p)
	return stored.(*transport.Profile)
}

// Closes calls f with the number of clients that ended so far, by category.
func (a *Adapter) Closes(f func(c relay.Category, n int64)) {
	for i, c := range relay.Categories {
		f(c, a.closes[i].Load())
	}
}

func (a *Adapter) count(c relay.Category) {
	for i, x := range relay.Categories {
		if x == c {
			a.closes[i].Add(1)
			return
		}
	}
}
