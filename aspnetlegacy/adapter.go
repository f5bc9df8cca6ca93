// Package aspnetlegacy speaks ASP.NET SignalR 2.x, the classic one, with
// clients, and takes the server connections of their apps.
//
//	negotiate.go   what a client is told about us
//	connect.go     connect, reconnect, poll, start, send, abort, ping
//	session.go     one client: a Receiver of the transport, a Sink of the core
//	replay.go      what a client may have missed
//	inner.go       the frame within the frame that apps send
//
// To the core an application is a hub that its clients join, and each of its
// hubs is one more that they listen to (legacy-service-protocol 2.6). Numbers
// of sections in this package are of legacy-service-protocol, unless another
// document is named.
package aspnetlegacy

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
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
	// MaxMessage is the size of the largest message a client may send, in
	// bytes. 0 means 1 MiB.
	MaxMessage int64
	// ReplayBuffer and ReplayTime bound what is kept of a client's messages, in
	// bytes and in age, so that it misses none when it reconnects. 0 means
	// 1 MiB and 40 s.
	ReplayBuffer int
	ReplayTime   time.Duration
	// KeepAlive is how often an idle client hears from us; clients give up
	// after twice as long. 0 means 10 s.
	KeepAlive time.Duration
	// DisconnectTimeout is how long clients try to reconnect. Theirs ends 5 s
	// before ours. 0 means 30 s.
	DisconnectTimeout time.Duration
	// PollTimeout is how long a poll waits for a message. 0 means 110 s.
	PollTimeout time.Duration
	// JSONP answers clients that can do nothing better.
	JSONP bool
	// RedirectTo is the address of another relay that takes new clients while
	// this one drains or is full. Empty means none.
	RedirectTo string
}

// An Adapter serves ASP.NET SignalR clients and the server connections of
// their apps. All methods may be called concurrently.
type Adapter struct {
	*aspnet.Node
	o Options

	sessions *aspnet.Sessions[*session]
	logins   logins
	servers  appserver.Options
	profiles *aspnet.Profiles
	claimed  hubNames
	cursors  cursors
}

// New returns the adapter of a node.
func New(n *aspnet.Node, o Options) *Adapter {
	aspnet.OrDefault(&o.ClientBuffer, 1<<20)
	aspnet.OrDefault(&o.MaxMessage, 1<<20)
	aspnet.OrDefault(&o.ReplayBuffer, 1<<20)
	aspnet.OrDefault(&o.ReplayTime, 40*time.Second)
	aspnet.OrDefault(&o.KeepAlive, 10*time.Second)
	aspnet.OrDefault(&o.DisconnectTimeout, 30*time.Second)
	aspnet.OrDefault(&o.PollTimeout, 110*time.Second)
	a := &Adapter{Node: n, o: o, sessions: aspnet.NewSessions[*session](n, connectTimeout), servers: n.ServerOptions()}
	a.servers.Inbound = a.inbound
	a.logins = logins{seed: maphash.MakeSeed(), live: map[uint64]int{}}
	grace := o.DisconnectTimeout + idleTime
	a.profiles = aspnet.NewProfiles(transport.Profile{
		Buffer: o.ClientBuffer, MaxMessage: o.MaxMessage, ReadBuffer: 4 << 10,
		Await: transportTimeout + grace, PollTimeout: o.PollTimeout, PollGap: grace, Grace: grace,
	})
	return a
}

const (
	// connectTimeout is how long after its negotiate a client may connect: the
	// time of a few transports that fail.
	connectTimeout = time.Minute
	// transportTimeout is how long a client gives each of them (1.5).
	transportTimeout = 5 * time.Second
	// idleTime is how long a client may be without a transport, or a poll,
	// before its disconnect timeout begins (6.3, legacy-client-protocol 7.3).
	idleTime = 5 * time.Second
)

// clientProfile returns the profile for a client whose token sets how long it
// may be without a poll (6.3); zero means the default.
func (a *Adapter) clientProfile(idle time.Duration) *transport.Profile {
	if idle == 0 {
		return a.profiles.Usual()
	}
	return a.profiles.WithGap(idle + a.o.DisconnectTimeout)
}

// logins counts the live connections by the access token they came with: a
// ping names no connection, and must not fail when the token of a live one has
// expired.
type logins struct {
	seed maphash.Seed
	mu   sync.Mutex
	live map[uint64]int
}

func (l *logins) hash(token string) uint64 { return maphash.String(l.seed, token) }

func (l *logins) add(login uint64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live[login] += n; l.live[login] == 0 {
		delete(l.live, login)
	}
}

func (l *logins) has(token string) bool {
	h := l.hash(token)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live[h] > 0
}

// cursors numbers the messages of all apps, so that a message carries the same
// cursor to every receiver and is written once (4.4).
type cursors struct {
	last atomic.Uint64

	mu      sync.Mutex
	second  int64    // Unix time of the last reading
	seconds []uint64 // what last was, by second
}

// before returns the number of the last message that is older than age. It is
// called once a second for every client, and exact to that.
func (c *cursors) before(now time.Time, age time.Duration) uint64 {
	keep := int(age/time.Second) + 1
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := now.Unix(); s > c.second {
		c.second = s
		c.seconds = append(c.seconds, c.last.Load())
		if len(c.seconds) > keep {
			c.seconds = c.seconds[len(c.seconds)-keep:]
		}
	}
	if len(c.seconds) < keep {
		return 0
	}
	return c.seconds[0]
}
