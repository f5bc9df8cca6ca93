package sampleapp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// ackTimeout is how long the SDK waits for an Ack (service-protocol 9.1).
const ackTimeout = 10 * time.Second

var errNoLink = errors.New("no server connection")

// sender sends on behalf of a hub: inside a call on the caller's link, so that
// all that one client causes stays in order (service-protocol 7.4), and from
// outside on the link that the pool picks.
type sender struct {
	hub  *hub
	link *serverlink.Link // nil: the pool picks
}

func (k *call) sender() sender { return sender{k.c.hub, k.c.link.Load()} }

func (s sender) send(key string, m serviceproto.Message) error {
	l := s.link
	if l == nil || l.Offline.Load() {
		if l = s.hub.pool.Pick(key); l == nil {
			return errNoLink
		}
	}
	return l.Push(m)
}

// payload is an Invocation in every hub protocol of the hub.
func payload(id, method string, args []any, protocols ...hubproto.Protocol) (relay.Payload, error) {
	all := make(relay.Payload, 0, len(protocols))
	for _, p := range protocols {
		values, err := hubproto.Values(p, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, relay.Encoding{Protocol: p.Name(), Data: p.Append(nil, hubproto.Call(id, method, values...))})
	}
	return all, nil
}

// to sends what make makes of the payload.
func (s sender) to(key, method string, args []any, frame func(relay.Payload, uint64) serviceproto.Message) error {
	p, err := payload("", method, args, hubproto.All...)
	if err != nil {
		return err
	}
	return s.send(key, frame(p, s.hub.pool.Trace()))
}

func (s sender) all(except []string, method string, args ...any) error {
	return s.to("all", method, args, func(p relay.Payload, trace uint64) serviceproto.Message {
		return &serviceproto.BroadcastData{Excluded: except, Payload: p, TracingID: trace}
	})
}

// client sends to one connection. The payload has one protocol alone where it
// is known which.
func (s sender) client(id, method string, args ...any) error {
	protocols := hubproto.All
	if c := s.hub.client(id); c != nil && c.protocol() != nil {
		protocols = []hubproto.Protocol{c.protocol()}
	}
	p, err := payload("", method, args, protocols...)
	if err != nil {
		return err
	}
	return s.send("clients", &serviceproto.MultiConnectionData{ConnectionIDs: []string{id}, Payload: p, TracingID: s.hub.pool.Trace()})
}

func (s sender) clients(ids []string, method string, args ...any) error {
	return s.to("clients", method, args, func(p relay.Payload, trace uint64) serviceproto.Message {
		return &serviceproto.MultiConnectionData{ConnectionIDs: ids, Payload: p, TracingID: trace}
	})
}

func (s sender) user(user, method string, args ...any) error {
	return s.to("user "+user, method, args, func(p relay.Payload, trace uint64) serviceproto.Message {
		return &serviceproto.UserData{UserID: user, Payload: p, TracingID: trace}
	})
}

func (s sender) users(users []string, method string, args ...any) error {
	return s.to("users", method, args, func(p relay.Payload, trace uint64) serviceproto.Message {
		return &serviceproto.MultiUserData{UserIDs: users, Payload: p, TracingID: trace}
	})
}

func (s sender) group(group string, except []string, method string, args ...any) error {
	return s.to("group "+group, method, args, func(p relay.Payload, trace uint64) serviceproto.Message {
		return &serviceproto.GroupBroadcastData{Group: group, Excluded: except, Payload: p, TracingID: trace}
	})
}

func (s sender) groups(groups []string, method string, args ...any) error {
	return s.to("groups", method, args, func(p relay.Payload, trace uint64) serviceproto.Message {
		return &serviceproto.MultiGroupBroadcastData{Groups: groups, Payload: p, TracingID: trace}
	})
}

// join puts a connection into a group and waits for the service's word. That
// the connection does not exist is no error (service-protocol 9.2).
func (s sender) join(ctx context.Context, id, group string) error {
	return s.acked(ctx, group, func(ack int, trace uint64) serviceproto.Message {
		return &serviceproto.JoinGroupWithAck{ConnectionID: id, Group: group, AckID: ack, TracingID: trace}
	})
}

func (s sender) leave(ctx context.Context, id, group string) error {
	return s.acked(ctx, group, func(ack int, trace uint64) serviceproto.Message {
		return &serviceproto.LeaveGroupWithAck{ConnectionID: id, Group: group, AckID: ack, TracingID: trace}
	})
}

func (s sender) acked(ctx context.Context, group string, frame func(ack int, trace uint64) serviceproto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	acks := &s.hub.app.acks
	id, answer := acks.Ask()
	defer acks.Forget(id)
	if err := s.send("group "+group, frame(id, s.hub.pool.Trace())); err != nil {
		return err
	}
	select {
	case status := <-answer:
		if status != serviceproto.StatusOK && status != serviceproto.StatusNotFound {
			return fmt.Errorf("acknowledged with status %d", status)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for acknowledgement: %w", ctx.Err())
	}
}
