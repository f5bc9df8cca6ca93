package relay

import (
	"context"
	"sync"
)

// A Client is one connected client of a hub, from the moment its Backend is
// chosen until it ends.
type Client struct {
	// Static after construction.
	ID       string // connection id
	User     string
	HasUser  bool
	Protocol string // hub protocol name
	hub      *Hub
	also     []*Hub // where it hears what is said to everyone and to its user
	sink     Sink

	mu      sync.Mutex
	joining bool     // a Backend is being told of the client; what ends it meanwhile leaves the Backend's Close to left
	ended   bool     // next to joining: a Client stays in its size class
	route   *Route   // the Backend that has the client; nil once ended
	groups  []string // what it is a member of
	opening *Opening // kept only where the client may move to another server
	left    func()
}

// Connect describes a client that wants to join a hub.
type Connect struct {
	ID       string
	User     string
	HasUser  bool
	Protocol string

	// Also are more hubs that the client listens to over the same stream: a
	// classic client names its hubs, and its application is the hub it joins
	// (legacy-service-protocol 2.6). There it counts for Deliver, Output, Ended
	// and Check; its groups and its Backend are those of the hub that it joins.
	// It goes to an app server that has all of them, if one does.
	Also []*Hub

	// ServerID names the app server that negotiated; Sticky says whether
	// the client goes there if it can or only there (service-protocol 12.3).
	ServerID string
	Sticky   Stickiness

	Opening Opening
}

// Stickiness is how much a client insists on the app server that negotiated.
type Stickiness uint8

const (
	Anywhere  Stickiness = iota
	Preferred            // there if it is connected
	Required             // there or not at all
)

// Connect joins a client to the hub: it chooses a Backend, opens the client
// there and passes on what the client has sent so far. While there is no
// Backend it waits two seconds. It returns ErrNoServer, ErrDraining,
// ErrDuplicate or the error of ctx; the sink is not called then.
func (h *Hub) Connect(ctx context.Context, w Connect, s Sink) (*Client, error) {
	c := &Client{ID: w.ID, User: w.User, HasUser: w.HasUser, Protocol: w.Protocol, hub: h, also: w.Also, sink: s}
	r, err := h.routes.take(ctx, c, &w)
	if err != nil {
		return nil, err
	}
	if err = h.admit(c, r, &w.Opening); err != nil {
		r.drop(c)
		return nil, err
	}
	h.stats.Opened.Add(1)
	h.stats.BytesIn.Add(int64(len(w.Opening.Early)))
	if err = r.Backend.Open(c, &w.Opening); err == nil && len(w.Opening.Early) > 0 {
		err = r.Backend.Data(ctx, c, w.Opening.Early, false)
	}
	c.joined()
	if err != nil {
		c.End("")
		return nil, err
	}
	// The server connection may have gone between take and now; then nobody
	// else closes this client.
	if r.gone() {
		c.End("")
		return nil, ErrNoServer
	}
	return c, nil
}

// admit writes a client that r has taken into the hub's maps, all of them or
// none: from take on, the end of r's server connection may end the client.
func (h *Hub) admit(c *Client, r *Route, o *Opening) error {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return ErrNoServer
	}
	taken := false
	h.clients.change(c.ID, func(old *Client, ok bool) (*Client, bool) {
		if taken = ok; ok {
			return old, true
		}
		return c, true
	})
	if taken {
		c.ended = true // whoever finds it at r must not take its namesake for it
		c.mu.Unlock()
		return ErrDuplicate
	}
	c.route, c.joining = r, true
	if r.mayMove {
		again := *o
		again.Early = nil
		c.opening = &again
	}
	var join []string
	if c.HasUser {
		join = h.addUser(c)
	}
	for _, more := range c.also {
		more.clients.change(c.ID, func(*Client, bool) (*Client, bool) { return c, true })
		if c.HasUser {
			more.addUser(c)
		}
	}
	c.mu.Unlock()
	for _, g := range join {
		h.joinGroup(c, g)
	}
	return nil
}

// joined lets a Backend that was just told of the client hear of its end.
func (c *Client) joined() {
	c.mu.Lock()
	left := c.left
	c.joining, c.left = false, nil
	c.mu.Unlock()
	if left != nil {
		left()
	}
}

// Data passes bytes of the client on to its Backend. It may block: that is
// the back-pressure of a slow app server. Border says that p begins at a hub
// message border, where a client may move to another server; partial that it
// ends within a message that may be thrown away. One call at a time.
func (c *Client) Data(ctx context.Context, p []byte, border, partial bool) error {
	c.mu.Lock()
	r := c.route
	if border && r != nil && c.opening != nil && r.moving.Load() {
		c.mu.Unlock()
		c.Move(ctx)
		c.mu.Lock()
		r = c.route
	}
	c.mu.Unlock()
	if r == nil {
		return ErrClosed
	}
	c.hub.stats.MessagesIn.Add(1)
	c.hub.stats.BytesIn.Add(int64(len(p)))
	return r.Backend.Data(ctx, c, p, partial)
}

// Moving says that the client's app server asked to have it moved.
func (c *Client) Moving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.route != nil && c.route.moving.Load() && c.opening != nil
}

// Move gives the client to another app server if its own asked for that and
// there is one (service-protocol 8.5): the old one sees it leave, the new one
// sees it open and swallows the second handshake answer, the client sees
// nothing. Data does so by itself; the owner of a client that says nothing
// calls Move, at a hub message border and never during Data.
func (c *Client) Move(ctx context.Context) {
	c.mu.Lock()
	from, o := c.route, c.opening
	if from == nil || o == nil || !from.moving.Load() {
		c.mu.Unlock()
		return
	}
	to := c.hub.routes.other(c, from.ServerID)
	if to == nil {
		c.mu.Unlock()
		return
	}
	c.route, c.joining = to, true
	if !to.mayMove {
		c.opening = nil
	}
	c.mu.Unlock()
	from.drop(c)

	c.hub.stats.Moved.Add(1)
	from.Backend.Close(c, "", to.ServerID)
	c.sink.Moved()
	again := *o
	again.MovedFrom = from.ServerID
	if to.Backend.Open(c, &again) == nil {
		to.Backend.Data(ctx, c, o.Handshake, false)
	}
	c.joined()
	if to.gone() {
		c.Close(Reason{Category: ServerConnectionClosed, Text: "ServerOffline", AllowReconnect: true})
	}
}

// End takes the client out of the hub and tells its Backend. It is for the
// Sink's owner, whose transport has ended; the Sink is not called. Further
// calls do nothing.
func (c *Client) End(text string) {
	c.end(func(*Route) bool { return true }, text)
}

// Close takes the client out of the hub, tells its Backend and closes the
// Sink. The first End or Close wins.
func (c *Client) Close(r Reason) {
	if first, _ := c.end(func(*Route) bool { return true }, r.Text); first {
		c.sink.Close(r)
	}
}

// forget takes a client out of the hub's maps of clients and users.
func (h *Hub) forget(c *Client) {
	h.clients.change(c.ID, func(x *Client, ok bool) (*Client, bool) { return x, ok && x != c })
	if c.HasUser {
		h.removeUser(c)
	}
}

// end is the one way out of a hub. It says whether this call was the first.
func (c *Client) end(tell func(*Route) bool, text string) (first bool, was *Route) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false, nil
	}
	c.ended = true
	r, groups := c.route, c.groups
	c.route, c.groups, c.opening = nil, nil, nil
	told := r == nil || !tell(r)
	if !told && c.joining {
		c.left = func() { r.Backend.Close(c, text, "") }
		told = true
	}
	c.mu.Unlock()

	h := c.hub
	h.forget(c)
	for _, more := range c.also {
		more.forget(c)
		more.invocations.lost(c)
	}
	for _, g := range groups {
		h.leaveGroup(c, g)
	}
	h.invocations.lost(c)
	if r != nil {
		r.drop(c)
	}
	if !told {
		r.Backend.Close(c, text, "")
	}
	return true, r
}
