package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// legacyCarrierCases ask how messages are carried. They need no hub.
func legacyCarrierCases() []Case {
	sse, socket, lp, ff := []string{legacyStream}, []string{legacySocket}, []string{legacyPolls}, []string{legacyFrame}
	streams := []string{legacySocket, legacyStream, legacyFrame}
	return legacyCode([]legacyAsk{
		{"negotiate-types", "every member of negotiate has its type, the id is a GUID, Url is the path, and nothing of ASP.NET Core is there", legacyRecorded + "2.1", Core, sse, 0, legacyNegotiateTypes},
		{"negotiate-ids-differ", "no two clients get the same id or token", legacyRecorded + "2.1", Core, sse, 0, legacyIDsDiffer},
		{"connect", "connect has its content type and begins with the init message", legacyRecorded + "4.2", Core, legacyTransports, 0, legacyConnects},
		{"start", "start is answered when the carrier works", legacyRecorded + "1.3", Core, legacyTransports, 0, legacyStarts},
		{"start-twice", "start may be asked twice", legacyRecorded + "4.1", Core, sse, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.start(ctx)
		}},
		{"start-beside-poll", "start does not wait for a poll, nor a poll for start", legacyRecorded + "4.1", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.waits(ctx)
			poll := k.parks(ctx, k.poll("poll"))
			k.start(ctx)
			k.endsPoll(ctx, poll)
		}},
		{"stream-bytes", "an event stream begins with data: initialized and has messages between empty lines", legacyRecorded + "4.4", Core, sse, 0, legacyStreamBytes},
		{"stream-bytes-reconnect", "a stream that comes again begins with data: initialized, too", legacyRecorded + "4.4", Core, sse, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.carrier.cut()
			res, nc := k.door.send(ctx, k.name, &legacyRequest{method: "GET", target: k.target("reconnect") + k.back()})
			defer nc.Close()
			k.reads(res, "data: initialized\n\n")
		}},
		{"frame-head", "a forever frame begins with a document that knows its number", legacyRecorded + "4.4", Core, ff, 0, func(ctx context.Context, k *legacyClient) {
			res, nc := k.door.send(ctx, k.name, &legacyRequest{method: "GET", target: k.target("connect") + "&frameId=4294967295"})
			defer nc.Close()
			Equal(k.t, "Content-Type:", legacyTypes["html"], res.Header.Get("Content-Type"))
			b := make([]byte, 4096)
			n, _ := io.ReadAtLeast(res.Body, b, len("<!DOCTYPE html>"))
			Contains(k.t, "a document", "<!DOCTYPE html>", string(b[:n]))
			Contains(k.t, "the number of the frame", "4294967295", string(b[:n]))
		}},
		{"frame-without-number", "a forever frame without a number is no request", legacyRecorded + "1.4", Core, ff, 0, legacyFrameIDs("")},
		{"frame-number-text", "the number of a forever frame is no text", legacyRecorded + "1.4", Core, ff, 0, legacyFrameIDs("&frameId=abc")},
		{"frame-number-negative", "the number of a forever frame is not negative", legacyRecorded + "1.4", Core, ff, 0, legacyFrameIDs("&frameId=-1")},
		{"frame-number-too-big", "the number of a forever frame has 32 bits", legacyRecorded + "1.4", Core, ff, 0, legacyFrameIDs("&frameId=4294967296")},
		{"cursor", "the init message has a cursor that needs no escapes in JSON", legacyRecorded + "4.2", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			if k.mark == "" || strings.ContainsAny(k.mark, `"\`) {
				k.t.Fail("a cursor", k.mark)
			}
		}},
		{"keep-alive", "a carrier that is idle is kept alive twice in KeepAliveTimeout", legacyRecorded + "4.3 to 4.5", Core, legacyTransports, 30 * time.Second, legacyKeepsAlive},
		{"abort", "abort is answered 200, text/plain and empty, and ends the carrier cleanly", legacyRecorded + "4.6", Core, legacyTransports, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.aborts(ctx)
		}},
		{"abort-without-start", "abort ends a carrier whose client never started", legacyRecorded + "4.6", Core, streams, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.aborts(ctx)
		}},
		{"abort-by-get", "the method of abort does not matter", legacyRecorded + "1.1", Core, sse, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.door.ask(ctx, k.name, &legacyRequest{method: "GET", target: k.target("abort")}).check(k.t, legacyExpect{status: 200, kind: "plain", body: legacyPattern{""}})
			k.ends(ctx)
		}},
		{"abort-again", "abort of what is gone is answered 200; a service no longer knows it (legacy-service-protocol 6.2)", legacyRecorded + "4.6", Core, sse, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.aborts(ctx)
			k.abort(ctx).check(k.t, k.orUnknown(legacyExpect{status: 200, kind: "plain", body: legacyPattern{""}})...)
		}},
		{"second-carrier", "a carrier that comes for the same client ends the one before cleanly", legacyRecorded + "4.3", Core, streams, 0, func(ctx context.Context, k *legacyClient) {
			k.replaced(ctx, "reconnect")
		}},
		{"second-connect", "a second connect ends the carrier of the first", legacyRecorded + "4.3", Core, streams, 0, func(ctx context.Context, k *legacyClient) {
			k.replaced(ctx, "connect")
		}},
		{"other-carrier", "an event stream ends the WebSocket of the same client", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			other := k.twin(legacyStream)
			if a := other.open(ctx, "reconnect", k.back()); a != nil {
				k.t.Fail("200", a.String())
			}
			k.ends(ctx)
			other.preamble(ctx)
			other.aborts(ctx)
		}},
		{"two-polls", "the newer of two polls ends the older with a message that has nothing in it", legacyRecorded + "4.5", Core, lp, 0, legacyTwoPolls},
		{"poll-head", "the head of a poll's answer comes before there is a message", legacyRecorded + "4.5", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.waits(ctx)
			k.start(ctx)
			ctx, cancel := context.WithTimeout(ctx, legacyHead)
			defer cancel()
			res, nc := k.door.send(ctx, k.name, k.poll("poll"))
			defer nc.Close()
			Equal(k.t, "Content-Type:", legacyTypes["json"], res.Header.Get("Content-Type"))
		}},
		{"poll-after-abort", "abort answers the poll that waits", legacyRecorded + "4.5", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.waits(ctx)
			k.start(ctx)
			k.endsPoll(ctx, k.parks(ctx, k.poll("poll")))
		}},
		{"reconnect", "a client that comes again within its time hears no init message and goes on", legacyRecorded + "4.1", Core, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.carrier.cut()
			if a := k.open(ctx, "reconnect", k.back()); a != nil {
				k.t.Fail("200, or 101 of a WebSocket", a.String())
			}
			k.preamble(ctx)
			k.aborts(ctx)
		}},
		{"reconnect-unknown", "reconnect of one that never connected is a carrier; a service does not know it (legacy-service-protocol 6.3)", legacyRecorded + "4.6", Core, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
			if a := k.open(ctx, "reconnect", ""); a != nil {
				if !k.door.redirected || a.status != 404 {
					k.t.Fail("200, or 101 of a WebSocket", a.String())
				}
				return
			}
			k.preamble(ctx)
		}},
		{"websocket-upgrade", "an upgrade chooses no subprotocol and has nosniff", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			a := k.door.ask(ctx, k.name, &legacyRequest{method: "GET", target: k.target("connect"), upgrade: true})
			a.check(k.t, legacyExpect{status: 101, headers: [][2]string{{legacyNoSniff, "nosniff"}, {"Sec-WebSocket-Protocol", ""}, {"Sec-WebSocket-Extensions", ""}}})
		}},
		{"websocket-close", "a close frame is answered with 1000 and no reason, whatever its code", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.closes(3001, "mine")
			k.ends(ctx)
		}},
		{"websocket-close-no-code", "a close frame without a code, as script clients send it, is answered with 1000", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.closes(1005, "")
			k.ends(ctx)
		}},
		{"websocket-close-is-no-abort", "a client that closed its WebSocket may reconnect", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.closes(1000, "")
			k.ends(ctx)
			if a := k.open(ctx, "reconnect", k.back()); a != nil {
				k.t.Fail("101", a.String())
			}
			k.aborts(ctx)
		}},
		{"websocket-ping", "a ping is answered by a pong with what was in it", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			res, nc := k.door.send(ctx, k.name, &legacyRequest{method: "GET", target: k.target("connect"), upgrade: true})
			defer nc.Close()
			Equal(k.t, "status", http.StatusSwitchingProtocols, res.StatusCode)
			k.t.Said("client", k.name, "a ping with hello")
			nc.Write([]byte("\x89\x85\x00\x00\x00\x00hello")) // a failure is seen in what follows
			var heard []byte
			for b := make([]byte, 512); !bytes.Contains(heard, []byte("\x8a\x05hello")); {
				n, err := nc.Read(b)
				if heard = append(heard, b[:n]...); err != nil {
					k.t.Fail("a pong with hello", fmt.Sprintf("%q %v", heard, err))
				}
			}
		}},
		{"websocket-binary", "a binary message ends the connection without a close frame", legacyRecorded + "4.3", Core, socket, 0, func(ctx context.Context, k *legacyClient) {
			k.connect(ctx)
			k.start(ctx)
			k.t.Said("client", k.name, "a binary message")
			if err := k.carrier.socket.Write(ws.Binary, []byte("{}")); err != nil {
				k.t.Broken(err)
			}
			if got := k.frame(ctx); got != "ended: "+legacyCut {
				k.t.Fail("ended: "+legacyCut, got)
			}
		}},
		{"websocket-of-another-transport", "an upgrade that asks for an event stream gets one", legacyRecorded + "4.4", Core, sse, 0, func(ctx context.Context, k *legacyClient) {
			res, nc := k.door.send(ctx, k.name, &legacyRequest{method: "GET", target: k.target("connect"), upgrade: true})
			defer nc.Close()
			Equal(k.t, "status", 200, res.StatusCode)
			Equal(k.t, "Content-Type:", legacyTypes["sse"], res.Header.Get("Content-Type"))
		}},
		{"poll-at-the-mount", "a poll at the mount itself, as 1.0 clients make it, is a poll", legacyRecorded + "1.1", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.waits(ctx)
			k.start(ctx)
			r := k.poll("poll")
			r.target = strings.TrimPrefix(r.target, "/poll")
			k.endsPoll(ctx, k.parks(ctx, r))
		}},
		{"poll-by-query", "a poll may have its cursor in the query, as .NET clients have", legacyRecorded + "4.5", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.waits(ctx)
			k.start(ctx)
			k.endsPoll(ctx, k.parks(ctx, &legacyRequest{method: "POST", target: k.target("poll") + k.back()}))
		}},
		{"poll-by-get", "a poll may be a GET, as clients before 2.2 make it", legacyRecorded + "4.5", Core, lp, 0, func(ctx context.Context, k *legacyClient) {
			k.waits(ctx)
			k.start(ctx)
			k.endsPoll(ctx, k.parks(ctx, &legacyRequest{method: "GET", target: k.target("poll") + k.back()}))
		}},
	})
}

// twin is the same client on another transport.
func (k *legacyClient) twin(via string) *legacyClient {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &legacyClient{t: k.t, door: k.door, name: k.name + "-2", via: via, version: k.version, data: k.data,
		token: k.token, id: k.id, tag: k.tag, mark: k.mark, groups: k.groups}
}

// orUnknown adds what a service says of connections that it does not know
// (legacy-service-protocol 6.2).
func (k *legacyClient) orUnknown(e legacyExpect) []legacyExpect {
	if k.door.redirected {
		return []legacyExpect{e, {status: 404, why: "a service does not know who is not connected (legacy-service-protocol 6.2)"}}
	}
	return []legacyExpect{e}
}

// ends expects the clean end of the carrier.
func (k *legacyClient) ends(ctx context.Context) { (&legacyPlay{t: k.t}).ends(ctx, k) }

// aborts expects that abort ends the carrier.
func (k *legacyClient) aborts(ctx context.Context) {
	k.abort(ctx).check(k.t, legacyExpect{status: 200, kind: "plain", body: legacyPattern{""}})
	k.ends(ctx)
}

// closes sends a close frame; 1005 is one without a code.
func (k *legacyClient) closes(code int, reason string) {
	k.t.Said("client", k.name, "close %d %s", code, reason)
	var p []byte
	if code != 1005 {
		p = append([]byte{byte(code >> 8), byte(code)}, reason...)
	}
	if err := k.carrier.socket.Write(8, p); err != nil {
		k.t.Broken(err)
	}
}

// reads expects the next bytes of an answer.
func (k *legacyClient) reads(res *http.Response, want string) {
	b := make([]byte, len(want))
	n, err := io.ReadFull(res.Body, b)
	if string(b[:n]) != want {
		k.t.Fail(fmt.Sprintf("%q", want), fmt.Sprintf("%q %v", b[:n], err))
	}
}

var legacyGUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func legacyNegotiateTypes(_ context.Context, k *legacyClient) {
	text := k.door.first.body
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		k.t.Fail("an object", text)
	}
	if _, core := members["availableTransports"]; core {
		k.t.Fail("no availableTransports, at which clients of 2.4 stop", text)
	}
	if !k.door.redirected && !legacyGUID.MatchString(k.id) { // a service's ids are its own
		k.t.Fail("a ConnectionId like 1109b8b1-76af-429c-be9b-4020d105b924", k.id)
	}
	k.door.first.check(k.t, legacyExpect{status: 200, kind: "json", body: legacyPattern{legacyNegotiated(k.door.base.Path, "2.0")}})
}

func legacyIDsDiffer(ctx context.Context, k *legacyClient) {
	other := &legacyClient{t: k.t, name: "c2", via: k.via, version: k.version}
	other.negotiate(ctx, "")
	if k.id == other.id || k.token == other.token {
		k.t.Fail("another id and token", other.id+" "+other.token)
	}
}

func legacyConnects(ctx context.Context, k *legacyClient) {
	k.connect(ctx)
	want := map[string]string{legacyStream: "sse", legacyFrame: "html", legacyPolls: "json"}[k.via]
	if k.via == legacySocket {
		return // its head is in another case
	}
	Equal(k.t, "Content-Type:", legacyTypes[want], k.carrier.head.header.Get("Content-Type"))
	Equal(k.t, legacyNoSniff+":", "nosniff", k.carrier.head.header.Get(legacyNoSniff))
}

func legacyStarts(ctx context.Context, k *legacyClient) {
	k.connect(ctx)
	k.start(ctx)
}

func legacyStreamBytes(ctx context.Context, k *legacyClient) {
	res, nc := k.door.send(ctx, k.name, &legacyRequest{method: "GET", target: k.target("connect")})
	defer nc.Close()
	k.reads(res, "data: initialized\n\n")
	k.reads(res, "data: {")
	rest := ""
	for b := make([]byte, 1); !strings.HasSuffix(rest, "\n\n") && !strings.HasSuffix(rest, "\n\r\n"); rest += string(b) {
		if _, err := io.ReadFull(res.Body, b); err != nil {
			k.t.Fail("an empty line behind the message", rest)
		}
	}
	// Messages end as the server's host ends lines.
	if text := strings.TrimRight(rest, "\r\n"); strings.ContainsAny(text, "\r\n") || !k.initial().match("{"+text) {
		k.t.Fail("data: "+k.initial().String(), "data: {"+rest)
	}
}

func legacyFrameIDs(more string) func(context.Context, *legacyClient) {
	return func(ctx context.Context, k *legacyClient) {
		a := k.door.ask(ctx, k.name, &legacyRequest{method: "GET", target: k.target("connect") + more})
		a.check(k.t, legacyExpect{status: 500})
	}
}

// legacyKeepsAlive waits as long as negotiate says that it may take: half of
// KeepAliveTimeout, and the beat of a heart that comes too late for it.
func legacyKeepsAlive(ctx context.Context, k *legacyClient) {
	var n struct{ KeepAliveTimeout float64 }
	json.Unmarshal([]byte(k.door.first.body), &n)
	if n.KeepAliveTimeout == 0 {
		k.t.Skip("the server does not keep alive")
	}
	most := time.Duration(n.KeepAliveTimeout * float64(time.Second))
	if most > 25*time.Second {
		k.t.Skip(fmt.Sprintf("a keep-alive may take %v here", most))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("nothing in %v", most))
	defer cancel()
	if k.via == legacyPolls {
		k.waits(ctx)
		k.start(ctx)
		res, nc := k.door.send(ctx, k.name, k.poll("poll"))
		defer nc.Close()
		b := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, b); err != nil || b[0] != ' ' {
			k.t.Fail("a blank", fmt.Sprintf("%q %v", b, err))
		}
		return
	}
	k.connect(ctx)
	k.start(ctx)
	select {
	case got := <-k.carrier.events:
		Equal(k.t, "an idle carrier has", "{}", got)
	case <-ctx.Done():
		k.t.Fail("{} within "+most.String(), "nothing")
	}
}

// replaced opens a second carrier by action and expects that the first one ends
// and the second one works.
func (k *legacyClient) replaced(ctx context.Context, action string) {
	k.connect(ctx)
	k.start(ctx)
	second := k.twin(k.via)
	more := ""
	if action == "reconnect" {
		more = k.back()
	}
	if a := second.open(ctx, action, more); a != nil {
		k.t.Fail("200, or 101 of a WebSocket", a.String())
	}
	k.ends(ctx)
	second.preamble(ctx)
	if action == "connect" {
		second.expect(ctx, second.initial())
	}
	second.aborts(ctx)
}

func legacyTwoPolls(ctx context.Context, k *legacyClient) {
	k.waits(ctx)
	k.start(ctx)
	first := k.parks(ctx, k.poll("poll"))
	second := k.parks(ctx, k.poll("poll"))
	k.answered(first, k.nothingNew())
	k.endsPoll(ctx, second)
}
