package suite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// bigCall is a call with a long answer.
func bigCall(t *T, p hubproto.Protocol) *hubproto.Message {
	size, err := hubproto.Values(p, 300_000)
	if err != nil {
		t.Broken(err)
	}
	return hubproto.Call("big", "Big", size...)
}

// answersBig reads what a hub says at a time and says whether the answer to that
// call has come. It fails where a hub message goes on elsewhere.
func (r *hubReader) answersBig(t *T, b []byte) bool {
	r.read(t, b)
	if r.framer.Pending() > 0 {
		t.Fail("hub messages to the end of the last", fmt.Sprintf("%d bytes that do not end with a hub message", len(b)))
	}
	return r.hasAnswer("big")
}

// askWholeSocket looks at WebSocket messages.
func askWholeSocket(p hubproto.Protocol) func(context.Context, *T) {
	return func(ctx context.Context, t *T) {
		skipWithout(ctx, t, "Big")
		c := dialHub(ctx, t, p)
		c.say(t, bigCall(t, p))
		for {
			_, m, err := c.ws.Read()
			if err != nil {
				t.Failf("no answer to the call: %v", err)
			}
			if c.answersBig(t, m) {
				return
			}
		}
	}
}

// askWholeEvents looks at the data lines of an event stream. A line end between
// two of an event would be in the message.
func askWholeEvents(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Big")
	at := negotiateCore(ctx, t).offering(t, "ServerSentEvents")
	resp := at.events(ctx, t)
	defer resp.Body.Close()
	r := at.callsBig(ctx, t, hubproto.JSON)
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Failf("no answer to the call: %v", err)
		}
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && r.answersBig(t, bytes.TrimSpace(data)) {
			return
		}
	}
}

// askWholePolls looks at the answers to polls.
func askWholePolls(p hubproto.Protocol) func(context.Context, *T) {
	return func(ctx context.Context, t *T) {
		skipWithout(ctx, t, "Big")
		at := negotiateCore(ctx, t).offering(t, "LongPolling")
		at.poll(ctx, t)
		r := at.callsBig(ctx, t, p)
		for !r.answersBig(t, at.poll(ctx, t)) {
		}
	}
}

// callsBig sends the handshake and the call.
func (p *corePlace) callsBig(ctx context.Context, t *T, proto hubproto.Protocol) *hubReader {
	p.send(ctx, t, string(proto.Append(handshake(proto, 1), bigCall(t, proto))))
	return &hubReader{proto: proto}
}
