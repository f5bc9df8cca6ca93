package sampleapp

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const (
	linkHandshake = 15 * time.Second // for the whole handshake (service-protocol 3.4)
	linkSilence   = 30 * time.Second // without bytes the service is gone (3.6)
	linkPing      = 5 * time.Second  // between two keep-alive pings of ours
	maxFrame      = 64 << 20         // of the service, in bytes (3.2)
)

// link is one server connection of a hub.
type link struct {
	// Static after construction.
	hub      *hub
	cid      string // a new one for every attempt
	target   string // instance that asked for it; "" for a fixed connection
	conn     *ws.Conn
	out      *outbox
	ready    chan error    // one value: the outcome of the handshake
	finacked chan struct{} // closed when the service has acknowledged our fin
	gone     chan struct{} // closed when the link has left its pool

	clients atomic.Int32 // bound to this link
	offline atomic.Bool  // the service asks us to prefer others (11.3)

	// Owned by run.
	split    serviceproto.Splitter
	decoder  serviceproto.Decoder
	shook    bool // the handshake is done
	acked    bool // finacked is closed
	lastPing time.Time
}

// guid is a random GUID in lower case.
func guid() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

var userAgent = "SignalRelay-SampleApp/1.0 (" + runtime.Version() + "; " + runtime.GOOS + "; " + runtime.GOARCH + ")"

// dial opens a server connection and waits for the end of its handshake. A
// target makes it an on-demand connection.
func (h *hub) dial(ctx context.Context, target string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, linkHandshake)
	defer cancel()
	a := h.app
	token, err := a.keys.SignServer(a.service.ServerAudience(h.name), a.serverID, auth.Sign{})
	if err != nil {
		return nil, err
	}
	cid := guid()
	u := a.service.ServerURL(h.name, cid)
	if target != "" {
		u += "&target=" + url.QueryEscape(target)
	}
	conn, err := ws.Dial(ctx, u, http.Header{
		"Authorization":    {"Bearer " + token},
		"Asrs-User-Agent":  {userAgent},
		"X-ASRS-Server-Id": {a.serverID},
		"X-Requested-With": {"XMLHttpRequest"},
	})
	if err != nil {
		return nil, err
	}
	l := &link{
		hub: h, cid: cid, target: target, conn: conn, out: newOutbox(conn),
		ready: make(chan error, 1), finacked: make(chan struct{}), gone: make(chan struct{}), split: serviceproto.Splitter{Max: maxFrame},
	}
	request := serviceproto.HandshakeRequest{Version: 1, AllowStatefulReconnects: h.stateful}
	if target != "" {
		request.ConnectionType = serviceproto.ConnectionOnDemand // its target stays empty (3.4)
	}
	if a.shutdown == shutdownMigrate {
		request.MigrationLevel = 1
	}
	err = l.out.push(&request)
	h.pool.wg.Go(l.run) // ends when the socket does
	if err == nil {
		select {
		case err = <-l.ready:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		conn.Close(1000, "")
		return nil, fmt.Errorf("service handshake: %w", err)
	}
	return l, nil
}

// run reads until the connection ends; the clients that are bound to it end
// with it (8.2).
func (l *link) run() {
	err := l.read()
	l.out.fail(err)
	l.conn.Close(1000, "")
	if !l.shook {
		l.ready <- err
		return
	}
	l.hub.app.log.Info("server connection ended", "hub", l.hub.name, "cid", l.cid, "cause", err)
	l.hub.lost(l)
	l.hub.pool.remove(l)
}

func (l *link) read() error {
	var deadline time.Time
	for {
		now := time.Now()
		if next := now.Add(linkSilence); next.Sub(deadline) > time.Second {
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
func (l *link) keepAlive() {
	now := time.Now()
	if l.lastPing.IsZero() {
		l.lastPing = now // the first ping follows 5 s after the handshake
	}
	if now.Sub(l.lastPing) >= linkPing {
		l.lastPing = now
		l.ping("#clientInHub", strconv.Itoa(l.hub.count()), "#client", strconv.Itoa(int(l.clients.Load())))
	}
}

func (l *link) ping(words ...string) { l.send(&serviceproto.Ping{Words: words}) }

// send pushes a frame. A link that has ended drops it: run tells the hub.
func (l *link) send(m serviceproto.Message) {
	if err := l.out.push(m); err != nil {
		l.hub.app.log.Debug("frame dropped", "hub", l.hub.name, "type", m.Type(), "cause", err)
	}
}

// frame takes one frame of the service. What cannot be read is skipped, as the
// SDK does (3.3), apart from the handshake.
func (l *link) frame(body []byte, _ bool) error {
	m, err := l.decoder.Decode(body)
	if !l.shook {
		return l.shake(m, err)
	}
	if err != nil {
		l.hub.app.log.Debug("frame skipped", "hub", l.hub.name, "cause", err)
		return nil
	}
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		l.hub.data(m)
	case *serviceproto.OpenConnection:
		l.hub.open(l, m)
	case *serviceproto.CloseConnection:
		l.hub.closed(m)
	case *serviceproto.Ping:
		l.pinged(m.Words)
	case *serviceproto.Ack:
		l.hub.app.acks.answer(m.AckID, m.Status)
	case *serviceproto.ClientInvocation:
		l.hub.results.route(m)
	case *serviceproto.ClientCompletion:
		l.hub.results.completed(m)
	case *serviceproto.ErrorCompletion:
		l.hub.results.failed(m.InvocationID, strings.Clone(m.Error))
	case *serviceproto.ServiceMapping:
		l.hub.results.mapped(m)
	case *serviceproto.ConnectionReconnect:
		l.hub.reconnected(m.ConnectionID)
	case *serviceproto.ConnectionFlowControl:
		l.flow(m)
	case *serviceproto.ServiceError:
		l.hub.app.log.Warn("the service says", "hub", l.hub.name, "error", strings.Clone(m.Error))
		l.offline.Store(true)
	}
	return nil
}

func (l *link) shake(m serviceproto.Message, err error) error {
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
	l.hub.pool.add(l)
	l.ready <- nil
	return nil
}

// pinged examines the words of a ping in the SDK's order (5.3). Counters and
// the answers to status and servers mean nothing to one endpoint.
func (l *link) pinged(words []string) {
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
		l.hub.instanceGone(l, instance)
		return
	}
	if v, _ := has("shutdown"); v == "finack" && !l.acked {
		l.acked = true
		close(l.finacked)
	}
	if v, ok := has("d-m"); ok {
		l.hub.tracing.Store(v == "1")
	}
	if instance, ok := has("target"); ok {
		l.hub.pool.demand(instance)
	}
}

// flow moves a client between links of this app, or asks to spare this one
// (11.3).
func (l *link) flow(m *serviceproto.ConnectionFlowControl) {
	if m.ConnectionType == serviceproto.FlowServer {
		if m.Operation == serviceproto.FlowOffline {
			l.offline.Store(true)
		}
		return
	}
	c := l.hub.client(m.ConnectionID)
	switch {
	case c == nil:
	case m.Operation == serviceproto.FlowPause:
		c.pause()
	case m.Operation == serviceproto.FlowResume:
		c.resume(l)
	}
}
