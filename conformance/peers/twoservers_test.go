package peers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

const (
	talkers   = 12 // clients that call all the time
	listeners = 4  // clients that only listen
	someCalls = 25 // enough of a talker's calls to say that it lives
)

// member is one client of a crowd. A talker has one call at a time on its way:
// what an app was asked and had not answered when its client moved is lost by
// the SDK itself (service-protocol 8.5).
type member struct {
	*peers.Client
	talks bool
	calls atomic.Int64  // answered rightly
	err   error         // of the first call that was not; set before done is closed
	done  chan struct{} // closed when it calls no more
}

func (m *member) talk(ctx context.Context, leave <-chan struct{}) {
	defer close(m.done)
	for n := 0; ; n++ {
		select {
		case <-leave:
			return
		default:
		}
		want := fmt.Sprintf("%s %d", m.ID, n)
		got, err := m.Call(ctx, "Echo", want)
		if err == nil && got != want {
			err = fmt.Errorf("answer %q to %q", got, want)
		}
		if err != nil {
			m.err = err
			return
		}
		m.calls.Add(1)
	}
}

// A crowd is the clients of one hub that two apps share, under traffic.
type crowd struct {
	relay     *peers.Relay
	going     *peers.App // the app that will end
	staying   *peers.App
	ofGoing   []*member
	ofStaying []*member
	leave     chan struct{} // closed when the talkers of going are to stop calling
	stop      chan struct{} // closed when everybody is

	quiet func()   // ends the broadcasts and returns when the last one is sent
	sent  []string // read it after quiet only
}

// newCrowd connects clients to both apps and starts calls and, from the app
// that stays, numbered broadcasts.
func newCrowd(t *testing.T, options ...string) *crowd {
	t.Helper()
	c := &crowd{leave: make(chan struct{}), stop: make(chan struct{})}
	c.relay = startRelay(t)
	c.staying = startAzureHub(t, "", c.relay, "--no-blazor", "--connections", "2")
	c.going = startAzureHub(t, "", c.relay, append([]string{"--no-blazor", "--connections", "2"}, options...)...)
	ctx := t.Context()
	var all []*member
	for i := range talkers + listeners {
		client, err := peers.Connect(ctx, c.going.URL+"/chat")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		all = append(all, &member{Client: client, talks: i%4 != 3, done: make(chan struct{})})
	}
	here, err := c.staying.Clients(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		leave := c.stop
		if slices.Contains(here, m.ID) {
			c.ofStaying = append(c.ofStaying, m)
		} else {
			c.ofGoing = append(c.ofGoing, m)
			leave = c.leave
		}
		if m.talks {
			go m.talk(ctx, leave) // ends with leave, or with the client
		} else {
			close(m.done)
		}
	}
	if len(c.ofGoing) < 4 || len(c.ofStaying) < 4 {
		t.Fatalf("%d and %d clients, the relay does not spread them", len(c.ofGoing), len(c.ofStaying))
	}
	c.broadcast(t)
	c.alive(t, all)
	return c
}

// broadcast begins the broadcasts, or goes on with them after quiet.
func (c *crowd) broadcast(t *testing.T) {
	silent, ended := make(chan struct{}), make(chan struct{})
	c.quiet = sync.OnceFunc(func() { close(silent); <-ended })
	ctx := t.Context()
	go func() { // ends with quiet
		defer close(ended)
		for {
			n := len(c.sent)
			m := fmt.Sprintf("b%06d", n)
			if err := c.staying.SendAll(ctx, m); err != nil {
				if ctx.Err() == nil {
					t.Errorf("broadcast: %v", err)
				}
				return
			}
			c.sent = append(c.sent, m)
			select {
			case <-silent:
				return
			case <-time.After(5 * time.Millisecond): // a pace, not a wait for anything
			}
		}
	}()
	t.Cleanup(c.quiet)
}

// alive waits until every one of them has had further calls answered, or, if it
// only listens, further messages.
func (c *crowd) alive(t *testing.T, all []*member) {
	t.Helper()
	type mark struct{ calls, messages int }
	marks := map[*member]mark{}
	for _, m := range all {
		marks[m] = mark{int(m.calls.Load()), len(m.Messages())}
	}
	for _, m := range all {
		soon(t, "a sign of life of "+m.ID, func(context.Context) error {
			select {
			case <-m.Ended():
				t.Fatalf("client ended: %v", m.Err())
			default:
			}
			if m.talks && int(m.calls.Load()) < marks[m].calls+someCalls {
				return fmt.Errorf("%d calls answered", m.calls.Load())
			}
			if len(m.Messages()) < marks[m].messages+someCalls {
				return fmt.Errorf("%d messages", len(m.Messages()))
			}
			return nil
		})
	}
}

// whole ends the broadcasts and the calls of some members and wants every
// message at each of them, once. Broadcasts of one app take any of its server
// connections, so their order is nobody's promise.
func (c *crowd) whole(t *testing.T, some []*member, calling chan struct{}) {
	t.Helper()
	close(calling)
	c.quiet()
	for _, m := range some {
		<-m.done
		if m.err != nil {
			t.Errorf("call of %s: %v", m.ID, m.err)
		}
		soon(t, "the last broadcast", func(context.Context) error {
			if got := len(m.Messages()); got < len(c.sent) {
				return fmt.Errorf("%d of %d messages", got, len(c.sent))
			}
			return nil
		})
		got := slices.Clone(m.Messages())
		slices.Sort(got)
		if diff := cmp.Diff(c.sent, got); diff != "" {
			t.Errorf("messages of %s (-sent +received):\n%s", m.ID, diff)
		}
	}
	t.Logf("%d broadcasts to each of %d clients", len(c.sent), len(some))
}

// announced waits until every server connection of the app that goes has said
// so: two for each of its two hubs.
func (c *crowd) announced(t *testing.T, fin string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.relay.Says(ctx, 4, fin); err != nil {
		t.Fatal(err)
	}
}

// newcomers wants new clients to go to the app that stays.
func (c *crowd) newcomers(t *testing.T) {
	t.Helper()
	for range 4 {
		client, err := peers.Connect(t.Context(), c.staying.URL+"/chat")
		if err != nil {
			t.Fatal(err)
		}
		here, err := c.staying.Clients(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(here, client.ID) {
			t.Error("a new client went to the app that is shutting down")
		}
		client.Close()
	}
}

// exits wants the app that goes to end by itself and rightly.
func (c *crowd) exits(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := c.going.Wait(ctx); err != nil {
		t.Error(err)
	}
}

// dropped wants the clients of the app that went to have been sent away with an
// invitation to come back.
func (c *crowd) dropped(t *testing.T) {
	t.Helper()
	for _, m := range c.ofGoing {
		select {
		case <-m.Ended():
		case <-time.After(20 * time.Second):
			t.Errorf("client %s of the app that went is still there", m.ID)
			continue
		}
		if err := m.Err(); !errors.Is(err, peers.ErrHubClose) || !strings.Contains(err.Error(), "reconnect true") {
			t.Errorf("client of the app that went: %v, want a hub Close that allows to reconnect", err)
		}
	}
}

// Two apps share a hub and one of them goes, in every way there is. The clients
// of the other must not notice.
func TestOneOfTwoAppsGoes(t *testing.T) {
	needPeers(t)
	tests := []struct {
		name    string
		options []string
		end     func(t *testing.T, c *crowd)
		move    bool // its clients stay, at the other app
	}{
		{"killed", nil, func(t *testing.T, c *crowd) {
			c.going.Kill()
			c.dropped(t)
		}, false},
		{"shutdown off", []string{"--shutdown", "off"}, func(t *testing.T, c *crowd) {
			c.going.Terminate()
			c.exits(t)
			c.dropped(t)
		}, false},
		{"shutdown wait", []string{"--shutdown", "wait"}, func(t *testing.T, c *crowd) {
			c.going.Terminate()
			c.announced(t, "fin:2")
			c.alive(t, c.ofGoing) // served on, for as long as they stay
			c.newcomers(t)
			c.whole(t, c.ofGoing, c.leave)
			for _, m := range c.ofGoing {
				m.Close()
			}
			c.exits(t)
			c.broadcast(t)
		}, false},
		{"shutdown migrate", []string{"--shutdown", "migrate"}, func(t *testing.T, c *crowd) {
			c.going.Terminate()
			c.announced(t, "fin:1")
			c.exits(t)
			soon(t, "all clients at the other app", func(ctx context.Context) error {
				here, err := c.staying.Clients(ctx)
				if err == nil && len(here) != talkers+listeners {
					err = fmt.Errorf("%d clients", len(here))
				}
				return err
			})
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			recordOutcome(t, peers.Subject{Peer: "app server: " + test.name, Against: newSDK})
			c := newCrowd(t, test.options...)
			test.end(t, c)
			stayed := c.ofStaying
			if test.move {
				stayed = append(slices.Clone(stayed), c.ofGoing...)
			}
			c.alive(t, stayed)
			if test.move {
				close(c.leave)
			}
			c.whole(t, stayed, c.stop)
			consistent(t, c.relay)
		})
	}
}

// An app is killed while it sends long broadcasts: a frame that ends in the
// middle reaches nobody, and the clients of the other app go on.
func TestAppKilledInBroadcast(t *testing.T) {
	needPeers(t)
	t.Parallel()
	recordOutcome(t, peers.Subject{Peer: "app server: killed in a broadcast", Against: newSDK})
	c := newCrowd(t)
	c.quiet()
	before := len(c.sent)
	big := strings.Repeat("x", 200<<10)
	speaker := c.ofGoing[0]
	spoken := make(chan error, 1)
	go func() { // ends with the app
		for {
			if _, err := speaker.Call(t.Context(), "SendAll", big); err != nil {
				spoken <- err
				return
			}
		}
	}()
	soon(t, "the first long messages", func(context.Context) error {
		select {
		case err := <-spoken:
			t.Fatalf("speaker: %v", err)
		default:
		}
		for _, m := range c.ofStaying {
			if len(m.Messages()) < before+3 {
				return fmt.Errorf("%d messages", len(m.Messages())-before)
			}
		}
		return nil
	})
	c.going.Kill()
	c.dropped(t)
	for _, m := range c.ofStaying {
		for _, text := range m.Messages()[before:] {
			if text != big {
				t.Errorf("client %s received %d bytes of a message of %d", m.ID, len(text), len(big))
			}
		}
	}
	c.broadcast(t)
	c.alive(t, c.ofStaying)
	close(c.stop)
	c.quiet()
	consistent(t, c.relay)
}
