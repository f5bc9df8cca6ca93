package suite

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// A clientRun is one client in one scenario. One goroutine plays the script; each
// request is a goroutine of the HTTP server's and waits until the script takes
// it, or for its connection to end.
type clientRun struct {
	script *clientScript
	wait   time.Duration
	t      *T // of the goroutine that plays
	over   chan struct{}

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew when something below changes
	held     []*clientHeld // requests that the script has not taken, as they came
	early    []*clientHeld // posts that were answered before their connection was open
	named    map[string]*clientHeld
	channels map[string]*clientChannel
	known    clientCaptures
	allowed  []int    // how often each allowance was used
	wrong    []string // requests that no script could ask for
}

func newClientRun(s *clientScript, wait time.Duration, t *T, origin string) *clientRun {
	return &clientRun{
		script: s, wait: wait, t: t, over: make(chan struct{}), changed: make(chan struct{}),
		allowed: make([]int, len(s.allowed)), named: map[string]*clientHeld{}, channels: map[string]*clientChannel{},
		known: clientCaptures{"base": origin + "/" + s.name, "path": "/" + s.name},
	}
}

// touch tells everybody who waits that something changed. mu is held.
func (r *clientRun) touch() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// serve answers one request below the scenario's path.
func (r *clientRun) serve(w http.ResponseWriter, req *http.Request, path string) {
	body, err := io.ReadAll(io.LimitReader(req.Body, clientMessageMax))
	if err != nil {
		return // the client left
	}
	q := &clientHeld{
		method: req.Method, path: path, query: req.URL.Query(), header: req.Header, body: string(body), upgrade: isUpgrade(req),
		left: req.Context().Done(), answer: make(chan clientAnswer, 1), opened: make(chan *clientChannel, 1),
	}
	// The .NET client sends a form without saying so (legacy-client-protocol 1.5).
	if q.form, err = url.ParseQuery(q.body); err != nil {
		q.form = nil
	}
	r.t.Said("client", "", "%s", q)
	select {
	case <-r.over:
		r.refuse(w)
		return
	default:
	}
	if path == "signalr/ping" {
		io.WriteString(w, `{ "Response": "pong" }`)
		return
	}
	if r.script.flavour == "core" && r.serveOpen(w, q) {
		return
	}
	r.mu.Lock()
	r.held = append(r.held, q)
	r.touch()
	r.mu.Unlock()
	select {
	case a := <-q.answer:
		r.give(w, req, q, a)
	case <-q.left:
	case <-r.over:
		r.refuse(w)
	}
}

// refuse answers what comes after the end.
func (r *clientRun) refuse(w http.ResponseWriter) {
	http.Error(w, "this scenario is over; POST /"+r.script.name+"/reset begins it again", http.StatusNotFound)
}

// give answers a request, and carries what it opens.
func (r *clientRun) give(w http.ResponseWriter, req *http.Request, q *clientHeld, a clientAnswer) {
	for _, f := range a.header {
		w.Header().Set(f.name, f.pattern)
	}
	c := &clientChannel{name: a.name, kind: a.opens, path: q.path, legacy: r.script.flavour == "legacy"}
	if !c.legacy {
		c.id = q.query.Get("id")
	}
	if r.script.pack {
		c.pack = r.newPack(c.id)
	}
	switch a.opens {
	case "websocket":
		var err error
		if c.socket, err = upgradeClient(w, req); err != nil {
			r.t.Said("note", a.name, "%v", err)
			q.opened <- nil
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.open(q, c)
		r.serveSocket(c)
	case "events":
		c.events = make(chan []byte, 64)
		r.open(q, c)
		r.serveEvents(c, w, req)
	case "poll":
		r.open(q, c)
		w.WriteHeader(a.status)
	default:
		q.opened <- c
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
	}
}

// newPack is for a connection with this id. One that is opened again has had its
// handshake (core-client-protocol 8.5).
func (r *clientRun) newPack(id string) *clientPack {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &clientPack{}
	for _, c := range r.channels {
		if c.id == id {
			p.in.Protocol = hubproto.MessagePack
		}
	}
	return p
}

// open makes a connection known before the client can know of it. What was posted
// before its first poll belongs to it (core-client-protocol 3.5).
func (r *clientRun) open(q *clientHeld, c *clientChannel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.channels[c.name] = c
	q.opened <- c
	if c.kind == "websocket" || c.id == "" {
		return
	}
	r.early = slices.DeleteFunc(r.early, func(q *clientHeld) bool {
		its := q.path == c.path && q.query.Get("id") == c.id
		if its {
			c.receive([]byte(q.body))
		}
		return its
	})
}

// play goes through the script, step by step.
func (r *clientRun) play(ctx context.Context) {
	defer r.finish()
	steps := r.script.steps
	for i, s := range steps {
		switch says := s.says.(type) {
		case clientRequest:
			r.take(ctx, s, says, steps[i:], r.wait)
		case clientEnds:
			if r.ends(ctx, s, says.may) {
				return
			}
		case clientMessage:
			if s.from == "client" {
				r.hear(ctx, s, string(says))
			} else {
				r.say(s, r.expand(string(says)))
			}
		case clientQuiet:
			r.quiet(ctx, time.Duration(says))
		case clientRepeat:
			r.repeat(ctx, says, steps[:i])
		default:
			r.do(s)
		}
	}
	r.mu.Lock()
	left := r.unasked()
	r.mu.Unlock()
	if left != "" {
		r.t.Fail("nothing more", left)
	}
}

// finish lets go of everybody who waits.
func (r *clientRun) finish() {
	close(r.over)
	r.mu.Lock()
	open := slices.Collect(maps.Values(r.channels))
	r.mu.Unlock()
	for _, c := range open {
		r.end(c, 1000)
	}
}

// until waits for ready, which is called with mu held.
func (r *clientRun) until(ctx context.Context, within time.Duration, ready func() bool) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		r.mu.Lock()
		ok, changed := ready(), r.changed
		r.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (r *clientRun) expand(s string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.expand(s)
}

func (r *clientRun) channel(s clientStep) *clientChannel {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.channels[s.name]
	if c == nil {
		panic(fmt.Sprintf("%s: nothing is open", s.text))
	}
	return c
}

// say sends one message.
func (r *clientRun) say(s clientStep, m string) {
	c := r.channel(s)
	r.t.Said("server", s.name, "%s", shortened(m))
	switch {
	case c.legacy:
	case c.pack != nil:
		b, err := packed(m)
		if err != nil {
			r.t.Broken(fmt.Errorf("%s: %w", s.text, err))
		}
		m = string(b)
	default:
		m += "\x1e"
	}
	r.send(c, m, true)
}

// do does what else we do.
func (r *clientRun) do(s clientStep) {
	r.t.Said("server", s.name, "%s", strings.TrimPrefix(s.text, "server "+s.name+"> "))
	if a, ok := s.says.(clientAnswer); ok {
		r.answer(s, a)
		return
	}
	c := r.channel(s)
	switch says := s.says.(type) {
	case clientBytes:
		r.send(c, r.expand(string(says)), true)
	case clientPieces:
		for i, p := range says {
			r.send(c, p, i == len(says)-1)
		}
	case clientClose:
		r.end(c, says.code)
	case clientDrop:
		r.end(c, 0)
	case clientRefusal:
		r.mu.Lock()
		defer r.mu.Unlock()
		if says.poll {
			c.poll = says
		} else {
			c.post = says
		}
		r.touch()
	}
}

// answer answers the request that bears the step's name.
func (r *clientRun) answer(s clientStep, a clientAnswer) {
	r.mu.Lock()
	q := r.named[s.name]
	a.name, a.body = s.name, r.known.expand(a.body)
	a.header = slices.Clone(a.header)
	for i := range a.header {
		a.header[i].pattern = r.known.expand(a.header[i].pattern)
	}
	r.mu.Unlock()
	if q == nil {
		panic(s.text + ": nothing was asked")
	}
	q.answer <- a
	var c *clientChannel
	select {
	case c = <-q.opened:
	case <-q.left:
		select {
		case c = <-q.opened: // given up behind the answer
		default:
			return // or before it: what was opened is missed later
		}
	}
	if c == nil {
		r.t.Fail("a WebSocket upgrade", q.String())
	}
}
