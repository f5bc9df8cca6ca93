package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A statefulConn is a client by WebSocket that asked for stateful reconnect.
type statefulConn struct {
	*hubConn
	at *corePlace
}

// dialStateful connects a client until ctx ends. Version is that of its handshake:
// below 2 there is no stateful reconnect (core-client-protocol 8.1).
func dialStateful(ctx context.Context, t *T, version int) *statefulConn {
	at := negotiateCore(ctx, t, statefulQuery).offering(t, "WebSockets")
	if !at.UseStatefulReconnect {
		t.Skip(noStateful)
	}
	c := &statefulConn{&hubConn{hubReader: hubReader{proto: hubproto.JSON}, name: "c1", id: at.ConnectionID, ws: at.open(ctx, t)}, at}
	first := handshake(c.proto, version)
	t.Said("client", c.name, "%q", first)
	if err := c.ws.Write(ws.Text, first); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	return c
}

// resume opens another WebSocket in the place of the one that was dropped. The
// client's next message is number first: one that it has said already comes again.
func (c *statefulConn) resume(ctx context.Context, t *T, first int64) {
	c.ws = c.at.open(ctx, t)
	c.framer = hubproto.Framer{Protocol: c.proto}
	c.came = nil
	c.say(t, &hubproto.Message{Type: hubproto.Sequence, SequenceID: first})
}

// pingLast is when a server has said Ping: clients give up after 30 s
// (core-client-protocol 9.2).
const pingLast = 28 * time.Second

// askUncountedPings acknowledges all that came when a Ping was among it. A server
// that counts it believes of the last message that it was not acknowledged.
func askUncountedPings(ctx context.Context, t *T) {
	c := dialStateful(ctx, t, 2)
	c.call(t, echo, "a")
	c.next(t, hubproto.Ping, "")
	known := c.call(t, echo, "b").ID
	acked := c.counts
	c.say(t, &hubproto.Message{Type: hubproto.Ack, SequenceID: acked})
	c.call(t, echo, "c") // whose answer says that the Ack was there
	c.drop(t)
	c.resume(ctx, t, 4)
	if n := c.next(t, hubproto.Sequence, "").SequenceID; n != acked+1 {
		t.Fail(fmt.Sprintf("Sequence %d", acked+1), fmt.Sprintf("Sequence %d", n))
	}
	if again := c.next(t, hubproto.Completion, "").ID; again == known {
		t.Fail("what was not acknowledged", "the answer to "+again+", which was")
	}
}

// askAckAfterResume says one message twice and one more, which makes two.
func askAckAfterResume(ctx context.Context, t *T) {
	c := dialStateful(ctx, t, 2)
	c.call(t, echo, "a")
	c.drop(t)
	c.resume(ctx, t, 1)
	c.say(t, hubproto.Call("again", echo, rawOf(t, c.proto, "a")...))
	c.call(t, echo, "b")
	for {
		switch n := c.next(t, hubproto.Ack, "").SequenceID; {
		case n == 2:
			return
		case n > 2:
			t.Fail("Ack 2", fmt.Sprintf("Ack %d", n))
		}
	}
}

func askVersionOne(ctx context.Context, t *T) {
	c := dialStateful(ctx, t, 1)
	c.call(t, echo, "a")
	c.drop(t)
	again, err := c.at.dial(ctx, t)
	var refused *ws.StatusError
	switch {
	case errors.As(err, &refused):
	case err != nil:
		t.Failf("no answer: %v", err)
	default:
		again.NetConn().Close()
		t.Fail("a refusal", "101")
	}
}

// askDroppedForGood comes back when the connection ought to be gone.
func askDroppedForGood(ctx context.Context, t *T) {
	c := dialStateful(ctx, t, 2)
	c.call(t, echo, "a")
	c.drop(t)
	c.at.gone(ctx, t)
}
