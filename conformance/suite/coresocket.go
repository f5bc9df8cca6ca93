package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// coreSocketCases are about what WebSockets have besides messages, and what a
// browser cannot do otherwise.
func coreSocketCases() []Case {
	return []Case{
		{
			Name: "websocket-fragments-of-letters", Level: Hub, About: "The bytes of one letter may come in several frames of a message.",
			From: "core-client-protocol 3.3, RFC 6455 sections 5.4 and 5.6", Run: askFragmentsOfLetters,
		},
		{
			Name: "websocket-pong", Level: Core, About: "A client may send pongs that nobody asked for; nothing comes of them.",
			From: "RFC 6455 section 5.5.3; core-client-protocol 3.3 (what .NET sends every 30 seconds)", Run: askPong,
		},
		{
			Name: "websocket-upgrade-words", Level: Core, About: "Connection may have other words than Upgrade, and neither header minds case. Firefox sends keep-alive, Upgrade.",
			From: "RFC 6455 section 4.2.1", Run: askUpgradeWords,
		},
		{
			Name: "websocket-close", Level: Core, About: "A close frame is answered with one, whatever its code and reason, and without.",
			From: "RFC 6455 section 5.5.1; core-client-protocol 3.3 (JavaScript sends none, Java a reason)", Run: askClose,
		},
		{
			Name: "redirect-token-in-query-websockets", Level: Core, About: "The token of a redirect may come in the query: the WebSocket of a browser has no other place for it.",
			From: "service-protocol 1.5, core-client-protocol 10", Run: askQueryTokenSocket,
		},
		{
			Name: "redirect-token-in-query-sse", Level: Core, About: "The token of a redirect may come in the query: the event stream of a browser has no other place for it.",
			From: "service-protocol 1.5, core-client-protocol 10", Run: askQueryTokenEvents,
		},
	}
}

// askFragmentsOfLetters cuts a call at every byte.
func askFragmentsOfLetters(ctx context.Context, t *T) {
	c := dialHub(ctx, t, hubproto.JSON)
	const letters = "kůň 馬 🐎"
	arguments, err := hubproto.Values(hubproto.JSON, letters)
	if err != nil {
		t.Broken(err)
	}
	call := hubproto.JSON.Append(nil, hubproto.Call("1", echo, arguments...))
	t.Said("client", c.name, "%q, each byte in a frame", call)
	var frames []byte
	for i, b := range call {
		head := byte(0x00) // goes on
		switch i {
		case 0:
			head = ws.Text
		case len(call) - 1:
			head = 0x80 // the end
		}
		frames = append(frames, maskedFrame(head, string([]byte{b}))...)
	}
	if _, err := c.ws.NetConn().Write(frames); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	var text string
	if result := c.next(t, hubproto.Completion, "").Result; json.Unmarshal(result, &text) != nil {
		t.Fail("a text as the result", string(result))
	}
	Equal(t, "result", letters, text)
}

// The opcodes of RFC 6455 section 5.2 that are no message.
const opClose, opPong = 0x8, 0xA

func askPong(ctx context.Context, t *T) {
	c := dialHub(ctx, t, hubproto.JSON)
	for _, text := range []string{"nobody asked", ""} {
		t.Said("client", c.name, "pong %q", text)
		if err := c.ws.Write(opPong, []byte(text)); err != nil {
			t.Failf("the endpoint ended a connection: %v", err)
		}
	}
	c.call(t, "NoHubHasThis")
}

func askUpgradeWords(ctx context.Context, t *T) {
	for _, words := range [][2]string{{"keep-alive, Upgrade", "websocket"}, {"upgrade", "websocket"}, {"Upgrade", "WebSocket"}} {
		resp := negotiateCore(ctx, t).offering(t, "WebSockets").upgrade(ctx, t, words[0], words[1])
		resp.Body.Close()
		Equal(t, fmt.Sprintf("status with Connection: %s and Upgrade: %s", words[0], words[1]), http.StatusSwitchingProtocols, resp.StatusCode)
	}
}

// upgrade upgrades by hand, with the key of RFC 6455 section 1.3.
func (p *corePlace) upgrade(ctx context.Context, t *T, connection, upgrade string) *http.Response {
	h := p.header()
	h.Set("Connection", connection)
	h.Set("Upgrade", upgrade)
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	return p.do(ctx, t, http.MethodGet, h, nil)
}

// closeTime is how long the answer to a close frame may take.
const closeTime = 5 * time.Second

func askClose(ctx context.Context, t *T) {
	for _, frame := range []string{"", "\x03\xe8", "\x03\xe8stopped", "\x03\xe9", "\x0f\xa0"} { // 1000, 1001, 4000
		c := dialHub(ctx, t, hubproto.JSON)
		if _, _, err := c.ws.Read(); err != nil {
			t.Failf("no answer to the handshake: %v", err)
		}
		t.Said("client", c.name, "close %q", frame)
		if err := c.ws.Write(opClose, []byte(frame)); err != nil {
			t.Failf("the endpoint ended a connection: %v", err)
		}
		if err := c.ws.SetReadDeadline(time.Now().Add(closeTime)); err != nil {
			t.Broken(err)
		}
		var err error
		for err == nil {
			_, _, err = c.ws.Read()
		}
		var closed *ws.CloseError
		if !errors.As(err, &closed) {
			t.Fail(fmt.Sprintf("a close frame in answer to %q", frame), err.Error())
		}
		t.Said("server", c.name, "close %d %s", closed.Code, closed.Reason)
	}
}

// tokenInQuery is a place to which the endpoint redirects, as it is, and with the
// token in its query in place of a header. It skips the case where there is none.
func tokenInQuery(ctx context.Context, t *T, transport string) (at, inQuery *corePlace) {
	at = negotiateCore(ctx, t)
	if at.bearer == "" {
		t.Skip("the endpoint sends its clients nowhere with a token")
	}
	to, in := *at.offering(t, transport).at, *at
	to.RawQuery = strings.Trim(to.RawQuery+"&access_token="+url.QueryEscape(at.bearer), "&")
	in.at, in.bearer = &to, ""
	return at, &in
}

func askQueryTokenSocket(ctx context.Context, t *T) {
	_, at := tokenInQuery(ctx, t, "WebSockets")
	c := at.open(ctx, t)
	if err := c.Write(ws.Text, handshake(hubproto.JSON, 1)); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	if _, m, err := c.Read(); !bytes.HasPrefix(m, []byte("{}\x1e")) {
		t.Fail("{}␞", fmt.Sprintf("%q, %v", m, err))
	}
}

func askQueryTokenEvents(ctx context.Context, t *T) {
	at, inQuery := tokenInQuery(ctx, t, "ServerSentEvents")
	resp := inQuery.events(ctx, t)
	defer resp.Body.Close()
	at.send(ctx, t, string(handshake(hubproto.JSON, 1)))
	expectShaken(t, resp.Body)
}
