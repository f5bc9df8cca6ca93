package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
)

func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name    string
		clients int
		over    time.Duration
		cancel  time.Duration // 0 for never
		after   time.Duration // how long it takes, at most
		half    int           // least number of clients left at half of over
	}{
		{name: "spread", clients: 1000, over: 10 * time.Second, after: 10 * time.Second, half: 480},
		{name: "fewer clients than steps", clients: 3, over: 10 * time.Second, after: 10 * time.Second, half: 1},
		{name: "at once", clients: 100},
		{name: "cut short", clients: 1000, over: time.Hour, cancel: time.Second, after: time.Second + 50*time.Millisecond},
		{name: "nobody there", over: time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := relay.New()
				var all []member
				for i := range c.clients {
					h := r.Hub(fmt.Sprint(i % 3))
					if h.Routes() == 0 {
						attach(h, relay.Attach{ServerID: "a"})
					}
					all = append(all, join(t, h, fmt.Sprint(i), ""))
				}
				left := func() (n int) {
					for _, h := range r.Hubs() {
						n += h.Len()
					}
					return n
				}
				r.Hub("empty")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				if c.half > 0 {
					time.AfterFunc(c.over/2, func() {
						if n := left(); n < c.half || n > len(all)-c.half {
							t.Errorf("%d clients left halfway", n)
						}
					})
				}
				began := time.Now()
				r.Drain(ctx, c.over)
				if d := time.Since(began); d > c.after {
					t.Errorf("took %s", d)
				}
				if n := left(); n != 0 {
					t.Errorf("%d clients left", n)
				}
				for _, m := range all {
					if d := cmp.Diff([]relay.Reason{{Category: relay.ServiceReload, AllowReconnect: true}}, m.reasons()); d != "" {
						t.Fatal(d)
					}
				}
				if _, err := r.Hub("empty").Connect(t.Context(), relay.Connect{ID: "x"}, &sink{}); !errors.Is(err, relay.ErrDraining) {
					t.Errorf("a new client: %v", err)
				}
				if err := r.Check(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
