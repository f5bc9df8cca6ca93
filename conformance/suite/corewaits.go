package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
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
			Name: "stateful-abandoned", Level: Hub, About: "A connection with stateful reconnect that was cut and does not come back is gone after a while; Microsoft's server needs 15 seconds.",
			From:  "core-client-protocol 8.6",
			Limit: limit + abandonedLast, Run: askDroppedForGood,
		},
		{
			Name: "client-not-timed-out", Level: Core, About: "A client that says something is there, be it Ping or not. One that never said Ping need not say anything, as pysignalr, which sends WebSocket pings.",
			From:  "core-client-protocol 9.1 and 12.6; HubProtocol.md of dotnet/aspnetcore, Ping",
			Limit: limit + silenceLast, Run: askNotTimedOut,
		},
		{
			Name: "poll-abandoned", Level: Core, About: "A connection that nobody polls is gone after 15 seconds, not before a client may poll again, and not much later.",
			From:  "core-client-protocol 3.5 and 3.6; recorded from @microsoft/signalr 10.0.11 in Chromium, whose page was left",
			Limit: limit + abandonedLast, Run: d.before(askAbandoned, "LongPolling"),
		},
		{
			Name: "poll-waits", Level: Core, About: "A poll that has waited for long is answered 200 and empty, if at all; 204 would say that the connection has ended.",
			From:  "core-client-protocol 3.5",
			Limit: limit + pollWaits, Run: d.before(askWaits, "LongPolling"),
		},
		{
			Name: "poll-given-up", Level: Core, About: "What comes after a client has given up a poll waits for the next, as when JavaScript polls again after 100 seconds.",
			From: "core-client-protocol 1 and 3.5; recorded from ASP.NET Core SignalR 10.0", Run: d.before(askGivenUp, "LongPolling"),
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

// pollWaits is how long a poll waits for nothing: longer than the 15 s that a client may
// be away between polls.
const pollWaits = 18 * time.Second

// askWaits calls when nothing has come for long, and looks for the answer in the poll
// that waits then.
func askWaits(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	at.poll(ctx, t)
	at.send(ctx, t, string(handshake(hubproto.JSON, 1)))
	r, long := &hubReader{proto: hubproto.JSON}, time.After(pollWaits)
	for !r.hasAnswer("late") {
		began, answer := time.Now(), at.polling(ctx, t)
		var a pollAnswer
		select {
		case a = <-answer:
		case <-long:
			at.send(ctx, t, string(hubproto.JSON.Append(nil, hubproto.Call("late", "NoHubHasThis"))))
			a = <-answer
		}
		a.check()
		if a.status != http.StatusOK {
			t.Fail("200, empty or not", fmt.Sprintf("%d after %v", a.status, time.Since(began).Round(time.Second)))
		}
		r.read(t, a.body)
	}
}

// A poll is given up when nothing has come by it for pollQuiet. An endpoint is told so
// by the end of a TCP connection, which takes less than awayTime to get there.
const pollQuiet, awayTime = time.Second, time.Second

// askGivenUp calls when no poll waits any more, and looks for the answer in the next.
func askGivenUp(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	at.poll(ctx, t)
	at.send(ctx, t, string(handshake(hubproto.JSON, 1)))
	r := &hubReader{proto: hubproto.JSON}
	at.send(ctx, t, string(hubproto.JSON.Append(nil, hubproto.Call("before", "NoHubHasThis"))))
	for !r.hasAnswer("before") { // with all that a hub says to newcomers
		r.read(t, at.poll(ctx, t))
	}
	for quiet := false; !quiet; {
		poll, giveUp := context.WithCancel(ctx)
		answer := at.polling(poll, t)
		select {
		case a := <-answer:
			a.check()
			Equal(t, "status of a poll", http.StatusOK, a.status)
			r.read(t, a.body)
		case <-time.After(pollQuiet):
			quiet = true
		}
		giveUp()
	}
	t.Said("note", "h1", "the poll is given up")
	select {
	case <-time.After(awayTime):
	case <-ctx.Done():
		t.Broken(ctx.Err())
	}
	at.send(ctx, t, string(hubproto.JSON.Append(nil, hubproto.Call("after", "NoHubHasThis"))))
	for !r.hasAnswer("after") {
		r.read(t, at.poll(ctx, t))
	}
}

// askNegotiated negotiates and opens the connection when it ought to be gone.
func askNegotiated(ctx context.Context, t *T) {
	negotiateCore(ctx, t).offering(t, "WebSockets").gone(ctx, t)
}

// gone waits until a connection that nobody carries ought to be gone, and opens it.
func (p *corePlace) gone(ctx context.Context, t *T) {
	select {
	case <-time.After(abandonedLast):
	case <-ctx.Done():
		t.Broken(ctx.Err())
	}
	c, err := p.dial(ctx, t)
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
