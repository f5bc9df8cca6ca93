package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// echoes keeps one invocation under way on each of some clients; the others are connected and silent, as most are
// most of the time. With all of them at it, every server's cost rises by half: caches.
type echoes struct {
	f       *fleet
	active  int
	message []byte
	count   atomic.Int64
	running atomic.Bool
	waiting sync.WaitGroup // clients with an invocation under way
}

func newEchoes(s *subject, active int) *echoes {
	e := &echoes{f: s.fleet(), active: active, message: s.dialect.invocation("Echo", s.o.Size)}
	e.f.on = e.answered
	return e
}

func echoTrial(ctx context.Context, s *subject) (*trial, error) {
	e := newEchoes(s, s.o.EchoClients)
	if err := e.f.add(ctx, s.o.Clients); err != nil {
		return nil, err
	}
	if err := warm(func() ([]Metric, error) { return e.measure(ctx, s.o.Duration/2) }); err != nil {
		e.f.close()
		return nil, err
	}
	return &trial{
		measure: func(ctx context.Context) ([]Metric, error) { return e.measure(ctx, s.o.Duration) },
		close:   e.f.close,
	}, nil
}

// answered runs on the client's own goroutine: it counts and invokes again.
func (e *echoes) answered(c *client, kind byte) error {
	if kind != completion {
		return nil
	}
	now := time.Now()
	c.latencies = append(c.latencies, now.Sub(c.sent))
	e.count.Add(1)
	if !e.running.Load() {
		e.waiting.Done()
		return nil
	}
	c.sent = now
	return c.conn.Write(ws.Text, e.message)
}

// run returns how many invocations were answered. All are when it returns without an error.
func (e *echoes) run(ctx context.Context, d time.Duration) (int, error) {
	e.count.Store(0)
	e.running.Store(true)
	for _, c := range e.f.clients[:e.active] {
		c.latencies = c.latencies[:0]
		c.sent = time.Now()
		e.waiting.Add(1)
		if err := c.conn.Write(ws.Text, e.message); err != nil {
			return 0, err
		}
	}
	done := make(chan struct{})
	stop := time.AfterFunc(d, func() { e.running.Store(false) })
	defer stop.Stop()
	go func() { // ends with the last answer; after an error, with the process
		e.waiting.Wait()
		close(done)
	}()
	timeout := time.NewTimer(d + broadcastTimeout)
	defer timeout.Stop()
	select {
	case <-done:
		return int(e.count.Load()), nil
	case err := <-e.f.failed:
		return 0, fmt.Errorf("a client ended: %w", err)
	case <-timeout.C:
		return 0, fmt.Errorf("invocations are unanswered after %s", broadcastTimeout)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (e *echoes) measure(ctx context.Context, d time.Duration) ([]Metric, error) {
	if err := e.f.s.calm(ctx); err != nil {
		return nil, err
	}
	m, err := e.f.s.cost("echo", func() (int, error) { return e.run(ctx, d) })
	if err != nil {
		return nil, err
	}
	all := e.latencies()
	slices.Sort(all)
	return append(m, Metric{Name: "round trip, median", Unit: "ms", Value: ms(percentile(all, 50))},
		Metric{Name: "round trip, 99 %", Unit: "ms", Value: ms(percentile(all, 99))}), nil
}

// latencies are those of the last run.
func (e *echoes) latencies() (all []time.Duration) {
	for _, c := range e.f.clients[:e.active] {
		all = append(all, c.latencies...)
	}
	return all
}
