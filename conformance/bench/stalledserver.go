package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

const (
	stalledServerSize = 16 << 10         // payload in bytes of what goes to the stalled app server
	stalledServerWait = 60 * time.Second // a service gives up on a silent app server after 30 s (service-protocol 5)
)

// stalledServerTrial has two app servers on one hub, half of the clients bound to each. One of the two is stopped in
// the middle of its life, as a process in a debugger or a machine out of memory is, and its clients go on sending.
func stalledServerTrial(ctx context.Context, s *subject) (*trial, error) {
	if s.conn == "" {
		return nil, errUnsupported
	}
	second, err := s.another(ctx)
	if err != nil {
		return nil, err
	}
	n := max(1, s.o.StalledClients/2)
	e := newEchoes(s, max(1, n/10))
	p := &pushers{f: second.fleet(), ended: make(chan pusherEnd, n), message: s.dialect.invocation("Echo", stalledServerSize)}
	p.f.reader = p.read
	x := &trial{
		measure: func(ctx context.Context) ([]Metric, error) { return besideStalledServer(ctx, e, p) },
		close: func() {
			p.close()
			e.f.close()
			second.stop()
		},
	}
	err = e.f.add(ctx, n)
	if err == nil {
		err = p.f.add(ctx, n)
	}
	if err == nil {
		err = warm(func() ([]Metric, error) { return e.measure(ctx, s.o.Duration/4) })
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

// pushers are the clients of the app server that stalls.
type pushers struct {
	f       *fleet
	message []byte
	taken   atomic.Int64 // bytes the clients' sockets took
	ended   chan pusherEnd
	writers sync.WaitGroup // one goroutine a client, ended by the connection's end
}

type pusherEnd struct {
	at   time.Time
	told bool // to connect again
}

// read waits for the client's end and leaves then, as a client does that was told to.
func (p *pushers) read(c *client) error {
	err := c.read(func(byte) error { return nil })
	var told *closeError
	p.ended <- pusherEnd{time.Now(), errors.As(err, &told) && told.AllowReconnect}
	c.conn.NetConn().Close() // its writer may be waiting for room
	return err
}

// push invokes without waiting for answers, on every client, until its socket takes no more and it ends.
func (p *pushers) push() {
	for _, c := range p.f.clients {
		p.writers.Go(func() {
			for c.conn.Write(ws.Text, p.message) == nil {
				p.taken.Add(int64(len(p.message)))
			}
		})
	}
}

func (p *pushers) close() {
	p.f.ending.Store(true)
	for _, c := range p.f.clients {
		if c != nil {
			c.conn.NetConn().Close() // no farewell: there may be no room for it
		}
	}
	p.writers.Wait()
	p.f.close()
}

// besideStalledServer measures the echoes of e while the app server of p is stopped, until all clients of p are closed.
func besideStalledServer(ctx context.Context, e *echoes, p *pushers) ([]Metric, error) {
	s := e.f.s
	var alone, beside, full waits
	if err := alone.run(ctx, e, s.o.Duration); err != nil {
		return nil, err
	}
	if err := s.calm(ctx); err != nil {
		return nil, err
	}
	counted, err := s.closeCount(ctx, serverConnectionClosed)
	if err != nil {
		return nil, err
	}
	before, err := readMemory(s.pid)
	if err != nil {
		return nil, err
	}
	if err := resetPeak(s.pid); err != nil {
		return nil, err
	}
	select {
	case err := <-p.f.failed:
		return nil, fmt.Errorf("a client ended: %w", err)
	default:
	}
	p.f.ending.Store(true) // that they end is expected from here on
	start := time.Now()
	if err := p.f.s.suspendApp(); err != nil {
		return nil, err
	}
	p.push()
	sent := int64(0) // before the first end: then there is room again, for a moment
	for time.Since(start) < stalledServerWait && len(p.ended) < len(p.f.clients) {
		taken, closed := p.taken.Load(), len(p.ended)
		if err := beside.run(ctx, e, min(s.o.Duration, time.Second)); err != nil {
			return nil, err
		}
		// Filling and freeing all those buffers costs CPU time, ours too, which the others have to wait for.
		if p.taken.Load() == taken && len(p.ended) == closed {
			full.take(e)
		}
		if len(p.ended) == 0 {
			sent = p.taken.Load()
		}
	}
	after, err := readMemory(s.pid) // which is without the kernel's buffers
	if err != nil {
		return nil, err
	}
	var first, last time.Duration
	closed, told := len(p.ended), 0
	for range closed {
		end := <-p.ended
		if end.told {
			told++
		}
		since := end.at.Sub(start)
		last = max(last, since)
		if first == 0 || since < first {
			first = since
		}
	}
	m := []Metric{
		{Name: "others' mean round trip beside it", Unit: "ms", Value: beside.mean(), Cost: true},
		{Name: "others' mean round trip without it", Unit: "ms", Value: alone.mean()},
		{Name: "others' longest round trip beside it", Unit: "ms", Value: ms(beside.longest)},
		{Name: "others' longest while its sockets were full", Unit: "ms", Value: ms(full.longest)},
		{Name: "others' longest round trip without it", Unit: "ms", Value: ms(alone.longest)},
		{Name: "sent by its clients until none could", Unit: "MiB", Value: float64(sent) / (1 << 20)},
		{Name: "memory's rise at its peak", Unit: "KiB", Value: float64(after.Peak-before.Resident) / 1024},
		{Name: "its clients", Unit: "clients", Value: float64(len(p.f.clients))},
		{Name: "of them closed", Unit: "clients", Value: float64(closed)},
		{Name: "of them told to reconnect", Unit: "clients", Value: float64(told)},
	}
	if closed > 0 {
		m = append(m, Metric{Name: "time until the first was closed", Unit: "s", Value: first.Seconds()},
			Metric{Name: "time until the last was closed", Unit: "s", Value: last.Seconds()})
	}
	return s.counted(ctx, m, serverConnectionClosed, counted, int64(closed))
}

// waits is what round trips of many runs come to.
type waits struct {
	n              int
	total, longest time.Duration
}

func (w *waits) run(ctx context.Context, e *echoes, d time.Duration) error {
	if _, err := e.run(ctx, d); err != nil {
		return err
	}
	w.take(e)
	return nil
}

// take adds the last run of e.
func (w *waits) take(e *echoes) {
	for _, t := range e.latencies() {
		w.n++
		w.total += t
		w.longest = max(w.longest, t)
	}
}

// mean is in milliseconds.
func (w *waits) mean() float64 { return ms(w.total) / float64(max(w.n, 1)) }
