package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

func askStreamHead(ctx context.Context, t *T) {
	resp := negotiateCore(ctx, t).offering(t, "ServerSentEvents").events(ctx, t)
	defer resp.Body.Close()
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/event-stream" {
		t.Fail("Content-Type text/event-stream", resp.Header.Get("Content-Type"))
	}
	if kept := resp.Header.Get("Cache-Control"); !strings.Contains(kept, "no-cache") && !strings.Contains(kept, "no-store") {
		t.Fail("Cache-Control no-cache", fmt.Sprintf("Cache-Control %q", kept))
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line[0] != ':' {
		t.Fail("a comment", fmt.Sprintf("%q, %v", line, err))
	}
}

func askExactStreamHead(ctx context.Context, t *T) {
	resp := negotiateCore(ctx, t).offering(t, "ServerSentEvents").events(ctx, t)
	defer resp.Body.Close()
	for _, f := range [][2]string{
		{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache,no-store"}, {"Pragma", "no-cache"}, {"Content-Encoding", "identity"},
	} {
		Equal(t, f[0], withoutSpace(f[1]), withoutSpace(strings.Join(resp.Header.Values(f[0]), ",")))
	}
	expectBytes(t, resp.Body, ":\r\n")
}

// askEvents reads an event, after any comments, and the end of the stream. The
// event is that of a handshake that is refused, with a text of the server's own.
func askEvents(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "ServerSentEvents")
	resp := at.events(ctx, t)
	defer resp.Body.Close()
	at.send(ctx, t, `{"protocol":"xml","version":1}`+"\x1e")
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	for err == nil && (line[0] == ':' || line == "\r\n") {
		line, err = lines.ReadString('\n')
	}
	var refused struct{ Error string }
	data, ok1 := strings.CutPrefix(line, "data: ")
	record, ok2 := strings.CutSuffix(data, "\x1e\r\n")
	if !ok1 || !ok2 || json.Unmarshal([]byte(record), &refused) != nil || refused.Error == "" {
		t.Fail(`data: {"error":"…"}\x1e\r\n`, fmt.Sprintf("%q, %v", line, err))
	}
	t.Said("server", "c1", "%q", line)
	expectBytes(t, lines, "\r\n")
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Fail("the end of the stream", fmt.Sprintf("%q, %v", rest, err))
	}
}

// askHandshakeFirst posts the handshake and then polls.
func askHandshakeFirst(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	at.send(ctx, t, `{"protocol":"json","version":1}`+"\x1e")
	var got []byte
	for range 3 { // the first is empty, unless the answer is there already
		got = append(got, at.poll(ctx, t)...)
		if len(got) > 0 {
			break
		}
	}
	if !bytes.HasPrefix(got, []byte("{}\x1e")) {
		t.Fail("{}␞", string(got))
	}
}

// A pollAnswer is how a poll was answered, if it was.
type pollAnswer struct {
	status int
	body   []byte
	failed *verdict
}

// askTakenOver has a poll come while another waits. In which order the endpoint
// sees two polls nobody else can tell; but when one of two has been answered, the
// other is known to wait, and a third comes later.
func askTakenOver(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	at.poll(ctx, t)
	var a pollAnswer
	one, other := at.polling(ctx, t), at.polling(ctx, t)
	select {
	case a = <-one:
	case a = <-other:
		other = one
	}
	a.check()
	if a.status != http.StatusNoContent && a.status != http.StatusConflict { // which the loser of a race gets (core-client-protocol 3.2)
		t.Fail("status 204 of one of two polls", fmt.Sprint("status ", a.status))
	}
	third := at.polling(ctx, t)
	select {
	case a = <-other:
		a.check()
		Equal(t, "status of the poll that waited", http.StatusNoContent, a.status)
	case a = <-third:
		a.check()
		t.Fail("status 204 of the poll that waited", fmt.Sprintf("status %d of the one that came", a.status))
	}
	at.send(ctx, t, `{"protocol":"xml","version":1}`+"\x1e")
	a = <-third
	a.check()
	Equal(t, "status of the poll that came", http.StatusOK, a.status)
	Contains(t, "an error", `"error"`, string(a.body))
}

// polling polls, while the case does something else. The answer comes when it does,
// or ctx ends.
func (p *corePlace) polling(ctx context.Context, t *T) <-chan pollAnswer {
	answer := make(chan pollAnswer, 1)
	go func() { // ends with the answer, or ctx
		var a pollAnswer
		a.failed = try(func() { a.status, a.body = p.pollAny(ctx, t) })
		answer <- a
	}()
	return answer
}

// check ends the case where no answer came.
func (a *pollAnswer) check() {
	if a.failed != nil {
		panic(a.failed)
	}
}

// askSentBefore posts the handshake and then opens the event stream.
func askSentBefore(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "ServerSentEvents")
	at.send(ctx, t, `{"protocol":"json","version":1}`+"\x1e")
	resp := at.events(ctx, t)
	defer resp.Body.Close()
	expectShaken(t, resp.Body)
}

// expectShaken reads events until the handshake is answered.
func expectShaken(t *T, events io.Reader) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, "data: {}\x1e") {
			return
		}
		if err != nil || strings.HasPrefix(line, "data:") {
			t.Fail("data: {}␞", fmt.Sprintf("%q, %v", line, err))
		}
	}
}

func askUpgrade(ctx context.Context, t *T) {
	resp := negotiateCore(ctx, t).offering(t, "WebSockets").upgrade(ctx, t, "Upgrade", "websocket")
	defer resp.Body.Close()
	Equal(t, "status", http.StatusSwitchingProtocols, resp.StatusCode)
	Equal(t, "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-WebSocket-Accept"))
	Equal(t, "Sec-WebSocket-Protocol", "", resp.Header.Get("Sec-WebSocket-Protocol"))
	Equal(t, "Sec-WebSocket-Extensions", "", resp.Header.Get("Sec-WebSocket-Extensions"))
}

func askFragments(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "WebSockets")
	c, err := at.dial(ctx, t)
	if err != nil {
		t.Failf("no WebSocket: %v", err)
	}
	defer c.NetConn().Close()
	stop := context.AfterFunc(ctx, func() { c.NetConn().Close() })
	defer stop()
	pong := make(chan string, 1)
	c.OnPong(func(p []byte) {
		select {
		case pong <- string(p):
		default:
		}
	})
	for _, frame := range [][]byte{
		maskedFrame(0x01, `{"protocol":"js`), maskedFrame(0x00, `on","version":`), maskedFrame(0x89, "there?"), maskedFrame(0x80, "1}\x1e"),
	} {
		if _, err := c.NetConn().Write(frame); err != nil {
			t.Failf("the endpoint ended a connection: %v", err)
		}
	}
	_, m, err := c.Read()
	if err != nil || !bytes.HasPrefix(m, []byte("{}\x1e")) {
		t.Fail("{}␞", fmt.Sprintf("%q, %v", m, err))
	}
	for len(pong) == 0 && err == nil {
		_, _, err = c.Read()
	}
	if len(pong) == 0 {
		t.Fail("a pong", err.Error())
	}
	Equal(t, "pong", "there?", <-pong)
}

// maskedFrame is a WebSocket frame with the mask 0, which leaves the bytes as
// they are. The first byte is FIN and the opcode.
func maskedFrame(first byte, text string) []byte {
	return append([]byte{first, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

func withoutSpace(s string) string { return strings.ReplaceAll(s, " ", "") }

// expectBytes reads as many bytes as want has, and compares.
func expectBytes(t *T, r io.Reader, want string) {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if string(got[:n]) != want {
		t.Fail(fmt.Sprintf("%q", want), fmt.Sprintf("%q (%v)", got[:n], err))
	}
	t.Said("server", "c1", "%q", want)
}
