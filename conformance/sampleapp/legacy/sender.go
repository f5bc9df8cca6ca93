package legacy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// ackTimeout is how long the SDK waits for an Ack (6.1).
const ackTimeout = 10 * time.Second

var errNoLink = errors.New("no server connection")

// sender sends on behalf of a hub: for a client, whose own links keep the order
// of all that it causes, or from outside.
type sender struct {
	hub *hub
	c   *client // nil: from outside
}

func (k *call) sender() sender { return sender{k.hub, k.c} }

// send pushes a frame on a link of a container: the client's own if it is one of
// them, else the one that was chosen for the client, else one for the key.
func (s sender) send(to *container, key string, m serviceproto.Message) error {
	l := s.choose(to, key)
	if l == nil {
		return errNoLink
	}
	return l.Push(m)
}

func (s sender) choose(to *container, key string) *serverlink.Link {
	c := s.c
	if c == nil {
		return to.pool.Pick(key)
	}
	if c.home == to {
		return c.link
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[to]
	if l == nil || l.Offline.Load() || !to.pool.Has(l) {
		if l = to.pool.Pick(c.id); l == nil {
			return nil
		}
		if c.lanes == nil {
			c.lanes = map[*container]*serverlink.Link{}
		}
		c.lanes[to] = l
	}
	return l
}

// payload is a call of a client method, wrapped as payloads are.
func (s sender) payload(method string, args []any) (relay.Payload, error) {
	item, err := invocation(s.hub.name, method, args, nil)
	if err != nil {
		return nil, err
	}
	return relay.Payload{{Protocol: "json", Data: framed(message(item))}}, nil
}

// all is Clients.All, with except Clients.AllExcept.
func (s sender) all(except []string, method string, args ...any) error {
	p, err := s.payload(method, args)
	if err != nil {
		return err
	}
	home := s.hub.home
	return s.send(home, "all", &serviceproto.BroadcastData{Excluded: except, Payload: p, TracingID: s.c.trace(home)})
}

// client is Clients.Client.
func (s sender) client(id, method string, args ...any) error {
	item, err := invocation(s.hub.name, method, args, nil)
	if err != nil {
		return err
	}
	return s.data(id, item)
}

// clients is Clients.Clients: one message for each, and a failure stops none.
func (s sender) clients(ids []string, method string, args ...any) error {
	var errs error
	for _, id := range ids {
		errs = errors.Join(errs, s.client(id, method, args...))
	}
	return errs
}

// data sends an item to one client, on its own link if it lives here. The SDK
// takes what is behind the last dot for the id (5).
func (s sender) data(id string, item []byte) error {
	id = id[strings.LastIndexByte(id, '.')+1:]
	if id == "" {
		return errors.New("connection id is empty")
	}
	a := s.hub.app
	m := &serviceproto.ConnectionData{ConnectionID: id, Data: framed(message(item)), TracingID: s.c.trace(a.application())}
	if c := a.client(id); c != nil {
		return c.link.Push(m)
	}
	return s.send(a.application(), "client "+id, m)
}

// user is Clients.User.
func (s sender) user(user, method string, args ...any) error {
	if user == "" {
		return errors.New("user id is empty")
	}
	p, err := s.payload(method, args)
	if err != nil {
		return err
	}
	home := s.hub.home
	return s.send(home, "user "+user, &serviceproto.UserData{UserID: user, Payload: p, TracingID: s.c.trace(home)})
}

// users is Clients.Users.
func (s sender) users(users []string, method string, args ...any) error {
	var errs error
	for _, u := range users {
		errs = errors.Join(errs, s.user(u, method, args...))
	}
	return errs
}

// group is Clients.Group, with except without some connections.
func (s sender) group(group string, except []string, method string, args ...any) error {
	p, err := s.payload(method, args)
	if err != nil {
		return err
	}
	to := s.hub.app.application()
	return s.send(to, "group "+group, &serviceproto.GroupBroadcastData{
		Group: s.key(group), Excluded: except, Payload: p, TracingID: s.c.trace(to),
	})
}

// groups is Clients.Groups.
func (s sender) groups(groups []string, method string, args ...any) error {
	var errs error
	for _, g := range groups {
		errs = errors.Join(errs, s.group(g, nil, method, args...))
	}
	return errs
}

// key is the name of a group at the service (5).
func (s sender) key(group string) string { return "hg-" + s.hub.name + "." + group }

// join is Groups.Add: it puts a connection into a group and waits for the
// service's word. That the connection does not exist is no error (6.1).
func (s sender) join(id, group string) error {
	return s.acked("JoinGroupWithAckMessage", group, func(ack int, trace uint64) serviceproto.Message {
		return &serviceproto.JoinGroupWithAck{ConnectionID: id, Group: s.key(group), AckID: ack, TracingID: trace}
	})
}

// leave is Groups.Remove.
func (s sender) leave(id, group string) error {
	return s.acked("LeaveGroupWithAckMessage", group, func(ack int, trace uint64) serviceproto.Message {
		return &serviceproto.LeaveGroupWithAck{ConnectionID: id, Group: s.key(group), AckID: ack, TracingID: trace}
	})
}

// ackError is a command that the service did not carry out, in the SDK's words.
type ackError struct {
	message string
	id      int
}

func (e *ackError) Error() string {
	return fmt.Sprintf("Ack-able message Microsoft.Azure.SignalR.Protocol.%s(ackId: %d) timed out.", e.message, e.id)
}

// acked sends a command and waits for its Ack, also when the connection that
// caused it has gone (6.1).
func (s sender) acked(name, group string, frame func(ack int, trace uint64) serviceproto.Message) error {
	to := s.hub.app.application()
	ctx, cancel := context.WithTimeout(s.hub.app.life, s.hub.app.pace.ack)
	defer cancel()
	id, answer := to.acks.Ask()
	defer to.acks.Forget(id)
	if err := s.send(to, "group "+group, frame(id, s.c.trace(to))); err != nil {
		return err
	}
	select {
	case status := <-answer:
		if status == serviceproto.StatusOK || status == serviceproto.StatusNotFound {
			return nil
		}
	case <-ctx.Done():
	}
	return &ackError{name, id}
}

// The methods below are what only a call can do.

// caller is Clients.Caller, with the state that the method has changed so far.
func (k *call) caller(method string, args ...any) error {
	item, err := invocation(k.hub.name, method, args, k.set)
	if err != nil {
		return err
	}
	return k.sender().data(k.c.id, item)
}

// others is Clients.Others.
func (k *call) others(method string, args ...any) error {
	return k.sender().all([]string{k.c.id}, method, args...)
}

// report is a report of progress. The SDK refuses it on the server (4.2); this
// app sends it as a server of its own clients would, so that clients behind a
// service see the feature.
func (k *call) report(v any) error {
	data, err := appendJSON(nil, v)
	if err != nil {
		return err
	}
	return k.sender().data(k.c.id, progress(k.idText(), data))
}
