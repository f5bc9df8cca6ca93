package aspnetlegacy_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// flows are recordings that follow each other, in the order in which they were
// made.
var flows = []struct {
	name string
	o    aspnetlegacy.Options
	play func(*player)
}{
	{"event stream", aspnetlegacy.Options{}, playStream},
	{"event stream, all calls", aspnetlegacy.Options{}, playCalls},
	{"event stream, reconnects", aspnetlegacy.Options{}, playReconnects},
	{"event stream, ends", aspnetlegacy.Options{}, playEnds},
	{"event stream, first events", aspnetlegacy.Options{}, playFirst},
	{"receivers", aspnetlegacy.Options{}, playReceivers},
	{"long polling", aspnetlegacy.Options{}, playPolls},
	{"long polling, ends", aspnetlegacy.Options{}, playPollEnds},
	{"long polling, JSONP", aspnetlegacy.Options{JSONP: true}, playJSONP},
	{"forever frame", aspnetlegacy.Options{}, playFrame},
	{"WebSocket", aspnetlegacy.Options{}, playSocket},
	{"WebSocket, ends", aspnetlegacy.Options{}, playSocketEnds},
	{"lost", aspnetlegacy.Options{}, playLost},
	{"idle", aspnetlegacy.Options{KeepAlive: 2 * time.Second, DisconnectTimeout: 6 * time.Second, PollTimeout: 5 * time.Second, JSONP: true}, playIdle},
}

const group = "hg-chathub.g" // as the SDK names the group g of a hub

// toGroup has the app send to the members of the group.
func (p *player) toGroup(element string) {
	p.t.Helper()
	p.a.Send(&serviceproto.GroupBroadcastData{Group: group, Payload: payload(element)})
}

// said has the app say the elements of a recorded event one by one.
func (k *talk) said(elements ...string) {
	k.p.t.Helper()
	k.p.a.says(k.id, elements...)
	k.p.a.Settle()
}

func playStream(p *player) {
	k := p.talk("")
	k.ask("sse.flow.1.negotiate")
	x := k.take("sse.flow.2.connect").first(2)
	k.opened()
	k.ask("sse.flow.3.start")
	k.call("sse.flow.4.send")
	k.call("sse.flow.5.joinGroup")
	k.join(group)
	k.ask("sse.flow.6.startAgain")
	x.play().leaves()
	k.said(call("chatHub", "broadcast", `"srv","missed broadcast"`), call("chatHub", "groupMessage", `"g","missed while down"`))
	x = k.take("sse.flow.8.reconnect").missed()
	k.back()
	x.leaves()
	x = k.take("sse.flow.9.reconnect.noGroupsToken").first(1)
	k.back()
	x.play()
	p.toGroup(call("chatHub", "groupMessage", `"g","not for who has no token"`))
	x.leaves()
}

func playCalls(p *player) {
	k := p.talk("")
	x := k.take("sse.connect(stream, whole)").first(2)
	k.opened()
	k.ask("sse.start")
	x.play()
	k.ask("sse.abort")
	k.gone()
	x.ends()

	k = p.talk("alice")
	k.login = p.s.token()
	k.ask("sse.reconnect.userDropped")
}

func playReconnects(p *player) {
	k := p.talk("")
	k.comes(serverSentEvents)
	for _, name := range []string{"noMessageId", "messageId.garbage", "messageId.foreignServer", "messageId.oldFormat",
		"messageId.unknownKeys", "messageId.empty"} {
		k.said(call("chatHub", "direct", `"not seen"`)) // from now on: this is past
		x := k.take("sse.reconnect." + name).first(1)
		k.back()
		x.play().leaves()
	}
	x := k.take("sse.reconnect.messageId.futureCursor").first(1)
	k.back()
	x.leaves()
	for _, name := range []string{"sse.reconnect.groupsToken.garbage", "sse.reconnect.groupsToken.connectionToken"} {
		var elements []string
		for _, text := range []string{"caller", "after", "probe", "probe", "probe", "probe", "probe", "probe", "probe"} {
			elements = append(elements, call("chatHub", "direct", `"`+text+`"`))
		}
		k.said(elements...)
		x := k.take(name).missed()
		k.back()
		x.leaves()
	}
	p.talk("").take("sse.reconnect.groupsToken.ofOtherConnection")
}

// comes connects the client without a recording.
func (k *talk) comes(via string) {
	k.p.t.Helper()
	k.connect(via)
	k.opened()
}

func playEnds(p *player) {
	k := p.talk("")
	first := k.take("sse.connectTwice.first").play()
	k.opened()
	second := k.take("sse.connectTwice.second").play()
	first.ends()
	second.leaves()

	k = p.talk("")
	x := k.take("sse.abort.stream").play()
	k.opened()
	k.ask("sse.abort.get")
	x.ends()
	k.gone()
	k.ask("sse.abort.again")
	k.take("sse.connect.afterAbort")
	k.events("sse.abort.serverEvents")
}

func playFirst(p *player) {
	greeting := call("chatHub", "direct", `"hello from OnConnected"`)
	k := p.talk("")
	x := k.take("sse.onConnectedMessage.stream").first(2)
	k.opened()
	k.ask("sse.onConnectedMessage.start")
	x.play().leaves()

	k = p.talk("")
	x = k.take("sse.onConnectedThrows.stream").first(2)
	k.opened()
	p.refuse(k)
	x.play().more().ends()
	k.ask("sse.onConnectedThrows.start")

	for _, name := range []string{"sse.onConnectedSlow.start", "sse.onConnectedGroup.start"} {
		k = p.talk("")
		k.comes(serverSentEvents)
		k.ask(name)
	}
	for _, version := range []string{"1.4", "1.3", "1.2", "none"} {
		k = p.talk("")
		x = k.take("sse.oldProtocol." + version).first(1)
		k.opened()
		k.said(greeting)
		x.missed()
		if version == "1.4" {
			x.more()
		}
		x.leaves()
	}
	k = p.talk("")
	x = k.take("sse.oldProtocol.onConnectedThrows").play()
	k.opened()
	p.refuse(k)
	x.more().more().ends()

	k = p.talk("")
	k.comes(serverSentEvents)
	k.call("sse.twoHubs.send")
	k = p.talk("")
	x = k.take("sse.noHubs.stream").play()
	k.opened()
	k.call("sse.noHubs.send")
	x.leaves()
}

// refuse closes a client as the SDK does when OnConnected throws (3.1).
func (p *player) refuse(k *talk) {
	p.t.Helper()
	p.a.Send(&serviceproto.CloseConnection{ConnectionID: k.id, Error: "OnConnected threw"})
}

// playReceivers plays who gets what. What the caller is answered is the app's.
func playReceivers(p *player) {
	names := []string{"alice1", "alice2", "bob", "anonymous"}
	all := map[string]*talk{}
	for _, name := range names {
		k := p.talk(strings.TrimRight(strings.TrimSuffix(name, "anonymous"), "12"))
		k.comes(serverSentEvents)
		if name != "anonymous" {
			k.join(group)
		}
		all[name] = k
	}
	hub := p.a.hubs["chathub"]
	toUser := func(user, text string) {
		hub.Send(&serviceproto.UserData{UserID: user, Payload: payload(call("chatHub", "userMessage", `"`+user+`","`+text+`"`))})
	}
	both := func(user string) {
		hub.Send(&serviceproto.UserData{UserID: user, Payload: payload(call("chatHub", "userMessage", `"alice+bob","both"`))})
	}
	room := func(text string, except string) {
		p.a.Send(&serviceproto.GroupBroadcastData{Group: group, Excluded: []string{all[except].id},
			Payload: payload(call("chatHub", "groupMessage", `"room","`+text+`"`))})
	}
	direct := func(text string, ids ...string) {
		for _, id := range ids {
			p.a.says(id, call("chatHub", "direct", `"`+text+`"`))
		}
	}
	for _, c := range []struct {
		name string
		send func()
	}{
		{"SendUser alice", func() { toUser("alice", "to alice") }},
		{"SendUser ALICE", func() { toUser("ALICE", "to ALICE") }},
		{"SendUsers", func() { both("alice"); both("bob") }},
		{"AllExcept", func() {
			hub.Send(&serviceproto.BroadcastData{Excluded: []string{all["alice1"].id, all["bob"].id},
				Payload: payload(call("chatHub", "direct", `"except a1,b"`))})
		}},
		{"Client", func() { direct("direct bob", all["bob"].id) }},
		{"Client upper-case id", func() { direct("direct bob", strings.ToUpper(all["bob"].id)) }},
		{"Clients", func() { direct("two", all["alice2"].id, all["bob"].id) }},
		{"OthersInGroup", func() { room("others in room", "alice1") }},
		{"GroupExcept", func() { room("except a2", "alice2") }},
	} {
		c.send()
		p.a.Settle()
		ours := map[string][]string{}
		for _, name := range names {
			k := all[name]
			p.a.says(k.id, call("chatHub", "marker", ""))
			for {
				e, err := k.document()
				if err != nil {
					p.t.Fatal(err)
				}
				if strings.Contains(e, `"marker"`) {
					break
				}
				ours[name] = append(ours[name], name+": data: "+captured(e)+"\n\n")
			}
		}
		r := p.recording("fanout." + c.name)
		got := r.answer
		got.Events = nil
		for _, e := range r.Events {
			name, _, _ := strings.Cut(e, ":")
			next := ""
			if !strings.Contains(e, `"M":[]`) && len(ours[name]) > 0 { // who is excluded gets nothing
				next, ours[name] = ours[name][0], ours[name][1:]
			}
			got.Events = append(got.Events, next)
		}
		for _, name := range names {
			got.Events = append(got.Events, ours[name]...)
		}
		p.g.judge(r, got)
	}
}

func playPolls(p *player) {
	k := p.talk("")
	k.ask("lp.flow.1.connect")
	k.opened()
	k.ask("lp.flow.2.start")
	k.call("lp.flow.3.send")
	k.said(call("chatHub", "broadcast", `"me","hi"`))
	k.ask("lp.flow.4.poll")
	k.call("lp.flow.5.joinGroup")
	k.join(group)
	p.toGroup(call("chatHub", "groupMessage", `"g","between polls"`))
	p.a.Settle()
	k.ask("lp.flow.7.poll.pending")
	p.toGroup(call("chatHub", "groupMessage", `"g","not for who has no token"`))
	k.said(call("chatHub", "direct", `"ends the poll"`))
	k.ask("lp.flow.8.poll.noGroupsToken")
	bursts := []string{"lp.flow.9.poll.burst.1", "lp.flow.9.poll.burst.2"}
	for n, name := range bursts { // how many came with the first was chance
		for i := []int{0, 8}[n]; i < []int{8, 25}[n]; i++ {
			p.a.says(k.id, call("chatHub", "burst", strconv.Itoa(i)))
		}
		p.a.Settle()
		k.ask(name)
	}
	first := k.parked("lp.poll.twoAtOnce.first")
	second := k.parked("lp.poll.twoAtOnce.second")
	k.answered(p.recording("lp.poll.twoAtOnce.first"), first)
	k.said(call("chatHub", "direct", `"x"`))
	k.answered(p.recording("lp.poll.twoAtOnce.second"), second)
	waits := k.parked("lp.poll.noMessageId")
	k.said(call("chatHub", "direct", `"no messageId"`))
	k.answered(p.recording("lp.poll.noMessageId"), waits)
	k.waits("lp.poll.badMessageId")
}

func playPollEnds(p *player) {
	k := p.talk("")
	k.comes(longPolling)
	polls := k.parked("lp.abort.poll")
	k.ask("lp.abort")
	k.gone()
	k.answered(p.recording("lp.abort.poll"), polls)
	k.ask("lp.poll.afterAbort")
	k.ask("lp.poll.afterAbort.newCursor")

	k = p.talk("")
	k.ask("lp.poll.neverConnected")
	p.a.Settle()
	k.events("lp.poll.neverConnected.serverEvents")

	k = p.talk("")
	k.ask("lp.oldProtocol.1.3.connect")
	k.opened()
	k.said(call("chatHub", "direct", `"hello from OnConnected"`))
	k.ask("lp.oldProtocol.1.3.poll")

	k = p.talk("")
	k.comes(longPolling)
	p.refuse(k)
	p.a.Settle()
	k.ask("lp.onConnectedThrows.start")
}

func playJSONP(p *player) {
	k := p.talk("")
	k.ask("lp.jsonp.connect")
	k.opened()
	k.call("lp.jsonp.send")
	k.said(call("chatHub", "direct", `"js"`))
	k.ask("lp.jsonp.poll")
	k.call("lp.jsonp.send.badCallback")
	k.call("lp.jsonp.sse.send")
	k.ask("lp.jsonp.abort")
	k.gone()
}

func playFrame(p *player) {
	k := p.talk("")
	x := k.take("ff.connect").first(2)
	k.opened()
	k.ask("ff.start")
	k.call("ff.send.echo.noEscapeNeeded")
	k.call("ff.send.echo.escapeNeeded")
	k.call("ff.send.joinGroup")
	x.play()
	again := k.take("ff.reconnect").play()
	k.back()
	again.leaves()
	k.ask("ff.abort")
	k.gone()
	x.ends()
	for _, name := range []string{"missing", "text", "negative", "tooBig", "script"} {
		p.talk("").take("ff.frameId." + name)
	}
	k = p.talk("")
	x = k.take("ff.frameId.max").play()
	k.opened()
	x.leaves()
}

func playSocket(p *player) {
	k := p.talk("")
	x := k.take("ws.open").play()
	k.opened()
	k.ask("ws.start")
	x.leaves()
	k.ask("ws.abort")
	k.gone()

	k = p.talk("")
	x = k.take("ws.flow.connect").first(1)
	k.opened()
	x.play().leaves()
	k.said(call("chatHub", "groupMessage", `"g","missed"`))
	x = k.take("ws.flow.reconnect").missed()
	k.back()
	x.leaves()
	k.events("ws.flow.serverEvents.beforeAbort")
	k.ask("ws.flow.abort")
	k.gone()
	k.events("ws.flow.serverEvents.afterAbort")

	for _, name := range []string{"ws.concurrentCalls", "ws.controlFrames"} {
		k = p.talk("")
		x = k.take(name).first(1)
		k.opened()
		x.play().leaves()
	}
	k = p.talk("")
	x = k.take("ws.handshake.sseTransportWithUpgrade")
	k.opened()
	x.got.Text = x.must() + x.must() // it was recorded as a body
	x.leaves()
}

func playSocketEnds(p *player) {
	k := p.talk("")
	x := k.take("ws.binaryFrame").first(1)
	k.opened()
	x.play().leaves()

	k = p.talk("")
	x = k.take("ws.maxMessageSize").first(1)
	k.opened()
	for _, size := range []int{65536, 65537} {
		text := strings.Repeat("x", size)
		if err := x.socket.Write(ws.Text, []byte(text)); err != nil {
			p.t.Fatal(err)
		}
		p.a.heard(k.id, text)
	}
	x.got.Events = x.r.Events[:len(x.r.Events)-1] // the socket did not close
	x.leaves()

	k = p.talk("")
	first := k.take("ws.connectTwice.first").first(1)
	k.opened()
	second := k.take("ws.connectTwice.second").play()
	first.play().leaves()
	second.leaves()

	k = p.talk("")
	first = k.take("transportSwitch.ws").first(1)
	k.opened()
	if err := k.open("connect", serverSentEvents); err != nil {
		p.t.Fatal(err)
	}
	first.play().leaves()

	k = p.talk("")
	x = k.take("ws.onConnectedThrows.socket").play()
	k.opened()
	p.refuse(k)
	x.more().more().leaves()
	k.ask("ws.onConnectedThrows.start")

	k = p.talk("")
	x = k.take("ws.oldProtocol.1.3").first(0)
	k.opened()
	k.said(call("chatHub", "direct", `"hello from OnConnected"`))
	x.missed().leaves()

	k = p.talk("")
	x = k.take("ws.oldProtocol.onConnectedThrows")
	k.opened()
	p.refuse(k)
	x.play().more().more().leaves()
}

// playIdle waits as long as the recorder did, for all of them at once.
func playIdle(p *player) {
	p.talk("").ask("timeouts.negotiate.short")
	var answers []func()
	for _, name := range []string{"timeouts.lp.idlePoll", "timeouts.lp.jsonp.idlePoll"} {
		k := p.talk("")
		k.comes(longPolling)
		r := p.recording(name)
		_, in := k.send(r)
		answers = append(answers, func() { k.answered(r, in) })
	}
	for _, name := range []string{"timeouts.ws.idle", "timeouts.sse.idle", "timeouts.ff.idle"} {
		k := p.talk("")
		x := k.take(name)
		k.opened()
		answers = append(answers, func() { x.play().cut() })
	}
	for _, f := range answers {
		f()
	}
}

// playLost plays clients that go without a word. Waiting is shorter than it was
// recorded.
func playLost(p *player) {
	p.s.SetGrace(time.Second)
	clients := map[string]*talk{}
	for name, via := range map[string]string{
		"timeouts.sse.dropWithoutStart.serverEvents": serverSentEvents, "timeouts.sse.drop.serverEvents": serverSentEvents,
		"timeouts.ws.cleanClose.serverEvents": webSockets, "timeouts.lp.stopPolling.serverEvents": longPolling,
	} {
		k := p.talk("")
		k.comes(via)
		if via == webSockets {
			k.channel.(*socket).Close(1000, "")
		}
		k.cut()
		clients[name] = k
	}
	for range clients {
		id := nodetest.Expect[*serviceproto.CloseConnection](p.a.Link).ConnectionID
		for name, k := range clients {
			if k.id == id {
				k.app = append(k.app, "OnDisconnected")
				k.events(name)
			}
		}
	}
	k := clients["timeouts.sse.drop.serverEvents"]
	k.take("timeouts.sse.reconnectAfterDisconnect")
	p.a.Settle()
	k.events("timeouts.sse.reconnectAfterDisconnect.serverEvents")
}

// Requests that stand for themselves, by the beginnings of their names.
var requests = []string{"negotiate.", "ping.", "bare ", "connect.", "reconnect.", "poll.", "send.", "abort.", "start.", "transportName.", "cors.",
	"sse.sendBody.", "query.", "ws.handshake."}

// playRequests plays them, each with a client of its own.
func playRequests(g *goldenRun, t *testing.T) {
	players := map[bool]*player{}
	for _, jsonp := range []bool{false, true} {
		players[jsonp] = g.player(t, aspnetlegacy.Options{JSONP: jsonp})
	}
	for _, name := range g.names {
		r := g.recordings[name]
		if r.Method == "" || name == "ws.handshake.sseTransportWithUpgrade" || !startsWith(name, requests) {
			continue
		}
		p := players[r.JSONP]
		user := ""
		if startsWith(name, []string{"start.userDropped", "start.userCase", "ws.handshake.wrongUser"}) {
			user = "alice"
		}
		k := p.talk(user)
		if startsWith(name, []string{"sse.sendBody.", "start.userCase", "transportName.", "query.upperCaseKeys"}) {
			k.comes(serverSentEvents)
		}
		k.login = p.s.token(claimsOf(r.Headers["X-Test-User"])...)
		k.ask(name)
		p.drain()
	}
}

func startsWith(name string, heads []string) bool {
	return slices.ContainsFunc(heads, func(head string) bool { return strings.HasPrefix(name, head) })
}

// drain forgets what the app has heard.
func (p *player) drain() {
	p.t.Helper()
	p.a.Send(&serviceproto.LeaveGroupWithAck{ConnectionID: "nobody", Group: "none", AckID: 1})
	for {
		if _, ok := p.a.Next().(*serviceproto.Ack); ok {
			return
		}
	}
}
