package suite

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// waits connects by one request, after which nobody polls.
func (k *legacyClient) waits(ctx context.Context) {
	a := k.door.ask(ctx, k.name, &legacyRequest{method: "POST", target: k.target("connect")})
	a.check(k.t, legacyExpect{status: 200, kind: "json", body: legacyPattern{`{"C":"${cursor}","S":1,"M":[]}`}})
	k.seen(a.body)
}

// A legacyParked is a poll that waits for its answer.
type legacyParked struct {
	res    chan *http.Response // its head; closed when there is none
	nc     net.Conn
	failed *verdict
}

// legacyHead is how long the head of a poll's answer may take.
const legacyHead = 3 * time.Second

// legacyParking is how long it takes a poll to get where it waits. Most servers
// show that by the head of the answer; for one that does not there is nothing
// else to go by.
const legacyParking = 500 * time.Millisecond

// parks sends a poll and returns when it waits.
func (k *legacyClient) parks(ctx context.Context, r *legacyRequest) *legacyParked {
	p := &legacyParked{res: make(chan *http.Response, 1)}
	arrived := make(chan struct{})
	go func() { // ends with the answer, or ctx
		defer close(arrived)
		defer close(p.res)
		p.failed = try(func() {
			res, nc := k.door.send(ctx, k.name, r)
			p.nc = nc
			p.res <- res
		})
	}()
	select {
	case <-arrived:
	case <-time.After(legacyParking):
	case <-ctx.Done():
	}
	return p
}

// answered expects that a poll is answered, keep-alives aside.
func (k *legacyClient) answered(p *legacyParked, want legacyPattern) {
	res, ok := <-p.res
	if !ok {
		panic(p.failed)
	}
	defer p.nc.Close()
	Equal(k.t, "status", 200, res.StatusCode)
	b, err := io.ReadAll(res.Body)
	text := strings.TrimLeft(string(b), " ")
	k.t.Said("server", k.name, "%s", legacyShort(text))
	if err != nil || !want.match(text) {
		k.t.Fail(want.String(), fmt.Sprintf("%s %v", text, err))
	}
}

// nothingNew is the answer to a poll that nothing came for: its cursor is the
// one that the client has.
func (k *legacyClient) nothingNew() legacyPattern {
	k.mu.Lock()
	defer k.mu.Unlock()
	return legacyPattern{`{"C":"` + k.mark + `","M":[]}`}
}

// endsPoll aborts, which answers the poll.
func (k *legacyClient) endsPoll(ctx context.Context, p *legacyParked) {
	k.abort(ctx).check(k.t, legacyExpect{status: 200, kind: "plain", body: legacyPattern{""}})
	k.answered(p, legacyPattern{`{"C":"${cursor}","M":[]}`})
}
