package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// firstIdle clients wake the server up; what it grows by for them is not what a client costs.
const firstIdle = 100

// idlers are HTTP clients that hold a connection and do nothing.
type idlers struct {
	s    *subject
	open func(ctx context.Context, s *subject, i int) (*httpConn, func() error, error) // stream or poll of the dialect

	mu      sync.Mutex
	conns   []*httpConn
	ending  bool
	failed  error // the first connection that ended too soon
	readers sync.WaitGroup
}

func idleTrial(transport string) func(context.Context, *subject) (*trial, error) {
	return func(_ context.Context, s *subject) (*trial, error) {
		if transport == "WebSockets" {
			f := s.fleet()
			f.on = func(*client, byte) error { return nil }
			return &trial{close: f.close, measure: func(ctx context.Context) ([]Metric, error) {
				return s.idle(ctx, func(n int) error { return f.add(ctx, n) }, func() error {
					select {
					case err := <-f.failed:
						return err
					default:
						return nil
					}
				})
			}}, nil
		}
		if s.Limited {
			return nil, errUnsupported
		}
		d := &idlers{s: s, open: s.dialect.stream}
		if transport == "LongPolling" {
			d.open = s.dialect.poll
		}
		return &trial{close: d.close, measure: func(ctx context.Context) ([]Metric, error) {
			return s.idle(ctx, func(n int) error { return d.add(ctx, n) }, d.err)
		}}, nil
	}
}

// idle measures what the server's memory grows by per client, once it has come to rest.
func (s *subject) idle(ctx context.Context, connectTo func(n int) error, failed func() error) ([]Metric, error) {
	n := s.o.IdleClients
	first := min(firstIdle, n/2)
	var before, after memory
	for _, step := range []struct {
		n  int
		to *memory
	}{{first, &before}, {n, &after}} {
		err := connectTo(step.n)
		if err == nil {
			err = s.calm(ctx)
		}
		if err == nil {
			err = sleep(ctx, s.o.Rest)
		}
		if err == nil {
			*step.to, err = readMemory(s.pid)
		}
		if err == nil {
			err = failed()
		}
		if err != nil {
			return nil, err
		}
	}
	per := func(b int64) float64 { return float64(b) / 1024 / float64(max(1, n-first)) }
	return []Metric{
		{Name: "memory per client", Unit: "KiB", Value: per(after.Resident - before.Resident), Cost: true},
		{Name: "at its peak", Unit: "KiB", Value: per(after.Peak - before.Resident), Cost: true},
		{Name: fmt.Sprintf("process with %d", n), Unit: "MiB", Value: float64(after.Resident) / (1 << 20)},
	}, nil
}

func (d *idlers) add(ctx context.Context, n int) error {
	from := len(d.conns)
	return each(ctx, n-from, func(ctx context.Context, i int) error {
		c, wait, err := d.open(ctx, d.s, from+i)
		if err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.conns = append(d.conns, c)
		d.readers.Go(func() { // ended by close
			err := wait()
			d.mu.Lock()
			defer d.mu.Unlock()
			if !d.ending && d.failed == nil {
				d.failed = fmt.Errorf("a client ended: %w", err)
			}
		})
		return nil
	})
}

func (d *idlers) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

func (d *idlers) close() {
	d.mu.Lock()
	d.ending = true
	for _, c := range d.conns {
		c.nc.Close()
	}
	d.mu.Unlock()
	d.readers.Wait()
}

// openStream makes the i-th client on Server-Sent Events. Greet runs when the stream's answer has begun, and reads
// what its body says until the client is connected.
func openStream(ctx context.Context, i int, g grant, greet func(body io.Reader) error) (*httpConn, func() error, error) {
	var body io.Reader
	c, err := hold(ctx, i, g, func(c *httpConn) error {
		resp, err := c.do(http.MethodGet, g, "text/event-stream", "")
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("event stream: %s", resp.Status)
		}
		body = resp.Body
		return greet(body)
	})
	return c, func() error {
		b := make([]byte, 256)
		for {
			if _, err := body.Read(b); err != nil {
				return err
			}
		}
	}, err
}

// openPoll makes the i-th client on long polling. Greet connects it; poll is then repeated whenever it is answered.
func openPoll(ctx context.Context, i int, g grant, poll func(*httpConn) ([]byte, error), greet func(*httpConn) error) (*httpConn, func() error, error) {
	c, err := hold(ctx, i, g, greet)
	return c, func() error {
		for {
			if _, err := poll(c); err != nil {
				return err
			}
		}
	}, err
}

// hold makes the connection that carries a client, and has greet connect it.
func hold(ctx context.Context, i int, g grant, greet func(*httpConn) error) (*httpConn, error) {
	c, err := dialHTTP(ctx, i, g.url)
	if err != nil {
		return nil, err
	}
	c.nc.SetDeadline(time.Now().Add(stepTimeout))
	if err := greet(c); err != nil {
		c.nc.Close()
		return nil, err
	}
	c.nc.SetDeadline(time.Time{})
	return c, nil
}

// waitFor reads until the texts came, in this order; they are short and the first thing to come.
func waitFor(r io.Reader, texts ...string) error {
	var got []byte
	seen := 0 // of got
	b := make([]byte, 256)
	for len(got) < 4096 {
		n, err := r.Read(b)
		got = append(got, b[:n]...)
		for len(texts) > 0 {
			at := bytes.Index(got[seen:], []byte(texts[0]))
			if at < 0 {
				break
			}
			seen, texts = seen+at+len(texts[0]), texts[1:]
		}
		if len(texts) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("handshake: %w after %q", err, got)
		}
	}
	return fmt.Errorf("handshake: server answered %q", got)
}

func (c *httpConn) poll(method string, g grant) ([]byte, error) {
	resp, err := c.do(method, g, "*/*", "")
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("poll: %s", resp.Status)
	}
	if err == nil && resp.Close {
		err = errors.New("poll: the server does not keep the connection")
	}
	return p, err
}
