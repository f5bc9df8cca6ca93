package bench

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

const (
	stalledSize  = 4096     // payload in bytes
	stalledTotal = 16 << 20 // what is sent to each client while one does not read: more than the kernel buffers and a bounded outbox
	stalledGrace = 10 * time.Second
)

// stalledTrial has one client that never reads. The others must not notice, the server must not keep what that
// client does not take, and must close it in the end.
func stalledTrial(ctx context.Context, s *subject) (*trial, error) {
	if s.Limited {
		return nil, errUnsupported
	}
	b := newBroadcaster(s, stalledSize)
	if err := b.f.add(ctx, s.o.StalledClients); err != nil {
		return nil, err
	}
	return &trial{measure: b.stalled, close: b.f.close}, nil
}

func (b *broadcaster) stalled(ctx context.Context) ([]Metric, error) {
	s := b.f.s
	alone, err := b.several(ctx, s.o.Duration/2)
	if err != nil {
		return nil, err
	}
	if err := s.calm(ctx); err != nil {
		return nil, err
	}
	before, err := readMemory(s.pid)
	if err != nil {
		return nil, err
	}
	if err := resetPeak(s.pid); err != nil {
		return nil, err
	}
	counted, err := s.closeCount(ctx, slowClient)
	if err != nil {
		return nil, err
	}
	c, err := s.dialect.open(ctx, s, len(b.f.clients), func(d *net.Dialer) {
		control := d.Control
		d.Control = func(network, address string, raw syscall.RawConn) error {
			if control != nil {
				if err := control(network, address, raw); err != nil {
					return err
				}
			}
			// A small receive buffer, so that it is the server's side that fills.
			return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		}
	})
	if err != nil {
		return nil, err
	}
	defer c.conn.NetConn().Close()
	var times []time.Duration
	for range stalledTotal / stalledSize {
		t, err := b.once(ctx)
		if err != nil {
			return nil, err
		}
		times = append(times, t)
	}
	after, err := readMemory(s.pid)
	if err != nil {
		return nil, err
	}
	worst := times[0]
	for _, t := range times {
		worst = max(worst, t)
	}
	var total, totalAlone time.Duration
	for _, t := range times {
		total += t
	}
	for _, t := range alone {
		totalAlone += t
	}
	closed, code := drain(c.conn)
	m := []Metric{
		{Name: "others' mean wait beside it", Unit: "ms", Value: ms(total) / float64(len(times)), Cost: true},
		{Name: "others' mean wait without it", Unit: "ms", Value: ms(totalAlone) / float64(len(alone))},
		{Name: "others' longest wait beside it", Unit: "ms", Value: ms(worst)},
		{Name: "memory's rise at its peak", Unit: "KiB", Value: float64(after.Peak-before.Resident) / 1024},
		{Name: "it was closed (1) or not (0)", Unit: "", Value: closed},
		{Name: "with close code (0 = cut)", Unit: "", Value: code},
	}
	return s.counted(ctx, m, slowClient, counted, int64(closed))
}

// drain reads what was on its way and tells how the connection ended.
func drain(c *ws.Conn) (closed, code float64) {
	c.SetReadDeadline(time.Now().Add(stalledGrace))
	for {
		_, _, err := c.Skim()
		var end *ws.CloseError
		switch {
		case err == nil:
		case errors.As(err, &end):
			return 1, float64(end.Code)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, 0
		default:
			return 1, 0
		}
	}
}
