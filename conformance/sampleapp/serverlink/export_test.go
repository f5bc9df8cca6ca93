package serverlink

import (
	"context"
	"time"
)

// Backoff is the spacing of one hub's attempts.
type Backoff struct{ backoff }

// NewBackoff is the spacing of the SDK.
func NewBackoff() *Backoff { return &Backoff{backoff{unit: time.Second}} }

// NewEagerBackoff does not wait for the first failure.
func NewEagerBackoff() *Backoff { return &Backoff{backoff{unit: time.Second, eager: true}} }

// Do tries until it succeeds.
func (b *Backoff) Do(ctx context.Context, try func() error) error { return b.do(ctx, try) }
