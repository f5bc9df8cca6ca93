package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/relay"
)

// An application has a hub that its clients join and more that they listen to.
type application struct {
	*relay.Relay
	app  *relay.Hub
	also []*relay.Hub
}

func newApplication(also ...string) *application {
	a := &application{Relay: relay.New()}
	a.app = a.Hub("app")
	for _, name := range also {
		a.also = append(a.also, a.Hub(name))
	}
	return a
}

// attach gives app servers a connection for each hub, as an SDK does, and
// returns those of the application itself.
func (a *application) attach(ids ...string) (servers []*server) {
	for _, id := range ids {
		servers = append(servers, attach(a.app, relay.Attach{ServerID: id}))
		for _, h := range a.also {
			attach(h, relay.Attach{ServerID: id})
		}
	}
	return servers
}

// consistent fails unless every hub fits together and holds n clients.
func (a *application) consistent(t *testing.T, n int) {
	t.Helper()
	if err := a.Check(); err != nil {
		t.Error(err)
	}
	for _, h := range a.Hubs() {
		if h.Len() != n {
			t.Errorf("hub %s has %d clients, want %d", h.Name, h.Len(), n)
		}
		if n == 0 {
			empty(t, h)
		}
	}
}

func TestAlsoHears(t *testing.T) {
	a := newApplication("chat", "news")
	a.attach("s")
	both := connect(t, a.app, relay.Connect{ID: "both", User: "ann", HasUser: true, Also: a.also})
	one := connect(t, a.app, relay.Connect{ID: "one", User: "ann", HasUser: true, Also: a.also[:1]})
	none := connect(t, a.app, relay.Connect{ID: "none"})
	do(t, a.app, nil, &relay.Member{Join: true, Scope: relay.Connections, Name: "one", Group: "g"})
	chat, news := a.also[0], a.also[1]
	for _, c := range []struct {
		name string
		hub  *relay.Hub
		to   relay.Target
		want string // who hears it
	}{
		{"everyone of the application", a.app, relay.Target{}, "both one none"},
		{"everyone of a hub", chat, relay.Target{}, "both one"},
		{"everyone of another", news, relay.Target{}, "both"},
		{"everyone but one", chat, relay.Target{Except: []string{"both"}}, "one"},
		{"a user of a hub", chat, relay.Target{Scope: relay.Users, Names: []string{"ann"}}, "both one"},
		{"a user of another", news, relay.Target{Scope: relay.Users, Names: []string{"ann"}}, "both"},
		{"a user of the application", a.app, relay.Target{Scope: relay.Users, Names: []string{"ann"}}, "both one"},
		{"a connection by its hub", chat, relay.Target{Scope: relay.Connections, Names: []string{"one"}}, "one"},
		{"a connection that does not listen", news, relay.Target{Scope: relay.Connections, Names: []string{"one"}}, ""},
		{"a group of the application", a.app, relay.Target{Scope: relay.Groups, Names: []string{"g"}}, "one"},
		{"a group elsewhere", chat, relay.Target{Scope: relay.Groups, Names: []string{"g"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			do(t, c.hub, nil, &relay.Deliver{To: c.to, Payload: payload("m")})
			got := ""
			for _, m := range []member{both, one, none} {
				heard := m.take()
				if len(heard) > 1 {
					t.Errorf("%s heard it %d times", m.ID, len(heard))
				}
				if len(heard) > 0 {
					got += " " + m.ID
				}
			}
			if got != "" {
				got = got[1:]
			}
			if got != c.want {
				t.Errorf("heard by %q, want %q", got, c.want)
			}
		})
	}
	for _, m := range []member{both, one, none} {
		m.End("")
	}
	a.consistent(t, 0)
}

// What is done to a client through a hub that it listens to is done to the
// client as a whole.
func TestAlsoActs(t *testing.T) {
	said := []string{`close "bye" to=""`}
	for _, c := range []struct {
		name   string
		act    func(h *relay.Hub, own, here *relay.Route) // own has the client, here is a connection of h
		heard  []string
		closed bool
		told   []string // its server, after the opening
	}{
		{"Output", func(h *relay.Hub, _, _ *relay.Route) { h.Output("x", []byte("out"), 0) }, []string{"out"}, false, nil},
		{"Ended by the one that has it", func(h *relay.Hub, own, _ *relay.Route) { h.Ended(own, "x", "bye") }, nil, true, nil},
		{"Ended by another connection", func(h *relay.Hub, _, here *relay.Route) { h.Ended(here, "x", "bye") }, nil, true, said},
		{"Hangup", func(h *relay.Hub, _, _ *relay.Route) {
			h.Handle(context.Background(), nil, &relay.Hangup{Text: "bye"})
		}, nil, true, said},
		{"Detach of a connection of that hub", func(_ *relay.Hub, _, here *relay.Route) { here.Detach(relay.Reason{}) }, nil, false, nil},
		{"Detach of the one that has it", func(_ *relay.Hub, own, _ *relay.Route) { own.Detach(relay.Reason{Text: "bye"}) }, nil, true, said},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApplication("chat", "news")
			s := attach(a.app, relay.Attach{ServerID: "s"})
			here := attach(a.also[0], relay.Attach{ServerID: "s"})
			x := connect(t, a.app, relay.Connect{ID: "x", User: "ann", HasUser: true, Also: a.also})
			opening := len(s.of("x"))
			c.act(a.also[0], s.route, here.route)
			if got := x.take(); !slices.Equal(got, c.heard) {
				t.Errorf("heard %q", got)
			}
			if closed := len(x.reasons()) == 1; closed != c.closed {
				t.Errorf("closed: %+v", x.reasons())
			}
			if told := s.of("x")[opening:]; !slices.Equal(told, c.told) {
				t.Errorf("its server was told %q, want %q", told, c.told)
			}
			if told := here.of("x"); len(told) != 0 {
				t.Errorf("a server without the client was told %q", told)
			}
			if c.closed {
				a.consistent(t, 0)
			} else {
				a.consistent(t, 1)
			}
		})
	}
}

// Groups are those of the application, whoever puts a client into one, and
// leave nothing behind.
func TestAlsoGroups(t *testing.T) {
	for _, c := range []struct {
		name string
		join *relay.Member
	}{
		{"of a connection", &relay.Member{Join: true, Scope: relay.Connections, Name: "x", Group: "g"}},
		{"of a user", &relay.Member{Join: true, Scope: relay.Users, Name: "ann", Group: "g", Expires: time.Unix(1, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApplication("chat")
			a.attach("s")
			x := connect(t, a.app, relay.Connect{ID: "x", User: "ann", HasUser: true, Also: a.also})
			do(t, a.also[0], nil, c.join)
			a.consistent(t, 1)
			do(t, a.app, nil, &relay.Deliver{To: relay.Target{Scope: relay.Groups, Names: []string{"g"}}, Payload: payload("m")})
			if got := x.take(); len(got) != 1 {
				t.Errorf("the group heard %q", got)
			}
			leave := *c.join
			leave.Join = false
			do(t, a.also[0], nil, &leave)
			do(t, a.app, nil, &relay.Deliver{To: relay.Target{Scope: relay.Groups, Names: []string{"g"}}, Payload: payload("m")})
			if got := x.take(); len(got) != 0 {
				t.Errorf("the group it left heard %q", got)
			}
			do(t, a.also[0], nil, c.join)
			x.End("")
			a.consistent(t, 0)
		})
	}
}

// Who waits for the answer of a client hears of its end by whatever hub it
// asked.
func TestAlsoInvocations(t *testing.T) {
	a := newApplication("chat")
	a.attach("s")
	asking := attach(a.also[0], relay.Attach{ServerID: "asking"})
	x := connect(t, a.app, relay.Connect{ID: "x", Also: a.also})
	do(t, a.also[0], asking.route, ask("1", "x", "asking"))
	asking.told() // that the client lives elsewhere
	x.End("")
	if got := asking.told(); len(got) != 1 {
		t.Errorf("told %q", got)
	}
	a.consistent(t, 0)
}

// A client goes to an app server that has all of its hubs, if one does.
func TestAlsoChoosesServer(t *testing.T) {
	for _, c := range []struct {
		name    string
		servers map[string][]string // by id: the hubs that it has besides the application's
		want    relay.Connect
		goes    string // to one of these, by a letter
	}{
		{"one has them", map[string][]string{"a": {"chat"}, "b": {"chat", "news"}, "c": nil}, relay.Connect{}, "b"},
		{"two have them", map[string][]string{"a": {"chat"}, "b": {"chat", "news"}, "c": {"news", "chat"}}, relay.Connect{}, "bc"},
		{"nobody has them", map[string][]string{"a": {"chat"}, "b": {"news"}}, relay.Connect{}, "ab"},
		{"two connections for one hub are one", map[string][]string{"a": {"chat", "chat"}, "b": {"chat", "news"}}, relay.Connect{}, "b"},
		{"another is preferred", map[string][]string{"a": {"chat"}, "b": {"chat", "news"}}, relay.Connect{ServerID: "a", Sticky: relay.Preferred}, "a"},
		{"another is required", map[string][]string{"a": {"chat"}, "b": {"chat", "news"}}, relay.Connect{ServerID: "a", Sticky: relay.Required}, "a"},
		{"the preferred one is away", map[string][]string{"a": {"chat"}, "b": {"chat", "news"}}, relay.Connect{ServerID: "x", Sticky: relay.Preferred}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApplication("chat", "news")
			owners := map[string]*server{}
			for id, hubs := range c.servers {
				owners[id] = attach(a.app, relay.Attach{ServerID: id})
				for _, h := range hubs {
					attach(a.Hub(h), relay.Attach{ServerID: id})
				}
			}
			took := map[string]int{}
			for i := range 10 {
				c.want.ID, c.want.Also = fmt.Sprint("x", i), a.also
				x := connect(t, a.app, c.want)
				for id, s := range owners {
					if len(s.of(x.ID)) > 0 {
						took[id]++
					}
				}
			}
			for id, n := range took {
				if !slices.Contains([]byte(c.goes), id[0]) || n != 10/len(c.goes) {
					t.Errorf("%v went where, want %q evenly", took, c.goes)
				}
			}
			if len(took) != len(c.goes) {
				t.Errorf("%v went where, want %q", took, c.goes)
			}
			a.consistent(t, 10)
		})
	}
}

// A second client by an id is refused, and no hub has it.
func TestAlsoDuplicate(t *testing.T) {
	a := newApplication("chat", "news")
	s := a.attach("s")[0]
	first := connect(t, a.app, relay.Connect{ID: "x", User: "ann", HasUser: true, Also: a.also[:1]})
	second := &sink{protocol: "json"}
	_, err := a.app.Connect(t.Context(), relay.Connect{ID: "x", User: "eve", HasUser: true, Also: a.also, Opening: opening("hello")}, second)
	if !errors.Is(err, relay.ErrDuplicate) {
		t.Fatal(err)
	}
	if n := a.also[1].Len(); n != 0 || a.also[0].Client("x") != first.Client {
		t.Errorf("%d clients where only the second listens", n)
	}
	for _, h := range a.Hubs() {
		if do(t, h, nil, &relay.Check{Scope: relay.Users, Name: "eve"}).Found {
			t.Errorf("hub %s knows the user of the second", h.Name)
		}
		do(t, h, nil, &relay.Deliver{Payload: payload(h.Name)})
	}
	if got := second.take(); len(got) != 0 || len(second.reasons()) != 0 {
		t.Errorf("the second heard %q, %v", got, second.reasons())
	}
	if got := first.take(); len(got) != 2 || s.route.Len() != 1 {
		t.Errorf("the first heard %q, %d clients at the server", got, s.route.Len())
	}
	first.End("")
	a.consistent(t, 0)
}

// A client that finds no server is in no hub.
func TestAlsoWithoutServer(t *testing.T) {
	a := newApplication("chat")
	attach(a.also[0], relay.Attach{ServerID: "s"}) // does not have the application
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.app.Connect(ctx, relay.Connect{ID: "x", Also: a.also}, &sink{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := a.app.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ready: %v", err)
	}
	failing := attach(a.app, relay.Attach{ServerID: "s"})
	if err := a.app.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	failing.err = relay.ErrClosed
	if _, err := a.app.Connect(t.Context(), relay.Connect{ID: "x", Also: a.also}, &sink{}); !errors.Is(err, relay.ErrClosed) {
		t.Error(err)
	}
	a.consistent(t, 0)
}

// Drain closes each client once, however many hubs it listens to.
func TestAlsoDrain(t *testing.T) {
	a := newApplication("chat", "news")
	a.attach("s")
	var all []member
	for i := range 20 {
		all = append(all, connect(t, a.app, relay.Connect{ID: fmt.Sprint(i), Also: a.also}))
	}
	a.Drain(t.Context(), 0)
	for _, m := range all {
		if r := m.reasons(); len(r) != 1 || r[0].Category != relay.ServiceReload {
			t.Errorf("%s: %+v", m.ID, r)
		}
	}
	if err := a.app.Ready(t.Context()); !errors.Is(err, relay.ErrDraining) {
		t.Errorf("Ready: %v", err)
	}
	a.consistent(t, 0)
}

// Existing asks for a hub without making one.
func TestExisting(t *testing.T) {
	r := relay.New()
	if r.Existing("h") != nil || len(r.Hubs()) != 0 {
		t.Error("there is a hub")
	}
	if h := r.Hub("h"); r.Existing("h") != h {
		t.Error("it is another hub")
	}
}

// Clients come, go, are closed and hung up through any of their hubs while
// servers come and go and everybody speaks; afterwards nothing is left.
func TestAlsoChaos(t *testing.T) {
	a := newApplication("chat", "news", "blog")
	servers := a.attach("a", "b")
	var wg sync.WaitGroup
	for lane := range 6 {
		wg.Go(func() {
			for i := range 200 {
				id := fmt.Sprint(i % 40) // lanes compete for ids
				w := relay.Connect{ID: id, User: fmt.Sprint("u", i%5), HasUser: i%3 > 0, Opening: opening("hello")}
				w.Also = a.also[:(lane+i)%4]
				c, err := a.app.Connect(context.Background(), w, &sink{protocol: "json"})
				if err != nil {
					if !errors.Is(err, relay.ErrDuplicate) && !errors.Is(err, relay.ErrNoServer) {
						t.Error(err)
					}
					continue
				}
				for _, h := range a.Hubs() {
					h.Handle(context.Background(), nil, &relay.Member{Join: true, Scope: relay.Connections, Name: id, Group: "g"})
					h.Handle(context.Background(), nil, &relay.Deliver{Payload: payload("m")})
					h.Output(id, []byte("out"), 0)
				}
				switch i % 4 {
				case 0:
					c.End("")
				case 1:
					c.Close(relay.Reason{})
				case 2:
					a.also[i%3].Ended(servers[0].route, id, "")
				case 3:
					a.also[i%3].Handle(context.Background(), nil, &relay.Hangup{To: relay.Target{Scope: relay.Users, Names: []string{"u1"}}})
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 60 {
			h := a.Hubs()[i%4]
			s := attach(h, relay.Attach{ServerID: fmt.Sprint("s", i%3)})
			h.Handle(context.Background(), nil, &relay.Deliver{Payload: payload("m")})
			s.route.Detach(relay.Reason{})
		}
	})
	wg.Wait()
	if err := a.Check(); err != nil {
		t.Error(err)
	}
	for _, s := range servers {
		s.route.Detach(relay.Reason{})
	}
	a.consistent(t, 0)
}
