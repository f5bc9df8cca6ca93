package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// coreClientCases are about what becomes of a client, and of others through it,
// where a transcript cannot say all that is right.
func coreClientCases(ends *turns) []Case {
	return []Case{
		{
			Name: "stateful-pings-of-server-do-not-count", Level: Hub, About: "Pings of the server are no messages that count: what a client acknowledges is behind them.",
			From:  "core-client-protocol 8.2 and 8.3",
			Limit: limit + pingLast, Run: askUncountedPings,
		},
		{
			Name: "stateful-ack-after-resume", Level: Hub, About: "Messages are counted on after a resume, and what comes again is not counted twice.",
			From: "core-client-protocol 8.3 and 8.5", Run: askAckAfterResume,
		},
		{
			Name: "stateful-version-1-does-not-resume", Level: Hub, About: "A client that asks for stateful reconnect and shakes hands with version 1 has none: it is not taken back.",
			From: "core-client-protocol 8.1 and 8.6", Run: askVersionOne,
		},
		{
			Name: "client-result-of-a-stranger", Level: Hub, About: "Only the client that was asked answers. Another that does is ignored, or ended.",
			From: "core-client-protocol 5.4; HubProtocol.md of dotnet/aspnetcore, Errors", Run: askStranger,
		},
		{
			Name: "path-of-client", Level: Hub, About: "The hub sees the path that the client asked for, also when a service is between them.",
			From: "the test hub; service-protocol 2.2", Run: askPath,
		},
		{
			Name: "disconnect-after-drop", Level: Hub, About: "The hub is told that a client has connected, and when the client's TCP connection has ended, that it has gone.",
			From: "the test hub", Run: askDisconnect,
		},
		{
			Name: "stream-of-a-client-that-left", Level: Hub, About: "A stream ends when the client that reads it has gone.",
			From: "the test hub", Run: ends.before(streamsEnd, askStreamLeft),
		},
		{
			Name: "upload-of-a-client-that-left", Level: Hub, About: "A stream ends when the client has gone whose items it is made of.",
			From: "the test hub", Run: ends.before(streamsEnd, askUploadLeft),
		},
	}
}

// askStranger has a third client answer before the one that was asked. Nobody waits
// for what becomes of it but to know that its answer is there.
func askStranger(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Ask")
	asked, caller, stranger := dialHub(ctx, t, hubproto.JSON), dialHub(ctx, t, hubproto.JSON), dialHub(ctx, t, hubproto.JSON)
	asked.name, caller.name, stranger.name = "asked", "caller", "stranger"
	stranger.call(t, echo, "here")
	caller.say(t, hubproto.Call("1", "Ask", rawOf(t, hubproto.JSON, asked.id, "why?")...))
	question := asked.next(t, hubproto.Invocation, "question").ID
	answer := func(c *hubConn, text string) {
		c.say(t, &hubproto.Message{Type: hubproto.Completion, ID: question, Result: rawOf(t, hubproto.JSON, text)[0]})
	}
	answer(stranger, "forged")
	try(func() { stranger.call(t, echo, "there") }) // or it is ended
	answer(asked, "because")
	Equal(t, "result", `"because"`, string(caller.next(t, hubproto.Completion, "").Result))
}

// askPath leaves it to proxies to add to the path, or take from it.
func askPath(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Path")
	at := strings.TrimSuffix(t.Endpoint.URL.Path, "/")
	var path string
	result := dialHub(ctx, t, hubproto.JSON).call(t, "Path").Result
	if json.Unmarshal(result, &path) != nil || path == "" || !strings.HasSuffix(at, path) && !strings.HasSuffix(path, at) {
		t.Fail(at, string(result))
	}
}

// askDisconnect looks at two counts that others raise too, and nobody lowers.
func askDisconnect(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Stats")
	observer := dialHub(ctx, t, hubproto.JSON)
	observer.name = "observer"
	stats := func() (connects, disconnects int) {
		result := observer.call(t, "Stats").Result
		var text string
		if err := json.Unmarshal(result, &text); err == nil {
			_, err = fmt.Sscan(text, &connects, &disconnects)
			if err == nil {
				return connects, disconnects
			}
		}
		t.Fail("connects and disconnects", string(result))
		return 0, 0
	}
	came, left := stats()
	client := dialHub(ctx, t, hubproto.JSON)
	client.call(t, echo, "here")
	if now, _ := stats(); now <= came {
		t.Fail(fmt.Sprintf("more than %d connects", came), fmt.Sprint(now))
	}
	client.drop(t)
	grows(ctx, t, "disconnects", left, func() int {
		_, now := stats()
		return now
	})
}

// askStreamLeft leaves a stream that would go on for a day.
func askStreamLeft(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Streams", "Counter")
	leaves(ctx, t, func(c *hubConn) {
		m := hubproto.Call("1", "Counter", rawOf(t, hubproto.JSON, 864_000, 100)...)
		m.Type = hubproto.StreamInvocation
		c.say(t, m)
	})
}

// askUploadLeft leaves an upload that has not ended, and so the stream of its items.
func askUploadLeft(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Streams", "Double")
	leaves(ctx, t, func(c *hubConn) {
		m := hubproto.Call("1", "Double")
		m.Type, m.StreamIDs = hubproto.StreamInvocation, []string{"2"}
		c.say(t, m)
		c.say(t, &hubproto.Message{Type: hubproto.StreamItem, ID: "2", Item: rawOf(t, hubproto.JSON, 1)[0]})
	})
}

// leaves has a client go after the first item of a stream, and waits until one
// more stream has ended.
func leaves(ctx context.Context, t *T, begin func(*hubConn)) {
	observer, client := dialHub(ctx, t, hubproto.JSON), dialHub(ctx, t, hubproto.JSON)
	observer.name = "observer"
	ended := func() int {
		result := observer.call(t, "Streams").Result
		n, err := strconv.Atoi(string(result))
		if err != nil {
			t.Fail("how many streams have ended", string(result))
		}
		return n
	}
	begin(client)
	client.next(t, hubproto.StreamItem, "")
	before := ended()
	client.drop(t)
	grows(ctx, t, "streams that have ended", before, ended)
}

// grows waits for a count to grow.
func grows(ctx context.Context, t *T, what string, was int, count func() int) {
	const patience, pause = 5 * time.Second, 50 * time.Millisecond
	every := time.NewTicker(pause)
	defer every.Stop()
	for began := time.Now(); count() <= was; {
		if time.Since(began) > patience {
			t.Fail(fmt.Sprintf("more than %d %s within %v", was, what, patience), fmt.Sprint(was))
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			t.Broken(ctx.Err())
		}
	}
}
