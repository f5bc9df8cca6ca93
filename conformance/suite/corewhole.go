package suite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// bigHandshake is a handshake and a call with a long answer.
const bigHandshake = `{"protocol":"json","version":1}` + "\x1e" + `{"type":1,"invocationId":"big","target":"Big","arguments":[300000]}` + "\x1e"

// isBigAnswer says whether records of JSON are the answer to that call. It fails
// where the last of them goes on elsewhere.
func isBigAnswer(t *T, records []byte) bool {
	if len(records) > 0 && !bytes.HasSuffix(records, []byte("\x1e")) {
		t.Fail("hub messages to the end of the last", fmt.Sprintf("%d bytes that do not end with ␞", len(records)))
	}
	return bytes.Contains(records, []byte(`"big"`))
}

// askWholeSocket looks at WebSocket messages.
func askWholeSocket(ctx context.Context, t *T) {
	skipWithoutBig(ctx, t)
	at := negotiateCore(ctx, t).offering(t, "WebSockets")
	c, err := ws.Dial(ctx, at.url(), at.header())
	if err != nil {
		t.Failf("no WebSocket: %v", err)
	}
	context.AfterFunc(ctx, func() { c.NetConn().Close() })
	if err := c.Write(ws.Text, []byte(bigHandshake)); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	for {
		_, m, err := c.Read()
		if err != nil {
			t.Failf("no answer to the call: %v", err)
		}
		if isBigAnswer(t, m) {
			return
		}
	}
}

// askWholeEvents looks at the data lines of an event stream. A line end between
// two of an event would be in the message.
func askWholeEvents(ctx context.Context, t *T) {
	skipWithoutBig(ctx, t)
	at := negotiateCore(ctx, t).offering(t, "ServerSentEvents")
	resp := at.events(ctx, t)
	defer resp.Body.Close()
	at.send(ctx, t, bigHandshake)
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Failf("no answer to the call: %v", err)
		}
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && isBigAnswer(t, bytes.TrimRight(data, "\r\n")) {
			return
		}
	}
}

// askWholePolls looks at the answers to polls.
func askWholePolls(ctx context.Context, t *T) {
	skipWithoutBig(ctx, t)
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	at.poll(ctx, t)
	at.send(ctx, t, bigHandshake)
	for !isBigAnswer(t, at.poll(ctx, t)) {
	}
}

func skipWithoutBig(ctx context.Context, t *T) {
	if name := missing(ctx, t.Endpoint, []string{"Big"}); name != "" {
		t.Skip("the test hub has no method " + name)
	}
}
