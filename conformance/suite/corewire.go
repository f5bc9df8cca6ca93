package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// coreWireCases are those that compare answers with each other, or look at the
// bytes of a transport, which a transcript does not show.
func coreWireCases() []Case {
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
				if answer.URL == "" {
					Equal(t, "status", http.StatusMethodNotAllowed, status)
				}
			},
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
				if url.QueryEscape(at.ConnectionToken) != at.ConnectionToken {
					t.Fail("a token of letters, digits, - and _", at.ConnectionToken)
				}
			},
		},
		{
			Name: "sse-head", Level: Core, About: "The head of an event stream and its first bytes come at once: a comment, so that the client sees the head.",
			From: "core-client-protocol 3.4; recorded from ASP.NET Core SignalR 10.0", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t)
				resp := at.events(ctx, t)
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
			Name: "sse-events", Level: Core, About: "A hub message is one event: its data, two line ends, and no other field.",
			From: "core-client-protocol 3.4", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t)
				resp := at.events(ctx, t)
				defer resp.Body.Close()
				expectBytes(t, resp.Body, ":\r\n")
				at.send(ctx, t, `{"protocol":"xml","version":1}`+"\x1e")
				expectBytes(t, resp.Body, `data: {"error":"The protocol 'xml' is not supported."}`+"\x1e\r\n\r\n")
				if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
					t.Fail("the end of the stream", fmt.Sprintf("%q, %v", rest, err))
				}
			},
		},
		{
			Name: "poll-handshake-first", Level: Core, About: "A handshake that was posted before the first poll is answered, as signalrcore does it.",
			From: "core-client-protocol 3.5; recorded from signalrcore 1.0.2", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t)
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
			},
		},
		{
			Name: "websocket-upgrade", Level: Core, About: "The answer to the upgrade has no subprotocol and no extension that the client did not offer.",
			From: "core-client-protocol 3.3, RFC 6455 section 4.2.2", Run: func(ctx context.Context, t *T) {
				at := negotiateCore(ctx, t)
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
				at := negotiateCore(ctx, t)
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

// A hubConn is a client of the test hub by WebSocket.
type hubConn struct {
	name   string
	id     string
	ws     *ws.Conn
	proto  hubproto.Protocol
	framer hubproto.Framer
	came   []*hubproto.Message
}

// dialHub connects a client until ctx ends.
func dialHub(ctx context.Context, t *T, p hubproto.Protocol) *hubConn {
	at := negotiateCore(ctx, t)
	socket, err := ws.Dial(ctx, at.url(), at.header())
	if err != nil {
		t.Failf("no WebSocket: %v", err)
	}
	context.AfterFunc(ctx, func() { socket.NetConn().Close() })
	c := &hubConn{name: p.Name(), id: at.ConnectionID, ws: socket, proto: p}
	shake := hubproto.AppendHandshakeRequest(nil, hubproto.HandshakeRequest{Protocol: p.Name(), Version: 1})
	if err := socket.Write(ws.Text, shake); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	return c
}

func (c *hubConn) say(t *T, m *hubproto.Message) {
	op := byte(ws.Text)
	if c.proto.Binary() {
		op = ws.Binary
	}
	b := c.proto.Append(nil, m)
	t.Said("client", c.name, "%q", b)
	if err := c.ws.Write(op, b); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
}

// next waits for a message of a type, and of a target where one is given; others
// are passed over.
func (c *hubConn) next(t *T, kind hubproto.Type, target string) *hubproto.Message {
	for {
		for len(c.came) > 0 {
			m := c.came[0]
			c.came = c.came[1:]
			if m.Type == kind && (target == "" || m.Target == target) {
				return m
			}
		}
		_, b, err := c.ws.Read()
		if err != nil {
			t.Failf("no message of type %d: %v", kind, err)
		}
		t.Said("server", c.name, "%q", b)
		if err := c.framer.Feed(bytes.Clone(b), c.take); err != nil {
			t.Failf("what came is no hub message: %v", err)
		}
	}
}

// take keeps a message, after the answer to the handshake.
func (c *hubConn) take(body []byte) error {
	if c.framer.Protocol == nil {
		c.framer.Protocol = c.proto
		if text, refused, err := hubproto.ParseHandshakeResponse(body); refused || err != nil {
			return fmt.Errorf("handshake refused: %s %w", text, err)
		}
		return nil
	}
	m := &hubproto.Message{}
	c.came = append(c.came, m)
	return c.proto.Parse(bytes.Clone(body), m)
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

// A corePlace is a connection of a hub that was negotiated: what the answer says,
// and where it is.
type corePlace struct {
	ConnectionID, ConnectionToken string
	URL, AccessToken              string

	at     *url.URL
	bearer string
}

// maxRedirects is how many negotiates a client makes (core-client-protocol 2.3).
const maxRedirects = 100

// negotiateCore negotiates, and goes where the answers send it
// (core-client-protocol 2.3).
func negotiateCore(ctx context.Context, t *T) *corePlace {
	at, err := url.Parse(hubURL(t.Endpoint))
	if err != nil {
		t.Broken(err)
	}
	bearer := ""
	for range maxRedirects {
		u := at.JoinPath("negotiate")
		if !strings.Contains(u.RawQuery, "negotiateVersion=") {
			u.RawQuery = strings.Trim(u.RawQuery+"&negotiateVersion=1", "&")
		}
		place := &corePlace{at: at, bearer: bearer}
		resp := place.doAt(ctx, t, http.MethodPost, u.String(), place.header(), nil)
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		t.Said("server", "h1", "%d %s", resp.StatusCode, body)
		if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, place) != nil {
			t.Fail("an answer to negotiate", fmt.Sprintf("%d %s", resp.StatusCode, body))
		}
		if place.URL == "" {
			return place
		}
		if at, err = url.Parse(place.URL); err != nil {
			t.Fail("an absolute url", place.URL)
		}
		if place.AccessToken != "" {
			bearer = place.AccessToken
		}
	}
	t.Failf("more than %d redirects", maxRedirects)
	return nil
}

func (p *corePlace) header() http.Header {
	h := http.Header{}
	if p.bearer != "" {
		h.Set("Authorization", "Bearer "+p.bearer)
	}
	return h
}

// url is where the connection is opened.
func (p *corePlace) url() string {
	u := *p.at
	parts := slices.DeleteFunc([]string{u.RawQuery, "id=" + url.QueryEscape(p.ConnectionToken)}, func(s string) bool { return s == "" })
	u.RawQuery = strings.Join(parts, "&")
	return u.String()
}

func (p *corePlace) do(ctx context.Context, t *T, method string, h http.Header, body io.Reader) *http.Response {
	return p.doAt(ctx, t, method, p.url(), h, body)
}

func (p *corePlace) doAt(ctx context.Context, t *T, method, address string, h http.Header, body io.Reader) *http.Response {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		t.Broken(err)
	}
	req.Header = h
	t.Said("client", "h1", "%s %s", method, req.URL.RequestURI())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Failf("no answer to %s: %v", method, err)
	}
	return resp
}

// events opens the event stream of the connection.
func (p *corePlace) events(ctx context.Context, t *T) *http.Response {
	h := p.header()
	h.Set("Accept", "text/event-stream")
	h.Set("Accept-Encoding", "identity")
	resp := p.do(ctx, t, http.MethodGet, h, nil)
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		t.Fail("200 for the event stream", resp.Status)
	}
	return resp
}

func (p *corePlace) send(ctx context.Context, t *T, text string) {
	resp := p.do(ctx, t, http.MethodPost, p.header(), strings.NewReader(text))
	resp.Body.Close()
	Equal(t, "status of a send", http.StatusOK, resp.StatusCode)
}

func (p *corePlace) poll(ctx context.Context, t *T) []byte {
	resp := p.do(ctx, t, http.MethodGet, p.header(), nil)
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Failf("read a poll: %v", err)
	}
	Equal(t, "status of a poll", http.StatusOK, resp.StatusCode)
	return body
}
