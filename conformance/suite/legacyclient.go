package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A legacyClient is one connection as a client of 2.4 keeps it: what it was
// given, the last cursor, and the carrier that messages come by.
type legacyClient struct {
	t       *T
	door    *legacyDoor
	name    string
	via     string
	version string // clientProtocol
	data    string // connectionData, "" for none
	token   string // connection token
	id      string
	tag     string // in the texts of this run
	carrier *legacyCarrier

	// What was heard and nobody has asked for yet.
	results, messages, progress []string
	refusals                    []legacyAnswer // to sends that were not answered with 200

	mu     sync.Mutex
	mark   string // the last C
	groups string // the last G
	gone   bool   // aborted: no more polls
}

// legacyPatience is how long a message may take: most of what is left of the
// case's time, so that there is some to say that none came.
func legacyPatience(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return time.Until(end) * 9 / 10
	}
	return limit
}

// negotiate gets an id and a token.
func (k *legacyClient) negotiate(ctx context.Context, user string) {
	k.door = legacyKnock(ctx, k.t, user, k.data)
	first := k.door.first
	if k.version != "2.1" {
		first = k.door.ask(ctx, k.name, &legacyRequest{method: "GET", target: "/negotiate?clientProtocol=" + k.version + k.dataQuery()})
	}
	var n struct{ ConnectionToken, ConnectionID string }
	if err := json.Unmarshal([]byte(first.body), &n); err != nil || n.ConnectionToken == "" || n.ConnectionID == "" {
		k.t.Fail("a connection token and id", legacyShort(first.String()))
	}
	k.token, k.id = n.ConnectionToken, n.ConnectionID
}

// legacyHubs is the connectionData for hubs by name.
func legacyHubs(names ...string) string {
	if len(names) == 0 {
		return ""
	}
	return `[{"name":"` + strings.Join(names, `"},{"name":"`) + `"}]`
}

func (k *legacyClient) dataQuery() string {
	if k.data == "" {
		return ""
	}
	return "&connectionData=" + url.QueryEscape(k.data)
}

// target is the request of an action with the parameters that real clients send.
func (k *legacyClient) target(action string) string {
	s := "/" + action + "?transport=" + k.via
	if k.version != "" {
		s += "&clientProtocol=" + k.version
	}
	return s + "&connectionToken=" + url.QueryEscape(k.token) + k.dataQuery()
}

// open opens a carrier by connect, reconnect or poll, with more parameters. It
// returns the answer if that is a refusal.
func (k *legacyClient) open(ctx context.Context, action, more string) *legacyAnswer {
	ctx, stop := context.WithCancel(ctx)
	c := newLegacyCarrier(ctx, stop)
	open := k.openAnswer
	if k.via == legacySocket {
		open = k.openSocket
	}
	if refused := open(ctx, c, k.target(action)+more); refused != nil {
		stop()
		return refused
	}
	k.carrier = c
	return nil
}

// openSocket opens a WebSocket. A browser's has no headers, so the token is in
// its query.
func (k *legacyClient) openSocket(ctx context.Context, c *legacyCarrier, target string) *legacyAnswer {
	if k.door.bearer != "" {
		target += "&access_token=" + url.QueryEscape(k.door.bearer)
	}
	k.t.Said("client", k.name, "GET %s, as a WebSocket", legacyShort(target))
	socket, err := k.t.calls().Dial(ctx, k.door.base.Scheme+"://"+k.door.base.Host+k.door.target(&legacyRequest{target: target}), nil)
	var refused *ws.StatusError
	switch {
	case errors.As(err, &refused):
		return &legacyAnswer{status: refused.Code, header: refused.Header, body: refused.Body}
	case err != nil:
		k.t.Failf("no WebSocket at %s: %v", legacyShort(target), err)
	}
	context.AfterFunc(ctx, func() { socket.NetConn().Close() })
	c.socket, c.head = socket, legacyAnswer{status: http.StatusSwitchingProtocols}
	go c.readSocket() // ends with ctx
	return nil
}

// openAnswer sends the request whose answer brings the messages: an event stream,
// a forever frame or the first of the polls.
func (k *legacyClient) openAnswer(ctx context.Context, c *legacyCarrier, target string) *legacyAnswer {
	method, door := "GET", *k.door
	switch {
	case k.via == legacyPolls:
		method = "POST"
	case k.via == legacyFrame:
		target += "&frameId=7"
	case door.bearer != "": // an EventSource has no headers either
		target += "&access_token=" + url.QueryEscape(door.bearer)
		door.bearer = ""
	}
	res, nc := door.send(ctx, k.name, &legacyRequest{method: method, target: target})
	c.head = legacyAnswerOf(res)
	switch {
	case res.StatusCode != http.StatusOK:
		defer nc.Close()
		var b bytes.Buffer
		b.ReadFrom(res.Body)
		c.head.body = b.String()
		k.t.Said("server", k.name, "%s", legacyShort(c.head.String()))
		return &c.head
	case k.via == legacyPolls:
		go c.readPolls(ctx, k, res, func() *http.Response { // ends with ctx
			nc.Close()
			res, nc = door.send(ctx, k.name, k.poll("poll"))
			return res
		})
	default:
		go c.readStream(res.Body, k.via) // ends with ctx
	}
	return nil
}

// poll is the request for the next message, as script clients make it.
func (k *legacyClient) poll(action string) *legacyRequest {
	k.mu.Lock()
	defer k.mu.Unlock()
	body := "messageId=" + url.QueryEscape(k.mark)
	if k.groups != "" {
		body += "&groupsToken=" + url.QueryEscape(k.groups)
	}
	return &legacyRequest{method: "POST", target: k.target(action), body: body,
		headers: []string{"Content-Type: application/x-www-form-urlencoded; charset=UTF-8"}}
}

// back is what a client brings when it reconnects.
func (k *legacyClient) back() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := ""
	if k.mark != "" {
		s += "&messageId=" + url.QueryEscape(k.mark)
	}
	if k.groups != "" {
		s += "&groupsToken=" + url.QueryEscape(k.groups)
	}
	return s
}

// seen keeps the cursor and the groups of a message.
func (k *legacyClient) seen(text string) {
	var m legacyMessage
	if json.Unmarshal([]byte(text), &m) != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.C != "" {
		k.mark = m.C
	}
	if m.G != "" {
		k.groups = m.G
	}
}

func (k *legacyClient) stopped() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gone
}

// join takes the client to where it has started.
func (k *legacyClient) join(ctx context.Context, user string) {
	k.negotiate(ctx, user)
	k.connect(ctx)
	k.start(ctx)
}

// connect opens the first carrier and expects the init message.
func (k *legacyClient) connect(ctx context.Context) {
	if a := k.open(ctx, "connect", ""); a != nil {
		k.t.Fail("200, or 101 of a WebSocket", a.String())
	}
	k.preamble(ctx)
	got := k.frame(ctx)
	for k.data != "" { // another case may have sent to everybody, before the init message or in it
		got = legacyOthers.ReplaceAllString(got, `"M":[]`)
		if !(legacyPattern{`{"C":"${cursor}","M":[]}`}).match(got) {
			break
		}
		got = k.frame(ctx)
	}
	if !k.initial().match(got) {
		k.t.Fail(k.initial().String(), got)
	}
}

// legacyOthers are messages that other cases send to everybody.
var legacyOthers = regexp.MustCompile(`"M":\[(?:,?\{"H":"(?:chat|other)Hub","M":"message","A":\["` + legacyTagged + `[^"]*"\]\})+\]`)

// initial is the message that says that the transport works; a service may leave
// the cursor out where nobody polls (legacy-service-protocol 4.4).
func (k *legacyClient) initial() legacyPattern {
	p := legacyPattern{`{"C":"${cursor}","S":1,"M":[]}`}
	if k.door.redirected && k.via != legacyPolls {
		p = append(p, `{"S":1,"M":[]}`)
	}
	return p
}

// preamble expects the first bytes of an event stream.
func (k *legacyClient) preamble(ctx context.Context) {
	if k.via == legacyStream {
		k.expect(ctx, legacyPattern{"initialized"})
	}
}

func (k *legacyClient) expect(ctx context.Context, p legacyPattern) string {
	got := k.frame(ctx)
	if !p.match(got) {
		k.t.Fail(p.String(), got)
	}
	return got
}

// start tells the server that messages come, and it that the hubs know.
func (k *legacyClient) start(ctx context.Context) {
	a := k.door.ask(ctx, k.name, &legacyRequest{method: "GET", target: k.target("start")})
	a.check(k.t, legacyExpect{status: 200, kind: "json", body: legacyPattern{`{ "Response": "started" }`, `{"Response":"started"}`}[:k.spellings()]})
}

// spellings is how many ways of writing an answer there are: a service may leave
// out blanks (legacy-service-protocol 4.4).
func (k *legacyClient) spellings() int {
	if k.door.redirected {
		return 2
	}
	return 1
}

// frame returns the next message that is no keep-alive. An end comes as "ended:
// " and how.
func (k *legacyClient) frame(ctx context.Context) string {
	for {
		if text := k.event(ctx); text != "{}" {
			return text
		}
	}
}

// event returns the next message, a keep-alive too.
func (k *legacyClient) event(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, legacyPatience(ctx))
	defer cancel()
	select {
	case text, ok := <-k.carrier.events:
		if !ok {
			text = "ended: " + k.carrier.how()
			k.t.Said("server", k.name, "%s", text)
			return text
		}
		if k.via != legacyPolls { // there the goroutine that polls has seen it
			k.seen(text)
		}
		k.t.Said("server", k.name, "%s", legacyShort(text))
		return text
	case <-ctx.Done():
		return "nothing"
	}
}

// hear takes the next message apart. It returns false when none came.
func (k *legacyClient) hear(ctx context.Context) (string, bool) {
	text := k.frame(ctx)
	var m legacyMessage
	if text == "nothing" || strings.HasPrefix(text, "ended: ") {
		return text, false
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		k.t.Fail("a message in JSON", text)
	}
	switch {
	case len(m.I) > 0:
		k.results = append(k.results, text)
	case len(m.E) > 0:
		return text, false
	}
	for _, e := range m.M {
		var one struct{ I json.RawMessage }
		json.Unmarshal(e, &one) // what is no object has no I
		switch {
		case len(one.I) == 0:
			if k.tag == "" || bytes.Contains(e, []byte(k.tag)) || !bytes.Contains(e, []byte(legacyTagged)) {
				k.messages = append(k.messages, string(e))
			}
		case bytes.HasPrefix(one.I, []byte(`"P|`)):
			k.progress = append(k.progress, string(e))
		default:
			k.results = append(k.results, string(e))
		}
	}
	return "", true
}

// legacyTagged begins every tag: messages that other cases send to everybody
// have it, too, and are theirs.
const legacyTagged = "case-"

// next returns the next of a kind, or what came instead.
func (k *legacyClient) next(ctx context.Context, of *[]string) string {
	for len(*of) == 0 {
		if instead, ok := k.hear(ctx); !ok {
			return instead
		}
	}
	first := (*of)[0]
	*of = (*of)[1:]
	return first
}

// fill fills what the client was given into a target or body.
func (k *legacyClient) fill(text string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.NewReplacer("${token}", url.QueryEscape(k.token), "${id}", k.id,
		"${cursor}", url.QueryEscape(k.mark), "${groups}", url.QueryEscape(k.groups)).Replace(text)
}

// call sends an invocation the way of the transport.
func (k *legacyClient) call(ctx context.Context, text string) {
	if k.via == legacySocket {
		k.t.Said("client", k.name, "%s", legacyShort(text))
		if err := k.carrier.socket.Write(ws.Text, []byte(text)); err != nil {
			k.t.Failf("the WebSocket takes no message: %v", err)
		}
		return
	}
	a := k.door.ask(ctx, k.name, &legacyRequest{method: "POST", target: k.target("send"), body: "data=" + url.QueryEscape(text),
		headers: []string{"Content-Type: application/x-www-form-urlencoded; charset=UTF-8"}})
	switch {
	case a.status != http.StatusOK:
		k.refusals = append(k.refusals, a)
	case a.body != "":
		a.check(k.t, legacyExpect{status: 200, kind: "json", body: legacyPattern{"${any}"}})
		k.results = append(k.results, a.body)
	case !k.door.redirected:
		k.t.Allowed("results come by the receive channel, after an empty answer to /send, as a service sends them (legacy-service-protocol 4.4)")
	}
}

// abort stops the connection.
func (k *legacyClient) abort(ctx context.Context) legacyAnswer {
	k.mu.Lock()
	k.gone = true
	k.mu.Unlock()
	return k.door.ask(ctx, k.name, &legacyRequest{method: "POST", target: k.target("abort")})
}
