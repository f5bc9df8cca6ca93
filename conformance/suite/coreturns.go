package suite

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance"
)

// Cases of one run share the hub. Those that send to every client would disturb
// those with stateful reconnect, which count what their client gets.
const (
	broadcasts = "sends to every client"
	counts     = "counts messages"
)

// Nor can those that ask how many streams have ended run beside those that end some.
const (
	streams    = "ends streams"
	streamsEnd = "counts streams that end"
)

// toAll begins the texts of messages that go to every client. Clients of other cases
// know them by it.
const toAll = "to-all-"

// kindOf is which of these a transcript does, if any.
func kindOf(tr *conformance.Transcript) string {
	for _, s := range tr.Steps {
		if c, ok := s.Said.(conformance.Connect); ok && strings.Contains(c.Query, statefulQuery) {
			return counts
		}
	}
	if bytes.Contains(tr.Text(), []byte(toAll)) {
		return broadcasts
	}
	return ""
}

// endsStreams says whether a transcript calls a method whose streams the test hub
// counts.
func endsStreams(tr *conformance.Transcript) bool {
	methods := methodsOf(tr)
	return slices.Contains(methods, "Counter") || slices.Contains(methods, "Double")
}

// turns lets cases of one kind at a time ask an endpoint.
type turns struct {
	mu sync.Mutex
	at map[*Endpoint]turn // where cases run
}

func newTurns() *turns { return &turns{at: map[*Endpoint]turn{}} }

// A turn is that of the cases that run.
type turn struct {
	kind string
	n    int           // how many there are
	over chan struct{} // closed when the last of them ends
}

// before wraps a case of a kind: it waits while others run. What it waits counts
// against its limit.
func (a *turns) before(kind string, run func(context.Context, *T)) func(context.Context, *T) {
	return func(ctx context.Context, t *T) {
		for over := a.begin(t.Endpoint, kind); over != nil; over = a.begin(t.Endpoint, kind) {
			select {
			case <-over:
			case <-ctx.Done():
				t.Broken(ctx.Err())
			}
		}
		defer a.end(t.Endpoint)
		run(ctx, t)
	}
}

// begin takes part in the turn of a kind, or returns the end of the other's.
func (a *turns) begin(e *Endpoint, kind string) (over <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, ok := a.at[e]
	switch {
	case !ok:
		x = turn{kind: kind, over: make(chan struct{})}
	case x.kind != kind:
		return x.over
	}
	x.n++
	a.at[e] = x
	return nil
}

func (a *turns) end(e *Endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.at[e]
	if x.n--; x.n == 0 {
		close(x.over)
		delete(a.at, e)
		return
	}
	a.at[e] = x
}
