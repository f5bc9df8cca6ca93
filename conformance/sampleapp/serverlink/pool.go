package serverlink

import (
	"context"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const (
	finEvery    = 5 * time.Second // until the service has acknowledged
	maxOnDemand = 16              // on-demand connections of a hub at a time
)

// Timing is how long a pool and its links wait. A member that is 0 has the SDK's
// value.
type Timing struct {
	Handshake time.Duration // for the whole handshake, 15 s (service-protocol 3.4)
	Silence   time.Duration // without bytes the service is gone, 30 s (3.6)
	Ping      time.Duration // between two keep-alive pings of a link, 5 s (3.6)
	Status    time.Duration // between two status pings of a pool, 10 s (5.2)
	Retry     time.Duration // the unit of the back-off, 1 s (3.7)
}

func (t *Timing) complete() {
	for _, d := range []struct {
		to  *time.Duration
		std time.Duration
	}{{&t.Handshake, 15 * time.Second}, {&t.Silence, 30 * time.Second}, {&t.Ping, 5 * time.Second}, {&t.Status, 10 * time.Second}, {&t.Retry, time.Second}} {
		if *d.to == 0 {
			*d.to = d.std
		}
	}
}

// Options say what a pool connects to and who takes its frames. The zero value of
// Links and of every field from Handshake to Eager, and of Timing, is usable.
type Options struct {
	Hub       string                        // as the service knows it
	Links     int                           // how many are kept up; 0: none, and the app only negotiates
	URL       func(cid string) string       // where a link with that id connects to
	Token     func() (string, error)        // a fresh token for it
	ServerID  string                        // names the process at the service
	Handshake serviceproto.HandshakeRequest // of fixed links; Version is set
	Alive     func(*Link) []string          // words of a keep-alive ping; nil: none
	Eager     bool                          // a first failure is tried again at once (legacy-service-protocol 2.2)
	Receiver  Receiver
	Log       *slog.Logger
	Timing    Timing
}

// Pool is the server connections of one hub: those that are replaced for ever
// and those that the service asked for. Its methods may be called concurrently.
type Pool struct {
	o  Options
	wg sync.WaitGroup // every goroutine of the pool and its links

	ctx  context.Context // the life of the pool, not of a call: ends attempts, not links
	stop context.CancelFunc

	backoff backoff

	tracing   atomic.Bool   // the service wants tracing ids (5.3)
	tracingID atomic.Uint64 // the last one

	mu       sync.Mutex
	links    []*Link
	onDemand int           // among links, and being dialled
	slots    [256]*Link    // which link sends what is not a client's own (7.4)
	up       chan struct{} // closed when all wanted links were up at once
	wasUp    bool          // up is closed
	online   bool          // negotiate may send clients (2.4)
}

// NewPool makes a pool, which does nothing before Start.
func NewPool(o Options) *Pool {
	o.Timing.complete()
	p := &Pool{o: o, up: make(chan struct{}), online: true, backoff: backoff{unit: o.Timing.Retry, eager: o.Eager}}
	p.tracingID.Store(uint64(time.Now().UnixNano()))
	return p
}

// Up is closed when all wanted links were up at once for the first time.
func (p *Pool) Up() <-chan struct{} { return p.up }

// Trace is the tracing id of the next message, 0 while the service has not asked
// for any (5.3).
func (p *Pool) Trace() uint64 {
	if !p.tracing.Load() {
		return 0
	}
	return p.NextTrace()
}

// NextTrace is the tracing id of the next message, whatever the service asked
// for.
func (p *Pool) NextTrace() uint64 { return p.tracingID.Add(1) }

// Start opens the fixed connections and keeps them up until ctx ends.
func (p *Pool) Start(ctx context.Context) {
	p.ctx, p.stop = context.WithCancel(ctx)
	if p.o.Links == 0 {
		p.wasUp = true
		close(p.up)
	}
	for range p.o.Links {
		p.wg.Go(p.keep)
	}
	p.wg.Go(p.status)
}

// keep replaces one fixed connection whenever it ends, until the app stops.
func (p *Pool) keep() {
	for p.ctx.Err() == nil {
		var l *Link
		err := p.backoff.do(p.ctx, func() (err error) {
			if l, err = p.dial(p.ctx, ""); err != nil && p.ctx.Err() == nil {
				p.o.Log.Warn("no server connection", "hub", p.o.Hub, "cause", err)
				p.attemptFailed()
			}
			return err
		})
		if err != nil {
			return
		}
		select {
		case <-l.gone:
		case <-p.ctx.Done():
		}
	}
}

// demand opens one more connection for an instance of the service.
func (p *Pool) demand(instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || p.onDemand >= maxOnDemand {
		return
	}
	p.onDemand++
	p.wg.Go(func() {
		if _, err := p.dial(p.ctx, instance); err != nil {
			p.o.Log.Warn("no on-demand connection", "hub", p.o.Hub, "instance", instance, "cause", err)
			p.mu.Lock()
			p.onDemand--
			p.mu.Unlock()
		}
	})
}

func (p *Pool) add(l *Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, l)
	p.online = true
	if !p.wasUp && len(p.links) >= p.o.Links {
		p.wasUp = true
		close(p.up)
	}
}

func (p *Pool) remove(l *Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.links {
		if other == l {
			p.links = append(p.links[:i:i], p.links[i+1:]...)
		}
	}
	for i := range p.slots {
		if p.slots[i] == l {
			p.slots[i] = nil
		}
	}
	if l.target != "" {
		p.onDemand--
	}
	if len(p.links) == 0 {
		p.online = false
	}
	close(l.gone)
}

func (p *Pool) attemptFailed() {
	p.mu.Lock()
	p.online = len(p.links) > 0
	p.mu.Unlock()
}

// Online tells whether clients may be sent to the service: until an attempt has
// failed, and while there is a link (2.4).
func (p *Pool) Online() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.online
}

// Pick chooses the link for what no client's own link carries: the same one
// for the same key as long as it is there, so that joins, sends and leaves of a
// group keep their order (7.4). It is nil while there is no link.
func (p *Pool) Pick(key string) *Link {
	h := fnv.New32a()
	h.Write([]byte(key))
	slot := h.Sum32() % uint32(len(p.slots))
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.slots[slot]; l != nil && !l.Offline.Load() {
		return l
	}
	fit := make([]*Link, 0, len(p.links))
	for _, l := range p.links {
		if !l.Offline.Load() {
			fit = append(fit, l)
		}
	}
	if len(fit) == 0 {
		fit = p.links
	}
	if len(fit) == 0 {
		return nil
	}
	p.slots[slot] = fit[rand.IntN(len(fit))]
	return p.slots[slot]
}

// All are the links that are up.
func (p *Pool) All() []*Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*Link(nil), p.links...)
}

// status pings on a random link: once per hub, not per link.
func (p *Pool) status() {
	for tick := time.NewTicker(p.o.Timing.Status); ; {
		select {
		case <-p.ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if links := p.All(); len(links) > 0 {
			links[rand.IntN(len(links))].ping("status", "1")
		}
	}
}

// Leave stops replacing links and asks the service, in the mode of a fin ping
// (8.4), to stop giving this app clients. It returns when the service has agreed
// on all links, at the latest when ctx ends.
func (p *Pool) Leave(ctx context.Context, mode int) {
	p.stop()
	var acked sync.WaitGroup
	for _, l := range p.All() {
		acked.Go(func() { l.fin(ctx, mode) })
	}
	acked.Wait()
}

// Close writes what waits, closes every link and waits for their end.
func (p *Pool) Close() {
	p.stop()
	for _, l := range p.All() {
		l.out.drain()
		l.conn.Close(1000, "")
	}
	p.wg.Wait()
}

// Drop breaks every link without a word and waits for their end.
func (p *Pool) Drop() {
	p.stop() // the end of the context of Start may still be on its way here
	for _, l := range p.All() {
		l.conn.NetConn().Close()
	}
	p.wg.Wait()
}

// fin asks the service to stop giving us clients, until it has agreed.
func (l *Link) fin(ctx context.Context, mode int) {
	for {
		l.ping("shutdown", "fin:"+strconv.Itoa(mode))
		select {
		case <-l.finacked:
			return
		case <-l.gone:
			return
		case <-ctx.Done():
			return
		case <-time.After(finEvery):
		}
	}
}

// Has tells whether a link is up.
func (p *Pool) Has(l *Link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.links, l)
}
