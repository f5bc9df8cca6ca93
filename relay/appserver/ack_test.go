package appserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

func ptr[T any](v T) *T { return &v }

func TestAcks(t *testing.T) {
	const yes, no = serviceproto.StatusOK, serviceproto.StatusNotFound
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	for _, c := range []struct {
		name string
		m    func(id int) serviceproto.Message
		want int
	}{
		{"join", func(id int) serviceproto.Message {
			return &serviceproto.JoinGroupWithAck{ConnectionID: "x", Group: "g", AckID: id}
		}, yes},
		{"join of nobody", func(id int) serviceproto.Message {
			return &serviceproto.JoinGroupWithAck{ConnectionID: "zz", Group: "g", AckID: id}
		}, no},
		{"user in group", func(id int) serviceproto.Message {
			return &serviceproto.CheckUserInGroupWithAck{UserID: "ann", Group: "g", AckID: id}
		}, yes},
		{"user not in group", func(id int) serviceproto.Message {
			return &serviceproto.CheckUserInGroupWithAck{UserID: "bob", Group: "g", AckID: id}
		}, no},
		{"group exists", func(id int) serviceproto.Message {
			return &serviceproto.CheckGroupExistenceWithAck{Group: "g", AckID: id}
		}, yes},
		{"group does not exist", func(id int) serviceproto.Message {
			return &serviceproto.CheckGroupExistenceWithAck{Group: "G", AckID: id}
		}, no},
		{"leave", func(id int) serviceproto.Message {
			return &serviceproto.LeaveGroupWithAck{ConnectionID: "x", Group: "g", AckID: id}
		}, yes},
		{"leave of a non-member", func(id int) serviceproto.Message {
			return &serviceproto.LeaveGroupWithAck{ConnectionID: "x", Group: "g", AckID: id}
		}, yes},
		{"leave of nobody", func(id int) serviceproto.Message {
			return &serviceproto.LeaveGroupWithAck{ConnectionID: "zz", Group: "g", AckID: id}
		}, no},
		{"left", func(id int) serviceproto.Message {
			return &serviceproto.CheckGroupExistenceWithAck{Group: "g", AckID: id}
		}, no},
		{"user joins", func(id int) serviceproto.Message {
			return &serviceproto.UserJoinGroupWithAck{UserID: "ann", Group: "u", AckID: id, TTL: ptr(60)}
		}, yes},
		{"user is in", func(id int) serviceproto.Message {
			return &serviceproto.CheckUserInGroupWithAck{UserID: "ann", Group: "u", AckID: id}
		}, yes},
		{"user leaves all", func(id int) serviceproto.Message {
			return &serviceproto.UserLeaveGroupWithAck{UserID: "ann", AllGroups: true, AckID: id}
		}, yes},
		{"user is out", func(id int) serviceproto.Message {
			return &serviceproto.CheckUserInGroupWithAck{UserID: "ann", Group: "u", AckID: id}
		}, no},
		{"leave all", func(id int) serviceproto.Message {
			return &serviceproto.LeaveGroupWithAck{ConnectionID: "x", AllGroups: true, AckID: id}
		}, yes},
		{"connection exists", func(id int) serviceproto.Message {
			return &serviceproto.CheckConnectionExistenceWithAck{ConnectionID: "x", AckID: id}
		}, yes},
		{"connection does not exist", func(id int) serviceproto.Message {
			return &serviceproto.CheckConnectionExistenceWithAck{ConnectionID: "X", AckID: id}
		}, no},
		{"user exists", func(id int) serviceproto.Message {
			return &serviceproto.CheckUserExistenceWithAck{UserID: "ann", AckID: id}
		}, yes},
		{"user does not exist", func(id int) serviceproto.Message {
			return &serviceproto.CheckUserExistenceWithAck{UserID: "Ann", AckID: id}
		}, no},
		// Messages 41 and 42 are not supported, and say so at once.
		{"refresh of a login", func(id int) serviceproto.Message { return &serviceproto.RefreshAuth{AckID: id} }, no},
		{"claims of a connection", func(id int) serviceproto.Message { return &serviceproto.GetConnectionClaims{AckID: id} }, no},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s.hub.Client("x") == nil {
				s.at(a, "x", "ann")
			}
			id := a.AckID()
			if d := cmp.Diff(&serviceproto.Ack{AckID: id, Status: c.want}, a.Ack(c.m(id))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHangups(t *testing.T) {
	for _, c := range []struct {
		name   string
		m      serviceproto.Message
		closed string // ids
	}{
		{"connection", &serviceproto.CloseConnectionWithAck{ConnectionID: "x", Reason: "out", AckID: 9}, "x"},
		{"unknown connection", &serviceproto.CloseConnectionWithAck{ConnectionID: "zz", Reason: "out", AckID: 9}, ""},
		{"all but one", &serviceproto.CloseConnectionsWithAck{Excluded: []string{"y"}, Reason: "out", AckID: 9}, "xz"},
		{"user", &serviceproto.CloseUserConnectionsWithAck{UserID: "ann", Reason: "out", AckID: 9}, "xy"},
		{"user but one", &serviceproto.CloseUserConnectionsWithAck{UserID: "ann", Excluded: []string{"y"}, Reason: "out", AckID: 9}, "x"},
		{"group", &serviceproto.CloseGroupConnectionsWithAck{Group: "g", Reason: "out", AckID: 9}, "yz"},
		{"unknown group", &serviceproto.CloseGroupConnectionsWithAck{Group: "h", Reason: "out", AckID: 9}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, appserver.Options{})
			// The clients live elsewhere, and their own server hears of it.
			a, own := s.attach("a", serviceproto.HandshakeRequest{}), s.attach("own", serviceproto.HandshakeRequest{})
			all := []*client{s.at(own, "x", "ann"), s.at(own, "y", "ann"), s.at(own, "z", "bob")}
			a.Send(&serviceproto.JoinGroup{ConnectionID: "y", Group: "g"}, &serviceproto.JoinGroup{ConnectionID: "z", Group: "g"})
			if d := cmp.Diff(&serviceproto.Ack{AckID: 9, Status: serviceproto.StatusOK}, a.Ack(c.m)); d != "" {
				t.Error(d)
			}
			heard := map[string]string{}
			for range c.closed {
				m := nodetest.Expect[*serviceproto.CloseConnection](own.Link)
				heard[m.ConnectionID] = m.Error
			}
			for _, x := range all {
				if !strings.Contains(c.closed, x.ID) {
					x.quiet()
					continue
				}
				if d := cmp.Diff(relay.Reason{Category: relay.ClosedByAppServer, Text: "out"}, x.reason()); d != "" {
					t.Error(d)
				}
				if heard[x.ID] != "out" {
					t.Errorf("%s: the server heard %q", x.ID, heard[x.ID])
				}
			}
		})
	}
}

func TestGroupMembers(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	var want []serviceproto.GroupMember
	for i := range 7 {
		id, user := fmt.Sprint("c", i), ""
		if i%2 == 1 {
			user = "ann"
		}
		s.at(a, id, user)
		a.Send(&serviceproto.JoinGroup{ConnectionID: id, Group: "g"})
		want = append(want, serviceproto.GroupMember{ConnectionID: id, UserID: user})
	}
	for _, c := range []struct {
		name      string
		top, page *int
		pages     []int
	}{
		{"no limit", nil, nil, []int{7}},
		{"pages of 3", nil, ptr(3), []int{3, 3, 1}},
		{"pages of 7", nil, ptr(7), []int{7}},
		{"at most 2 of a page of 5", ptr(2), ptr(5), []int{2}},
		{"at most 2", ptr(2), nil, []int{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []serviceproto.GroupMember
			var from *string
			for _, n := range c.pages {
				id := a.AckID()
				r := a.Ack(&serviceproto.GroupMemberQuery{Group: "g", AckID: id, Top: c.top, MaxPageSize: c.page, ContinuationToken: from})
				if r.AckID != id || r.Status != serviceproto.StatusOK {
					t.Fatalf("%+v", r)
				}
				members, next, err := serviceproto.ReadGroupMembers(r.Data)
				if err != nil || len(members) != n {
					t.Fatalf("%d members, want %d: %v", len(members), n, err)
				}
				got = append(got, members...)
				from = &next
			}
			if d := cmp.Diff(want[:len(got)], got); d != "" {
				t.Error(d)
			}
			if len(got) == len(want) && *from != "" {
				t.Errorf("the last page goes on at %q", *from)
			}
		})
	}
	r := a.Ack(&serviceproto.GroupMemberQuery{Group: "none", AckID: 99})
	if members, next, err := serviceproto.ReadGroupMembers(r.Data); err != nil || len(members) != 0 || next != "" || r.Status != serviceproto.StatusOK {
		t.Errorf("unknown group: %+v", r)
	}
}

func TestUserTTL(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	s.at(a, "old", "ann")
	a.Send(
		&serviceproto.UserJoinGroup{UserID: "ann", Group: "present", TTL: ptr(0)},
		&serviceproto.UserJoinGroup{UserID: "ann", Group: "hour", TTL: ptr(3600)},
		&serviceproto.UserJoinGroup{UserID: "ann", Group: "ever"},
		&serviceproto.UserJoinGroup{UserID: "ann", Group: "left"},
		&serviceproto.UserLeaveGroup{UserID: "ann", Group: "left"},
	)
	a.Settle()
	s.at(a, "new", "ann")
	for group, want := range map[string]int{"present": 1, "hour": 2, "ever": 2, "left": 0} {
		r := a.Ack(&serviceproto.GroupMemberQuery{Group: group, AckID: a.AckID()})
		if members, _, _ := serviceproto.ReadGroupMembers(r.Data); len(members) != want {
			t.Errorf("%s: %v", group, members)
		}
	}
}

func TestPings(t *testing.T) {
	s := serve(t, appserver.Options{})
	z, a := s.attach("z", serviceproto.HandshakeRequest{}), s.attach("a", serviceproto.HandshakeRequest{})
	s.attach("m", serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak})
	s.attach("a", serviceproto.HandshakeRequest{})
	ask := func(words ...string) []string {
		t.Helper()
		a.Send(&serviceproto.Ping{Words: words})
		return nodetest.Expect[*serviceproto.Ping](a.Link).Words
	}
	if d := cmp.Diff([]string{"status", "0", "clientcount", "0", "servercount", "4"}, ask("status", "1")); d != "" {
		t.Error(d)
	}
	s.at(z, "x", "")
	if d := cmp.Diff([]string{"status", "1", "clientcount", "1", "servercount", "4"}, ask("#client", "5", "status", "1")); d != "" {
		t.Error(d)
	}
	before := ""
	for range 3 {
		got := ask("servers", "")
		stamp, ids, _ := strings.Cut(got[1], ":")
		if got[0] != "servers" || ids != "a;m;z" {
			t.Errorf("%q", got)
		}
		if len(stamp) < len(before) || stamp <= before {
			t.Errorf("stamp %s after %s", stamp, before)
		}
		before = stamp
		time.Sleep(time.Microsecond) // the clock's grain, so that the next stamp is another
	}
	for _, words := range [][]string{nil, {"status"}, {"STATUS", "1"}, {"#clientInHub", "1", "#client", "2"}, {"shutdown", "finack"}, {"echo", "x"}, {"x", "status"}} {
		a.Send(&serviceproto.Ping{Words: words})
	}
	a.Settle() // none of them is answered
}
