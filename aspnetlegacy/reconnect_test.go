package aspnetlegacy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// Cut on any transport, back on any: nothing is lost, nothing comes twice.
func TestReconnect(t *testing.T) {
	for _, from := range transports {
		for _, to := range transports {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				_, a, c := connected(t, aspnetlegacy.Options{}, from, "chat")
				a.says(c.id, `1`)
				c.hears(`1`)
				c.away()
				a.says(c.id, `2`)
				a.Settle()
				a.hubs["chat"].broadcasts(`3`)
				a.Settle()
				c.reconnect(to)
				c.hears(`2`, `3`)
				a.says(c.id, `4`)
				c.hears(`4`)
				a.heard(c.id, "asrs:reconnect")
				c.says(to, "x")
				a.heard(c.id, "x")
			})
		}
	}
}

// TestReconnectRandom cuts a client again and again while two server
// connections send numbers. What has reached it in part comes again whole.
func TestReconnectRandom(t *testing.T) {
	t.Parallel()
	const perLink, seeds = 300, 4
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 2))
			s, a, c := connected(t, aspnetlegacy.Options{}, transports[r.IntN(len(transports))], "chat")
			neighbour := s.connect(a, webSockets, []string{"chat"})
			go func() { // ends with the last number; the client waits for it
				for i := range perLink {
					a.says(c.id, `"a`+strconv.Itoa(i)+`"`)
				}
			}()
			go func() { // likewise
				for i := range perLink {
					a.hubs["chat"].broadcasts(`"b` + strconv.Itoa(i) + `"`)
				}
			}()
			var heard []string
			failed := 0 // in a row
			for until := 0; len(heard) < 2*perLink; {
				if len(heard) >= until {
					until = len(heard) + 1 + r.IntN(40)
					if p, ok := c.channel.(*polls); ok && r.IntN(2) == 0 {
						p.park()
					}
					c.cut()
					c.reconnect(transports[r.IntN(len(transports))])
				}
				all, err := c.elements()
				if err == nil {
					heard, failed = append(heard, all...), 0
					continue
				}
				// A poll that was cut may arrive behind the transport after it, and
				// takes its place: the client comes back once more.
				if failed++; failed == 10 {
					t.Fatalf("after %q: %v", heard, err)
				}
				c.reconnect(transports[r.IntN(len(transports))])
			}
			for _, link := range []string{`"a`, `"b`} {
				next := 0
				for _, h := range heard {
					n, ok := strings.CutPrefix(h, link)
					if !ok {
						continue
					}
					if n != strconv.Itoa(next)+`"` {
						t.Fatalf("%s where %d is due: %q", h, next, heard)
					}
					next++
				}
			}
			var want []string
			for i := range perLink {
				want = append(want, `"b`+strconv.Itoa(i)+`"`)
			}
			neighbour.hears(want...)
		})
	}
}

// An answer that was lost on its way comes again, since the client asks with
// the cursor that it had.
func TestPollAnswerLost(t *testing.T) {
	for _, action := range []string{"poll", "reconnect"} {
		t.Run(action, func(t *testing.T) {
			_, a, c := connected(t, aspnetlegacy.Options{}, longPolling)
			a.says(c.id, `1`)
			a.Settle()
			want := `{"C":"` + aspnetlegacy.Cursor(1) + `","M":[1]}`
			for range 2 {
				if got := <-c.poll(action).answer; got.Body != want {
					t.Fatalf("got %+v, want %s", got, want)
				}
			}
			a.says(c.id, `2`)
			c.hears(`1`, `2`)
		})
	}
}

// A response waits for a client that is away; on a WebSocket it does not,
// since its client has given up on it (legacy-client-protocol 5.3).
func TestResponseWhileAway(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		_, a, c := connected(t, aspnetlegacy.Options{}, via)
		c.away()
		a.answers(c.id, `{"I":"0"}`)
		a.says(c.id, `1`)
		a.Settle()
		c.reconnect(via)
		if via != webSockets {
			c.hears(`{"I":"0"}`)
		}
		c.hears(`1`)
	})
}

// Whoever brings no cursor of ours goes on from now (legacy-server-recordings,
// SSE).
func TestForeignCursor(t *testing.T) {
	for _, mark := range []string{
		"", "d-7DF80564-B,1|C,2", "0000", "*******", strings.Repeat("x", 300), `","M":[`,
		aspnetlegacy.Cursor(1 << 40), // looks like ours
	} {
		t.Run(mark, func(t *testing.T) {
			_, a, c := connected(t, aspnetlegacy.Options{}, serverSentEvents)
			c.away()
			a.says(c.id, `1`)
			a.Settle()
			c.mark = mark
			c.returns(a, serverSentEvents)
			a.says(c.id, `2`)
			c.hears(`2`)
			c.away()
			a.says(c.id, `3`)
			a.Settle()
			c.reconnect(serverSentEvents)
			c.hears(`3`)
		})
	}
}

// A client that has missed what is no longer kept is told so and ends, at its
// app too; its neighbours go on.
func TestTooLongAway(t *testing.T) {
	const lost = "Messages were lost: the client stayed away for too long."
	big := `"` + strings.Repeat("x", 100) + `"`
	later := func(s *service, seconds int) {
		for i := range seconds {
			s.Tick(time.Now().Add(time.Duration(i+1) * time.Second))
		}
	}
	for _, tt := range []struct {
		name string
		o    aspnetlegacy.Options
		miss func(s *service, a *app, c *client)
		lost bool
	}{
		{"by bytes", aspnetlegacy.Options{ReplayBuffer: 250}, func(s *service, a *app, c *client) {
			a.says(c.id, big, big, big)
		}, true},
		{"one alone of any size", aspnetlegacy.Options{ReplayBuffer: 50}, func(s *service, a *app, c *client) {
			a.says(c.id, big)
		}, false},
		{"by age", aspnetlegacy.Options{ReplayTime: 20 * time.Second}, func(s *service, a *app, c *client) {
			a.says(c.id, big)
			a.Settle()
			later(s, 25)
		}, true},
		{"within the time", aspnetlegacy.Options{ReplayTime: 20 * time.Second}, func(s *service, a *app, c *client) {
			a.says(c.id, big)
			a.Settle()
			later(s, 15)
		}, false},
	} {
		for _, via := range transports {
			t.Run(tt.name+" "+via, func(t *testing.T) {
				t.Parallel()
				s := serve(t, tt.o)
				a := s.app("server-1", "chat")
				neighbour := s.connect(a, webSockets, nil)
				c := s.connect(a, via, []string{"chat"})
				c.away()
				tt.miss(s, a, c)
				a.Settle()
				c.reconnect(via)
				if !tt.lost {
					c.hears(big)
					return
				}
				c.told(lost)
				a.heard(c.id, "asrs:reconnect")
				a.Left(c.id)
				a.Settle()
				a.says(neighbour.id, `1`)
				neighbour.hears(`1`)
			})
		}
	}
}

// Who was up to date may be away for longer than messages are kept.
func TestIdleForLong(t *testing.T) {
	s, a, c := connected(t, aspnetlegacy.Options{ReplayTime: 20 * time.Second}, serverSentEvents)
	a.says(c.id, `1`, `2`)
	c.hears(`1`, `2`)
	for i := range 30 {
		s.Tick(time.Now().Add(time.Duration(i) * time.Second))
	}
	if messages, size := s.Kept(); messages != 0 || size != 0 {
		t.Errorf("%d messages of %d bytes are kept", messages, size)
	}
	c.away()
	c.reconnect(serverSentEvents)
	a.says(c.id, `3`)
	c.hears(`3`)
}

// A client that does not read is closed and has nothing to come back to.
func TestSlowClient(t *testing.T) {
	for _, via := range []string{webSockets, serverSentEvents} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			s := serve(t, aspnetlegacy.Options{ClientBuffer: 64 << 10})
			a := s.app("server-1", "chat")
			c := s.connect(a, via, nil)
			neighbour := s.connect(a, webSockets, []string{"chat"})
			big := `"` + strings.Repeat("x", 32<<10) + `"`
			nodetest.Until(t, "closed", func() bool { // the kernel takes some megabytes
				a.says(c.id, big)
				return nodetest.Ended(s, relay.SlowClient) == 1
			})
			a.Left(c.id)
			nodetest.Until(t, "gone", func() bool { return s.Clients() == 1 })
			if err := c.open("reconnect", via); status(err) != 404 {
				t.Errorf("reconnects: %v", err)
			}
			a.hubs["chat"].broadcasts(`1`)
			neighbour.hears(`1`)
		})
	}
}

// A transport that takes nothing is no hindrance to the next.
func TestReconnectFromStalled(t *testing.T) {
	t.Parallel()
	_, a, c := connected(t, aspnetlegacy.Options{ClientBuffer: 64 << 20, ReplayBuffer: 64 << 20}, webSockets)
	var all []string
	for i := range 10 {
		all = append(all, `"`+strconv.Itoa(i)+strings.Repeat("x", 1<<20)+`"`)
	}
	a.says(c.id, all...)
	a.Settle()
	c.reconnect(webSockets) // the one before is there and is not read from
	for _, m := range all {
		if got, err := c.elements(); err != nil || len(got) != 1 || got[0] != m {
			t.Fatalf("got %d elements, %v, want that of %.10s", len(got), err, m)
		}
	}
}

// Of several reconnects at once the last one stays, and all get an answer.
func TestReconnectsAtOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		_, a, c := connected(t, aspnetlegacy.Options{}, via)
		c.away()
		a.says(c.id, `1`)
		a.Settle()
		const n = 8
		ends := make(chan string, n)
		for range n {
			one := *c
			one.heard = nil
			go func() { // ends with its transport, at the latest with the client's
				err := one.open("reconnect", via)
				for err == nil {
					var all []string
					if all, err = one.elements(); slices.Contains(all, `2`) {
						ends <- "stays"
						return
					}
				}
				ends <- "ends"
			}()
		}
		for range n { // each has reached the app, and one carries the client
			a.heard(c.id, "asrs:reconnect")
		}
		if via != longPolling { // whose answers bring 1 and are over
			for range n - 1 {
				if got := <-ends; got != "ends" {
					t.Fatalf("one %s", got)
				}
			}
		}
		a.says(c.id, `2`)
		if via != longPolling {
			if got := <-ends; got != "stays" {
				t.Fatalf("the last one %s", got)
			}
			return
		}
		for range n {
			<-ends
		}
	})
}

// Groups are the app's and outlive the transport.
func TestGroupsOutliveTransports(t *testing.T) {
	_, a, c := connected(t, aspnetlegacy.Options{}, webSockets, "chat")
	a.Ack(&serviceproto.JoinGroupWithAck{ConnectionID: c.id, Group: "hg-chat.red", AckID: 5})
	c.away()
	a.Send(&serviceproto.GroupBroadcastData{Group: "hg-chat.red", Payload: payload(`1`)})
	a.Settle()
	c.reconnect(longPolling)
	c.hears(`1`)
}

// Nothing is kept of a client that has ended.
func TestNothingKept(t *testing.T) {
	eachTransport(t, func(t *testing.T, via string) {
		s, a, c := connected(t, aspnetlegacy.Options{}, via)
		a.says(c.id, `1`, `2`)
		a.Settle()
		if messages, size := s.Kept(); messages != 2 || size == 0 {
			t.Errorf("%d messages of %d bytes are kept", messages, size)
		}
		c.hears(`1`, `2`)
		c.abort(via)
		c.ends()
		a.Left(c.id)
		nodetest.Until(t, "gone", func() bool { return s.Server.Len() == 1 })
		s.nothingKept()
	})
}
