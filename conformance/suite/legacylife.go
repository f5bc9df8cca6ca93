package suite

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// legacyLifeCases ask what becomes of messages and groups when carriers come and
// go. They need the test hub.
func legacyLifeCases() []Case {
	lasting := []string{legacySocket, legacyStream, legacyPolls}
	return legacyCode([]legacyAsk{
		{"missed", "what was sent while the client was away comes when it brings its cursor; a service may lose it (legacy-service-protocol 6.3)",
			legacyRecorded + "8", Hub, lasting, 0, func(ctx context.Context, k *legacyClient) { legacyAway(ctx, k, true) }},
		{"missed-without-cursor", "without its cursor a client hears from now on; a service may have kept what was sent (legacy-service-protocol 6.3)",
			legacyRecorded + "8", Hub, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) { legacyAway(ctx, k, false) }},
		{"reconnect-bad-cursor", "a cursor that nobody gave out is none", legacyRecorded + "8", Hub, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
			k.comesBack(ctx, "&messageId=garbage")
			k.hearsItself(ctx)
		}},
		{"groups-token", "a change of groups comes with a token; a service keeps the groups itself (legacy-service-protocol 4.4)",
			legacyRecorded + "4.2", Hub, lasting, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				k.member(ctx)
				if !k.door.redirected && k.groups == "" {
					k.t.Fail("a message with G", "none")
				}
				if k.door.redirected && k.groups != "" {
					k.t.Fail("no G", k.groups)
				}
			}},
		{"groups-back", "a client that brings its token is a member again", legacyRecorded + "8", Hub, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			k.member(ctx)
			k.bringsGroups(ctx, k.groups, true)
		}},
		{"groups-back-without-token", "a client that brings no token is a member of nothing; a service remembers (legacy-service-protocol 4.4)",
			legacyRecorded + "8", Hub, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				k.member(ctx)
				k.bringsGroups(ctx, "", k.door.redirected)
			}},
		{"groups-token-garbage", "a token that cannot be read is none, and no error; a service does not look (legacy-service-protocol 4.4)",
			legacyRecorded + "8", Hub, []string{legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				k.member(ctx)
				k.bringsGroups(ctx, "AAAA", k.door.redirected)
			}},
		{"groups-token-of-another-kind", "a connection token is no groups token, and no error; a service does not look (legacy-service-protocol 4.4)",
			legacyRecorded + "8", Hub, []string{legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				k.member(ctx)
				k.bringsGroups(ctx, k.token, k.door.redirected)
			}},
		{"groups-token-of-another", "another's token makes nobody a member", legacyRecorded + "8", Hub, []string{legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			other := k.another(ctx)
			other.member(ctx)
			k.bringsGroups(ctx, other.groups, false)
		}},
		{"send-without-connect", "a client that never connected may send; a service does not know it (legacy-service-protocol 6.2)",
			legacyRecorded + "4.1", Hub, []string{legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
				k.sendsAnyway(ctx)
			}},
		{"send-after-abort", "a client that is gone may send; a service no longer knows it (legacy-service-protocol 6.2)",
			legacyRecorded + "4.1", Hub, []string{legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				k.aborts(ctx)
				k.sendsAnyway(ctx)
			}},
		{"message-after-replaced", "messages go to the carrier that came last", legacyRecorded + "4.3", Hub, []string{legacySocket, legacyStream}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			first := k.carrier
			k.opens(ctx, k.back())
			for text := range first.events {
				if strings.Contains(text, `"M":[{`) {
					k.t.Fail("no message on the carrier before", text)
				}
			}
			k.hearsItself(ctx)
		}},
		{"version-1.2", "a client of 1.2 has no start: it may call when its carrier is there", legacyRecorded + "4.1", Hub, []string{legacySocket, legacyStream}, 0, legacyOld("1.2")},
		{"version-1.3", "a client of 1.3 has no start: it may call when its carrier is there", legacyRecorded + "4.1", Hub, []string{legacySocket, legacyStream}, 0, legacyOld("1.3")},
		{"version-none", "a client that names no version has no start", legacyRecorded + "4.1", Hub, []string{legacySocket, legacyStream}, 0, legacyOld("")},
		{"websocket-fragments", "a message in fragments is one", legacyRecorded + "4.3", Hub, []string{legacySocket}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			text := `{"H":"chathub","M":"Echo","A":["fragmented"],"I":9}`
			k.t.Said("client", k.name, "%s, in three fragments", text)
			k.fragments(text[:10], text[10:20], text[20:])
			k.hearsResult(ctx, `{"R":"fragmented","I":"9"}`)
		}},
		{"websocket-pong", "a pong that nobody asked for is nothing", legacyRecorded + "4.3", Hub, []string{legacySocket}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			if err := k.carrier.socket.Write(10, nil); err != nil {
				k.t.Broken(err)
			}
			k.hearsItself(ctx)
		}},
		{"websocket-64-kib", "a message of 65536 bytes passes", legacyRecorded + "4.3", Hub, []string{legacySocket}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			text := legacySized(65536)
			k.call(ctx, text)
			k.hearsResult(ctx, fmt.Sprintf(`{"R":%d,"I":"0"}`, len(text)-len(legacySized(0))))
		}},
		{"websocket-too-long", "a message of 65537 bytes ends the connection without a close frame; a service takes a megabyte (legacy-service-protocol 7)",
			legacyRecorded + "4.3", Hub, []string{legacySocket}, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				text := legacySized(65537)
				k.call(ctx, text)
				k.tooLong(ctx, text)
			}},
		{"websocket-too-long-fragments", "so does one of as many bytes in two fragments; a service takes a megabyte (legacy-service-protocol 7)",
			legacyRecorded + "4.3", Hub, []string{legacySocket}, 0, func(ctx context.Context, k *legacyClient) {
				k.begins(ctx)
				text := legacySized(65537)
				k.t.Said("client", k.name, "%s, in two fragments", legacyShort(text))
				k.fragments(text[:40000], text[40000:])
				k.tooLong(ctx, text)
			}},
	})
}

// legacyHubCases ask what one script line after the other cannot: calls that
// overlap.
func legacyHubCases() []Case {
	return legacyCode([]legacyAsk{
		{"calls-at-once", "a call that waits does not hold up the next", legacyRecorded + "5.3", Hub, []string{legacySocket}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			k.call(ctx, `{"H":"chathub","M":"Slow","A":[600],"I":1}`)
			k.call(ctx, `{"H":"chathub","M":"Echo","A":["first"],"I":2}`)
			k.hearsResult(ctx, `{"R":"first","I":"2"}`)
			k.hearsResult(ctx, `{"R":"slept 600","I":"1"}`)
		}},
		{"many-calls", "of fifty calls every one has its result", legacyRecorded + "5.3", Hub, []string{legacySocket, legacyStream, legacyPolls}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			want := map[string]bool{}
			for i := range 50 {
				k.call(ctx, fmt.Sprintf(`{"H":"chathub","M":"Echo","A":["%d"],"I":%d}`, i, i))
				want[fmt.Sprintf(`{"R":"%d","I":"%d"}`, i, i)] = true
			}
			for range 50 {
				got := k.next(ctx, &k.results)
				if !want[got] {
					k.t.Fail("a result of one of the calls, once", got)
				}
				delete(want, got)
			}
		}},
		{"order", "messages of one caller to one client come in their order", legacyRecorded + "5.5", Hub, []string{legacySocket, legacyStream, legacyPolls}, 0, func(ctx context.Context, k *legacyClient) {
			k.begins(ctx)
			other := k.another(ctx)
			for i := range 30 {
				other.call(ctx, fmt.Sprintf(`{"H":"chathub","M":"SendClient","A":["%s","%s %d"],"I":%d}`, k.id, k.tag, i, i))
				other.hearsResult(ctx, fmt.Sprintf(`{"I":"%d"}`, i))
			}
			for i := range 30 {
				k.hearsMessage(ctx, fmt.Sprint(k.tag, " ", i))
			}
		}},
		{"poll-without-cursor", "a poll without a cursor waits for what comes from now on", legacyRecorded + "4.5", Hub, []string{legacyPolls}, 0, func(ctx context.Context, k *legacyClient) {
			k.pollsFor(ctx, "")
		}},
		{"poll-bad-cursor", "a poll with a cursor that nobody gave out waits for what comes from now on", legacyRecorded + "4.5", Hub, []string{legacyPolls}, 0, func(ctx context.Context, k *legacyClient) {
			k.pollsFor(ctx, "&messageId=garbage")
		}},
		{"proxy-script", "the app has a script at /hubs for its hubs, by name, with their methods", legacyRecorded + "6", Hub, []string{legacyStream}, 0, legacyScriptAt("/hubs")},
		{"proxy-script-js", "the script is at /js, too", legacyRecorded + "6", Hub, []string{legacyStream}, 0, legacyScriptAt("/js")},
		{"proxy-script-upper", "the script's path matches without case", legacyRecorded + "6", Hub, []string{legacyStream}, 0, legacyScriptAt("/HUBS")},
		{"proxy-script-slash", "the script's path may end in a slash", legacyRecorded + "6", Hub, []string{legacyStream}, 0, legacyScriptAt("/hubs/")},
		{"progress", "progress comes by the receive channel before the result; behind a service it does not come (legacy-service-protocol 4.2)",
			legacyRecorded + "5.3", Hub, []string{legacySocket, legacyStream, legacyPolls}, 0, func(ctx context.Context, k *legacyClient) {
				if k.door.redirected {
					k.t.Skip("the SDK throws out of Report (legacy-service-protocol 4.2)")
				}
				k.begins(ctx)
				k.call(ctx, `{"H":"chathub","M":"Progress","A":[3],"I":7}`)
				for i := range 3 {
					want := fmt.Sprintf(`{"I":"P|7","P":{"I":"7","D":%d}}`, i+1)
					if got := k.next(ctx, &k.progress); got != want {
						k.t.Fail(want, got)
					}
				}
				k.hearsResult(ctx, `{"R":3,"I":"7"}`)
			}},
	})
}

// pollsFor polls with more parameters, and wants the next message.
func (k *legacyClient) pollsFor(ctx context.Context, more string) {
	k.waits(ctx)
	k.start(ctx)
	poll := k.parks(ctx, &legacyRequest{method: "POST", target: k.target("poll") + more})
	other := k.another(ctx)
	other.call(ctx, `{"H":"chathub","M":"SendClient","A":["`+k.id+`","`+k.tag+`"],"I":0}`)
	other.hearsResult(ctx, `{"I":"0"}`)
	k.answered(poll, legacyPattern{`{"C":"${cursor}","M":[{"H":"chatHub","M":"message","A":["` + k.tag + `"]}]}`})
}

// legacyScriptAt asks the endpoint itself for its script: it stays with the app
// where a service is behind it (legacy-service-protocol 1.1).
func legacyScriptAt(path string) func(context.Context, *legacyClient) {
	return func(ctx context.Context, k *legacyClient) {
		base := *k.t.Endpoint.URL
		base.RawQuery, base.Path = "", strings.TrimSuffix(base.Path, "/")
		a := (&legacyDoor{t: k.t, base: &base}).ask(ctx, k.name, &legacyRequest{method: "GET", target: path})
		Equal(k.t, "status", 200, a.status)
		Equal(k.t, "Content-Type:", strings.ToLower(legacyTypes["js"]), strings.ToLower(a.header.Get("Content-Type")))
		for _, want := range []string{`$.hubConnection("` + base.Path + `"`, "chatHub", "otherHub", "echo", `"Echo"`} {
			Contains(k.t, "a script", want, a.body)
		}
	}
}

// begins connects and starts a client that has negotiated.
func (k *legacyClient) begins(ctx context.Context) {
	k.connect(ctx)
	k.start(ctx)
}

// another is a second client, by a WebSocket or, without, an event stream.
func (k *legacyClient) another(ctx context.Context) *legacyClient {
	o := &legacyClient{t: k.t, name: "c2", via: legacyStream, version: "2.1", tag: k.tag, data: legacyHubs("chathub")}
	o.join(ctx, "")
	return o
}

// opens opens a carrier by reconnect.
func (k *legacyClient) opens(ctx context.Context, more string) {
	if a := k.open(ctx, "reconnect", more); a != nil {
		k.t.Fail("200, or 101 of a WebSocket", a.String())
	}
	k.preamble(ctx)
}

// comesBack begins, is cut and reconnects.
func (k *legacyClient) comesBack(ctx context.Context, more string) {
	k.begins(ctx)
	k.carrier.cut()
	k.opens(ctx, more)
}

func (k *legacyClient) hearsResult(ctx context.Context, want string) {
	if got := k.next(ctx, &k.results); got != want {
		k.t.Fail(want, got)
	}
}

func (k *legacyClient) hearsMessage(ctx context.Context, text string) {
	want := `{"H":"chatHub","M":"message","A":["` + text + `"]}`
	if got := k.next(ctx, &k.messages); got != want {
		k.t.Fail(want, got)
	}
}

// hearsItself sends to itself.
func (k *legacyClient) hearsItself(ctx context.Context) {
	k.call(ctx, `{"H":"chathub","M":"SendCaller","A":["`+k.tag+`"],"I":0}`)
	k.hearsMessage(ctx, k.tag)
	k.hearsResult(ctx, `{"I":"0"}`)
}

// legacyAway is a client that misses a message.
func legacyAway(ctx context.Context, k *legacyClient, cursor bool) {
	k.begins(ctx)
	k.hearsItself(ctx) // its cursor is not the first one
	other := k.another(ctx)
	k.carrier.cut()
	other.call(ctx, `{"H":"chathub","M":"SendClient","A":["`+k.id+`","`+k.tag+` missed"],"I":0}`)
	other.hearsResult(ctx, `{"I":"0"}`)
	more := ""
	if cursor {
		more = k.back()
	}
	k.opens(ctx, more)
	other.call(ctx, `{"H":"chathub","M":"SendClient","A":["`+k.id+`","`+k.tag+` marker"],"I":1}`)
	other.hearsResult(ctx, `{"I":"1"}`)
	message := func(text string) string { return `{"H":"chatHub","M":"message","A":["` + k.tag + text + `"]}` }
	got := k.next(ctx, &k.messages)
	missed := got == message(" missed")
	if missed {
		got = k.next(ctx, &k.messages)
	}
	switch want := message(" marker"); {
	case got != want:
		k.t.Fail(want, got)
	case k.door.redirected: // either is right
	case missed != cursor:
		k.t.Fail(map[bool]string{true: "the missed message", false: "no message from before"}[cursor], map[bool]string{true: "it", false: "none"}[missed])
	}
}

// member makes the client a member of a group.
func (k *legacyClient) member(ctx context.Context) {
	k.call(ctx, `{"H":"chathub","M":"Join","A":["`+k.tag+`"],"I":"join"}`)
	k.hearsResult(ctx, `{"I":"join"}`)
	k.call(ctx, `{"H":"chathub","M":"SendGroup","A":["`+k.tag+`","`+k.tag+` member"],"I":"group"}`)
	k.hearsMessage(ctx, k.tag+" member")
	k.hearsResult(ctx, `{"I":"group"}`)
}

// bringsGroups is cut and reconnects with a groups token, by which it is a member
// of its group or not.
func (k *legacyClient) bringsGroups(ctx context.Context, token string, member bool) {
	k.carrier.cut()
	k.groups = token
	k.opens(ctx, k.back())
	k.toGroup(ctx, member)
}

// toGroup has another send to the group, and to the client.
func (k *legacyClient) toGroup(ctx context.Context, member bool) {
	other := k.another(ctx)
	other.call(ctx, `{"H":"chathub","M":"SendGroup","A":["`+k.tag+`","`+k.tag+` group"],"I":0}`)
	other.hearsResult(ctx, `{"I":"0"}`)
	if member {
		k.hearsMessage(ctx, k.tag+" group")
	}
	other.call(ctx, `{"H":"chathub","M":"SendClient","A":["`+k.id+`","`+k.tag+` marker"],"I":1}`)
	other.hearsResult(ctx, `{"I":"1"}`)
	k.hearsMessage(ctx, k.tag+" marker")
}

// sendsAnyway sends without a carrier.
func (k *legacyClient) sendsAnyway(ctx context.Context) {
	a := k.door.ask(ctx, k.name, &legacyRequest{method: "POST", target: k.target("send"), body: "data=%7B%22H%22%3A%22chathub%22%2C%22M%22%3A%22Echo%22%2C%22A%22%3A%5B%22x%22%5D%2C%22I%22%3A0%7D",
		headers: []string{"Content-Type: application/x-www-form-urlencoded"}})
	a.check(k.t, k.orUnknown(legacyExpect{status: 200, kind: "json", body: legacyPattern{`{"R":"x","I":"0"}`}})...)
}

// legacySized is a call of Length that has n bytes, or more.
func legacySized(n int) string {
	const head, tail = `{"H":"chathub","M":"Length","A":["`, `"],"I":0}`
	return head + strings.Repeat("x", max(0, n-len(head)-len(tail))) + tail
}

// legacyOld is a client of a version that has no start.
func legacyOld(version string) func(context.Context, *legacyClient) {
	return func(ctx context.Context, k *legacyClient) {
		k.version = version
		k.connect(ctx)
		k.hearsItself(ctx)
	}
}

// tooLong expects what becomes of a call that a server does not read.
func (k *legacyClient) tooLong(ctx context.Context, text string) {
	if k.door.redirected {
		k.hearsResult(ctx, fmt.Sprintf(`{"R":%d,"I":"0"}`, len(text)-len(legacySized(0))))
		return
	}
	if got := k.frame(ctx); got != "ended: "+legacyCut {
		k.t.Fail("ended: "+legacyCut, got)
	}
}

// fragments sends a text message in parts, masked with zeros.
func (k *legacyClient) fragments(parts ...string) {
	nc := k.carrier.socket.NetConn()
	for i, p := range parts {
		var head byte
		if i == 0 {
			head |= ws.Text
		}
		if i == len(parts)-1 {
			head |= 0x80
		}
		b := binary.BigEndian.AppendUint16([]byte{head, 0x80 | 126}, uint16(len(p)))
		nc.Write(append(append(b, 0, 0, 0, 0), p...)) // a failure is seen in what follows
	}
}
