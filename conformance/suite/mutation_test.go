package suite_test

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// What messages of the cases hold.
const (
	shaken    = "{}\x1e" // the answer to the handshake
	answered  = `"type":3`
	anItem    = `"type":2`
	called    = `"target":"message"`
	aPing     = `{"type":6}`
	anAck     = `"type":8`
	aSequence = `"type":9`
)

var coreMutations = []mutation{
	// Pings: first, as nothing takes longer.
	{"no Ping", "ping-of-server", "", wrong{says: instead(aPing)}},
	{"Ping too early", "ping-of-server-sse", `"type":6`, wrong{says: after(shaken, record(aPing))}},
	{"Ping with a second element", "ping-of-server-messagepack", "039206c0", wrong{says: replaced("\x02\x91\x06", "\x03\x92\x06\xc0")}},
	{"a WebSocket ping has another answer", "websocket-fragments", "pong garbage", wrong{says: onOp(opPong, message{op: opPong, data: "garbage"})}},
	{"a WebSocket ping has no answer", "websocket-fragments", "closed", wrong{says: onOp(opPong)}},

	// Negotiate.
	{"negotiate without connectionToken", "negotiate-v1", `"token":`, wrong{answer: negotiated(`"connectionToken":"`, `"token":"`)}},
	{"negotiate with null for a member that is not there", "negotiate-v1", `"error":null`, wrong{answer: negotiated(`"connectionId":`, `"error":null,"connectionId":`)}},
	{"negotiate names members as .NET does", "negotiate-v1", `"ConnectionId":`, wrong{answer: negotiated(`"connectionId":`, `"ConnectionId":`)}},
	{"negotiate answers text", "negotiate-v1", "text/plain", wrong{answer: onNegotiate(header("Content-Type", "text/plain"))}},
	{"version 0 for version 1", "negotiate-later-version", `"negotiateVersion":0`, wrong{answer: negotiated(`"negotiateVersion":1`, `"negotiateVersion":0`)}},
	{"version 0 with a token", "negotiate-v0", `"connectionToken":"t"`, wrong{answer: negotiated(`"negotiateVersion":0`, `"connectionToken":"t","negotiateVersion":0`)}},
	{"the same id twice", "ids-are-new", "the-id", wrong{answer: onNegotiate(members("connectionId", func(string) string { return "the-id" }))}},
	{"the same token twice", "ids-are-new", "the-token", wrong{answer: onNegotiate(members("connectionToken", func(string) string { return "the-token" }))}},
	{"a token that a query has to encode", "id-in-query-is-enough", "+/=", wrong{answer: onNegotiate(members("connectionToken", func(s string) string { return s + "+/=" }))}},
	{"a transport is not offered", "negotiate-transports", "ForeverFrame", wrong{answer: negotiated(`"ServerSentEvents"`, `"ForeverFrame"`)}},
	{"transports in another order", "negotiate-transports", `"LongPolling","transferFormats":["Text","Binary"]},{"transport":"ServerSentEvents"`, wrong{answer: negotiated(`"WebSockets"`, `"LongPolling"`, `"LongPolling"`, `"WebSockets"`)}},
	{"no bytes by WebSocket", "negotiate-transports", `"WebSockets","transferFormats":["Text"]`, wrong{answer: negotiated(`["Text","Binary"]`, `["Text"]`)}},
	{"stateful reconnect for those that do not ask", "negotiate-stateful-not-asked", `"useStatefulReconnect":true`, wrong{answer: negotiated(`"connectionId":`, `"useStatefulReconnect":true,"connectionId":`)}},
	{"no stateful reconnect for those that ask", "stateful-negotiate", `"useStatefulReconnect":false`, wrong{answer: negotiated(`"useStatefulReconnect":true`, `"useStatefulReconnect":false`)}},
	{"400 for a version that is no number", "negotiate-version-not-a-number", "400", wrong{answer: onNegotiate(whereBody("non-integer", status(200, 400)))}},
	{"another text for a version that is no number", "exact-negotiate-version-not-a-number", "noninteger", wrong{answer: negotiated("non-integer", "noninteger")}},
	{"a version below the least is taken", "negotiate-version-too-small", `"connectionId":"a"`, wrong{answer: onNegotiate(whereBody("does not support", func(r *http.Response) {
		setBody(r, func([]byte) []byte {
			return []byte(`{"negotiateVersion":0,"connectionId":"a","availableTransports":[]}`)
		})
	}))}},
	{"a redirect without a host", "redirect-answer", "/client/", wrong{answer: onNegotiate(members("url", func(s string) string { return s[strings.Index(s, "/client"):] }))}},
	{"a redirect without the client's query", "redirect-answer", "colour in the query of the URL blue", wrong{answer: negotiated("colour=red", "colour=blue")}},
	{"a redirect with an id", "redirect-answer", "connectionId a", wrong{answer: negotiated(`"url":`, `"connectionId":"a","url":`)}},

	// Statuses, texts and headers.
	{"400 for an unknown id", "unknown-id-poll", "400", wrong{answer: status(404, 400)}},
	{"another text for an unknown id", "exact-unknown-id", "No connection with that id", wrong{answer: body("No Connection with that ID", "No connection with that id")}},
	{"404 without an id", "no-id-send", "404", wrong{answer: status(400, 404)}},
	{"a refusal of another type", "exact-no-id", "application/json", wrong{answer: header("Content-Type", "application/json")}},
	{"404 for a second WebSocket", "websocket-twice", "404", wrong{answer: status(409, 404)}},
	{"200 for a second event stream", "sse-twice", "200", wrong{answer: status(409, 200)}},
	{"any method will do", "put", "200", wrong{answer: status(405, 200)}},
	{"another text for what is posted to a WebSocket", "exact-websocket-send", "forbidden", wrong{answer: body("not allowed", "forbidden")}},
	{"a change of transports is 409", "poll-then-sse", "409", wrong{answer: status(400, 409)}},
	{"202 for a send", "send-answer", "202", wrong{answer: onMethod(http.MethodPost, notNegotiate(status(200, 202)))}},
	{"202 for a send in a conversation", "invoke-sse", "202", wrong{answer: onMethod(http.MethodPost, notNegotiate(status(200, 202)))}},
	{"404 for DELETE", "poll-delete", "404", wrong{answer: status(202, 404)}},
	{"200 for DELETE", "poll-delete", "200", wrong{answer: status(202, 200)}},
	{"a connection outlives DELETE", "poll-delete", "200", wrong{answer: onMethod(http.MethodPost, status(404, 200))}},
	{"nothing is taken before a transport is open", "send-before-transport", "404", wrong{answer: onMethod(http.MethodPost, notNegotiate(status(200, 404)))}},
	{"the public id opens a connection", "connection-id-is-no-token", "200", wrong{answer: onMethod(http.MethodPost, status(404, 200))}},
	{"an upgrade with another key", "websocket-upgrade", "AAAA", wrong{answer: onStatus(101, header("Sec-Websocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="))}},
	{"a subprotocol that nobody offered", "websocket-upgrade", "signalr", wrong{answer: onStatus(101, header("Sec-Websocket-Protocol", "signalr"))}},

	// Event streams.
	{"an event stream with a charset", "exact-sse-head", "charset", wrong{answer: onEvents(header("Content-Type", "text/event-stream; charset=utf-8"))}},
	{"an event stream that may be kept", "exact-sse-head", "Cache-Control", wrong{answer: onEvents(header("Cache-Control"))}},
	{"an event stream that may be compressed", "exact-sse-head", "Content-Encoding", wrong{answer: onEvents(header("Content-Encoding"))}},
	{"an event stream without its first comment", "sse-head", "deadline", wrong{answer: onEvents(streamed(":\r\n", ""))}},
	{"an event stream with another first comment", "exact-sse-head", ": h", wrong{answer: onEvents(streamed(":\r\n", ": hello\r\n"))}},
	{"events with bare line ends", "sse-events", `\x1e\n"`, wrong{answer: onEvents(streamed("\x1e\r\n\r\n", "\x1e\n\n"))}},
	{"events with a name", "sse-events", "event: message", wrong{answer: onEvents(streamed("data: ", "event: message\r\ndata: "))}},
	{"an event without its separator", "sse-events", `}\r\n`, wrong{answer: onEvents(streamed("\x1e", ""))}},

	// Polls.
	{"polls are json", "exact-poll-head", "application/json", wrong{answer: onMethod(http.MethodGet, header("Content-Type", "application/json"))}},
	{"polls may be kept", "exact-poll-head", "Cache-Control: no-cache", wrong{answer: header("Cache-Control")}},
	{"polls do not expire", "exact-poll-head", "200", wrong{answer: header("Expires")}},
	{"204 for the first poll", "poll-first", "204", wrong{answer: onMethod(http.MethodGet, status(200, 204))}},
	{"an error without its separator in a poll", "poll-answer", "not supported", wrong{answer: whereBody("xml", body("\x1e", ""))}},
	{"204 instead of data", "poll-answer", "204", wrong{answer: whereBody("xml", func(r *http.Response) {
		status(200, 204)(r)
		setBody(r, func([]byte) []byte { return nil })
	})}},
	{"polls are empty for ever", "invoke-longpolling", "", wrong{says: instead(answered)}},
	{"the end is not told to who polls", "poll-after-end", "200", wrong{answer: status(204, 200)}},
	{"a poll that another took over from says 200", "poll-taken-over", "200", wrong{answer: status(204, 200)}},
	{"an ended connection is still there", "poll-after-end", "204", wrong{answer: status(404, 204)}},

	// Pages of other origins.
	{"any origin", "cors-negotiate", "Access-Control-Allow-Origin: *", wrong{answer: header("Access-Control-Allow-Origin", "*")}},
	{"no credentials of other origins", "cors-negotiate", "200", wrong{answer: header("Access-Control-Allow-Credentials")}},
	{"405 for a preflight", "cors-preflight", "405", wrong{answer: onMethod(http.MethodOptions, status(204, 405))}},
	{"a preflight that allows no header", "cors-preflight", "204", wrong{answer: header("Access-Control-Allow-Headers")}},
	{"a preflight with 200 that allows no header", "cors-preflight", "200", wrong{answer: onMethod(http.MethodOptions, func(r *http.Response) {
		status(204, 200)(r)
		header("Access-Control-Allow-Headers", "")(r)
	})}},
	{"a preflight that allows another header", "cors-preflight-names", `"x-other"`, wrong{answer: header("Access-Control-Allow-Headers", "x-other")}},
	{"a preflight that allows another method", "cors-preflight-names", `"PUT"`, wrong{answer: header("Access-Control-Allow-Methods", "PUT")}},
	{"a preflight that allows no method", "cors-preflight-delete", "204", wrong{answer: header("Access-Control-Allow-Methods")}},
	{"a refusal that other origins may not read", "cors-refusal", "404", wrong{answer: onStatus(404, header("Access-Control-Allow-Origin"))}},
	{"a send that other origins may not read", "cors-send", "200", wrong{answer: onMethod(http.MethodPost, notNegotiate(header("Access-Control-Allow-Origin")))}},
	{"an event stream that other origins may not read", "cors-events", "200", wrong{answer: onEvents(header("Access-Control-Allow-Origin"))}},
	{"an origin that nobody named", "cors-no-origin", "http://page.example", wrong{answer: header("Access-Control-Allow-Origin", "http://page.example")}},

	// The handshake.
	{"the handshake is not answered", "handshake-websockets", "", wrong{says: instead(shaken)}},
	{"the handshake is answered twice", "handshake-websockets", "{}", wrong{says: after(shaken, record("{}"))}},
	{"the handshake is answered with more", "handshake-sse", "minorVersion", wrong{says: instead(shaken, record(`{"minorVersion":0}`))}},
	{"the answer to the handshake as bytes", "handshake-binary-frame", "binary `{}", wrong{says: instead(shaken, message{op: ws.Binary, data: shaken})}},
	{"the answer to the handshake as text for messagepack", "exact-handshake-messagepack", "text `{}", wrong{says: instead(shaken, record("{}"))}},
	{"another text for an unknown protocol", "exact-handshake-unknown-protocol", "unsupported", wrong{says: replaced("is not supported", "is unsupported")}},
	{"a refused client stays connected", "handshake-unknown-protocol-websockets", "", wrong{says: onOp(opClose, message{op: stay})}},
	{"a handshake in pieces is not joined", "handshake-split-websockets", "connection handshake", wrong{hears: wholeOnly}},
	{"what comes with the handshake is lost", "handshake-joined-websockets", "", wrong{hears: firstOnly}},
	{"what comes with the handshake is lost by POST", "handshake-joined-longpolling", "", wrong{hears: firstOnly}},

	// Hub messages.
	{"a message in pieces is not joined", "message-split-sse", "closed with an error", wrong{hears: wholeOnly}},
	{"records that come together are one", "invoke-joined-websockets", "", wrong{hears: firstOnly}},
	{"a long message in two WebSocket messages", "websocket-whole-messages", "do not end", wrong{says: halved}},
	{"a long message in two WebSocket messages, in messagepack", "websocket-whole-messages-messagepack", "do not end", wrong{says: halved}},
	{"a long message in two events", "sse-whole-messages", "do not end", wrong{says: halved}},
	{"a long message in two lines of an event", "sse-whole-messages", "do not end", wrong{answer: onEvents(streamed("zzzz", "zz\r\ndata: zz"))}},
	{"a long message in two polls", "poll-whole-messages", "do not end", wrong{says: each(func(m message) []message {
		m.data = strings.TrimSuffix(m.data, "zz\"}\x1e")
		return []message{m}
	})}},
	{"a long message in two polls, in messagepack", "poll-whole-messages-messagepack", "do not end", wrong{says: each(func(m message) []message {
		m.data = strings.TrimSuffix(m.data, "zz")
		return []message{m}
	})}},
	{"a message is lost", "order-of-many-websockets", `"b8"`, wrong{says: instead(`"b7"`)}},
	{"an event is lost", "order-of-many-sse", `"b8"`, wrong{says: instead(`"b7"`)}},
	{"a message comes twice", "order-of-many-websockets", `"b7"`, wrong{says: after(`"b7"`, record(`{"type":1,"target":"message","arguments":["b7"]}`))}},
	{"a message comes twice in a poll", "order-of-many-longpolling", `"b7"`, wrong{says: after(`"b7"`, record(`{"type":1,"target":"message","arguments":["b7"]}`))}},
	{"messages change places", "order-of-many-websockets", `"b8"`, wrong{says: replaced(`"b7"`, `"b8"`, `"b8"`, `"b7"`)}},
	{"an answer overtakes messages", "order-of-answer-websockets", `"type":3`, wrong{says: overtaking(`"b2"`)}},
	{"an answer to another call", "invoke-websockets", `"invocationId":"2"`, wrong{says: replaced(`"invocationId":"1"`, `"invocationId":"2"`)}},
	{"an id that is a number", "invoke-sse", `"invocationId":1`, wrong{says: replaced(`"invocationId":"1"`, `"invocationId":1`)}},
	{"two answers to a call", "invoke-after-error-websockets", `"result":null`, wrong{says: after(`"error"`, record(`{"type":3,"invocationId":"1","result":null}`))}},
	{"a second answer at the end", "invoke-websockets", `"result":"hello"`, wrong{says: after(answered, record(`{"type":3,"invocationId":"1","result":"hello"}`))}},
	{"result and error", "invoke-hub-exception-websockets", `"result":null,"error"`, wrong{says: replaced(`"error":`, `"result":null,"error":`)}},
	{"no result where it is null", "invoke-null", `{"type":3,"invocationId":"1"}`, wrong{says: replaced(`,"result":null`, "")}},
	{"a void method has a result", "invoke-void-websockets", `"result":true`, wrong{says: replaced(`"result":null`, `"result":true`)}},
	{"a result for a stream", "stream-websockets", `"result":null`, wrong{says: replaced(`{"type":3,"invocationId":"1"}`, `{"type":3,"invocationId":"1","result":null}`)}},
	{"an answer to a call without an id", "invoke-without-id-websockets", `{"type":3,"result":null}`, wrong{says: after(shaken, record(`{"type":3,"result":null}`))}},
	{"an answer to a call without an id of no method", "call-of-no-method-without-id-websockets", `"invocationId":""`, wrong{says: after(shaken, record(`{"type":3,"invocationId":"","error":"unknown"}`))}},
	{"the text of an exception gets out", "invoke-other-exception", "secret", wrong{says: replaced(`'Crash' on the server.`, `'Crash' on the server. InvalidOperationException: secret`)}},
	{"the text of a HubException does not get out", "invoke-hub-exception-sse", `'Fail' on the server."`, wrong{says: replaced(" HubException: told you so", "")}},
	{"the text of a HubException does not get out, in bytes", "invoke-hub-exception-websockets", `'Fail' on the server."`, wrong{says: inBytes(" HubException: told you so", "")}},
	{"another text of a HubException, in bytes", "exact-hub-exception", "told me so", wrong{says: inBytes("told you so", "told me so")}},
	{"a wrong sum of a hub that says the same of all errors", "invoke-numbers", `"result":43`, wrong{says: each(func(m message) []message {
		m.data = regexp.MustCompile(`"error":"[^"]*"`).ReplaceAllString(m.data, `"error":"no"`)
		m.data = strings.ReplaceAll(m.data, `"result":42`, `"result":43`)
		return []message{m}
	})}},
	{"members of an object as .NET names them", "invoke-object", `"Label"`, wrong{says: replaced(`"label"`, `"Label"`)}},
	{"a result is cut", "invoke-large-result-websockets", "zz", wrong{says: replaced("zz\"", "z\"")}},
	{"another id than negotiate said, in bytes", "connection-id-websockets", `"result":"x`, wrong{says: inBytes(`"result":"`, `"result":"x`)}},
	{"a letter is missing from a long text, in bytes", "invoke-large-result-websockets", "(300063 bytes)", wrong{says: inBytes(`zz"`, `z"`)}},
	{"another id than negotiate said", "connection-id-websockets", `"result":"x`, wrong{says: replaced(`"result":"`, `"result":"x`)}},
	{"a client result without an id", "client-result-websockets", `{"type":1,"target":"question"`, wrong{says: each(func(m message) []message {
		if strings.Contains(m.data, `"question"`) {
			m.data = regexp.MustCompile(`"invocationId":"[^"]*",?`).ReplaceAllString(m.data, "")
		}
		return []message{m}
	})}},
	{"a client result is ignored", "client-result-websockets", "", wrong{hears: instead("because")}},

	// Streams.
	{"an item is lost", "stream-websockets", `"item":2`, wrong{says: instead(`"item":1`)}},
	{"an item after the end", "stream-websockets", `"item":3`, wrong{says: after(answered, record(`{"type":2,"invocationId":"1","item":3}`))}},
	{"a stream without an end", "stream-sse", "", wrong{says: instead(answered)}},
	{"cancel is ignored", "stream-cancel-websockets", "", wrong{hears: instead(`"type":5`)}},
	{"items of a client are ignored", "upload-websockets", `"result":0`, wrong{hears: instead(anItem)}},

	// Who hears what.
	{"a group message for everybody", "group-websockets", `"target":"message"`, wrong{says: replaced(), gossip: called}},
	{"others are not all but the caller", "send-others", `"target":"message"`, wrong{says: replaced(), gossip: called}},
	{"a message for one reaches another", "send-client-websockets", `"target":"message"`, wrong{says: replaced(), gossip: called}},
	{"the target in another case", "send-caller-websockets", `"Message"`, wrong{says: replaced(called, `"target":"Message"`)}},

	// The end.
	{"no leave to come back", "message-garbage-websockets", `with an error."}`, wrong{says: replaced(`,"allowReconnect":true`, "")}},
	{"leave to come back after an abort", "abort-websockets", `"allowReconnect":true`, wrong{says: replaced(`{"type":7}`, `{"type":7,"allowReconnect":true}`)}},
	{"a refused client may come back", "refused-sse", `"allowReconnect":true`, wrong{says: replaced(`{"type":7,`, `{"type":7,"allowReconnect":true,`)}},
	{"the end without Close", "exact-close-of-client", "close 1000", wrong{says: instead(`"type":7`)}},
	{"the end without a close frame", "close-of-client-websockets", "drop", wrong{says: onOp(opClose, message{op: cut})}},
	{"the end with another code", "abort-websockets", "close 1001", wrong{says: onOp(opClose, message{op: opClose, data: "\x03\xe9"})}},
	{"no end after Close", "close-of-client-websockets", "", wrong{says: onOp(opClose, message{op: stay})}},

	// Stateful reconnect.
	{"nothing is acknowledged", "stateful-ack", "", wrong{says: instead(anAck)}},
	{"too much is acknowledged", "stateful-ack", `"sequenceId":2`, wrong{says: replaced(`"type":8,"sequenceId":1`, `"type":8,"sequenceId":2`)}},
	{"no Sequence after a loss", "stateful-resume", "welcome", wrong{says: instead(aSequence)}},
	{"another Sequence after a loss", "stateful-resume-acknowledged", `"sequenceId":1`, wrong{says: replaced(`"type":9,"sequenceId":2`, `"type":9,"sequenceId":1`)}},
	{"what was acknowledged comes again", "stateful-resume-acknowledged", `"result":"a"`, wrong{says: after(aSequence, record(`{"type":3,"invocationId":"1","result":"a"}`))}},
	{"what was not acknowledged is lost", "stateful-while-away", "", wrong{says: instead("away")}},

	// Messagepack.
	{"a void method has a result in messagepack", "messagepack-void-websockets", "07950380a13103c3", wrong{says: replaced("\x07\x95\x03\x80\xa11\x03\xc0", "\x07\x95\x03\x80\xa11\x03\xc3")}},
	{"another length in messagepack", "messagepack-invoke-websockets", "0b950380", wrong{says: replaced("\x0c\x95", "\x0b\x95")}},
	{"messagepack as text", "messagepack-invoke-websockets", "text ", wrong{says: asText()}},
	{"no result of a void method in messagepack, as text", "messagepack-void-websockets", "text ", wrong{says: asText("\x07\x95\x03\x80\xa11\x03\xc0", "\x06\x94\x03\x80\xa11\x02")}},
	{"an error in messagepack, as text", "messagepack-error", "text ", wrong{says: asText("An unexpected error", "AN UNEXPECTED ERROR")}},
	{"names of json in messagepack", "messagepack-object-websockets", "6c6162656c", wrong{says: replaced("Label", "label")}},
	{"bytes as text in messagepack", "messagepack-bytes-websockets", "a300", wrong{says: replaced("\xc4\x03", "\xa3\x00")}},
	{"Close in two elements", "messagepack-abort-websockets", "039207c0", wrong{says: replaced("\x04\x93\x07\xc0\xc2", "\x03\x92\x07\xc0")}},
}

// onTheRealServer are those that the real server is asked to do too.
var onTheRealServer = []string{"a message is lost", "polls are empty for ever", "any origin", "the handshake is answered twice"}

// A hub that is wrong in one thing is found out by the case for it.
func TestCoreMutations(t *testing.T) {
	t.Parallel() // most of it is waiting for what does not come
	mutate(t, suite.CoreSet(), startCore(t), slices.Concat(hubMutations, coreMutations, wireMutations))
}

// The same with the real server.
func TestCoreMutationsOfTheRealServer(t *testing.T) {
	e := startCoreHub(t)
	t.Parallel()
	var some []mutation
	for _, m := range coreMutations {
		if slices.Contains(onTheRealServer, m.name) {
			some = append(some, m)
		}
	}
	if len(some) != len(onTheRealServer) {
		t.Fatalf("%d mutations are called as these: %q", len(some), onTheRealServer)
	}
	mutate(t, suite.CoreSet(), e, some)
}

// mutate wants every mutation to be found by the case for it, and the case to pass
// through a proxy that changes nothing. It asks many at once: a case that fails has
// waited.
func mutate(t *testing.T, set *suite.Set, e *suite.Endpoint, all []mutation) {
	t.Helper()
	set.Probe = nil                   // the mutation may be in what it asks
	asking := make(chan struct{}, 32) // more would keep each other from answering in time
	ask := func(t *testing.T, w wrong, name string) chan suite.Result {
		at, result := startWrong(t, e, w), make(chan suite.Result, 1)
		go func() { // ends with the case
			asking <- struct{}{}
			defer func() { <-asking }()
			r, err := suite.Run(t.Context(), set, at, suite.Options{Only: regexp.MustCompile("^" + name + "$")})
			if err != nil || len(r.Results) != 1 {
				result <- suite.Result{Outcome: suite.Broken, Why: "no such case"}
				return
			}
			result <- r.Results[0]
		}()
		return result
	}
	right, mutated := map[string]chan suite.Result{}, map[string]chan suite.Result{}
	for _, m := range all {
		if mutated[m.name] != nil {
			t.Fatalf("two are called %s", m.name)
		}
		mutated[m.name] = ask(t, m.wrong, m.by)
		if right[m.by] == nil {
			right[m.by] = ask(t, wrong{says: replaced(), hears: replaced()}, m.by)
		}
	}
	for name, result := range right {
		if x := <-result; x.Outcome != suite.Passed {
			t.Errorf("%s is %s when nothing is wrong: want %s, got %s %s", name, x.Outcome, x.Want, x.Got, x.Why)
		}
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			x := <-mutated[m.name]
			if x.Outcome != suite.Failed || !strings.Contains(x.Got, m.got) || (m.got == "") != (x.Got == "") {
				t.Errorf("%s is %s: want %s, got %q %s; it should have got %q", m.by, x.Outcome, x.Want, x.Got, x.Why, m.got)
			}
		})
	}
}

// negotiated replaces text of negotiate answers.
func negotiated(oldnew ...string) func(*http.Response) { return onNegotiate(body(oldnew...)) }

func onNegotiate(f func(*http.Response)) func(*http.Response) { return at("negotiate", f) }

// at is for answers to requests whose path ends so.
func at(action string, f func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if strings.HasSuffix(r.Request.URL.Path, "/"+action) {
			f(r)
		}
	}
}

func notNegotiate(f func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if !strings.HasSuffix(r.Request.URL.Path, "/negotiate") {
			f(r)
		}
	}
}

func status(from, to int) func(*http.Response) {
	return onStatus(from, func(r *http.Response) { r.StatusCode, r.Status = to, "" })
}

func onMethod(method string, f func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if r.Request.Method == method {
			f(r)
		}
	}
}

func onStatus(status int, f func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if r.StatusCode == status {
			f(r)
		}
	}
}

func onEvents(f func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if isEvents(r) {
			f(r)
		}
	}
}

// isStream says whether the body of an answer has no end of its own.
func isStream(r *http.Response) bool {
	return isEvents(r) || r.StatusCode == http.StatusSwitchingProtocols
}

// body replaces text of answers.
func body(oldnew ...string) func(*http.Response) {
	replace := strings.NewReplacer(oldnew...)
	return func(r *http.Response) {
		if !isStream(r) {
			setBody(r, func(b []byte) []byte { return []byte(replace.Replace(string(b))) })
		}
	}
}

// whereBody is for answers with a text.
func whereBody(text string, f func(*http.Response)) func(*http.Response) {
	return func(r *http.Response) {
		if isStream(r) {
			return
		}
		found := false
		setBody(r, func(b []byte) []byte { found = strings.Contains(string(b), text); return b })
		if found {
			f(r)
		}
	}
}

// members changes a member of json.
func members(name string, f func(string) string) func(*http.Response) {
	find := regexp.MustCompile(`"` + name + `":"([^"]*)"`)
	return func(r *http.Response) {
		setBody(r, func(b []byte) []byte {
			return find.ReplaceAllFunc(b, func(m []byte) []byte {
				return []byte(`"` + name + `":"` + f(string(find.FindSubmatch(m)[1])) + `"`)
			})
		})
	}
}

// header sets a header, or removes it.
func header(name string, values ...string) func(*http.Response) {
	return func(r *http.Response) {
		r.Header.Del(name)
		for _, v := range values {
			r.Header.Set(name, v)
		}
	}
}

// streamed replaces text of an event stream, which must not come in pieces.
func streamed(old, new string) func(*http.Response) {
	return func(r *http.Response) {
		r.Body = struct {
			io.Reader
			io.Closer
		}{&pieces{in: r.Body, replace: strings.NewReplacer(old, new)}, r.Body}
	}
}

type pieces struct {
	in      io.Reader
	replace *strings.Replacer
	left    []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.left) == 0 {
		said := make([]byte, 64<<10)
		n, err := p.in.Read(said)
		if p.left = []byte(p.replace.Replace(string(said[:n]))); err != nil && len(p.left) == 0 {
			return 0, err
		}
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

// onOp has other frames for those of an opcode.
func onOp(op byte, others ...message) change {
	return each(func(m message) []message {
		if m.op == op {
			return others
		}
		return []message{m}
	})
}

// inBytes says in bytes what is text, with other text for some of it.
func inBytes(oldnew ...string) change { return carried(ws.Text, ws.Binary, oldnew) }

// asText says as text what is bytes, with other bytes for some of it.
func asText(oldnew ...string) change { return carried(ws.Binary, ws.Text, oldnew) }

func carried(was, is byte, oldnew []string) change {
	r := strings.NewReplacer(oldnew...)
	return each(func(m message) []message {
		if m.op == was {
			m.op = is
		}
		m.data = r.Replace(m.data)
		return []message{m}
	})
}

// wholeOnly hears messages that are whole.
var wholeOnly = each(func(m message) []message {
	if m.op == ws.Text && !strings.HasSuffix(m.data, "\x1e") {
		return nil
	}
	return []message{m}
})

// halved says what is long in two messages.
var halved = each(func(m message) []message {
	if n := len(m.data) / 2; n > 100_000 {
		return []message{{op: m.op, data: m.data[:n]}, {op: m.op, data: m.data[n:]}}
	}
	return []message{m}
})

// firstOnly hears the first of messages that come together.
var firstOnly = each(func(m message) []message {
	if m.joined {
		return nil
	}
	return []message{m}
})

// overtaking lets the next message before that which holds a text.
func overtaking(text string) change {
	return func() func(message) []message {
		var held []message
		return func(m message) []message {
			if strings.Contains(m.data, text) {
				held = []message{m}
				return nil
			}
			all := append([]message{m}, held...)
			held = nil
			return all
		}
	}
}
