package relay

import (
	"context"
	"math/rand/v2"
	"time"
)

// Drain takes no new clients and closes the present ones with an invitation
// to reconnect, spread evenly over a time so that they do not come back all
// at once. It returns early when ctx is done; the rest is closed then at once.
func (r *Relay) Drain(ctx context.Context, over time.Duration) {
	var all []*Client
	for _, h := range r.Hubs() {
		h.routes.drain()
		all = append(all, h.snapshot()...)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	const step = 50 * time.Millisecond
	steps := max(1, int(over/step))
	tick := time.NewTicker(step)
	defer tick.Stop()
	for i, done := 0, 0; done < len(all); i++ {
		until := len(all)
		if i < steps && ctx.Err() == nil {
			until = max(done, len(all)*(i+1)/steps)
		}
		for ; done < until; done++ {
			all[done].Close(Reason{Category: ServiceReload, AllowReconnect: true})
		}
		if done == len(all) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
