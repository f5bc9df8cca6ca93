// Package appserver is one server connection: the WebSocket over which an app
// server's SDK hosts the clients of one hub (service-protocol 3). To the
// transport it is a Receiver of a byte stream, to the core a Backend.
//
//	frames of the app ─► Message ─► handle ─► relay.Hub ─► clients
//	clients ─► relay.Client ─► Open, Data, Close ─► frames to the app
package appserver

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

// Options are the same for all server connections of a flavour.
type Options struct {
	Logger     *slog.Logger
	Buffer     int    // bytes that may wait for one app server connection; from half of it on its clients wait
	MaxFrame   int    // largest frame of an app server, in bytes
	InstanceID string // of this node, in every OpenConnection

	// ClientsPerServer is how many clients a connection has from when on its app
	// is asked for one more (service-protocol 5.3); 0 never asks.
	ClientsPerServer int

	// NamedOnce has a client or user that a message names twice get it once. So
	// it is at a self-hosted hub of ASP.NET Core SignalR 10.0; at one of ASP.NET
	// SignalR 2.4 they get it each time.
	NamedOnce bool

	// Inbound is the flavour's say in what a message of the app server means: it
	// calls handle with what is to be carried out, and may change the message,
	// which is its own. An error costs this message only. Nil takes messages as
	// they are. Several connections call it at once.
	Inbound func(m serviceproto.Message, handle func(serviceproto.Message) error) error
}

// Peer is what the upgrade request says of an app server.
type Peer struct {
	ServerID string // X-ASRS-Server-Id, or the token's nameid
	ID       string // cid
	Target   string // of an on-demand connection: the instance that asked for it
	Agent    string // Asrs-User-Agent
}

const (
	// handshakeTimeout is how long an app server may take for its first frame.
	handshakeTimeout = 15 * time.Second
	// pingEvery keeps the SDK from giving up, which it does 30 s after our
	// last byte (service-protocol 3.6).
	pingEvery = 5 * time.Second
	// silence ends a connection: a live SDK answers our pings within 10 s.
	silence = 30 * time.Second
	// writeTimeout lets an app server be stopped by a debugger or a long
	// collection for as long as its own side allows ours.
	writeTimeout = 30 * time.Second
	// finTimeout is how long the clients of a connection that sent fin:0 have
	// to be closed by their hub (service-protocol 8.4).
	finTimeout = 5 * time.Second
	// readBuffer is large: the frames of many clients come in one read.
	readBuffer = 64 << 10
)

// A Conn is one server connection. The transport calls its Receiver methods,
// the core those of Backend and Caller.
type Conn struct {
	// Static after construction.
	Peer  Peer
	hub   *relay.Hub
	o     *Options
	log   *slog.Logger
	conn  *transport.Conn
	since time.Time

	// Owned by Message.
	split   serviceproto.Splitter
	decoder serviceproto.Decoder
	batch   uint32                           // of the frames that came in one piece, 0 if it is one only
	asked   int                              // invocations of clients so far
	carry   func(serviceproto.Message) error // handle, made once

	route  atomic.Pointer[relay.Route] // set by the handshake
	heard  atomic.Int64                // Unix nanoseconds of the last byte
	pinged atomic.Int64                // of our last ping
	wanted atomic.Int64                // of our last request for one more connection
	fin    atomic.Int64                // of a fin:0, else 0
	gone   atomic.Bool
}

// batches numbers the pieces that hold several frames, over all connections.
var batches atomic.Uint32

var (
	_ transport.Receiver = (*Conn)(nil)
	_ transport.Ticker   = (*Conn)(nil)
	_ relay.Backend      = (*Conn)(nil)
	_ relay.Caller       = (*Conn)(nil)
)

// Profile returns what the transport has to know of server connections.
func (o *Options) Profile() *transport.Profile {
	return &transport.Profile{
		Buffer: o.Buffer, HighWater: o.Buffer / 2, MaxMessage: 1 << 40, ReadBuffer: readBuffer,
		Await: handshakeTimeout, Stream: true, WriteTimeout: writeTimeout,
	}
}

// New returns a server connection of a hub, carried by a Conn of srv that has
// no carrier yet.
func New(srv *transport.Server, hub *relay.Hub, p Peer, o *Options, profile *transport.Profile) *Conn {
	now := time.Now()
	c := &Conn{Peer: p, hub: hub, o: o, since: now}
	c.log = o.Logger.With("hub", hub.Name, "server", p.ServerID, "cid", p.ID)
	c.split.Max = o.MaxFrame
	c.carry = c.handle
	c.heard.Store(now.UnixNano())
	c.pinged.Store(now.UnixNano())
	c.conn = srv.NewConn(c, profile)
	return c
}

// Transport returns the Conn that a request is to carry.
func (c *Conn) Transport() *transport.Conn { return c.conn }

// Message takes the next piece of the stream; WebSocket borders mean nothing
// (service-protocol 3.2). A frame that cannot be read costs itself only, a
// length that cannot be right ends the connection.
func (c *Conn) Message(p []byte, _ transport.Frame) error {
	c.heard.Store(time.Now().UnixNano())
	c.batch = 0
	return c.split.Feed(p, c.frame)
}

func (c *Conn) frame(body []byte, more bool) error {
	if more && c.batch == 0 {
		c.batch = max(1, batches.Add(1))
	}
	// One copy for all receivers: what a message holds aliases it.
	m, err := c.decoder.Decode(append([]byte(nil), body...))
	switch {
	case errors.Is(err, serviceproto.ErrUnknownType):
		return nil
	case err != nil && c.route.Load() == nil:
		return fmt.Errorf("read handshake: %w", err)
	case err != nil:
		c.log.Warn("frame of the app server skipped", "error", err, "bytes", len(body))
		return nil
	}
	switch {
	case c.route.Load() == nil:
		return c.shake(m)
	case c.o.Inbound == nil:
		return c.handle(m)
	}
	if err := c.o.Inbound(m, c.carry); err != nil {
		c.log.Warn("message of the app server skipped", "type", m.Type(), "error", err)
	}
	return nil
}

// shake answers the first frame, which joins the connection to its hub.
func (c *Conn) shake(m serviceproto.Message) error {
	h, ok := m.(*serviceproto.HandshakeRequest)
	if !ok {
		return fmt.Errorf("%s before the handshake", m.Type())
	}
	if h.Version != 1 {
		c.send(&serviceproto.HandshakeResponse{Error: "Version mismatch."})
		c.conn.Close(transport.CloseNormal, "")
		return nil
	}
	c.send(&serviceproto.HandshakeResponse{ConnectionID: c.Peer.ID})
	c.route.Store(c.hub.Attach(relay.Attach{
		Backend: c, ServerID: c.Peer.ServerID,
		Weak:    h.ConnectionType == serviceproto.ConnectionWeak,
		MayMove: h.MigrationLevel > 0, Stateful: h.AllowStatefulReconnects,
	}))
	c.log.Info("server connected", "type", h.ConnectionType, "agent", c.Peer.Agent)
	return nil
}

// Closed takes the connection off its hub, and its clients with it
// (service-protocol 8.2).
func (c *Conn) Closed(err error) {
	c.gone.Store(true)
	n := 0
	if r := c.route.Load(); r != nil {
		n = r.Len()
		r.Detach(relay.Reason{Category: relay.ServerConnectionClosed, Text: "ServerOffline", AllowReconnect: true})
	}
	c.log.Info("server disconnected", "clients", n, "after", time.Since(c.since).Round(time.Millisecond), "reason", reason(err))
}

func reason(err error) string {
	if err == nil {
		return "closed"
	}
	return err.Error()
}

// Shut ends the connection cleanly: the app hears why, and lets go of what it
// has of this node (service-protocol 12.1, legacy-service-protocol 2.4). Its
// SDK opens another connection when it can.
func (c *Conn) Shut() {
	if c.route.Load() != nil {
		c.send(&serviceproto.ServiceEvent{ID: c.o.InstanceID, Message: "Service reloading, please reconnect."})
		c.send(&serviceproto.Ping{Words: []string{wordOffline, c.o.InstanceID}})
	}
	c.conn.Close(transport.CloseNormal, "")
}

// send writes a frame to the app server. A connection that cannot take it has
// ended or ends now.
func (c *Conn) send(m serviceproto.Message) error {
	return c.sent(c.conn.SendCopy(serviceproto.Append(nil, m), nil, nil))
}

func (c *Conn) sent(err error) error {
	if errors.Is(err, transport.ErrSlow) {
		c.conn.Cut(fmt.Errorf("app server reads too slowly: %w", err))
		return relay.ErrClosed
	}
	if err != nil {
		return relay.ErrClosed
	}
	return nil
}
