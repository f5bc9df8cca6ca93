package suite

import (
	"context"
	"fmt"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// silenceLast is how long a client that pings may be silent at Microsoft's server,
// which looks once a second, and a second more.
const silenceLast = 33 * time.Second

// askNotTimedOut has one client say Ping once and then something else, and another
// nothing after its handshake, for longer than a client may be silent that pings.
func askNotTimedOut(ctx context.Context, t *T) {
	talks, silent := dialHub(ctx, t, hubproto.JSON), dialHub(ctx, t, hubproto.JSON)
	talks.name, silent.name = "talks", "silent"
	talks.say(t, &hubproto.Message{Type: hubproto.Ping})
	over := time.After(silenceLast)
	every := time.NewTicker(silenceLast / 5)
	defer every.Stop()
	for waits := true; waits; {
		select {
		case <-every.C:
		case <-over:
			waits = false
		case <-ctx.Done():
			t.Broken(ctx.Err())
		}
		talks.answered(t, "that said Ping once, and other things since")
	}
	silent.answered(t, "that never said Ping, and is silent")
}

// answered fails unless a client, what of, is there to be answered. The method is
// one that no hub has, so that any hub may be asked.
func (c *hubConn) answered(t *T, what string) {
	if v := try(func() { c.call(t, "NoHubHasThis") }); v != nil {
		t.Fail(fmt.Sprintf("an answer to a client %s, for %v", what, silenceLast), fmt.Sprintf("the end of the client %s: %s", what, v.why))
	}
}
