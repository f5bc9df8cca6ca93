package serverlink

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const maxFrame = 64 << 20 // of the service, in bytes (3.2)

// A Receiver is what an app does with the frames of a pool's links. All calls
// for one link come from the goroutine that reads it, one after the other;
// Closed comes once, last.
type Receiver interface {
	// Frame takes a frame other than a ping. The message is borrowed until the
	// return, and blocking here blocks the link.
	Frame(l *Link, m serviceproto.Message)
	// InstanceGone says that an instance of the service has ended, and with it
	// the clients of this link that came over it (5.3).
	InstanceGone(l *Link, instance string)
	// Closed says that a link has ended that had finished its handshake.
	Closed(l *Link)
}

// Link is one server connection of a hub.
type Link struct {
	// Clients is how many clients are bound to the link; whoever binds counts.
	Clients atomic.Int32
	// Offline says that other links are to be preferred (11.3).
	Offline atomic.Bool

	// Static after construction.
	pool     *Pool
	cid      string // a new one for every attempt
	target   string // instance that asked for it; "" for a fixed connection
	conn     *ws.Conn
	out      *outbox
	ready    chan error    // one value: the outcome of the handshake
	finacked chan struct{} // closed when the service has acknowledged our fin
	gone     chan struct{} // closed when the link has left its pool

	// Owned by run.
	split    serviceproto.Splitter
	decoder  serviceproto.Decoder
	shook    bool // the handshake is done
	acked    bool // finacked is closed
	lastPing time.Time
}

// dial opens a server connection and waits for the end of its handshake. A
// target makes it an on-demand connection.
func (p *Pool) dial(ctx context.Context, target string) (*Link, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timing.Handshake)
	defer cancel()
	token, err := p.o.Token()
	if err != nil {
		return nil, err
	}
	cid := GUID()
	u := p.o.URL(cid)
	if target != "" {
		u += "&target=" + url.QueryEscape(target)
	}
	conn, err := ws.Dial(ctx, u, http.Header{
		"Authorization":    {"Bearer " + token},
		"Asrs-User-Agent":  {userAgent},
		"X-ASRS-Server-Id": {p.o.ServerID},
		"X-Requested-With": {"XMLHttpRequest"},
	})
	if err != nil {
		return nil, err
	}
	l := &Link{
		pool: p, cid: cid, target: target, conn: conn, out: newOutbox(conn),
		ready: make(chan error, 1), finacked: make(chan struct{}), gone: make(chan struct{}), split: serviceproto.Splitter{Max: maxFrame},
	}
	request := p.o.Handshake
	request.Version = 1
	if target != "" {
		request.ConnectionType = serviceproto.ConnectionOnDemand // its target stays empty (3.4)
	}
	err = l.out.push(&request)
	p.wg.Go(l.run) // ends when the socket does
	if err == nil {
		select {
		case err = <-l.ready:
		case <-ctx.Done():
		}
		if err == nil { // one that comes up while the pool goes would outlive it
			err = ctx.Err()
		}
	}
	if err != nil {
		conn.Close(1000, "")
		return nil, fmt.Errorf("service handshake: %w", err)
	}
	return l, nil
}

// Hub is the name of the hub as the service knows it.
func (l *Link) Hub() string { return l.pool.o.Hub }

// Send pushes a frame. A link that has ended drops it: Closed tells so.
func (l *Link) Send(m serviceproto.Message) {
	if err := l.out.push(m); err != nil {
		l.pool.o.Log.Debug("frame dropped", "hub", l.pool.o.Hub, "type", m.Type(), "cause", err)
	}
}

// Push sends a frame. It blocks while the service is far behind, and returns the
// error that ended the link.
func (l *Link) Push(m serviceproto.Message) error { return l.out.push(m) }

// PushData sends a hub's output for one client, which is borrowed, without an
// allocation, as Push does otherwise.
func (l *Link) PushData(id string, p []byte, dataType int) error {
	return l.out.pushData(id, p, dataType)
}

// Mute drops everything that is sent on the link from now on, with err as the
// cause; its socket stays open and is read.
func (l *Link) Mute(err error) {
	l.Offline.Store(true)
	l.out.fail(err)
}

// run reads until the connection ends.
func (l *Link) run() {
	err := l.read()
	l.out.fail(err)
	l.conn.Close(1000, "")
	if !l.shook {
		l.ready <- err
		return
	}
	l.pool.o.Log.Info("server connection ended", "hub", l.pool.o.Hub, "cid", l.cid, "cause", err)
	l.pool.o.Receiver.Closed(l)
	l.pool.remove(l)
}

func (l *Link) read() error {
	var deadline time.Time
	for {
		now := time.Now()
		if next := now.Add(l.pool.o.Timing.Silence); next.Sub(deadline) > l.pool.o.Timing.Silence/30 {
			deadline = next
			l.conn.SetReadDeadline(deadline)
		}
		_, p, err := l.conn.Read()
		if err != nil {
			return err
		}
		l.out.hold()
		err = l.split.Feed(p, l.frame)
		if err == nil && l.shook {
			l.keepAlive()
		}
		l.out.release()
		if err != nil {
			return err
		}
	}
}

// keepAlive pings as the SDK does: only because bytes came (3.6).
func (l *Link) keepAlive() {
	now := time.Now()
	if l.lastPing.IsZero() {
		l.lastPing = now // the first ping follows 5 s after the handshake
	}
	if now.Sub(l.lastPing) >= l.pool.o.Timing.Ping {
		l.lastPing = now
		var words []string
		if l.pool.o.Alive != nil {
			words = l.pool.o.Alive(l)
		}
		l.ping(words...)
	}
}

func (l *Link) ping(words ...string) { l.Send(&serviceproto.Ping{Words: words}) }

// frame takes one frame of the service. What cannot be read is skipped, as the
// SDK does (3.3), apart from the handshake.
func (l *Link) frame(body []byte, _ bool) error {
	m, err := l.decoder.Decode(body)
	if !l.shook {
		return l.shake(m, err)
	}
	if err != nil {
		l.pool.o.Log.Debug("frame skipped", "hub", l.pool.o.Hub, "cause", err)
		return nil
	}
	if p, ok := m.(*serviceproto.Ping); ok {
		l.pinged(p.Words)
		return nil
	}
	l.pool.o.Receiver.Frame(l, m)
	return nil
}

func (l *Link) shake(m serviceproto.Message, err error) error {
	if err != nil {
		return err
	}
	answer, ok := m.(*serviceproto.HandshakeResponse)
	switch {
	case !ok:
		return fmt.Errorf("%v before the response", m.Type())
	case answer.Error != "":
		return fmt.Errorf("refused: %s", strings.Clone(answer.Error))
	}
	l.shook = true
	l.pool.add(l)
	l.ready <- nil
	return nil
}

// pinged examines the words of a ping in the SDK's order (5.3). Counters and
// the answers to status and servers mean nothing to one endpoint.
func (l *Link) pinged(words []string) {
	has := func(key string) (string, bool) {
		for i := 0; i+1 < len(words); i += 2 {
			if words[i] == key {
				return strings.Clone(words[i+1]), true
			}
		}
		return "", false
	}
	if _, ok := has("echo"); ok {
		all := make([]string, len(words))
		for i, w := range words {
			all[i] = strings.Clone(w)
		}
		l.ping(all...)
		return
	}
	if instance, ok := has("offline"); ok {
		l.pool.o.Receiver.InstanceGone(l, instance)
		return
	}
	if v, _ := has("shutdown"); v == "finack" && !l.acked {
		l.acked = true
		close(l.finacked)
	}
	if v, ok := has("d-m"); ok {
		l.pool.tracing.Store(v == "1")
	}
	if instance, ok := has("target"); ok {
		l.pool.demand(instance)
	}
}
