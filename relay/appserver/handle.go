package appserver

import (
	"context"
	"slices"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// handle carries out one message of the app server. Messages of one
// connection are handled one after the other, so that a join is visible to
// every send that follows it (service-protocol 9.3).
func (c *Conn) handle(m serviceproto.Message) error {
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		c.hub.Output(m.ConnectionID, m.Data, c.batch)
	case *serviceproto.MultiConnectionData:
		c.deliver(relay.Target{Scope: relay.Connections, Names: c.named(m.ConnectionIDs)}, m.Payload)
	case *serviceproto.BroadcastData:
		c.deliver(relay.Target{Except: m.Excluded}, m.Payload)
	case *serviceproto.GroupBroadcastData:
		c.deliver(relay.Target{Scope: relay.Groups, Names: []string{m.Group}, Except: m.Excluded, ExceptUsers: m.ExcludedUsers}, m.Payload)
	case *serviceproto.MultiGroupBroadcastData:
		c.deliver(relay.Target{Scope: relay.Groups, Names: m.Groups}, m.Payload)
	case *serviceproto.UserData:
		c.deliver(relay.Target{Scope: relay.Users, Names: []string{m.UserID}}, m.Payload)
	case *serviceproto.MultiUserData:
		c.deliver(relay.Target{Scope: relay.Users, Names: c.named(m.UserIDs)}, m.Payload)

	case *serviceproto.CloseConnection:
		c.hub.Ended(c.route.Load(), m.ConnectionID, m.Error)

	case *serviceproto.JoinGroup:
		c.do(&relay.Member{Join: true, Scope: relay.Connections, Name: m.ConnectionID, Group: m.Group})
	case *serviceproto.LeaveGroup:
		c.do(&relay.Member{Scope: relay.Connections, Name: m.ConnectionID, Group: m.Group, All: m.AllGroups})
	case *serviceproto.UserJoinGroup:
		c.do(&relay.Member{Join: true, Scope: relay.Users, Name: m.UserID, Group: m.Group, Expires: expires(m.TTL)})
	case *serviceproto.UserLeaveGroup:
		c.do(&relay.Member{Scope: relay.Users, Name: m.UserID, Group: m.Group, All: m.AllGroups})
	case *serviceproto.JoinGroupWithAck:
		return c.ack(m.AckID, &relay.Member{Join: true, Scope: relay.Connections, Name: m.ConnectionID, Group: m.Group})
	case *serviceproto.LeaveGroupWithAck:
		return c.ack(m.AckID, &relay.Member{Scope: relay.Connections, Name: m.ConnectionID, Group: m.Group, All: m.AllGroups})
	case *serviceproto.UserJoinGroupWithAck:
		return c.ack(m.AckID, &relay.Member{Join: true, Scope: relay.Users, Name: m.UserID, Group: m.Group, Expires: expires(m.TTL)})
	case *serviceproto.UserLeaveGroupWithAck:
		return c.ack(m.AckID, &relay.Member{Scope: relay.Users, Name: m.UserID, Group: m.Group, All: m.AllGroups})

	case *serviceproto.CheckUserInGroupWithAck:
		return c.ack(m.AckID, &relay.Check{Scope: relay.Users, Name: m.UserID, Group: m.Group})
	case *serviceproto.CheckGroupExistenceWithAck:
		return c.ack(m.AckID, &relay.Check{Scope: relay.Groups, Name: m.Group})
	case *serviceproto.CheckConnectionExistenceWithAck:
		return c.ack(m.AckID, &relay.Check{Scope: relay.Connections, Name: m.ConnectionID})
	case *serviceproto.CheckUserExistenceWithAck:
		return c.ack(m.AckID, &relay.Check{Scope: relay.Users, Name: m.UserID})
	case *serviceproto.GroupMemberQuery:
		return c.list(m)

	case *serviceproto.CloseConnectionWithAck:
		return c.hangup(m.AckID, relay.Target{Scope: relay.Connections, Names: []string{m.ConnectionID}}, m.Reason)
	case *serviceproto.CloseConnectionsWithAck:
		return c.hangup(m.AckID, relay.Target{Except: m.Excluded}, m.Reason)
	case *serviceproto.CloseUserConnectionsWithAck:
		return c.hangup(m.AckID, relay.Target{Scope: relay.Users, Names: []string{m.UserID}, Except: m.Excluded}, m.Reason)
	case *serviceproto.CloseGroupConnectionsWithAck:
		return c.hangup(m.AckID, relay.Target{Scope: relay.Groups, Names: []string{m.Group}, Except: m.Excluded}, m.Reason)

	case *serviceproto.ClientInvocation:
		c.invoke(m)
	case *serviceproto.ClientCompletion:
		c.do(&relay.Answer{ID: m.InvocationID, Connection: m.ConnectionID, Protocol: m.Protocol, Data: m.Data})

	case *serviceproto.Ping:
		c.ping(m.Words)
	case *serviceproto.RefreshAuth:
		return c.answer(m.AckID, serviceproto.StatusNotFound) // not supported; silence would hang the app (4.4, 41)
	case *serviceproto.GetConnectionClaims:
		return c.answer(m.AckID, serviceproto.StatusNotFound)
	}
	return nil
}

// named is the receivers that a message names, each as often as it counts.
func (c *Conn) named(names []string) []string {
	if c.o.NamedOnce && len(names) > 1 {
		slices.Sort(names) // they are the message's, and in no order
		return slices.Compact(names)
	}
	return names
}

func (c *Conn) deliver(to relay.Target, p relay.Payload) {
	c.do(&relay.Deliver{To: to, Payload: p, Batch: c.batch})
}

func (c *Conn) do(m relay.Message) relay.Result {
	r, err := c.hub.Handle(context.Background(), c.route.Load(), m)
	if err != nil {
		c.log.Warn("message of the app server refused", "error", err)
	}
	return r
}

// ack carries out m and says on the same connection whether what it names
// exists. The SDK waits ten seconds for that (service-protocol 9.1).
func (c *Conn) ack(id int, m relay.Message) error {
	if c.do(m).Found {
		return c.answer(id, serviceproto.StatusOK)
	}
	return c.answer(id, serviceproto.StatusNotFound)
}

func (c *Conn) answer(id, status int) error {
	return c.send(&serviceproto.Ack{AckID: id, Status: status})
}

func (c *Conn) hangup(id int, to relay.Target, text string) error {
	c.do(&relay.Hangup{To: to, Text: text})
	return c.answer(id, serviceproto.StatusOK) // also when nothing matched (9.2)
}

// list answers a query for the members of a group; the continuation token is
// the connection id that the page before ended with.
func (c *Conn) list(m *serviceproto.GroupMemberQuery) error {
	q := &relay.List{Group: m.Group}
	if m.ContinuationToken != nil {
		q.From = *m.ContinuationToken
	}
	if m.MaxPageSize != nil {
		q.Limit = *m.MaxPageSize
	}
	if m.Top != nil && (q.Limit <= 0 || *m.Top < q.Limit) {
		q.Limit = *m.Top
	}
	r := c.do(q)
	members := make([]serviceproto.GroupMember, 0, len(r.Members))
	for _, x := range r.Members {
		g := serviceproto.GroupMember{ConnectionID: x.Connection}
		if x.HasUser {
			g.UserID = x.User
		}
		members = append(members, g)
	}
	return c.send(&serviceproto.Ack{AckID: m.AckID, Status: serviceproto.StatusOK, Data: serviceproto.AppendGroupMembers(nil, members, r.Next)})
}

// expires turns seconds into a time; nil never ends.
func expires(ttl *int) time.Time {
	if ttl == nil {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(*ttl) * time.Second)
}

// The SDK notes an invocation only after it has written it, so an answer that
// is faster than that is lost for ever (service-protocol 10). While an app is
// fresh from its start that takes tens of milliseconds, later far less.
const (
	firstAsks  = 16
	firstDelay = 30 * time.Millisecond
	laterDelay = 5 * time.Millisecond
)

// invoke asks a client on behalf of the app, a little later than it could.
func (c *Conn) invoke(m *serviceproto.ClientInvocation) {
	ask := &relay.Invoke{ID: m.InvocationID, Connection: m.ConnectionID, Caller: m.CallerServerID, Payload: slices.Clone(m.Payload)}
	delay := laterDelay
	if c.asked++; c.asked <= firstAsks {
		delay = firstDelay
	}
	time.AfterFunc(delay, func() { // does not block; a connection that is gone has nobody to tell
		if !c.gone.Load() {
			c.do(ask)
		}
	})
}
