package bench

import (
	"context"
	"os"
	"time"
)

// Metric is one measured number.
type Metric struct {
	Name, Unit string
	Value      float64
	Cost       bool // less is better, and a ratio between targets means something
}

// cost measures CPU per operation while f runs; f returns how many operations it did.
func (s *subject) cost(op string, f func() (int, error)) ([]Metric, error) {
	pids := []int{s.pid, s.appPID, os.Getpid()}
	before, after := make([]cpuTime, len(pids)), make([]cpuTime, len(pids))
	read := func(to []cpuTime) (err error) {
		for i, pid := range pids {
			if pid != 0 && err == nil {
				to[i], err = readCPU(pid)
			}
		}
		return err
	}
	if err := read(before); err != nil {
		return nil, err
	}
	start := time.Now()
	n, err := f()
	took := time.Since(start)
	if err != nil {
		return nil, err
	}
	if err := read(after); err != nil {
		return nil, err
	}
	per := func(d time.Duration) float64 { return float64(d) / 1e3 / float64(max(n, 1)) }
	server := after[0].sub(before[0])
	m := []Metric{
		{Name: "CPU per " + op, Unit: "µs", Value: per(server.total()), Cost: true},
		{Name: "of it in the kernel", Unit: "%", Value: 100 * float64(server.System) / float64(max(server.total(), 1))},
	}
	if s.appPID != 0 {
		m = append(m, Metric{Name: "app server's CPU per " + op, Unit: "µs", Value: per(after[1].sub(before[1]).total())})
	}
	return append(m,
		Metric{Name: "bench's own CPU per " + op, Unit: "µs", Value: per(after[2].sub(before[2]).total())},
		Metric{Name: op + " rate", Unit: "/s", Value: float64(n) / took.Seconds()}), nil
}

// calm waits until the server and its app server do next to nothing and the server's memory stays put, or until
// Options.Settle is over: a keep-alive to thousands of clients may be due.
func (s *subject) calm(ctx context.Context) error {
	step := min(250*time.Millisecond, s.o.Settle)
	var spent time.Duration
	var resident int64
	for deadline := time.Now().Add(s.o.Settle); time.Now().Before(deadline); {
		var total time.Duration
		for _, pid := range []int{s.pid, s.appPID} {
			if pid == 0 {
				continue
			}
			c, err := readCPU(pid)
			if err != nil {
				return err
			}
			total += c.total()
		}
		m, err := readMemory(s.pid)
		if err != nil {
			return err
		}
		if spent > 0 && total-spent < step/25 && max(m.Resident-resident, resident-m.Resident) < resident/200+1<<16 {
			return nil
		}
		spent, resident = total, m.Resident
		if err := sleep(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// warmUps is how often at most warm repeats its load.
const warmUps = 8

// warm measures until the first cost stops falling: a .NET server compiles its hot paths anew for some ten seconds.
func warm(measure func() ([]Metric, error)) error {
	last := 0.0
	for i := range warmUps {
		m, err := measure()
		if err != nil {
			return err
		}
		if i > 0 && m[0].Value > 0.95*last {
			return nil
		}
		last = m[0].Value
	}
	return nil
}
