package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// coreWaitCases are those that take longest, by what the protocol makes them wait.
func coreWaitCases(d *doors) []Case {
	return []Case{
		{
			Name: "negotiated-abandoned", Level: Core, About: "A connection that was negotiated and never opened is gone after a while; Microsoft's server needs 15 seconds.",
			From:  "core-client-protocol 2.2 and 3.6",
			Limit: limit + abandonedLast, Run: askNegotiated,
		},
		{
			Name: "poll-abandoned", Level: Core, About: "A connection that nobody polls is gone after 15 seconds, not before a client may poll again, and not much later.",
			From:  "core-client-protocol 3.5 and 3.6; recorded from @microsoft/signalr 10.0.11 in Chromium, whose page was left",
			Limit: limit + abandonedLast, Run: d.before(askAbandoned, "LongPolling"),
		},
	}
}

// When a connection is gone that nobody polls, or opens: Microsoft's server needs
// 15 s and looks once a second.
const abandonedFirst, abandonedLast = 5 * time.Second, 35 * time.Second

// askAbandoned polls until the handshake is answered and then asks once a second
// whether the connection is still there, by a send, which is no poll.
func askAbandoned(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	at.poll(ctx, t)
	at.send(ctx, t, `{"protocol":"json","version":1}`+"\x1e")
	if got := at.poll(ctx, t); !bytes.HasPrefix(got, []byte("{}\x1e")) {
		t.Fail("{}␞", string(got))
	}
	began := time.Now()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for range every.C {
		resp := at.do(ctx, t, http.MethodPost, at.header(), strings.NewReader(`{"type":6}`+"\x1e"))
		resp.Body.Close()
		away := time.Since(began).Round(time.Second)
		switch {
		case resp.StatusCode == http.StatusNotFound && away < abandonedFirst:
			t.Fail(fmt.Sprintf("200 for the first %v", abandonedFirst), fmt.Sprintf("%d after %v", resp.StatusCode, away))
		case resp.StatusCode == http.StatusNotFound:
			return
		case resp.StatusCode != http.StatusOK || away > abandonedLast:
			t.Fail(fmt.Sprintf("404 within %v", abandonedLast), fmt.Sprintf("%d after %v", resp.StatusCode, away))
		}
	}
}

// askNegotiated negotiates and opens the connection when it ought to be gone.
func askNegotiated(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "WebSockets")
	select {
	case <-time.After(abandonedLast):
	case <-ctx.Done():
		t.Broken(ctx.Err())
	}
	c, err := ws.Dial(ctx, at.url(), at.header())
	var refused *ws.StatusError
	switch {
	case errors.As(err, &refused):
		Equal(t, "status", http.StatusNotFound, refused.Code)
		return
	case err != nil:
		t.Failf("no answer: %v", err)
	}
	// That an unknown id opens nothing is for another case.
	defer c.NetConn().Close()
	stop := context.AfterFunc(ctx, func() { c.NetConn().Close() })
	defer stop()
	if err := c.Write(ws.Text, []byte(`{"protocol":"json","version":1}`+"\x1e")); err != nil {
		return
	}
	if _, m, err := c.Read(); err == nil {
		t.Fail(fmt.Sprintf("404 after %v", abandonedLast), fmt.Sprintf("101 and %q", m))
	}
}
