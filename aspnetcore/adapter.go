package aspnetcore

import (
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/transport"
)

// Options configure an Adapter. The zero value is a sane default.
type Options struct {
	// ClientBuffer is how many bytes may wait for one client before it is
	// closed as too slow. 0 means 1 MiB.
	ClientBuffer int
	// MaxMessage is the size of the largest WebSocket message or POST body a
	// client may send, in bytes. 0 means 16 MiB: the hub has a smaller limit of
	// its own, and says so better.
	MaxMessage int64
	// HandshakeTimeout is how long a client may take for its hub handshake
	// when its token does not say. 0 means 15 s.
	HandshakeTimeout time.Duration
	// NoStatefulReconnect never grants stateful reconnect.
	NoStatefulReconnect bool
}

// An Adapter serves ASP.NET Core SignalR clients and the server connections
// of their apps. All methods may be called concurrently.
type Adapter struct {
	*aspnet.Node
	o Options

	sessions *aspnet.Sessions[*session]
	servers  appserver.Options
	profiles *aspnet.Profiles
}

// New returns the adapter of a node.
func New(n *aspnet.Node, o Options) *Adapter {
	aspnet.OrDefault(&o.ClientBuffer, 1<<20)
	aspnet.OrDefault(&o.MaxMessage, 16<<20)
	aspnet.OrDefault(&o.HandshakeTimeout, 15*time.Second)
	servers := n.ServerOptions()
	servers.NamedOnce = true
	return &Adapter{
		Node: n, o: o, sessions: aspnet.NewSessions[*session](n, connectTimeout+time.Second), servers: servers,
		profiles: aspnet.NewProfiles(transport.Profile{
			Buffer: o.ClientBuffer, MaxMessage: o.MaxMessage, ReadBuffer: 4 << 10,
			Await: connectTimeout, PollTimeout: 90 * time.Second, PollGap: pollGap,
		}),
	}
}

const (
	// connectTimeout is how long a negotiated connection waits for its
	// transport (core-client-protocol 3.6).
	connectTimeout = 15 * time.Second
	// pollGap is how long a long-polling client may stay without a poll.
	pollGap = 15 * time.Second
)

// clientProfile returns the profile for a client whose token sets how long it
// may stay without a poll; zero means the default.
func (a *Adapter) clientProfile(gap time.Duration) *transport.Profile {
	if gap == 0 {
		return a.profiles.Usual()
	}
	return a.profiles.WithGap(gap)
}
