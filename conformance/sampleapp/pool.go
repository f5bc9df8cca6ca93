package sampleapp

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

const (
	statusEvery = 10 * time.Second // status ping of a hub (service-protocol 5.2)
	finEvery    = 5 * time.Second  // until the service has acknowledged
	maxOnDemand = 16               // on-demand connections of a hub at a time
)

// pool is the server connections of one hub: those that are replaced for ever
// and those that the service asked for.
type pool struct {
	hub  *hub
	want int
	wg   sync.WaitGroup // every goroutine of the pool and its links

	ctx  context.Context // the life of the pool, not of a call: ends attempts, not links
	stop context.CancelFunc

	backoff backoff

	mu       sync.Mutex
	links    []*link
	onDemand int           // among links, and being dialled
	slots    [256]*link    // which link sends what is not a client's own (7.4)
	up       chan struct{} // closed when want links were up at once
	wasUp    bool          // up is closed
	online   bool          // negotiate may send clients (2.4)
}

func newPool(h *hub, want int) *pool {
	return &pool{hub: h, want: want, up: make(chan struct{}), online: true}
}

// start opens the fixed connections and keeps them up until ctx ends.
func (p *pool) start(ctx context.Context) {
	p.ctx, p.stop = context.WithCancel(ctx)
	if p.want == 0 {
		close(p.up)
	}
	for range p.want {
		p.wg.Go(p.keep)
	}
	p.wg.Go(p.status)
}

// keep replaces one fixed connection whenever it ends, until the app stops.
func (p *pool) keep() {
	for p.ctx.Err() == nil {
		var l *link
		err := p.backoff.do(p.ctx, func() (err error) {
			if l, err = p.hub.dial(p.ctx, ""); err != nil && p.ctx.Err() == nil {
				p.hub.app.log.Warn("no server connection", "hub", p.hub.name, "cause", err)
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
func (p *pool) demand(instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || p.onDemand >= maxOnDemand {
		return
	}
	p.onDemand++
	p.wg.Go(func() {
		if _, err := p.hub.dial(p.ctx, instance); err != nil {
			p.hub.app.log.Warn("no on-demand connection", "hub", p.hub.name, "instance", instance, "cause", err)
			p.mu.Lock()
			p.onDemand--
			p.mu.Unlock()
		}
	})
}

func (p *pool) add(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, l)
	p.online = true
	if !p.wasUp && len(p.links) >= p.want {
		p.wasUp = true
		close(p.up)
	}
}

func (p *pool) remove(l *link) {
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

func (p *pool) attemptFailed() {
	p.mu.Lock()
	p.online = len(p.links) > 0
	p.mu.Unlock()
}

func (p *pool) isOnline() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.online
}

// pick chooses the link for what no client's own link carries: the same one
// for the same key as long as it is there, so that joins, sends and leaves of a
// group keep their order (7.4). It is nil while there is no link.
func (p *pool) pick(key string) *link {
	h := fnv.New32a()
	h.Write([]byte(key))
	slot := h.Sum32() % uint32(len(p.slots))
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.slots[slot]; l != nil && !l.offline.Load() {
		return l
	}
	fit := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		if !l.offline.Load() {
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

func (p *pool) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*link(nil), p.links...)
}

// status pings on a random link: once per hub, not per link.
func (p *pool) status() {
	for tick := time.NewTicker(statusEvery); ; {
		select {
		case <-p.ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if links := p.all(); len(links) > 0 {
			links[rand.IntN(len(links))].ping("status", "1")
		}
	}
}

// shutdown takes the hub off the service in the app's mode (8.4). It returns
// when no link is left, at the latest when ctx ends.
func (p *pool) shutdown(ctx context.Context) {
	p.stop()
	mode := p.hub.app.shutdown
	links := p.all()
	var acked sync.WaitGroup
	for _, l := range links {
		acked.Go(func() { l.fin(ctx, mode) })
	}
	acked.Wait()
	if ctx.Err() == nil {
		if mode == shutdownOff {
			p.hub.endAll()
		} else {
			p.hub.empty(ctx)
		}
	}
	for _, l := range p.all() {
		l.out.drain()
		l.conn.Close(1000, "")
	}
	p.wg.Wait()
}

// fin asks the service to stop giving us clients, until it has agreed.
func (l *link) fin(ctx context.Context, mode shutdown) {
	for {
		l.ping("shutdown", "fin:"+strconv.Itoa(int(mode)))
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
