package bench

import (
	"context"
	"time"
)

// largeTrial broadcasts one large message, then measures how far the server's memory rose for it. Clients hold none
// of it, so all memory is the server's and the kernel's.
func largeTrial(ctx context.Context, s *subject) (*trial, error) {
	if s.Limited {
		return nil, errUnsupported
	}
	b := newBroadcaster(s, s.o.LargeSize)
	b.f.reader = func(c *client) error {
		for got := 0; ; {
			_, n, err := c.conn.Skim()
			if err != nil {
				return err
			}
			if got += int(n); got >= s.o.LargeSize { // a keep-alive before it does not matter, parts of it do
				got = 0
				b.received()
			}
		}
	}
	if err := b.f.add(ctx, s.o.LargeClients); err != nil {
		return nil, err
	}
	return &trial{measure: b.peak, close: b.f.close}, nil
}

func (b *broadcaster) peak(ctx context.Context) ([]Metric, error) {
	s := b.f.s
	if err := s.calm(ctx); err != nil {
		return nil, err
	}
	if err := resetPeak(s.pid); err != nil {
		return nil, err
	}
	before, err := readMemory(s.pid)
	if err != nil {
		return nil, err
	}
	var took time.Duration
	m, err := s.cost("delivery", func() (n int, err error) {
		took, err = b.once(ctx)
		return len(b.f.clients), err
	})
	if err != nil {
		return nil, err
	}
	after, err := readMemory(s.pid)
	if err != nil {
		return nil, err
	}
	rise := float64(after.Peak - before.Resident)
	return append([]Metric{
		{Name: "memory's rise at its peak", Unit: "MiB", Value: rise / (1 << 20), Cost: true},
		{Name: "without the payload, per client", Unit: "KiB", Value: max(0, rise-float64(s.o.LargeSize)) / 1024 / float64(len(b.f.clients))},
		{Name: "time until everybody has it", Unit: "ms", Value: ms(took)},
	}, m...), nil
}
