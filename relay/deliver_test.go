package relay_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
)

func TestTargets(t *testing.T) {
	h := relay.New().Hub("h")
	attach(h, relay.Attach{ServerID: "a"})
	members := map[string]member{}
	for _, c := range []struct{ id, user, groups string }{
		{"a1", "ann", "g"}, {"a2", "ann", "gh"}, {"b1", "bob", "h"}, {"n1", "", "g"}, {"n2", "", ""},
	} {
		members[c.id] = join(t, h, c.id, c.user)
		for _, g := range c.groups {
			joinGroup(t, h, relay.Connections, c.id, string(g))
		}
	}
	type list = []string
	for _, c := range []struct {
		name string
		to   relay.Target
		want list
	}{
		{"everyone", relay.Target{}, list{"a1", "a2", "b1", "n1", "n2"}},
		{"everyone but two", relay.Target{Except: list{"a1", "n2", "zz"}}, list{"a2", "b1", "n1"}},
		{"everyone but a user", relay.Target{ExceptUsers: list{"ann", ""}}, list{"b1", "n1", "n2"}},
		{"a connection", relay.Target{Scope: relay.Connections, Names: list{"n2"}}, list{"n2"}},
		{"an unknown connection", relay.Target{Scope: relay.Connections, Names: list{"zz"}}, nil},
		{"connections, one twice", relay.Target{Scope: relay.Connections, Names: list{"n2", "a1", "zz", "n2"}}, list{"a1", "n2", "n2"}},
		{"a connection but itself", relay.Target{Scope: relay.Connections, Names: list{"n2"}, Except: list{"n2"}}, nil},
		{"a group", relay.Target{Scope: relay.Groups, Names: list{"g"}}, list{"a1", "a2", "n1"}},
		{"a group but one", relay.Target{Scope: relay.Groups, Names: list{"g"}, Except: list{"a1"}}, list{"a2", "n1"}},
		{"a group but a user", relay.Target{Scope: relay.Groups, Names: list{"g"}, ExceptUsers: list{"ann"}}, list{"n1"}},
		{"two groups, a copy each", relay.Target{Scope: relay.Groups, Names: list{"g", "h", "none"}}, list{"a1", "a2", "a2", "b1", "n1"}},
		{"case of a group", relay.Target{Scope: relay.Groups, Names: list{"G"}}, nil},
		{"a user", relay.Target{Scope: relay.Users, Names: list{"ann"}}, list{"a1", "a2"}},
		{"two users, one twice", relay.Target{Scope: relay.Users, Names: list{"bob", "ann", "bob", "eve"}}, list{"a1", "a2", "b1", "b1"}},
		{"no names", relay.Target{Scope: relay.Groups}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			do(t, h, nil, &relay.Deliver{To: c.to, Payload: payload(c.name)})
			var got list
			for id, m := range members {
				for _, p := range m.take() {
					if p != c.name {
						t.Errorf("%s got %q", id, p)
					}
					got = append(got, id)
				}
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHangupTarget(t *testing.T) {
	h := relay.New().Hub("h")
	a := attach(h, relay.Attach{ServerID: "a"})
	x, y := join(t, h, "x", "ann"), join(t, h, "y", "ann")
	do(t, h, nil, &relay.Hangup{To: relay.Target{Scope: relay.Users, Names: []string{"ann"}, Except: []string{"y"}}, Text: "go"})
	if d := cmp.Diff([]relay.Reason{{Category: relay.ClosedByAppServer, Text: "go"}}, x.reasons()); d != "" {
		t.Error(d)
	}
	if len(y.reasons()) != 0 || h.Len() != 1 {
		t.Error("the exception was closed")
	}
	if d := cmp.Diff(`close "go" to=""`, a.of("x")[2]); d != "" {
		t.Error(d)
	}
}

func TestPayloadFor(t *testing.T) {
	p := relay.Payload{{Protocol: "json", Data: []byte("J")}, {Protocol: "MessagePack", Data: []byte("M")}, {Protocol: "é[", Data: []byte("X")}}
	for name, want := range map[string]string{
		"json": "J", "JSON": "J", "Json": "J", "messagepack": "M", "MESSAGEPACK": "M", "é[": "X",
		"É[": "", "é{": "", "jso": "", "jsonn": "", "": "", "blazorpack": "",
	} {
		if got := string(p.For(name)); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if relay.Payload(nil).For("json") != nil {
		t.Error("an empty payload has bytes")
	}
}

// Messages that one Backend sends one after the other reach every client in
// that order, also where the fan-out uses all cores, while others come and go.
func TestOrderUnderParallelFanOut(t *testing.T) {
	h := relay.New().Hub("h")
	attach(h, relay.Attach{ServerID: "a"})
	const messages = 40
	var all []member
	for i := range relay.ParallelFrom + 200 {
		all = append(all, join(t, h, fmt.Sprint(i), ""))
		joinGroup(t, h, relay.Connections, fmt.Sprint(i), "g")
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			c, err := h.Connect(t.Context(), relay.Connect{ID: fmt.Sprint("guest", i), Opening: opening("hello")}, &sink{protocol: "json"})
			if err != nil {
				t.Error(err)
				return
			}
			joinGroup(t, h, relay.Connections, c.ID, "g")
			c.End("")
		}
	})
	var want []string
	for i := range messages {
		to := relay.Target{}
		if i%2 == 1 {
			to = relay.Target{Scope: relay.Groups, Names: []string{"g"}}
		}
		want = append(want, fmt.Sprint(i))
		do(t, h, nil, &relay.Deliver{To: to, Payload: payload(fmt.Sprint(i))})
	}
	close(stop)
	wg.Wait()
	for _, m := range all {
		if got := m.take(); !slices.Equal(got, want) {
			t.Fatalf("%s: %v", m.ID, got)
		}
	}
	consistent(t, h)
}

// A join is visible to every send that follows it, and a leave too.
func TestJoinBeforeSend(t *testing.T) {
	h := relay.New().Hub("h")
	attach(h, relay.Attach{ServerID: "a"})
	var wg sync.WaitGroup
	for lane := range 8 {
		wg.Go(func() {
			id, g := fmt.Sprint(lane), "shared"
			m := join(t, h, id, "")
			for i := range 200 {
				joinGroup(t, h, relay.Connections, id, g)
				text := fmt.Sprint(lane, ".", i)
				do(t, h, nil, &relay.Deliver{To: relay.Target{Scope: relay.Groups, Names: []string{g}}, Payload: payload(text)})
				if !slices.Contains(m.take(), text) {
					t.Errorf("lane %d: message %d overtook the join", lane, i)
				}
				do(t, h, nil, &relay.Member{Scope: relay.Connections, Name: id, Group: g})
				m.take()
				text = "after " + text
				do(t, h, nil, &relay.Deliver{To: relay.Target{Scope: relay.Groups, Names: []string{g}}, Payload: payload(text)})
				if slices.Contains(m.take(), text) {
					t.Errorf("lane %d: message %d overtook the leave", lane, i)
				}
			}
			m.End("")
		})
	}
	wg.Wait()
	empty(t, h)
}

func TestMembersSet(t *testing.T) {
	var m relay.Members
	var cs []*relay.Client
	for range 100 {
		cs = append(cs, &relay.Client{})
	}
	for _, c := range cs {
		if m.Has(c) || !m.Add(c) || m.Add(c) || !m.Has(c) {
			t.Fatal("add")
		}
	}
	if got := m.AppendTo(nil); m.Len() != 100 || len(got) != 100 {
		t.Fatal("length")
	}
	for i, c := range cs {
		if i%3 != 0 {
			if !m.Remove(c) || m.Remove(c) || m.Has(c) {
				t.Fatal("remove")
			}
		}
	}
	for i, c := range cs {
		if m.Has(c) != (i%3 == 0) {
			t.Fatalf("%d", i)
		}
	}
	if got := m.AppendTo(make([]*relay.Client, 1)); len(got) != 35 {
		t.Fatal(len(got))
	}
}

func TestShards(t *testing.T) {
	s := relay.NewIntShards()
	put := func(k string, v int) { s.Change(k, func(int, bool) (int, bool) { return v, true }) }
	want := map[string]int{}
	for i := range 1000 {
		k := fmt.Sprint(i)
		put(k, i)
		want[k] = i
	}
	for i := range 500 {
		k := fmt.Sprint(i)
		s.Change(k, func(v int, ok bool) (int, bool) {
			if !ok || v != i {
				t.Errorf("%s: %d %t", k, v, ok)
			}
			return v, false
		})
		delete(want, k)
	}
	s.Change("never", func(v int, ok bool) (int, bool) {
		if ok || v != 0 {
			t.Error("never was there")
		}
		return 7, false
	})
	got := map[string]int{}
	s.Each(func(k string, v int) { got[k] = v })
	if d := cmp.Diff(want, got); d != "" || s.Len() != len(want) {
		t.Error(s.Len(), d)
	}
	if v, ok := s.Get("999"); !ok || v != 999 {
		t.Error("get")
	}
	if _, ok := s.Get("0"); ok {
		t.Error("get after removal")
	}
}
