package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// broadcastTimeout is how long everybody may take to receive one broadcast before we call the server stuck.
const broadcastTimeout = 15 * time.Second

// broadcaster sends from the fleet's first client and waits until every client, the first included, has it.
type broadcaster struct {
	f         *fleet
	message   []byte
	got, want atomic.Int64 // deliveries since the start
	all       chan struct{}
}

func newBroadcaster(s *subject, size int) *broadcaster {
	b := &broadcaster{f: s.fleet(), all: make(chan struct{}, 1), message: s.dialect.invocation("Broadcast", size)}
	b.f.on = func(_ *client, kind byte) error {
		if kind == invocation {
			b.received()
		}
		return nil
	}
	return b
}

func (b *broadcaster) received() {
	if b.got.Add(1) == b.want.Load() {
		b.all <- struct{}{}
	}
}

// once returns how long the slowest client waited.
func (b *broadcaster) once(ctx context.Context) (time.Duration, error) {
	b.want.Add(int64(len(b.f.clients)))
	start := time.Now()
	if err := b.f.clients[0].conn.Write(ws.Text, b.message); err != nil {
		return 0, err
	}
	timeout := time.NewTimer(broadcastTimeout)
	defer timeout.Stop()
	select {
	case <-b.all:
		return time.Since(start), nil
	case err := <-b.f.failed:
		return 0, fmt.Errorf("a client ended: %w", err)
	case <-timeout.C:
		return 0, fmt.Errorf("%d of %d clients are still without a broadcast after %s", b.want.Load()-b.got.Load(), len(b.f.clients), broadcastTimeout)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// several broadcasts one after the other for d, five at least, and returns their times in ascending order.
func (b *broadcaster) several(ctx context.Context, d time.Duration) ([]time.Duration, error) {
	var times []time.Duration
	for end := time.Now().Add(d); len(times) < 5 || time.Now().Before(end); {
		t, err := b.once(ctx)
		if err != nil {
			return nil, err
		}
		times = append(times, t)
	}
	slices.Sort(times)
	return times, nil
}

// cost measures a round of broadcasts.
func (b *broadcaster) cost(ctx context.Context, d time.Duration) ([]Metric, error) {
	if err := b.f.s.calm(ctx); err != nil {
		return nil, err
	}
	var times []time.Duration
	m, err := b.f.s.cost("delivery", func() (n int, err error) {
		times, err = b.several(ctx, d)
		return len(times) * len(b.f.clients), err
	})
	return append(m, Metric{Name: "time until everybody has it, median", Unit: "ms", Value: ms(percentile(times, 50))}), err
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func broadcastTrial(ctx context.Context, s *subject) (*trial, error) {
	b := newBroadcaster(s, s.o.Size)
	if err := b.f.add(ctx, s.o.Clients); err != nil {
		return nil, err
	}
	if err := warm(func() ([]Metric, error) { return b.cost(ctx, s.o.Duration/2) }); err != nil {
		b.f.close()
		return nil, err
	}
	return &trial{
		measure: func(ctx context.Context) ([]Metric, error) { return b.cost(ctx, s.o.Duration) },
		close:   b.f.close,
	}, nil
}

func growthTrial(_ context.Context, s *subject) (*trial, error) {
	b := newBroadcaster(s, s.o.Size)
	return &trial{measure: func(ctx context.Context) ([]Metric, error) { return b.growth(ctx) }, close: b.f.close}, nil
}

func (b *broadcaster) growth(ctx context.Context) ([]Metric, error) {
	o := b.f.s.o
	var all []Metric
	for i, n := range o.GrowthClients {
		if err := b.f.add(ctx, n); err != nil {
			return nil, err
		}
		if i == 0 {
			if _, err := b.several(ctx, o.Duration/5); err != nil {
				return nil, err
			}
		}
		m, err := b.cost(ctx, o.Duration/2)
		if err != nil {
			return nil, err
		}
		m[0].Name = fmt.Sprintf("CPU per delivery to %d", n)
		all = append(all, m[0])
		o.progress("growth: %s: %d clients: %s µs a delivery", b.f.s.Name, n, short(m[0].Value))
	}
	first, last := all[0], all[len(all)-1]
	if first.Value == 0 {
		return nil, errors.New("no CPU time was used")
	}
	return append(all, Metric{Name: "from first to last", Unit: "%", Value: 100 * (last.Value/first.Value - 1)}), nil
}
