package aspnetlegacy_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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

// A player plays recordings against a service of its own, and is the app, too:
// it says what the recorded app did.
type player struct {
	g *goldenRun
	t *testing.T
	s *service
	a *app
}

// player starts the service and the app for a flow.
func (g *goldenRun) player(t *testing.T, o aspnetlegacy.Options) *player {
	p := &player{g: g, t: t, s: serve(t, o)}
	p.a = p.s.app("server-1", "chathub", "statshub")
	return p
}

// recording returns what is to be played.
func (p *player) recording(name string) *recording {
	p.t.Helper()
	r := p.g.recordings[name]
	if r == nil || r.Method == "" {
		p.t.Fatalf("nothing to play was recorded as %q", name)
	}
	return r
}

// A talk is what one client says, from its negotiate on.
type talk struct {
	*client
	p   *player
	app []string // what its hubs would have seen
}

// talk negotiates as a user, or as nobody.
func (p *player) talk(user string) *talk {
	p.t.Helper()
	return &talk{client: p.s.negotiate([]string{"chathub"}, claimsOf(user)...), p: p}
}

func claimsOf(user string) []string {
	if user == "" {
		return nil
	}
	return []string{"asrs.s.uid", user}
}

// fill puts what we gave out in the place of what the real server had.
func (k *talk) fill(text string) string {
	return strings.NewReplacer(
		"{connectionToken}", url.QueryEscape(k.con), "{connectionId}", k.id,
		"{cursor}", url.QueryEscape(k.mark), "{groupsToken}", "none").Replace(text)
}

// send sends a request as it was recorded and reads the head of the answer.
func (k *talk) send(r *recording) (net.Conn, *bufio.Reader) {
	k.p.t.Helper()
	nc, err := net.Dial("tcp", k.p.s.Addr)
	if err != nil {
		k.p.t.Fatal(err)
	}
	k.p.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(nodetest.Patience))
	var b strings.Builder
	body := k.fill(r.Body)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n", r.Method, k.fill(r.URL), k.login)
	for name, value := range r.Headers {
		if name == "X-Test-User" {
			continue // who it is is in the access token
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	if r.Upgrade {
		b.WriteString("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	}
	if body != "" || r.Method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	if _, err := io.WriteString(nc, b.String()); err != nil {
		k.p.t.Fatal(err)
	}
	return nc, bufio.NewReader(nc)
}

// head reads the head of the answer to r.
func (k *talk) head(r *recording, in *bufio.Reader) (*http.Response, answer) {
	k.p.t.Helper()
	res, err := http.ReadResponse(in, &http.Request{Method: r.Method})
	if err != nil {
		k.p.t.Fatalf("%s: %v", r.Name, err)
	}
	_, reason, _ := strings.Cut(res.Status, " ")
	a := answer{Status: res.StatusCode, Reason: reason, Type: res.Header.Get("Content-Type")}
	a.NoSniff = res.Header.Get("X-Content-Type-Options") == "nosniff"
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers"} {
		if v := res.Header.Get(name); v != "" {
			a.CORS = append(a.CORS, name+": "+v)
		}
	}
	return res, a
}

// ask plays a request whose answer comes whole.
func (k *talk) ask(name string) {
	k.p.t.Helper()
	r := k.p.recording(name)
	nc, in := k.send(r)
	defer nc.Close()
	k.answered(r, in)
}

// answered reads the answer and judges it.
func (k *talk) answered(r *recording, in *bufio.Reader) {
	k.p.t.Helper()
	res, got := k.head(r, in)
	if got.Type == "text/event-stream" {
		k.p.g.judge(r, got) // a stream was not expected
		return
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		k.p.t.Fatalf("%s: %v", r.Name, err)
	}
	k.read(string(body))
	text := strings.TrimLeft(captured(string(body)), " ")
	if len(r.Events) > 0 { // a poll with its keep-alives
		for range len(body) - len(strings.TrimLeft(string(body), " ")) {
			got.Events = append(got.Events, " ")
		}
		got.Events = append(got.Events, text)
	} else {
		got.Text = text
	}
	if got.End = complete; r.End == "" {
		got.End = ""
	}
	k.p.g.judge(r, got)
}

// read notes the cursor of a message.
func (k *talk) read(text string) {
	_, after, ok := strings.Cut(text, `{"C":"`)
	if mark, _, end := strings.Cut(after, `"`); ok && end {
		k.mark = mark
	}
}

// call plays a /send, whose message the app hears.
func (k *talk) call(name string) {
	k.p.t.Helper()
	k.ask(name)
	r := k.p.recording(name)
	body := r.Body
	if body == "" {
		_, body, _ = strings.Cut(r.URL, "?")
	}
	k.p.a.heard(k.id, aspnetlegacy.Form(body, "data"))
}

// opened says that the app has heard of the client.
func (k *talk) opened() {
	k.p.t.Helper()
	k.p.a.opened(k.id)
	k.app = append(k.app, "OnConnected")
}

// back says that the app has heard that the client is back.
func (k *talk) back() {
	k.p.t.Helper()
	k.p.a.heard(k.id, "asrs:reconnect")
	k.app = append(k.app, "OnReconnected")
}

// gone says that the app has heard that the client is gone.
func (k *talk) gone() {
	k.p.t.Helper()
	k.p.a.Left(k.id)
	k.app = append(k.app, "OnDisconnected")
}

// events judges what the app has heard of the client.
func (k *talk) events(name string) {
	r := k.p.g.recordings[name]
	verdict := ""
	if !slices.Equal(r.App, k.app) {
		verdict = "the app hears " + strings.Join(k.app, ", ")
	}
	k.p.g.verdict(name, verdict)
}

// join makes the client a member of a group.
func (k *talk) join(group string) {
	k.p.t.Helper()
	if a := k.p.a.Ack(&serviceproto.JoinGroupWithAck{ConnectionID: k.id, Group: group, AckID: 2}); a.Status != serviceproto.StatusOK {
		k.p.t.Fatalf("joining: status %d", a.Status)
	}
}

// A take is the play of one recording whose answer is a stream or a WebSocket.
type take struct {
	k    *talk
	r    *recording
	got  answer
	over bool // it is no stream

	nc     net.Conn
	in     *bufio.Reader // of the body
	socket *ws.Conn
	played int // events so far
}

// take plays a request up to the head of the answer. One that is refused is
// judged at once.
func (k *talk) take(name string) *take {
	k.p.t.Helper()
	x := &take{k: k, r: k.p.recording(name)}
	if x.r.Upgrade && x.r.Status == 101 {
		x.dial()
		return x
	}
	nc, in := k.send(x.r)
	var res *http.Response
	res, x.got = k.head(x.r, in)
	x.nc, x.in = nc, bufio.NewReader(res.Body)
	if x.got.Status != 200 {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			k.p.t.Fatal(err)
		}
		x.over = true
		x.got.Text = captured(string(body))
		x.got.Events, x.got.End = x.r.Events, x.r.End // the status says that there are none
		k.p.g.judge(x.r, x.got)
	}
	return x
}

// dial opens the WebSocket of a take.
func (x *take) dial() {
	k := x.k
	k.p.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + k.login}}
	var err error
	x.socket, err = ws.Dial(k.p.t.Context(), "ws://"+k.p.s.Addr+k.fill(x.r.URL), header)
	if err != nil {
		k.p.t.Fatalf("%s: %v", x.r.Name, err)
	}
	x.nc = x.socket.NetConn()
	k.p.t.Cleanup(func() { x.nc.Close() })
	// Dial has looked at the head of the answer but for this header, which the ws.handshake recordings show.
	x.got = answer{Status: 101, Reason: "Switching Protocols", NoSniff: true}
}

// next returns the next event in the form of the recordings; keep-alives only
// where those have some.
func (x *take) next() (string, error) {
	for {
		x.nc.SetDeadline(time.Now().Add(nodetest.Patience))
		e, err := x.raw()
		if err != nil {
			return "", err
		}
		if documentOf(e) == "{}" && !strings.HasPrefix(x.r.Name, "timeouts.") {
			continue
		}
		x.k.read(e)
		return captured(e), nil
	}
}

// raw returns the next event as it came.
func (x *take) raw() (string, error) {
	if x.socket != nil {
		_, p, err := x.socket.Read()
		var end *ws.CloseError
		switch {
		case errors.As(err, &end):
			return "< close " + strconv.Itoa(end.Code), nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return "< tcp-close", nil
		}
		return "< " + string(p), err
	}
	var b strings.Builder
	for {
		line, err := x.in.ReadString('\n')
		b.WriteString(line)
		switch {
		case err != nil:
			return b.String(), err
		case x.r.Type == "text/event-stream" && line == "\n",
			strings.HasPrefix(line, "<body>"), strings.HasPrefix(line, "<script>r(") && strings.HasSuffix(line, "\r\n"):
			return b.String(), nil
		}
	}
}

// documentOf returns what an event holds.
func documentOf(event string) string {
	from, to := strings.IndexByte(event, '{'), strings.LastIndexByte(event, '}')
	if from < 0 || to < from {
		return ""
	}
	return event[from : to+1]
}

// play plays all events: the app says what it said, and the client what it
// said.
func (x *take) play() *take {
	x.k.p.t.Helper()
	if !x.over {
		x.some(len(x.r.Events), false)
	}
	return x
}

// first plays the first n events only.
func (x *take) first(n int) *take {
	x.k.p.t.Helper()
	if !x.over {
		x.some(n, false)
	}
	return x
}

// missed plays all events after the app has said its part.
func (x *take) missed() *take {
	x.k.p.t.Helper()
	x.some(len(x.r.Events), true)
	return x
}

// some plays events until n of them have been.
func (x *take) some(n int, said bool) {
	x.k.p.t.Helper()
	for x.played < n {
		x.one(x.r.Events[x.played], said)
	}
}

// one plays one event.
func (x *take) one(e string, said bool) {
	k := x.k
	k.p.t.Helper()
	x.played++
	add := func(got string) { x.got.Events = append(x.got.Events, got) }
	if text, ok := strings.CutPrefix(e, "> "); ok {
		add(e)
		x.say(text)
		return
	}
	text := documentOf(e)
	var d struct {
		S int
		I *string
		G string
		M []json.RawMessage
	}
	json.Unmarshal([]byte(text), &d) // what is no document says nothing
	var elements []string
	for _, m := range d.M {
		elements = append(elements, string(m))
	}
	switch {
	case d.I != nil:
		k.p.a.answers(k.id, text)
	case d.G != "", d.M != nil && len(d.M) == 0 && d.S == 0:
		add("") // neither app nor service has the like of it to say
		return
	case len(elements) > 0 && !said:
		k.p.a.Send(&serviceproto.ConnectionData{ConnectionID: k.id, Data: framed(elements...)})
	}
	add(x.hear(e, elements))
}

// say has the client say what it said on its WebSocket.
func (x *take) say(text string) {
	k := x.k
	k.p.t.Helper()
	op, message := byte(ws.Text), []byte(text)
	if code, ok := strings.CutPrefix(text, "close "); ok {
		n, _ := strconv.Atoi(code)
		op, message = closing, []byte{byte(n >> 8), byte(n)}
	} else if text == "binary" {
		op = ws.Binary
	}
	if err := x.socket.Write(op, message); err != nil {
		k.p.t.Fatalf("%s: %v", x.r.Name, err)
	}
	if op == ws.Text && text != "" {
		k.p.a.heard(k.id, text)
	}
}

const closing = 8 // opcode of RFC 6455, 5.2

// hear reads the event that was recorded as e, of elements. Those may come one
// by one.
func (x *take) hear(e string, elements []string) string {
	x.k.p.t.Helper()
	got := x.must()
	if got == e || len(elements) < 2 || !strings.Contains(got, elements[0]) {
		return got
	}
	for _, m := range elements[1:] {
		if next := x.must(); !strings.Contains(next, m) {
			x.k.p.t.Fatalf("%s: %q, want %s", x.r.Name, next, m)
		}
	}
	return fmt.Sprintf("%d messages", len(elements))
}

// must is next for what must come.
func (x *take) must() string {
	x.k.p.t.Helper()
	e, err := x.next()
	if err != nil {
		x.k.p.t.Fatalf("%s: event %d: %v", x.r.Name, x.played, err)
	}
	return e
}

// more reads another event, which was not recorded.
func (x *take) more() *take {
	x.k.p.t.Helper()
	x.got.Events = append(x.got.Events, x.must())
	return x
}

// ends wants the clean end of a stream.
func (x *take) ends() {
	x.k.p.t.Helper()
	if x.over {
		return
	}
	if e, err := x.next(); x.socket == nil && err != io.EOF {
		x.k.p.t.Fatalf("%s: %q, %v, want the end", x.r.Name, e, err)
	}
	x.got.End = complete
	x.k.p.g.judge(x.r, x.got)
}

// leaves wants a stream that goes on without a further event, and cuts it.
func (x *take) leaves() {
	x.k.p.t.Helper()
	if x.over {
		return
	}
	if n := len(x.got.Events); x.socket == nil || !strings.Contains(x.got.Events[n-1], "close") {
		const marker = `{"H":"chatHub","M":"marker","A":[]}`
		x.k.p.a.says(x.k.id, marker)
		for e := x.must(); !strings.Contains(e, marker); e = x.must() {
			x.got.Events = append(x.got.Events, e)
		}
	}
	x.nc.Close()
	x.got.End = x.r.End
	x.k.p.g.judge(x.r, x.got)
}

// cut ends a stream that was recorded until the client cut it.
func (x *take) cut() {
	x.nc.Close()
	x.got.End = x.r.End
	x.k.p.g.judge(x.r, x.got)
}

// parked sends a poll and returns when it waits at the service, which its
// keep-alive shows.
func (k *talk) parked(name string) *bufio.Reader {
	k.p.t.Helper()
	nc, in := k.send(k.p.recording(name))
	nodetest.Until(k.p.t, name+" waits", func() bool {
		k.p.s.Tick(time.Now())
		nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := in.Peek(1)
		return err == nil
	})
	nc.SetDeadline(time.Now().Add(nodetest.Patience))
	return in
}

// waits plays a poll that waits, and wants it to be answered by the next
// message.
func (k *talk) waits(name string) {
	k.p.t.Helper()
	in := k.parked(name)
	marker := call("chatHub", "marker", "")
	k.said(marker)
	res, got := k.head(k.p.recording(name), in)
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), marker) {
		k.p.t.Fatalf("%s: %q, %v, want the marker", name, body, err)
	}
	got.End = stillOpen
	k.p.g.judge(k.p.recording(name), got)
}
