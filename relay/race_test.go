package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signalrelay/signalrelay/relay"
)

// rounds is how often a race is run. The interleavings that matter come up
// within a few hundred.
const rounds = 300

// balanced fails unless every open of a client at a server is followed by
// exactly one close, last; free says that the app ended the client itself.
func balanced(t *testing.T, s *server, id string, free bool) {
	t.Helper()
	opens, closes := 0, 0
	for _, e := range s.of(id) {
		switch {
		case strings.HasPrefix(e, "open"):
			opens++
		case strings.HasPrefix(e, "close"):
			closes++
			if closes > opens {
				t.Errorf("closed before it was opened: %v", s.of(id))
				return
			}
		}
	}
	if opens > 1 || !free && opens != closes {
		t.Errorf("%d opens, %d closes: %v", opens, closes, s.of(id))
	}
}

func TestRaces(t *testing.T) {
	for _, c := range []struct {
		name string
		race func(h *relay.Hub, a *server, c *relay.Client) // against the connect, the data and the moves of the client
		free bool
	}{
		{"end", func(_ *relay.Hub, _ *server, c *relay.Client) { c.End("") }, false},
		{"close", func(_ *relay.Hub, _ *server, c *relay.Client) { c.Close(relay.Reason{}) }, false},
		{"hangup of everybody", func(h *relay.Hub, _ *server, _ *relay.Client) {
			h.Handle(context.Background(), nil, &relay.Hangup{})
		}, false},
		{"hangup of the server's clients", func(_ *relay.Hub, a *server, _ *relay.Client) { a.route.Hangup(relay.Reason{}) }, false},
		{"detach", func(_ *relay.Hub, a *server, _ *relay.Client) { a.route.Detach(relay.Reason{}) }, false},
		{"app's close", func(h *relay.Hub, a *server, _ *relay.Client) { h.Ended(a.route, "x", "") }, true},
		{"join", func(h *relay.Hub, _ *server, _ *relay.Client) {
			h.Handle(context.Background(), nil, &relay.Member{Join: true, Scope: relay.Connections, Name: "x", Group: "g"})
		}, false},
		{"user join", func(h *relay.Hub, _ *server, _ *relay.Client) {
			m := &relay.Member{Join: true, Scope: relay.Users, Name: "ann", Group: "g"}
			h.Handle(context.Background(), nil, m)
			h.Handle(context.Background(), nil, &relay.Member{Scope: relay.Users, Name: "ann", All: true})
		}, false},
		{"move", func(_ *relay.Hub, a *server, _ *relay.Client) { a.route.Drain(true) }, false},
		{"invocation", func(h *relay.Hub, a *server, _ *relay.Client) {
			h.Handle(context.Background(), a.route, ask("1", "x", "a"))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range rounds {
				h := relay.New().Hub("h")
				a := attach(h, relay.Attach{ServerID: "a", MayMove: true})
				b := attach(h, relay.Attach{ServerID: "b", MayMove: true})
				// Groups that a new connection of the user joins at once.
				do(t, h, nil, &relay.Member{Join: true, Scope: relay.Users, Name: "ann", Group: "auto"})
				var wg sync.WaitGroup
				start := make(chan struct{})
				var client atomic.Pointer[relay.Client]
				opened := make(chan struct{})
				var once sync.Once
				note := func(cl *relay.Client) { client.Store(cl); once.Do(func() { close(opened) }) }
				a.opened, b.opened = note, note
				wg.Go(func() {
					<-start
					cl, err := h.Connect(context.Background(), relay.Connect{
						ID: "x", User: "ann", HasUser: true, ServerID: "a", Sticky: relay.Preferred, Opening: opening("hello"),
					}, &sink{})
					once.Do(func() { close(opened) })
					if err != nil {
						if !errors.Is(err, relay.ErrNoServer) {
							t.Error(err)
						}
						return
					}
					for range 3 {
						if cl.Data(context.Background(), []byte("data"), true, false) != nil {
							return
						}
					}
				})
				for i := range 2 { // twice: one before and one after, more often than not
					wg.Go(func() {
						<-start
						if i == 1 {
							<-opened
							if c := client.Load(); c == nil {
								return
							}
						} else if strings.HasPrefix(c.name, "end") || strings.HasPrefix(c.name, "close") {
							return // they need the client
						}
						c.race(h, a, client.Load())
					})
				}
				close(start)
				wg.Wait()
				consistent(t, h)
				if x := h.Client("x"); x != nil {
					x.End("")
				}
				balanced(t, a, "x", c.free)
				balanced(t, b, "x", c.free)
				do(t, h, nil, &relay.Member{Scope: relay.Users, Name: "ann", All: true})
				if empty(t, h); t.Failed() {
					return
				}
			}
		})
	}
}

// Many clients on three servers that come, go, drain and move, with messages
// and memberships in between; afterwards everything fits and nothing is left.
func TestChaos(t *testing.T) {
	h := relay.New().Hub("h")
	var servers []*server
	for _, id := range []string{"a", "b", "d"} {
		servers = append(servers, attach(h, relay.Attach{ServerID: id, MayMove: true}))
	}
	var wg sync.WaitGroup
	for lane := range 8 {
		wg.Go(func() {
			for i := range 300 {
				id, user := fmt.Sprintf("%d.%d", lane, i), fmt.Sprint("u", i%5)
				c, err := h.Connect(context.Background(), relay.Connect{ID: id, User: user, HasUser: true, Opening: opening("hello")}, &sink{protocol: "json"})
				if err != nil {
					continue
				}
				for g := range 4 {
					h.Handle(context.Background(), nil, &relay.Member{Join: true, Scope: relay.Connections, Name: id, Group: fmt.Sprint("g", (i+g)%7)})
				}
				h.Handle(context.Background(), nil, &relay.Deliver{To: relay.Target{Scope: relay.Groups, Names: []string{"g1"}}, Payload: payload("m")})
				c.Data(context.Background(), []byte("d"), true, false)
				h.Handle(context.Background(), nil, &relay.Member{Scope: relay.Users, Name: user, Group: "g2"})
				if i%3 > 0 {
					c.End("")
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 60 {
			s := attach(h, relay.Attach{ServerID: fmt.Sprint("s", i%4), MayMove: i%2 == 0})
			if i%3 == 0 {
				s.route.Drain(true)
			}
			h.Handle(context.Background(), nil, &relay.Hangup{To: relay.Target{Scope: relay.Users, Names: []string{"u1"}}})
			s.route.Detach(relay.Reason{})
		}
	})
	wg.Wait()
	consistent(t, h)
	for _, s := range servers {
		s.route.Detach(relay.Reason{})
	}
	empty(t, h)
}

func TestNothingLeftAfterManyClients(t *testing.T) {
	h := relay.New().Hub("h")
	a := attach(h, relay.Attach{ServerID: "a"})
	for i := range 10_000 {
		c, err := h.Connect(t.Context(), relay.Connect{ID: fmt.Sprint(i), User: fmt.Sprint(i % 100), HasUser: i%2 == 0, Opening: opening("hello")}, &sink{})
		if err != nil {
			t.Fatal(err)
		}
		joinGroup(t, h, relay.Connections, c.ID, fmt.Sprint("g", i%10))
		joinGroup(t, h, relay.Connections, c.ID, fmt.Sprint("own", i))
		do(t, h, a.route, ask(c.ID, c.ID, "a"))
		if i%2 == 0 {
			c.End("")
		} else {
			h.Ended(a.route, c.ID, "")
		}
	}
	empty(t, h)
}
