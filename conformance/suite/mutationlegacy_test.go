package suite_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// legacyMutations are what a server of ASP.NET SignalR does wrong.
var legacyMutations = []mutation{
	// Requests.
	{"no nosniff", "ping-get", "X-Content-Type-Options", wrong{answer: header("X-Content-Type-Options")}},
	{"a newer version", "negotiate-basic", `"ProtocolVersion":"2.1"`, wrong{answer: negotiated(`"ProtocolVersion":"2.0"`, `"ProtocolVersion":"2.1"`)}},
	{"versions are not clamped", "negotiate-client-protocol-1-0", `"ProtocolVersion":"1.0"`, wrong{answer: negotiated(`"ProtocolVersion":"1.2"`, `"ProtocolVersion":"1.0"`)}},
	{"whole numbers", "negotiate-basic", `"DisconnectTimeout":30,`, wrong{answer: negotiated(`:30.0`, `:30`)}},
	{"members in another order", "negotiate-types", `"ProtocolVersion":"2.0","TryWebSockets"`, wrong{answer: negotiated(`"TryWebSockets":true,"ProtocolVersion":"2.0"`, `"ProtocolVersion":"2.0","TryWebSockets":true`)}},
	{"transports of ASP.NET Core", "negotiate-types", "availableTransports", wrong{answer: negotiated(`{"Url"`, `{"availableTransports":[],"Url"`)}},
	{"another answer to start", "start-sse", "Started", wrong{answer: at("start", body("started", "Started"))}},
	{"another answer to ping", "ping-get", `{  "Response"`, wrong{answer: at("ping", body(`{ "Response"`, `{  "Response"`))}},
	{"404 for 400", "connect-no-transport", "404", wrong{answer: status(400, 404)}},
	{"another text of an error", "connect-unknown-transport", "unknown transport", wrong{answer: body("Unknown transport.", "unknown transport")}},
	{"one blank in an error", "connect-other-user", "identity. The", wrong{answer: body("identity.  The", "identity. The")}},
	{"200 for another user", "start-other-user", "200", wrong{answer: status(403, 200)}},
	{"abort with JSON", "abort-sse", "application/json", wrong{answer: at("abort", header("Content-Type", "application/json"))}},
	{"a poll without a cursor", "connect-longpolling", `{"S":1`, wrong{answer: at("connect", body(`{"C":"0",`, `{`))}},

	// The beginning and the end.
	{"event stream with a charset", "connect-sse", "charset", wrong{answer: onEvents(header("Content-Type", "text/event-stream; charset=utf-8"))}},
	{"no preamble", "stream-bytes", `{\"C\"`, wrong{says: instead("initialized")}},
	{"no init", "connect-sse", `{"C":"0","M":[]}`, wrong{says: replaced(`"S":1,`, "")}},
	{"init at reconnect", "reconnect-sse", `"S":1`, wrong{answer: at("reconnect", onEvents(streamed("data: initialized\n\n", "data: initialized\n\n"+`data: {"C":"0","S":1,"M":[]}`+"\n\n")))}},
	{"abort does not end the stream", "abort-sse", "nothing", wrong{answer: onEvents(func(r *http.Response) {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(r.Body, never{r.Request.Context().Done()}), r.Body}
	})}},

	// Messages and results.
	{"a message is lost", "send-all-sse", "nothing", wrong{says: instead(`"M":"message"`)}},
	{"a message is lost by WebSocket", "send-all-websockets", "nothing", wrong{says: instead(`"M":"message"`)}},
	{"a message comes twice", "order-sse", ` 0"]`, wrong{says: twice(`"M":"message"`)}},
	{"a message comes twice by WebSocket", "order-websockets", ` 0"]`, wrong{says: twice(`"M":"message"`)}},
	{"a message to all comes twice", "send-all-sse", `"M":"message"`, wrong{says: twice(`"M":"message"`)}},
	{"a message to all comes twice by WebSocket", "send-all-websockets", `"M":"message"`, wrong{says: twice(`"M":"message"`)}},
	{"messages change places", "order-sse", ` 4"]`, wrong{says: replaced(` 3"]`, ` 4"]`, ` 4"]`, ` 3"]`)}},
	{"messages change places by WebSocket", "order-websockets", ` 4"]`, wrong{says: replaced(` 3"]`, ` 4"]`, ` 4"]`, ` 3"]`)}},
	{"a hub in lower case", "send-caller-sse", `"chathub"`, wrong{says: replaced(`"chatHub"`, `"chathub"`)}},
	{"an id that is a number", "call-echo-string-sse", `"I":0`, wrong{says: replaced(`"I":"0"`, `"I":0`)}},
	{"members of a result in another order", "call-fail-sse", `"E":"told you so","H":true`, wrong{says: replaced(`"H":true,"E":"told you so"`, `"E":"told you so","H":true`)}},
	{"null in a result", "call-void-sse", `"R":null`, wrong{says: replaced(`{"I":"0"}`, `{"R":null,"I":"0"}`)}},
	{"a text of an error tells more", "call-crash-sse", "secret detail", wrong{says: replaced("There was an error invoking Hub method 'chathub.Crash'.", "secret detail")}},
	{"a result comes twice by WebSocket", "call-echo-string-websockets", `{"R":"x","I":"0"}`, wrong{says: twice(`"R":"x"`)}},
	{"a result in the answer to send and in a stream", "call-echo-string-sse", `{"R":"x","I":"0"}`, wrong{answer: answersTwice}},
	{"a result in the answer to send and in a poll", "call-echo-string-longpolling", `{"R":"x","I":"0"}`, wrong{answer: answersTwice}},
	{"messages by WebSocket are bytes", "call-echo-string-websockets", "not text", wrong{says: inBytes()}},
}

// A server that is wrong in one thing is found out by the case for it.
func TestLegacyMutations(t *testing.T) {
	t.Parallel() // most of it is waiting for what does not come
	mutate(t, suite.LegacySet(), startLegacy(t), legacyMutations)
}

// answersTwice has the answer to send tell a result that comes by the receive channel.
var answersTwice = at("send", func(r *http.Response) {
	header("Content-Type", "application/json; charset=UTF-8")(r)
	setBody(r, func([]byte) []byte { return []byte(`{"R":"x","I":"0"}`) })
})

// twice says what holds a text twice.
func twice(text string) change {
	return each(func(m message) []message {
		if strings.Contains(m.data, text) {
			return []message{m, m}
		}
		return []message{m}
	})
}

// never reads nothing until its end.
type never struct{ end <-chan struct{} }

func (n never) Read([]byte) (int, error) {
	<-n.end
	return 0, io.ErrUnexpectedEOF
}
