package aspnetcore_test

import (
	"context"

	"github.com/signalrelay/signalrelay/relay"
)

// faulty is a Backend that answers handshakes, echoes and, at "boom", panics.
type faulty struct {
	hub   *relay.Hub
	route *relay.Route
}

func (*faulty) Open(c *relay.Client, o *relay.Opening) error { return nil }

func (b *faulty) Data(_ context.Context, c *relay.Client, p []byte, _ bool) error {
	switch s := string(p); {
	case s == "boom":
		panic(s)
	case s == hello:
		b.hub.Output(c.ID, []byte("{}"+rs), 0)
	default:
		b.hub.Output(c.ID, []byte(s), 0)
	}
	return nil
}

func (*faulty) Close(*relay.Client, string, string) {}

// t0 is a context that is over, for what is to happen at once.
func t0(*service) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
