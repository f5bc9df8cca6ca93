package relay_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
)

func joinGroup(t testing.TB, h *relay.Hub, scope relay.Scope, name, group string) bool {
	t.Helper()
	return do(t, h, nil, &relay.Member{Join: true, Scope: scope, Name: name, Group: group}).Found
}

func inGroup(t testing.TB, h *relay.Hub, group string) []string {
	t.Helper()
	ids := []string{}
	for _, m := range do(t, h, nil, &relay.List{Group: group}).Members {
		ids = append(ids, m.Connection)
	}
	return ids
}

func TestConnectionMembership(t *testing.T) {
	h := relay.New().Hub("h")
	attach(h, relay.Attach{ServerID: "a"})
	x, y := join(t, h, "x", "ann"), join(t, h, "y", "")
	leave := func(name, group string) bool {
		return do(t, h, nil, &relay.Member{Scope: relay.Connections, Name: name, Group: group}).Found
	}
	for _, step := range []struct {
		name string
		got  bool
		want bool
	}{
		{"join", joinGroup(t, h, relay.Connections, "x", "g"), true},
		{"join again", joinGroup(t, h, relay.Connections, "x", "g"), true},
		{"second member", joinGroup(t, h, relay.Connections, "y", "g"), true},
		{"second group", joinGroup(t, h, relay.Connections, "x", "G"), true},
		{"nobody joins", joinGroup(t, h, relay.Connections, "z", "g"), false},
		{"leave of a non-member", leave("y", "G"), true},
		{"nobody leaves", leave("z", "g"), false},
	} {
		if step.got != step.want {
			t.Errorf("%s: %t", step.name, step.got)
		}
	}
	if d := cmp.Diff([]string{"x", "y"}, inGroup(t, h, "g")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"x"}, inGroup(t, h, "G")); d != "" {
		t.Error("names of groups have case: " + d)
	}
	leave("x", "g")
	if d := cmp.Diff([]string{"y"}, inGroup(t, h, "g")); d != "" {
		t.Error(d)
	}
	joinGroup(t, h, relay.Connections, "x", "g")
	do(t, h, nil, &relay.Member{Scope: relay.Connections, Name: "x", All: true})
	if g, G := inGroup(t, h, "g"), inGroup(t, h, "G"); !slices.Equal(g, []string{"y"}) || len(G) != 0 {
		t.Errorf("after leaving all: %v and %v", g, G)
	}
	consistent(t, h)
	y.End("")
	if do(t, h, nil, &relay.Check{Scope: relay.Groups, Name: "g"}).Found {
		t.Error("a group without members exists")
	}
	x.End("")
	empty(t, h)
}

func TestUserMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := relay.New().Hub("h")
		attach(h, relay.Attach{ServerID: "a"})
		old := join(t, h, "old", "ann")
		join(t, h, "stranger", "bob")
		in := func(ttl time.Duration, group string) {
			m := &relay.Member{Join: true, Scope: relay.Users, Name: "ann", Group: group}
			if ttl >= 0 {
				m.Expires = time.Now().Add(ttl)
			}
			do(t, h, nil, m)
		}
		in(-1, "ever")
		in(0, "present")
		in(time.Minute, "minute")
		later := join(t, h, "later", "ann")
		if d := cmp.Diff([][]string{{"later", "old"}, {"old"}, {"later", "old"}}, [][]string{inGroup(t, h, "ever"), inGroup(t, h, "present"), inGroup(t, h, "minute")}); d != "" {
			t.Error(d)
		}
		time.Sleep(59 * time.Second) // virtual
		in(time.Minute, "minute")    // begins anew
		time.Sleep(2 * time.Second)
		join(t, h, "second", "ann")
		if d := cmp.Diff([]string{"later", "old", "second"}, inGroup(t, h, "minute")); d != "" {
			t.Error("joining again does not begin the time anew: " + d)
		}
		time.Sleep(time.Minute)
		join(t, h, "last", "ann")
		if d := cmp.Diff([]string{"later", "old", "second"}, inGroup(t, h, "minute")); d != "" {
			t.Error("after the time: " + d)
		}
		for _, c := range []struct {
			name string
			m    relay.Check
			want bool
		}{
			{"user in group", relay.Check{Scope: relay.Users, Name: "ann", Group: "ever"}, true},
			{"user not in group", relay.Check{Scope: relay.Users, Name: "ann", Group: "none"}, false},
			{"other user", relay.Check{Scope: relay.Users, Name: "bob", Group: "ever"}, false},
			{"user exists", relay.Check{Scope: relay.Users, Name: "ann"}, true},
			{"user does not", relay.Check{Scope: relay.Users, Name: "cid"}, false},
			{"nobody in group", relay.Check{Scope: relay.Users, Name: "cid", Group: "ever"}, false},
			{"connection exists", relay.Check{Scope: relay.Connections, Name: "old"}, true},
			{"connection does not", relay.Check{Scope: relay.Connections, Name: "ann"}, false},
			{"group exists", relay.Check{Scope: relay.Groups, Name: "ever"}, true},
			{"group does not", relay.Check{Scope: relay.Groups, Name: "never"}, false},
		} {
			if got := do(t, h, nil, &c.m).Found; got != c.want {
				t.Errorf("%s: %t", c.name, got)
			}
		}
		// A user's leave takes out what joined by connection id, too.
		joinGroup(t, h, relay.Connections, "old", "solo")
		do(t, h, nil, &relay.Member{Scope: relay.Users, Name: "ann", Group: "solo"})
		do(t, h, nil, &relay.Member{Scope: relay.Users, Name: "ann", Group: "ever"})
		if n := len(inGroup(t, h, "solo")) + len(inGroup(t, h, "ever")); n != 0 {
			t.Errorf("%d members left", n)
		}
		join(t, h, "new", "ann")
		if n := len(inGroup(t, h, "ever")); n != 0 {
			t.Error("a user's leave does not end automatic joining")
		}
		in(-1, "ever")
		do(t, h, nil, &relay.Member{Scope: relay.Users, Name: "ann", All: true})
		join(t, h, "newest", "ann")
		if n := len(inGroup(t, h, "ever")) + len(inGroup(t, h, "minute")); n != 0 {
			t.Error("leaving all left something")
		}
		consistent(t, h)
		_, _ = old, later
	})
}

// A membership waits for a user whose connections have all gone, until its
// time is over.
func TestUserMembershipSurvivesTheConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := relay.New().Hub("h")
		attach(h, relay.Attach{ServerID: "a"})
		do(t, h, nil, &relay.Member{Join: true, Scope: relay.Users, Name: "ann", Group: "g", Expires: time.Now().Add(time.Minute)})
		if do(t, h, nil, &relay.Check{Scope: relay.Users, Name: "ann"}).Found {
			t.Error("a user without connections exists")
		}
		join(t, h, "1", "ann").End("")
		join(t, h, "2", "ann")
		if d := cmp.Diff([]string{"2"}, inGroup(t, h, "g")); d != "" {
			t.Error(d)
		}
		h.Client("2").End("")
		time.Sleep(2 * time.Minute) // virtual
		c := join(t, h, "3", "ann")
		if n := len(inGroup(t, h, "g")); n != 0 {
			t.Error("joined after the time")
		}
		c.End("")
		empty(t, h)
	})
}

func TestListPages(t *testing.T) {
	h := relay.New().Hub("h")
	attach(h, relay.Attach{ServerID: "a"})
	for i := range 10 {
		user := ""
		if i%2 == 0 {
			user = "u"
		}
		id := fmt.Sprintf("c%d", i)
		join(t, h, id, user)
		joinGroup(t, h, relay.Connections, id, "g")
	}
	var all []relay.GroupMember
	q := relay.List{Group: "g", Limit: 3}
	pages := 0
	for {
		r := do(t, h, nil, &q)
		pages++
		all = append(all, r.Members...)
		if r.Next == "" {
			break
		}
		// Who leaves between two pages, even the one the page ended with, does not disturb.
		do(t, h, nil, &relay.Member{Scope: relay.Connections, Name: r.Next, Group: "g"})
		q.From = r.Next
	}
	if pages != 4 || len(all) != 10 {
		t.Errorf("%d pages, %d members", pages, len(all))
	}
	for i, m := range all {
		want := relay.GroupMember{Connection: fmt.Sprintf("c%d", i), HasUser: i%2 == 0}
		if want.HasUser {
			want.User = "u"
		}
		if d := cmp.Diff(want, m); d != "" {
			t.Error(d)
		}
	}
	if r := do(t, h, nil, &relay.List{Group: "none", From: "x", Limit: 1}); r.Found || len(r.Members) != 0 {
		t.Errorf("unknown group: %+v", r)
	}
}

// A tag on a user who never comes is gone when its time is over; one that was
// renewed meanwhile is not.
func TestTagOfAbsentUserEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := relay.New().Hub("h")
		tag := func(d time.Duration) {
			do(t, h, nil, &relay.Member{Join: true, Scope: relay.Users, Name: "ann", Group: "g", Expires: time.Now().Add(d)})
		}
		tag(time.Minute)
		time.Sleep(30 * time.Second) // the bubble's clock: takes no time
		tag(time.Minute)
		time.Sleep(45 * time.Second)
		if h.Left() == "" {
			t.Fatal("the renewed tag is gone")
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if left := h.Left(); left != "" {
			t.Fatal(left)
		}
	})
}
