package sampleapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const (
	hubHandshake  = 15 * time.Second // for the client's handshake (core-client-protocol 9.1)
	hubKeepAlive  = 15 * time.Second // between two pings of the hub
	clientTimeout = 30 * time.Second // of silence, once the client has pinged
	scratchKeep   = 256 << 10        // largest buffer kept for reuse, in bytes
)

// client is one connection of a hub.
type client struct {
	// Static after construction.
	hub       *hub
	id        string
	who       principal.Principal
	headers   []relay.Header
	query     string
	protoName string          // as the service spelled it
	instance  string          // of the service that the client came over
	migrated  bool            // from another app server: it has its handshake answer already
	ctx       context.Context // the life of the connection, which hub methods work within
	cancel    context.CancelFunc

	link  atomic.Pointer[serverlink.Link] // changes when the service moves the client (11.3)
	heard atomic.Int64                    // unix nanoseconds of the last bytes
	armed atomic.Bool                     // the client pings, so silence means something
	since atomic.Int64                    // unix nanoseconds of the opening, then of our last ping
	ended atomic.Bool

	in      sync.Mutex // bytes of the client come one slice at a time
	framer  hubproto.Framer
	msg     hubproto.Message
	partial []byte // half a message that the service may take back (7.6)

	proto atomic.Pointer[hubproto.Protocol] // nil until the handshake

	out    sync.Mutex // order of output; held while a push waits for room
	paused bool
	kept   []output // of a paused client

	calls calls
	bag   bag // of ChatHub
}

// output is one hub message on its way to the client.
type output struct {
	data []byte
	kind int
}

func newClient(h *hub, l *serverlink.Link, m *serviceproto.OpenConnection) *client {
	c := &client{
		hub: h, id: strings.Clone(m.ConnectionID), who: principal.Of(m.Claims), headers: principal.CloneHeaders(m.Headers),
		query: strings.Clone(m.Query), protoName: strings.Clone(m.Protocol),
	}
	c.instance, _ = principal.Header(c.headers, "Asrs-Instance-Id")
	_, c.migrated = principal.Header(c.headers, "Asrs-Migrate-From")
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.link.Store(l)
	c.since.Store(time.Now().UnixNano())
	c.framer.Max = h.app.hubMaxMessage
	return c
}

// protocol is the client's, nil until its handshake.
func (c *client) protocol() hubproto.Protocol {
	if p := c.proto.Load(); p != nil {
		return *p
	}
	return nil
}

// errEnded stops the reading of a client that is no more.
var errEnded = errors.New("client has ended")

// take reads bytes of the client. They are borrowed.
func (c *client) take(data []byte, partial bool) {
	c.heard.Store(time.Now().UnixNano())
	c.in.Lock()
	defer c.in.Unlock()
	if partial || len(c.partial) > 0 {
		c.partial = append(c.partial, data...)
		if partial && len(c.partial) <= c.hub.app.hubMaxMessage {
			return
		}
		data, c.partial = c.partial, nil
	}
	switch err := c.framer.Feed(data, c.message); {
	case err == nil, errors.Is(err, errEnded):
	case errors.Is(err, hubproto.ErrTooLarge):
		c.broken(dotnetError(fmt.Sprintf("The maximum message size of %dB was exceeded. The message size can be configured in AddHubOptions.", c.hub.app.hubMaxMessage)))
	default:
		c.broken(err)
	}
}

func (c *client) dropPartial() {
	c.in.Lock()
	c.partial = nil
	c.in.Unlock()
}

// broken ends a client that broke the hub protocol.
func (c *client) broken(err error) {
	if c.protocol() == nil {
		c.refuse("Handshake was canceled.")
		return
	}
	c.end(ending{text: "Connection closed with an error.", failed: true, allowReconnect: true, tell: true, cause: err})
}

// message takes one message off the framer.
func (c *client) message(body []byte) error {
	if c.ended.Load() {
		return errEnded
	}
	p := c.protocol()
	if p == nil {
		return c.handshake(body)
	}
	m := &c.msg
	if err := p.Parse(body, m); err != nil {
		return err
	}
	switch m.Type {
	case hubproto.Invocation, hubproto.StreamInvocation:
		c.invoked(m)
	case hubproto.StreamItem:
		c.calls.item(c, m)
	case hubproto.Completion:
		// Upload streams come first, then client results (core-client-protocol 5.4).
		if !c.calls.uploaded(m) {
			c.hub.results.answered(c, m)
		}
	case hubproto.CancelInvocation:
		c.calls.cancel(m.ID)
	case hubproto.Ping:
		c.armed.Store(true)
	case hubproto.Close:
		c.end(ending{tell: true})
	}
	return nil // Ack, Sequence and unknown types mean nothing to a hub behind a service (11.1)
}

func (c *client) handshake(body []byte) error {
	r, err := hubproto.ParseHandshakeRequest(body)
	if err != nil {
		c.refuse("An unexpected error occurred during connection handshake.")
		return errEnded
	}
	p := hubproto.ByName(r.Protocol)
	switch {
	case p == nil:
		c.refuse("The protocol '" + r.Protocol + "' is not supported.")
		return errEnded
	case r.Version > 2:
		c.refuse(fmt.Sprintf("The server does not support version %d of the '%s' protocol.", r.Version, p.Name()))
		return errEnded
	}
	c.framer.Protocol = p
	c.proto.Store(&p)
	if !c.migrated {
		c.put(hubproto.AppendHandshakeResponse(nil, ""), serviceproto.DataHandshake)
	}
	if c.hub.connected != nil {
		if err := c.hub.connected(c); err != nil {
			c.end(ending{text: "Connection closed with an error." + hubText(err), failed: true, tell: true, refused: true})
			return errEnded
		}
	}
	return nil
}

// refuse ends a client that has no handshake.
func (c *client) refuse(text string) {
	if c.close() {
		c.put(hubproto.AppendHandshakeResponse(nil, text), serviceproto.DataHandshake)
		c.link.Load().Send(&serviceproto.CloseConnection{ConnectionID: c.id})
	}
}

// write sends a hub message to the client.
func (c *client) write(m *hubproto.Message) {
	p := c.protocol()
	if p == nil || c.ended.Load() && m.Type != hubproto.Close {
		return
	}
	kind := serviceproto.DataInvocation
	switch {
	case m.Type == hubproto.Close:
		kind = serviceproto.DataClose
	case !m.Type.Tracked():
		kind = serviceproto.DataOther
	}
	b := scratch.Get().(*[]byte)
	*b = p.Append((*b)[:0], m)
	c.put(*b, kind)
	if cap(*b) <= scratchKeep {
		scratch.Put(b)
	}
}

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// put sends framed bytes, which are borrowed.
func (c *client) put(data []byte, kind int) {
	c.out.Lock()
	defer c.out.Unlock()
	if c.paused {
		c.kept = append(c.kept, output{slices.Clone(data), kind})
		return
	}
	// The error says that the link is dead, which ends the client elsewhere.
	_ = c.link.Load().PushData(c.id, data, kind)
}

// pause holds the hub's output back and says when the last of it has gone.
func (c *client) pause() {
	c.out.Lock()
	defer c.out.Unlock()
	if !c.paused {
		c.paused = true
		c.link.Load().Send(&serviceproto.ConnectionFlowControl{
			ConnectionID: c.id, ConnectionType: serviceproto.FlowClient, Operation: serviceproto.FlowPauseAck,
		})
	}
}

// resume goes on, on the link where the service says so.
func (c *client) resume(l *serverlink.Link) {
	c.out.Lock()
	defer c.out.Unlock()
	if old := c.link.Swap(l); old != l {
		old.Clients.Add(-1)
		l.Clients.Add(1)
	}
	c.paused = false
	for _, o := range c.kept {
		_ = l.PushData(c.id, o.data, o.kind)
	}
	c.kept = nil
}

// ending says how a client ends.
type ending struct {
	quiet          bool   // say nothing: nobody would hear it
	tell           bool   // the service does not know: send CloseConnection
	text           string // for the client, when failed
	failed         bool
	allowReconnect bool
	refused        bool  // OnConnected failed, so OnDisconnected does not run
	cause          error // for OnDisconnected
}

// close takes the client off the books; false when it is off already.
func (c *client) close() bool {
	if !c.hub.forget(c) {
		return false
	}
	c.ended.Store(true)
	c.cancel()
	c.link.Load().Clients.Add(-1)
	return true
}

// end ends the client: a hub Close (core-client-protocol 7.2), a word to the
// service, OnDisconnected. Only the first call counts.
func (c *client) end(e ending) {
	if !c.close() {
		return
	}
	if !e.quiet {
		c.write(&hubproto.Message{Type: hubproto.Close, Error: e.text, Failed: e.failed, AllowReconnect: e.allowReconnect})
	}
	if e.tell {
		// The error stays empty whatever happened (service-protocol 8.3).
		c.link.Load().Send(&serviceproto.CloseConnection{ConnectionID: c.id})
	}
	c.hub.results.gone(c.id)
	c.calls.end()
	if c.protocol() != nil && !e.refused && c.hub.disconnected != nil {
		c.hub.disconnected(c, e.cause)
	}
}

// abort is Context.Abort: it forbids the client to reconnect.
func (c *client) abort() { c.end(ending{tell: true}) }

// tick is the heartbeat of one client.
func (c *client) tick(now time.Time) {
	since := now.Sub(time.Unix(0, c.since.Load()))
	switch {
	case c.protocol() == nil:
		if since > hubHandshake {
			c.refuse("Handshake was canceled.")
		}
	case c.armed.Load() && now.Sub(time.Unix(0, c.heard.Load())) > clientTimeout:
		c.end(ending{text: "Connection closed with an error.", failed: true, allowReconnect: true, tell: true})
	case since >= hubKeepAlive:
		c.since.Store(now.UnixNano())
		c.write(&hubproto.Message{Type: hubproto.Ping})
	}
}
