package main

import (
	"context"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// giveBackMemory returns memory to the system once a burst of work is over,
// until ctx ends. The runtime by itself takes minutes for that, and keeps the
// stacks of a reconnect storm as long; whoever sizes a container looks at what
// is resident meanwhile. It costs one collection after each burst.
func giveBackMemory(ctx context.Context) {
	const (
		every = 2 * time.Second
		calm  = 1 << 20 // bytes allocated within every: what an idle relay does
		burst = 8 << 20 // bytes allocated since the last time that are worth a collection
	)
	t := time.NewTicker(every)
	defer t.Stop()
	for before, since := allocated(), uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := allocated()
		since += now - before
		if now-before < calm && since > burst {
			debug.FreeOSMemory()
			since = 0
			now = allocated()
		}
		before = now
	}
}

// allocated is the number of bytes that were ever allocated.
func allocated() uint64 {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(s)
	return s[0].Value.Uint64()
}
