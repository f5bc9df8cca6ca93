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
	named    map[string]*clientHeld
	channels map[string]*clientChannel
	known    clientCaptures
	allowed  []int    // how often each allowance was used
	wrong    []string // requests that no script could ask for
}

// A clientHeld is a request that waits for its answer.
type clientHeld struct {
	method, path string
	query, form  url.Values
	header       http.Header
	body         string
	upgrade      bool
	left         <-chan struct{} // closed when the client gave it up
	answer       chan clientAnswer
	opened       chan *clientChannel // gets what the request became, nil when it could not
}

func (q *clientHeld) String() string {
	s := q.method + " " + q.path
	if len(q.query) > 0 {
		s += "?" + q.query.Encode()
	}
	if q.upgrade {
		s += " (WebSocket)"
	}
	if q.body != "" {
		s += " " + shortened(q.body)
	}
	return s
}

func shortened(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return strings.ReplaceAll(s, "\x1e", "␞")
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
		http.Error(w, "this scenario is over", http.StatusNotFound)
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
		http.Error(w, "this scenario is over", http.StatusNotFound)
	}
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
			http.Error(w, err.Error(), http.StatusBadRequest)
			q.opened <- nil
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

// open makes a connection known before the client can know of it.
func (r *clientRun) open(q *clientHeld, c *clientChannel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.channels[c.name] = c
	q.opened <- c
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

// fits says whether a request is the one that is asked for, as far as method and
// path go.
func (q *clientHeld) fits(s clientRequest) bool {
	return slices.Contains(s.methods, q.method) && s.path == q.path
}

// take waits for a request.
func (r *clientRun) take(ctx context.Context, s clientStep, want clientRequest, ahead []clientStep, within time.Duration) {
	var q *clientHeld
	var stray string
	came := r.until(ctx, within, func() bool {
		for i, x := range r.held {
			if x.fits(want) {
				q = x
				r.held = slices.Delete(r.held, i, i+1)
				return true
			}
		}
		stray = r.strayed(ahead)
		return stray != ""
	})
	switch {
	case stray != "":
		r.t.Fail(s.text, stray)
	case !came:
		r.t.Fail(s.text, "nothing within "+within.String()+r.waiting())
	}
	r.mu.Lock()
	wrong := r.differs(want, q)
	r.named[s.name] = q
	if q.path == "signalr/negotiate" {
		r.known["protocol"] = legacyVersion(q.query.Get("clientProtocol"))
	}
	r.mu.Unlock()
	if wrong[0] != "" {
		r.t.Fail(s.text+" with "+wrong[0], wrong[1]+" in "+q.String())
	}
}

// legacyVersion is what an ASP.NET SignalR 2.4 server answers a client's version
// (legacy-client-protocol 2.2).
func legacyVersion(asked string) string {
	if slices.Contains([]string{"1.3", "1.4", "1.5"}, asked) {
		return asked
	}
	if asked == "" || strings.HasPrefix(asked, "1.") {
		return "1.2"
	}
	return "2.0"
}

// strayed finds a request that nothing ahead asks for, and answers those that
// may come. mu is held.
func (r *clientRun) strayed(ahead []clientStep) (stray string) {
	r.held = slices.DeleteFunc(r.held, func(q *clientHeld) bool {
		asked := slices.ContainsFunc(ahead, func(s clientStep) bool {
			want, ok := s.says.(clientRequest)
			return ok && q.fits(want)
		})
		for i, a := range r.script.allowed {
			// One that says more than a path is meant, whatever else is asked for.
			if asked && len(a.fields) == 0 {
				continue
			}
			if q.fits(a.clientRequest) && r.allowed[i] < a.most && r.differs(a.clientRequest, q)[0] == "" {
				r.allowed[i]++
				q.answer <- clientAnswer{status: a.status}
				return true
			}
		}
		if !asked {
			stray = q.String()
		}
		return false
	})
	if stray == "" && len(r.wrong) > 0 {
		stray = r.wrong[0]
	}
	return stray
}

// waiting tells what came instead.
func (r *clientRun) waiting() (s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.held {
		s += "; waiting: " + q.String()
	}
	for _, name := range slices.Sorted(maps.Keys(r.channels)) {
		c := r.channels[name]
		for _, m := range c.in {
			s += "; " + name + " said " + shortened(m)
		}
		if n := c.pending(); n > 0 {
			s += fmt.Sprintf("; %s said %d bytes of a message that does not end", name, n)
		}
		if c.gone != "" {
			s += "; " + name + " " + c.gone
		}
	}
	return s
}

// differs compares the rest of a request: what should be, and what is. mu is
// held.
func (r *clientRun) differs(want clientRequest, q *clientHeld) [2]string {
	for _, f := range want.fields {
		var values []string
		switch {
		case f.name == "token":
			values = q.token()
		case f.header:
			values = q.header.Values(f.name)
		case q.query.Has(f.name):
			values = q.query[f.name]
		case q.form != nil:
			values = q.form[f.name]
		}
		got := strings.Join(values, ", ")
		fits := r.known.text(f.pattern, got, len(values) > 0)
		if !f.header && strings.HasPrefix(f.pattern, "{") && !oneCapture.MatchString(f.pattern) {
			fits = len(values) == 1 && r.fitsJSON(f.pattern, got)
		}
		if !fits {
			return [2]string{f.name + " " + r.known.expand(f.pattern), fmt.Sprintf("%s %q", f.name, values)}
		}
	}
	if want.body != "" && !r.known.text(want.body, q.body, true) {
		return [2]string{"body " + r.known.expand(want.body), "body " + shortened(q.body)}
	}
	return [2]string{}
}

// token is where an access token may be on a request that opens a connection
// (core-client-protocol 10, legacy-client-protocol 2.3).
func (q *clientHeld) token() []string {
	if t, ok := strings.CutPrefix(q.header.Get("Authorization"), "Bearer "); ok {
		return []string{t}
	}
	return q.query["access_token"]
}

// fitsJSON compares JSON as values. mu is held.
func (r *clientRun) fitsJSON(pattern, got string) bool {
	p, err := parseJSON(pattern)
	if err != nil {
		return false
	}
	g, err := parseJSON(got)
	return err == nil && r.known.json(p, g)
}

// hear waits for a message of the client's. Pings and acks between do not count.
func (r *clientRun) hear(ctx context.Context, s clientStep, pattern string) {
	c := r.channel(s)
	// What is sent anew after a stateful reconnect comes after a Sequence, which is
	// the first of all (core-client-protocol 8.5).
	first := strings.Contains(pattern, `"type":9`)
	var got string
	var fits, has bool
	came := r.until(ctx, r.wait, func() bool {
		// A beat that is asked for may have come before what was asked for earlier.
		if i := slices.IndexFunc(c.beats, func(m string) bool { return r.fitsJSON(pattern, m) }); i >= 0 {
			got, has, fits = c.beats[i], true, true
			c.beats = slices.Delete(c.beats, i, i+1)
		}
		for len(c.in) > 0 && !has {
			m := c.in[0]
			c.in = c.in[1:]
			if fits = r.fitsJSON(pattern, m); fits || first || !isBeat(m) {
				got, has = m, true
			} else {
				c.beats = append(c.beats, m)
			}
		}
		return has || c.gone != ""
	})
	switch {
	case has:
		r.t.Said("client", s.name, "%s", shortened(got))
		if !fits {
			r.t.Fail(s.name+" says "+r.expand(pattern), shortened(got))
		}
	case came:
		r.t.Fail(s.name+" says "+r.expand(pattern), s.name+" "+c.gone)
	default:
		r.t.Fail(s.name+" says "+r.expand(pattern), "nothing within "+r.wait.String()+r.waiting())
	}
}

// ends waits for the client to end a connection. Where it only may, a message
// instead is left for the next step, and true says that it ended.
func (r *clientRun) ends(ctx context.Context, s clientStep, may bool) bool {
	c := r.channel(s)
	var said string
	came := r.until(ctx, r.wait, func() bool {
		for len(c.in) > 0 && (isBeat(c.in[0]) || !may && farewell(c.in[0])) {
			c.in = c.in[1:]
		}
		if len(c.in) > 0 {
			said = c.in[0]
			return true
		}
		return c.gone != ""
	})
	switch {
	case said != "" && may:
		return false
	case said != "":
		r.t.Fail(s.text, shortened(said))
	case !came:
		r.t.Fail(s.text, "nothing within "+r.wait.String()+r.waiting())
	}
	r.t.Said("client", s.name, "%s", c.gone)
	return may
}

// farewell says whether a message is a hub Close: some clients say it before
// they go (core-client-protocol 7.4).
func farewell(m string) bool {
	v, err := parseJSON(m)
	return err == nil && jsonText(member(v, "type")) == "7"
}

// quiet fails when anything comes that is no ping.
func (r *clientRun) quiet(ctx context.Context, d time.Duration) {
	var came string
	r.until(ctx, d, func() bool {
		came = r.unasked()
		return came != ""
	})
	if came != "" {
		r.t.Fail("nothing for "+d.String(), came)
	}
}

// unasked is what came and was not taken. mu is held.
func (r *clientRun) unasked() string {
	if s := r.strayed(nil); s != "" {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(r.channels)) {
		c := r.channels[name]
		if i := slices.IndexFunc(c.in, func(m string) bool { return !isBeat(m) && !farewell(m) }); i >= 0 {
			return name + " says " + shortened(c.in[i])
		}
	}
	return ""
}

// repeat goes through the last two steps again, least times, and up to most as
// long as the client goes on.
func (r *clientRun) repeat(ctx context.Context, n clientRepeat, before []clientStep) {
	last := before[len(before)-2:]
	want, ok := last[0].says.(clientRequest)
	if !ok {
		panic("only a request and its answer can be repeated")
	}
	for i := range n.most {
		if i >= n.least && !r.until(ctx, time.Second, func() bool { return slices.ContainsFunc(r.held, func(q *clientHeld) bool { return q.fits(want) }) }) {
			return
		}
		r.take(ctx, last[0], want, last, r.wait)
		r.do(last[1])
	}
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
	select {
	case c := <-q.opened:
		if c == nil {
			r.t.Fail("a WebSocket upgrade", q.String())
		}
	case <-q.left:
		// Given up before it was answered: what was opened is missed later.
	}
}
