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
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// coreWireCases are those that compare answers with each other, or look at the
// bytes of a transport, which a transcript does not show.
func coreWireCases(d *doors) []Case {
	return []Case{
		{
			Name: "ids-are-new", Level: Core, About: "No two connections have an id or a token in common, and the token is not the id.",
			From: "core-client-protocol 2.2", Run: func(ctx context.Context, t *T) {
				seen := map[string]bool{}
				for range 20 {
					at := negotiateCore(ctx, t)
					for _, id := range []string{at.ConnectionID, at.ConnectionToken} {
						if id == "" || seen[id] {
							t.Fail("a new id", fmt.Sprintf("%q", id))
						}
						seen[id] = true
					}
				}
			},
		},
		{
			Name: "negotiate-get", Level: Core, About: "Negotiate is POST; but an app that leaves its clients to Azure SignalR Service redirects whatever the method.",
			From: "core-client-protocol 2.1; run with Microsoft.Azure.SignalR 1.34.0", Run: func(ctx context.Context, t *T) {
				status, answer := firstNegotiate(ctx, t, http.MethodGet)
				if answer.URL == "" && status/100 != 4 {
					t.Fail("status 405, or another 4xx", fmt.Sprint("status ", status))
				}
			},
		},
		{
			Name: "negotiate-transports", Level: Core, About: "Every transport is offered with the formats that it has, and in the order in which clients shall try them.",
			From: "core-client-protocol 2.2 and 2.4; recorded from ASP.NET Core SignalR 10.0", Run: askTransports,
		},
		{
			Name: "redirect-answer", Level: Core, About: "A negotiate answer that sends the client elsewhere has an absolute URL, a token for it, no connection, and the query of the client.",
			From: "core-client-protocol 2.3, service-protocol 2.2", Run: askRedirect,
		},
		{
			Name: "messagepack-client-result", Level: Hub, About: "The hub asks a client that speaks messagepack.",
			From: "core-client-protocol 5.3 and 5.4", Run: askPackedClient,
		},
		{
			Name: "id-in-query-is-enough", Level: Core, About: "The token needs no more encoding than a query gives it.",
			From: "core-client-protocol 2.2", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t)
				if q, err := url.ParseQuery("id=" + at.ConnectionToken); err != nil || len(q) != 1 || q.Get("id") != at.ConnectionToken || strings.Contains(at.ConnectionToken, "#") {
					t.Fail("a token that a query holds as it is", at.ConnectionToken)
				}
			},
		},
		{
			Name: "sse-head", Level: Core, About: "The head of an event stream and a comment come at once, so that the client sees the head, and nobody keeps them.",
			From: "core-client-protocol 3.4", Run: func(ctx context.Context, t *T) {
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
			},
		},
		{
			Name: "exact-sse-head", Level: Core, About: "The head of an event stream and its first bytes, as Microsoft's server writes them: proxies neither keep nor compress it.",
			From: "core-client-protocol 3.4; recorded from ASP.NET Core SignalR 10.0", Run: func(ctx context.Context, t *T) {
				resp := negotiateCore(ctx, t).offering(t, "ServerSentEvents").events(ctx, t)
				defer resp.Body.Close()
				for _, f := range [][2]string{
					{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache,no-store"}, {"Pragma", "no-cache"}, {"Content-Encoding", "identity"},
				} {
					Equal(t, f[0], withoutSpace(f[1]), withoutSpace(strings.Join(resp.Header.Values(f[0]), ",")))
				}
				expectBytes(t, resp.Body, ":\r\n")
			},
		},
		{
			Name: "sse-events", Level: Core, About: "A hub message is one event: its data, two line ends, and no other field. .NET clients up to 8 take nothing else, nor any other line end.",
			From: "core-client-protocol 3.4; run with Microsoft.AspNetCore.SignalR.Client 8.0.34", Run: askEvents,
		},
		{
			Name: "poll-handshake-first", Level: Core, About: "A handshake that was posted before the first poll is answered, as signalrcore does it.",
			From: "core-client-protocol 3.5; recorded from signalrcore 1.0.2", Run: d.before(askHandshakeFirst, "LongPolling"),
		},
		{
			Name: "send-before-transport", Level: Core, About: "What is sent before a transport is open is taken at once, and answered when one is.",
			From: "core-client-protocol 3.5 (what signalrcore does)", Run: askSentBefore,
		},
		{
			Name: "websocket-upgrade", Level: Core, About: "The answer to the upgrade has no subprotocol and no extension that the client did not offer.",
			From: "core-client-protocol 3.3, RFC 6455 section 4.2.2", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t).offering(t, "WebSockets")
				h := at.header()
				h.Set("Connection", "Upgrade")
				h.Set("Upgrade", "websocket")
				h.Set("Sec-WebSocket-Version", "13")
				h.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
				resp := at.do(ctx, t, http.MethodGet, h, nil)
				defer resp.Body.Close()
				Equal(t, "status", http.StatusSwitchingProtocols, resp.StatusCode)
				Equal(t, "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-WebSocket-Accept"))
				Equal(t, "Sec-WebSocket-Protocol", "", resp.Header.Get("Sec-WebSocket-Protocol"))
				Equal(t, "Sec-WebSocket-Extensions", "", resp.Header.Get("Sec-WebSocket-Extensions"))
			},
		},
		{
			Name: "websocket-fragments", Level: Core, About: "A message may come in several frames, with a ping between them, which is answered.",
			From: "core-client-protocol 3.3, RFC 6455 section 5.4", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t).offering(t, "WebSockets")
				c, err := ws.Dial(ctx, at.url(), at.header())
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
			},
		},
	}
}

// firstNegotiate negotiates and follows nothing. An answer that is no JSON is an
// empty one.
func firstNegotiate(ctx context.Context, t *T, method string) (status int, answer *corePlace) {
	u, err := url.Parse(hubURL(t.Endpoint))
	if err != nil {
		t.Broken(err)
	}
	u = u.JoinPath("negotiate")
	u.RawQuery = strings.Trim(u.RawQuery+"&negotiateVersion=1&colour=red", "&")
	answer = &corePlace{}
	resp := answer.doAt(ctx, t, method, u.String(), http.Header{}, nil)
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Failf("read the answer to negotiate: %v", err)
	}
	if json.Unmarshal(body, answer) != nil {
		answer = &corePlace{}
	}
	return resp.StatusCode, answer
}

// askTransports compares the transports that are offered with what each of them
// has; an app need not offer all.
func askTransports(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t)
	var right []map[string]any
	for _, o := range []map[string]any{
		{"transport": "WebSockets", "transferFormats": []any{"Text", "Binary"}},
		{"transport": "ServerSentEvents", "transferFormats": []any{"Text"}},
		{"transport": "LongPolling", "transferFormats": []any{"Text", "Binary"}},
	} {
		if slices.ContainsFunc(at.offered(), func(is map[string]any) bool { return is["transport"] == o["transport"] }) {
			right = append(right, o)
		}
	}
	if len(right) == 0 || !reflect.DeepEqual(right, at.offered()) {
		want, err := json.Marshal(right)
		if err != nil {
			t.Broken(err)
		}
		t.Fail("one or more of the transports, each as "+string(want), string(at.AvailableTransports))
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

// askSentBefore posts the handshake and then opens the event stream.
func askSentBefore(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "ServerSentEvents")
	at.send(ctx, t, `{"protocol":"json","version":1}`+"\x1e")
	resp := at.events(ctx, t)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
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

func askRedirect(ctx context.Context, t *T) {
	_, here := firstNegotiate(ctx, t, http.MethodPost)
	if here.URL == "" {
		t.Skip("the endpoint keeps its clients")
	}
	to, err := url.Parse(here.URL)
	if err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		t.Fail("an absolute URL", here.URL)
	}
	Equal(t, "parts of the token", 3, len(strings.Split(here.AccessToken, ".")))
	Equal(t, "connectionId", "", here.ConnectionID)
	Equal(t, "colour in the query of the URL", "red", to.Query().Get("colour"))
}

// askPackedClient answers the question of a hub. Its id is as long as the server
// likes, which the bytes of a transcript cannot say.
func askPackedClient(ctx context.Context, t *T) {
	if name := missing(ctx, t.Endpoint, []string{"Ask"}); name != "" {
		t.Skip("the test hub has no method " + name)
	}
	asked := dialHub(ctx, t, hubproto.MessagePack)
	caller := dialHub(ctx, t, hubproto.JSON)
	question, err := hubproto.Values(hubproto.JSON, asked.id, "why?")
	if err != nil {
		t.Broken(err)
	}
	caller.say(t, hubproto.Call("1", "Ask", question...))
	m := asked.next(t, hubproto.Invocation, "question")
	if m.ID == "" {
		t.Fail("question with an id", "one without")
	}
	answer, err := hubproto.Values(hubproto.MessagePack, "because")
	if err != nil {
		t.Broken(err)
	}
	asked.say(t, &hubproto.Message{Type: hubproto.Completion, ID: m.ID, Result: answer[0]})
	Equal(t, "result", `"because"`, string(caller.next(t, hubproto.Completion, "").Result))
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
