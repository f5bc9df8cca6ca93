package legacy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// reconnectText is what the service says when a client is back (3.5).
const reconnectText = "asrs:reconnect"

// client is one client of the application, with all its hubs.
type client struct {
	// Static after construction.
	app        *App
	home       *container
	link       *serverlink.Link // owns the client: it lives and ends with it (2.6)
	id         string
	who        principal.Principal
	headers    []relay.Header
	query      string
	instance   string // of the service that the client came over
	diagnostic bool   // everything sent for it has a tracing id (3.1)

	hubs  []*hub // those of connectionData that the client may have; set by connect
	ended atomic.Bool
	lane  lane

	mu    sync.Mutex
	lanes map[*container]*serverlink.Link // the link of each other container, chosen once
}

// newClient reads OpenConnection. An error means that the SDK would lose the
// frame (3.1).
func newClient(home *container, l *serverlink.Link, m *serviceproto.OpenConnection) (*client, error) {
	for i, h := range m.Headers {
		for _, other := range m.Headers[:i] {
			if strings.EqualFold(h.Name, other.Name) {
				return nil, fmt.Errorf("header %s is repeated", strings.Clone(h.Name))
			}
		}
	}
	c := &client{
		app: home.app, home: home, link: l, id: strings.Clone(m.ConnectionID), who: principal.Of(m.Claims),
		headers: principal.CloneHeaders(m.Headers), query: strings.TrimPrefix(strings.Clone(m.Query), "?"),
	}
	c.instance, _ = principal.Header(c.headers, "Asrs-Instance-Id")
	if v, ok := principal.Header(c.headers, "Asrs-Is-Diagnostic-Client"); ok {
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			c.diagnostic = true
		case "false":
		default:
			return nil, errors.New("Asrs-Is-Diagnostic-Client is no boolean")
		}
	}
	return c, nil
}

// connect checks what the client asks for and raises OnConnected of its hubs. In
// the SDK's order: the hubs, their authorisation, the connection token (3.1).
func (c *client) connect() {
	hubs, err := c.app.hubsOf(c.query)
	if err == nil {
		all := len(hubs)
		hubs = slices.DeleteFunc(hubs, func(h *hub) bool { return h.protected && !c.who.Authenticated() })
		if all > 0 && len(hubs) == 0 {
			err = dotnetError("Unable to authorize request")
		}
	}
	if token := principal.QueryValue(c.query, "connectionToken"); err == nil && (token == nil || *token == "") {
		err = dotnetError("Protocol error: Missing connection token.")
	}
	if err != nil {
		c.leave()
		c.refuse(err.Error())
		return
	}
	c.hubs = hubs
	c.lane.do(&c.app.work, c.waits(), func() {
		if err := c.raise(func(h *hub) event { return h.connected }); err != nil && c.leave() {
			c.refuse(err.Error())
		}
	})
}

// refuse tells the service to close the client.
func (c *client) refuse(text string) {
	c.link.Send(&serviceproto.CloseConnection{ConnectionID: c.id, Error: text})
}

// leave takes the client off the books; false when it is off already. From here
// on no completion is sent (3.6).
func (c *client) leave() bool {
	c.app.mu.Lock()
	defer c.app.mu.Unlock()
	if c.app.clients[c.id] != c {
		return false
	}
	delete(c.app.clients, c.id)
	c.ended.Store(true)
	c.link.Clients.Add(-1)
	return true
}

// disconnect ends the client and raises OnDisconnected of its hubs.
func (c *client) disconnect() {
	if c.leave() {
		c.after(func() { _ = c.raise(func(h *hub) event { return h.disconnected }) })
	}
}

// received takes a message of the client, which is borrowed.
func (c *client) received(text []byte) {
	if string(text) == reconnectText {
		c.after(func() { _ = c.raise(func(h *hub) event { return h.reconnected }) })
		return
	}
	if !c.lane.idle() {
		text = slices.Clone(text)
	}
	if !c.lane.do(&c.app.work, false, func() { c.invoked(text) }) && c.leave() {
		c.refuse("more than " + strconv.Itoa(maxWaiting) + " messages wait for OnConnected")
	}
}

// after runs events of the hubs, which nobody waits for, in their turn. A client
// whose lane is full has an OnConnected that hangs, and misses them.
func (c *client) after(f func()) { c.lane.do(&c.app.work, c.waits(), f) }

func (c *client) waits() bool {
	return slices.ContainsFunc(c.hubs, func(h *hub) bool { return h.waits })
}

// raise runs an event of all hubs, those that may block beside each other, and
// returns the error of the first hub that has one. The others run all the same.
func (c *client) raise(of func(*hub) event) error {
	errs := make([]error, len(c.hubs))
	var running sync.WaitGroup
	for i, h := range c.hubs {
		f := of(h)
		if f == nil {
			continue
		}
		k := &call{c: c, hub: h}
		run := func() { errs[i] = k.guard(func() error { return f(k) }) }
		if h.waits && len(c.hubs) > 1 {
			running.Go(run)
		} else {
			run()
		}
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// trace is the tracing id of what is sent for the client on a container's links.
func (c *client) trace(to *container) uint64 {
	if c != nil && c.diagnostic {
		return to.pool.NextTrace()
	}
	return to.pool.Trace()
}

// tell sends a completion to the client.
func (c *client) tell(json []byte) {
	if c.ended.Load() {
		return
	}
	// The error says that the link is dead, which ends the client elsewhere.
	_ = c.link.PushData(c.id, framed(json), 0)
}

// cookies are what the Cookie header says, percent-decoded as OWIN does.
func (c *client) cookies() []*http.Cookie {
	text, _ := principal.Header(c.headers, "Cookie")
	var all []*http.Cookie
	for pair := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			continue
		}
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		all = append(all, &http.Cookie{Name: name, Value: value})
	}
	return all
}
