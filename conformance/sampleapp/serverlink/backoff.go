package serverlink

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// backoff spaces the attempts of all connections of one hub (service-protocol
// 3.7): while attempts fail one of them probes and the others wait for its
// result; when it succeeds all try at once.
type backoff struct {
	unit  time.Duration // 1 s with the SDKs
	eager bool          // the first failure is not waited for

	mu       sync.Mutex
	failures int           // in a row
	probe    chan struct{} // closed when the present probe is over; nil: none
}

// do tries until it succeeds; its error is that of ctx.
func (b *backoff) do(ctx context.Context, try func() error) error {
	for ctx.Err() == nil {
		b.mu.Lock()
		if b.failures == 0 {
			b.mu.Unlock()
			if try() == nil {
				return nil
			}
			b.mu.Lock()
			b.failures = max(b.failures, 1)
			b.mu.Unlock()
			continue
		}
		if probe := b.probe; probe != nil {
			b.mu.Unlock()
			select {
			case <-probe:
			case <-ctx.Done():
			}
			continue
		}
		over := make(chan struct{})
		b.probe = over
		wait := b.delay()
		b.mu.Unlock()

		up := false
		select {
		case <-time.After(wait):
			up = try() == nil
		case <-ctx.Done():
		}
		b.mu.Lock()
		b.probe = nil
		b.failures++
		if up {
			b.failures = 0
		}
		close(over)
		b.mu.Unlock()
		if up {
			return nil
		}
	}
	return ctx.Err()
}

// delay is 1, 2, 4 … 32, then 60 units, and up to one by chance. Eager ones begin
// with none.
func (b *backoff) delay() time.Duration {
	n := b.failures
	if b.eager {
		n--
	}
	if n == 0 {
		return 0
	}
	wait := 60 * b.unit
	if n <= 6 {
		wait = b.unit << (n - 1)
	}
	return wait + rand.N(b.unit)
}
