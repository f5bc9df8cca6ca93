package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
)

func TestChoiceOfBackend(t *testing.T) {
	type server struct {
		id    string
		load  int // clients it has already
		weak  bool
		drain bool
	}
	for _, c := range []struct {
		name    string
		servers []server
		want    relay.Connect
		chosen  int // index, -1 for ErrNoServer
	}{
		{"the only one", []server{{id: "a"}}, relay.Connect{}, 0},
		{"least loaded", []server{{id: "a", load: 3}, {id: "b", load: 1}, {id: "c", load: 2}}, relay.Connect{}, 1},
		{"weak never", []server{{id: "a", weak: true}, {id: "b", load: 5}}, relay.Connect{}, 1},
		{"only weak", []server{{id: "a", weak: true}}, relay.Connect{}, -1},
		{"draining never", []server{{id: "a", drain: true}, {id: "b", load: 5}}, relay.Connect{}, 1},
		{"only draining", []server{{id: "a", drain: true}}, relay.Connect{}, -1},
		{"nobody", nil, relay.Connect{}, -1},
		{"anywhere ignores the server id", []server{{id: "a", load: 2}, {id: "b"}}, relay.Connect{ServerID: "a"}, 1},
		{"preferred and there", []server{{id: "a", load: 2}, {id: "b"}}, relay.Connect{ServerID: "a", Sticky: relay.Preferred}, 0},
		{"preferred, least of its own", []server{{id: "a", load: 2}, {id: "b"}, {id: "a", load: 1}}, relay.Connect{ServerID: "a", Sticky: relay.Preferred}, 2},
		{"preferred but away", []server{{id: "b", load: 1}, {id: "c"}}, relay.Connect{ServerID: "a", Sticky: relay.Preferred}, 1},
		{"preferred but draining", []server{{id: "a", drain: true}, {id: "c", load: 1}}, relay.Connect{ServerID: "a", Sticky: relay.Preferred}, 1},
		{"preferred but weak", []server{{id: "a", weak: true}, {id: "c", load: 1}}, relay.Connect{ServerID: "a", Sticky: relay.Preferred}, 1},
		{"required and there", []server{{id: "b"}, {id: "a", load: 9}}, relay.Connect{ServerID: "a", Sticky: relay.Required}, 1},
		{"required but away", []server{{id: "b"}}, relay.Connect{ServerID: "a", Sticky: relay.Required}, -1},
		{"required but draining", []server{{id: "a", drain: true}, {id: "b"}}, relay.Connect{ServerID: "a", Sticky: relay.Required}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := relay.New().Hub("h")
				var cast []*relay.Route
				for i, s := range c.servers {
					r := attach(h, relay.Attach{ServerID: s.id, Weak: s.weak}).route
					cast = append(cast, r)
					for n := range s.load { // a new one is the least loaded of its id
						connect(t, h, relay.Connect{ID: fmt.Sprintf("%d-%d", i, n), ServerID: s.id, Sticky: relay.Required})
					}
					if s.drain {
						r.Drain(false)
					}
				}
				before := make([]int, len(cast))
				for i, r := range cast {
					before[i] = r.Len()
				}
				w := c.want
				w.ID = "x"
				_, err := h.Connect(t.Context(), w, &sink{})
				got := -1
				for i, r := range cast {
					if r.Len() > before[i] {
						got = i
					}
				}
				if got != c.chosen {
					t.Errorf("chose %d, want %d", got, c.chosen)
				}
				if (c.chosen < 0) != errors.Is(err, relay.ErrNoServer) {
					t.Errorf("error %v", err)
				}
				consistent(t, h)
			})
		})
	}
}

func TestConnectWaitsForServer(t *testing.T) {
	for _, c := range []struct {
		name   string
		cancel time.Duration // when the caller gives up; 0 for never
		attach time.Duration // when a server comes; 0 for never
		weak   bool
		drain  time.Duration
		after  time.Duration // when Connect returns
		want   error
	}{
		{name: "comes in time", attach: time.Second, after: time.Second},
		{name: "never comes", after: relay.ConnectWait, want: relay.ErrNoServer},
		{name: "a weak one does not help", attach: time.Second, weak: true, after: relay.ConnectWait, want: relay.ErrNoServer},
		{name: "too late", attach: relay.ConnectWait + time.Second, after: relay.ConnectWait, want: relay.ErrNoServer},
		{name: "client gives up", cancel: time.Second / 2, after: time.Second / 2, want: context.Canceled},
		{name: "hub drains", drain: time.Second / 2, after: time.Second / 2, want: relay.ErrDraining},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := relay.New()
				h := r.Hub("h")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				at := func(d time.Duration, f func()) {
					if d > 0 {
						time.AfterFunc(d, f)
					}
				}
				at(c.cancel, cancel)
				at(c.attach, func() { attach(h, relay.Attach{ServerID: "a", Weak: c.weak}) })
				at(c.drain, func() { r.Drain(context.Background(), 0) })
				began := time.Now()
				_, err := h.Connect(ctx, relay.Connect{ID: "x", Opening: opening("hello")}, &sink{})
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if d := time.Since(began); d != c.after {
					t.Errorf("after %s, want %s", d, c.after)
				}
				time.Sleep(5 * time.Second) // virtual: what was planned later happens now
				consistent(t, h)
			})
		})
	}
}

func TestConnectRefused(t *testing.T) {
	h := relay.New().Hub("h")
	a := attach(h, relay.Attach{ServerID: "a"})
	first := join(t, h, "x", "ann")
	if _, err := h.Connect(t.Context(), relay.Connect{ID: "x", User: "bob", HasUser: true, Opening: opening("hello")}, &sink{}); !errors.Is(err, relay.ErrDuplicate) {
		t.Errorf("duplicate id: %v", err)
	}
	if h.Client("x") != first.Client || a.route.Len() != 1 {
		t.Error("the first owner of the id is gone")
	}
	a.err = errors.New("no")
	if _, err := h.Connect(t.Context(), relay.Connect{ID: "y", User: "bob", HasUser: true, Opening: opening("hello")}, &sink{}); err == nil {
		t.Error("an Open that fails went unnoticed")
	}
	consistent(t, h)
	first.End("")
	empty(t, h)
}

func TestClientLife(t *testing.T) {
	h := relay.New().Hub("h")
	a := attach(h, relay.Attach{ServerID: "a"})
	c := connect(t, h, relay.Connect{ID: "x", Opening: opening("hello more")})
	if err := c.Data(t.Context(), []byte("again"), true, false); err != nil {
		t.Error(err)
	}
	c.End("bye")
	c.End("twice")
	c.Client.Close(relay.Reason{})
	if err := c.Data(t.Context(), []byte("late"), true, false); !errors.Is(err, relay.ErrClosed) {
		t.Errorf("data after the end: %v", err)
	}
	want := []string{`open from=""`, "data hello more", "data again", `close "bye" to=""`}
	if d := cmp.Diff(want, a.of("x")); d != "" {
		t.Error(d)
	}
	if len(c.reasons()) != 0 {
		t.Error("End closed the Sink")
	}
	empty(t, h)
}

func TestEndedByApp(t *testing.T) {
	h := relay.New().Hub("h")
	own, other := attach(h, relay.Attach{ServerID: "a"}), attach(h, relay.Attach{ServerID: "b"})
	why := relay.Reason{Category: relay.ClosedByAppServer, Text: "out", Detail: true}
	for _, c := range []struct {
		name  string
		from  *server
		close []string // what the owning server hears
	}{
		{"its own server", own, nil},
		{"another server", other, []string{`close "out" to=""`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := connect(t, h, relay.Connect{ID: c.name, ServerID: "a", Sticky: relay.Required})
			h.Ended(c.from.route, c.name, "out")
			h.Ended(c.from.route, c.name, "out") // it may cross our own close
			if d := cmp.Diff([]relay.Reason{why}, m.reasons()); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.close, own.of(c.name)[2:], cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); d != "" {
				t.Error(d)
			}
		})
	}
	empty(t, h)
}

func TestDetachHangsUp(t *testing.T) {
	h := relay.New().Hub("h")
	a, b := attach(h, relay.Attach{ServerID: "a"}), attach(h, relay.Attach{ServerID: "b"})
	var of [2][]member
	for i := range 20 {
		n := i % 2
		of[n] = append(of[n], connect(t, h, relay.Connect{ID: fmt.Sprint(i), ServerID: string(rune('a' + n)), Sticky: relay.Required}))
	}
	why := relay.Reason{Category: relay.ServerConnectionClosed, Text: "ServerOffline", AllowReconnect: true}
	a.route.Detach(why)
	a.route.Detach(why)
	for _, m := range of[0] {
		if d := cmp.Diff([]relay.Reason{why}, m.reasons()); d != "" {
			t.Error(d)
		}
	}
	for _, m := range of[1] {
		if len(m.reasons()) != 0 {
			t.Errorf("%s of the other server was closed", m.ID)
		}
	}
	if h.Len() != 10 || h.Routes() != 1 || !slices.Equal(h.Servers(), []string{"b"}) {
		t.Errorf("%d clients, servers %v", h.Len(), h.Servers())
	}
	b.route.Hangup(relay.Reason{})
	empty(t, h)
}

func TestMove(t *testing.T) {
	h := relay.New().Hub("h")
	a := attach(h, relay.Attach{ServerID: "a", MayMove: true})
	stays := attach(h, relay.Attach{ServerID: "a", MayMove: true}) // another connection of the same process
	c := connect(t, h, relay.Connect{ID: "x", ServerID: "a", Sticky: relay.Required, User: "ann", HasUser: true, Opening: opening("hello+early")})
	do(t, h, nil, &relay.Member{Join: true, Scope: relay.Connections, Name: "x", Group: "g"})
	for _, s := range []*server{a, stays} {
		s.route.Drain(true)
	}
	if !c.Moving() {
		t.Fatal("not moving")
	}
	from, other := a, stays
	if len(a.of("x")) == 0 {
		from, other = stays, a
	}
	c.Data(t.Context(), []byte("1"), true, false) // nowhere to go yet
	b := attach(h, relay.Attach{ServerID: "b"})
	c.Data(t.Context(), []byte("2"), false, false) // within a message
	c.Data(t.Context(), []byte("3"), true, false)
	c.Data(t.Context(), []byte("4"), true, false)
	if d := cmp.Diff([]string{`open from=""`, "data hello+early", "data 1", "data 2", `close "" to="b"`}, from.of("x")); d != "" {
		t.Error("old server: " + d)
	}
	if d := cmp.Diff([]string{`open from="a"`, "data hello", "data 3", "data 4"}, b.of("x")); d != "" {
		t.Error("new server: " + d)
	}
	if len(other.of("x")) != 0 {
		t.Error("moved within one process")
	}
	if c.moved != 1 || len(c.reasons()) != 0 || c.Moving() {
		t.Errorf("moved %d times, closed %v, still moving %t", c.moved, c.reasons(), c.Moving())
	}
	do(t, h, b.route, &relay.Deliver{To: relay.Target{Scope: relay.Groups, Names: []string{"g"}}, Payload: payload("group")})
	do(t, h, b.route, &relay.Deliver{To: relay.Target{Scope: relay.Users, Names: []string{"ann"}}, Payload: payload("user")})
	if d := cmp.Diff([]string{"group", "user"}, c.take()); d != "" {
		t.Error("memberships: " + d)
	}
	// b did not ask for migration, so that is where it ends.
	b.route.Drain(true)
	attach(h, relay.Attach{ServerID: "d", MayMove: true})
	c.Data(t.Context(), []byte("5"), true, false)
	if d := cmp.Diff("data 5", b.of("x")[4]); d != "" {
		t.Error(d)
	}
	c.End("")
	empty(t, h)
}

func TestServersAndStateful(t *testing.T) {
	h := relay.New().Hub("h")
	if h.AllowsStateful() || len(h.Servers()) != 0 {
		t.Error("an empty hub has servers")
	}
	attach(h, relay.Attach{ServerID: "a"})
	attach(h, relay.Attach{ServerID: "b"})
	s := attach(h, relay.Attach{ServerID: "a", Stateful: true})
	ids := h.Servers()
	slices.Sort(ids)
	if d := cmp.Diff([]string{"a", "b"}, ids); d != "" {
		t.Error(d)
	}
	if !h.AllowsStateful() {
		t.Error("stateful not seen")
	}
	s.route.Detach(relay.Reason{})
	if h.AllowsStateful() {
		t.Error("stateful remembered after the server left")
	}
}
