package appserver_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

func TestBordersMeanNothing(t *testing.T) {
	stream := serviceproto.Append(nil, &serviceproto.HandshakeRequest{Version: 1})
	stream = serviceproto.Append(stream, &serviceproto.Ping{Words: []string{"status", "1"}})
	stream = serviceproto.Append(stream, &serviceproto.CheckUserExistenceWithAck{UserID: "someone with a name of some length, to have a longer frame", AckID: 7})
	for _, size := range []int{1, 2, 3, 7, 50, len(stream)} {
		t.Run(fmt.Sprint("pieces of ", size), func(t *testing.T) {
			s := serve(t, appserver.Options{})
			a := s.dial("a")
			for rest := stream; len(rest) > 0; {
				n := min(size, len(rest))
				a.Raw(rest[:n])
				rest = rest[n:]
			}
			nodetest.Expect[*serviceproto.HandshakeResponse](a.Link)
			nodetest.Expect[*serviceproto.Ping](a.Link)
			if ack := nodetest.Expect[*serviceproto.Ack](a.Link); ack.AckID != 7 {
				t.Errorf("%+v", ack)
			}
		})
	}
	for cut := 1; cut < len(stream); cut++ {
		s := serve(t, appserver.Options{})
		a := s.dial("a")
		a.Raw(stream[:cut])
		a.Raw(stream[cut:])
		nodetest.Expect[*serviceproto.HandshakeResponse](a.Link)
		nodetest.Expect[*serviceproto.Ping](a.Link)
		if ack := nodetest.Expect[*serviceproto.Ack](a.Link); ack.AckID != 7 {
			t.Errorf("cut at %d: %+v", cut, ack)
		}
	}
}

func TestBadFrames(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		ends bool
	}{
		{"no MessagePack", frame(0xc1, 0xc1, 0xc1), false},
		{"no array", frame(0xa3, 'a', 'b', 'c'), false},
		{"empty array", frame(0x90), false},
		{"no body", frame(), false},
		{"type is text", frame(0x92, 0xa1, '6', 0xa0), false},
		{"unknown type", frame(0x92, 99, 0xa0), false},
		{"type 0", frame(0x91, 0), false},
		{"too few members", frame(0x92, 18, 0xa1), false},
		{"members of another type", frame(0x94, 10, 1, 2, 3), false},
		{"length within says more than there is", frame(0x93, 6, 0xa1, 'x', 0xc6, 0x7f, 0xff, 0xff, 0xff), false},
		{"list says more than there is", frame(0x93, 7, 0xdd, 0xff, 0xff, 0xff, 0xff), false},
		{"message of the service", frame(0x94, 20, 1, 1, 0xa0), false},
		{"handshake again", frame(0x92, 1, 1), false},
		{"length that never ends", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, true},
		{"length beyond 31 bits", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, true},
		{"length beyond the limit", []byte{0x81, 0x80, 0x40}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, appserver.Options{MaxFrame: 1 << 20})
			a, other := s.attach("a", serviceproto.HandshakeRequest{}), s.attach("b", serviceproto.HandshakeRequest{})
			mine, theirs := s.at(a, "x", ""), s.at(other, "y", "")
			a.Raw(c.raw)
			if c.ends {
				if err := a.End(); !cut(err) {
					t.Errorf("ended with %v", err)
				}
				if d := cmp.Diff(relay.Reason{Category: relay.ServerConnectionClosed, Text: "ServerOffline", AllowReconnect: true}, mine.reason()); d != "" {
					t.Error(d)
				}
			} else {
				a.alive()
				mine.quiet()
			}
			other.alive()
			theirs.quiet()
		})
	}
}

func TestClientLife(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	w := relay.Connect{ID: "x", User: "ann", HasUser: true}
	w.Opening = relay.Opening{
		Claims:  []relay.Claim{{Type: "role", Value: "1"}, {Type: "role", Value: "2"}},
		Headers: []relay.Header{{Name: "X-Forwarded-For", Values: []string{"1.2.3.4"}}},
		Query:   "?a=b", Handshake: []byte("hello"), Early: []byte("hello and more"),
	}
	c := s.connect(w)
	if err := c.Data(t.Context(), []byte("two"), true, false); err != nil {
		t.Error(err)
	}
	if err := c.Data(t.Context(), []byte("thr"), false, true); err != nil {
		t.Error(err)
	}
	c.End("bye")
	for _, want := range []serviceproto.Message{
		&serviceproto.OpenConnection{
			ConnectionID: "x", Claims: w.Opening.Claims, Query: "?a=b", Protocol: "json",
			Headers: []relay.Header{{Name: "X-Forwarded-For", Values: []string{"1.2.3.4"}}, {Name: "Asrs-Instance-Id", Values: []string{"node-1"}}},
		},
		&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("hello and more")},
		&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("two")},
		&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("thr"), Partial: true},
		&serviceproto.CloseConnection{ConnectionID: "x", Error: "bye"},
	} {
		if d := cmp.Diff(want, a.Next()); d != "" {
			t.Error(d)
		}
	}
	if len(w.Opening.Headers) != 1 {
		t.Error("the headers of the caller changed")
	}

	d := s.at(a, "y", "")
	a.Send(&serviceproto.ConnectionData{ConnectionID: "y", Data: []byte("{}")}, &serviceproto.ConnectionData{ConnectionID: "zz", Data: []byte("lost")},
		&serviceproto.CloseConnection{ConnectionID: "zz"}, &serviceproto.CloseConnection{ConnectionID: "y", Error: "out"})
	if got := d.next(); got != "{}" {
		t.Error(got)
	}
	if diff := cmp.Diff(relay.Reason{Category: relay.ClosedByAppServer, Text: "out", Detail: true}, d.reason()); diff != "" {
		t.Error(diff)
	}
	a.Settle() // nothing is sent back
}

func TestSends(t *testing.T) {
	s := serve(t, appserver.Options{})
	a, b := s.attach("a", serviceproto.HandshakeRequest{}), s.attach("b", serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak})
	all := []*client{s.at(a, "x", "ann"), s.at(a, "y", "bob"), s.at(a, "z", "")}
	all[0].User = "ann"
	for _, m := range []*serviceproto.JoinGroup{{ConnectionID: "x", Group: "g"}, {ConnectionID: "y", Group: "g"}, {ConnectionID: "y", Group: "h"}} {
		a.Send(m)
	}
	a.Settle()
	type list = []string
	for _, c := range []struct {
		name string
		m    serviceproto.Message
		want [3]int
	}{
		{"data", &serviceproto.ConnectionData{ConnectionID: "y", Data: []byte("data")}, [3]int{0, 1, 0}},
		{"connections", &serviceproto.MultiConnectionData{ConnectionIDs: list{"x", "z", "x", "none"}, Payload: payload("connections")}, [3]int{2, 0, 1}},
		{"one", &serviceproto.MultiConnectionData{ConnectionIDs: list{"z"}, Payload: payload("one")}, [3]int{0, 0, 1}},
		{"all", &serviceproto.BroadcastData{Payload: payload("all")}, [3]int{1, 1, 1}},
		{"all but", &serviceproto.BroadcastData{Excluded: list{"x"}, Payload: payload("all but")}, [3]int{0, 1, 1}},
		{"group", &serviceproto.GroupBroadcastData{Group: "g", Payload: payload("group")}, [3]int{1, 1, 0}},
		{"group but", &serviceproto.GroupBroadcastData{Group: "g", Excluded: list{"y"}, Payload: payload("group but")}, [3]int{1, 0, 0}},
		{"group but a user", &serviceproto.GroupBroadcastData{Group: "g", ExcludedUsers: list{"ann"}, Payload: payload("group but a user")}, [3]int{0, 1, 0}},
		{"groups", &serviceproto.MultiGroupBroadcastData{Groups: list{"g", "h"}, Payload: payload("groups")}, [3]int{1, 2, 0}},
		{"user", &serviceproto.UserData{UserID: "bob", Payload: payload("user")}, [3]int{0, 1, 0}},
		{"users", &serviceproto.MultiUserData{UserIDs: list{"bob", "ann", "eve"}, Payload: payload("users")}, [3]int{1, 1, 0}},
		{"another protocol", &serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: "messagepack", Data: []byte("m")}}}, [3]int{}},
		{"case of the protocol", &serviceproto.BroadcastData{Payload: relay.Payload{{Protocol: "JSON", Data: []byte("case of the protocol")}}}, [3]int{1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := a
			if _, own := c.m.(*serviceproto.ConnectionData); !own {
				from = b // a weak connection sends like any other
			}
			from.Send(c.m)
			from.Settle()
			for i, n := range c.want {
				for range n {
					if got := all[i].next(); got != c.name {
						t.Errorf("%s got %q", all[i].ID, got)
					}
				}
				all[i].quiet()
			}
		})
	}
}

func TestNamedOnce(t *testing.T) {
	s := serve(t, appserver.Options{NamedOnce: true})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	x := s.at(a, "x", "ann")
	type list = []string
	a.Send(&serviceproto.MultiConnectionData{ConnectionIDs: list{"x", "none", "x"}, Payload: payload("connections")},
		&serviceproto.MultiUserData{UserIDs: list{"ann", "eve", "ann"}, Payload: payload("users")},
		&serviceproto.JoinGroup{ConnectionID: "x", Group: "g"},
		&serviceproto.MultiGroupBroadcastData{Groups: list{"g", "h", "g"}, Payload: payload("groups")})
	a.Settle()
	for _, want := range []string{"connections", "users", "groups", "groups"} {
		if got := x.next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	x.quiet()
}

// What one server connection does is done in its order: a send that follows a
// join reaches the member, one that follows a leave does not.
func TestOrderOfOneConnection(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	x := s.at(a, "x", "")
	var all []serviceproto.Message
	for i := range 200 {
		all = append(all,
			&serviceproto.JoinGroup{ConnectionID: "x", Group: "g"},
			&serviceproto.GroupBroadcastData{Group: "g", Payload: payload(fmt.Sprint(i))},
			&serviceproto.LeaveGroup{ConnectionID: "x", Group: "g"},
			&serviceproto.GroupBroadcastData{Group: "g", Payload: payload("too late")},
		)
	}
	a.Send(all...)
	a.Settle()
	for i := range 200 {
		if got := x.next(); got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
	}
	x.quiet()
}

func TestServerLost(t *testing.T) {
	s := serve(t, appserver.Options{})
	a, b := s.attach("a", serviceproto.HandshakeRequest{}), s.attach("b", serviceproto.HandshakeRequest{})
	mine, theirs := s.at(a, "x", ""), s.at(b, "y", "")
	a.NetConn().Close() // as a process that is killed
	if d := cmp.Diff(relay.Reason{Category: relay.ServerConnectionClosed, Text: "ServerOffline", AllowReconnect: true}, mine.reason()); d != "" {
		t.Error(d)
	}
	b.alive()
	theirs.quiet()
	s.hub.ShutBackends()
	if err := b.End(); !normal(err) {
		t.Errorf("shut with %v", err)
	}
	theirs.reason()
}
