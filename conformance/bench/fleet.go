package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// dialers is how many clients connect at the same time.
const dialers = 64

// fleet is the WebSocket clients of one target.
type fleet struct {
	s       *subject
	clients []*client                 // grown by add, never while a measurement runs
	reader  func(*client) error       // how each is read, until it ends; nil = by on
	on      func(*client, byte) error // called for each hub message, by the client's own goroutine; set before add
	failed  chan error                // the first client that ended too soon
	ending  atomic.Bool               // ends are expected now
	readers sync.WaitGroup            // one goroutine a client, ended by close
}

func (s *subject) fleet() *fleet { return &fleet{s: s, failed: make(chan error, 1)} }

// add connects until there are n clients.
func (f *fleet) add(ctx context.Context, n int) error {
	from := len(f.clients)
	f.clients = append(f.clients, make([]*client, n-from)...)
	err := each(ctx, n-from, func(ctx context.Context, i int) error {
		c, err := f.s.dialect.open(ctx, f.s, from+i, nil)
		if err != nil {
			return err
		}
		f.clients[from+i] = c
		f.readers.Add(1)
		go f.read(c)
		return nil
	})
	if err != nil {
		f.close()
	}
	return err
}

func (f *fleet) read(c *client) {
	defer f.readers.Done()
	var err error
	if f.reader != nil {
		err = f.reader(c)
	} else {
		err = c.read(func(kind byte) error { return f.on(c, kind) })
	}
	if !f.ending.Load() {
		select {
		case f.failed <- err:
		default:
		}
	}
}

// close ends every client as a page that is closed does, and waits for their readers.
func (f *fleet) close() {
	f.ending.Store(true)
	for _, c := range f.clients {
		if c != nil {
			f.s.dialect.leave(c)
		}
	}
	f.readers.Wait()
}

// each calls do for 0..n-1, many at a time, and stops at the first error.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(dialers, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}
