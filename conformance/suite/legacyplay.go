package suite

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A legacyPlay is one run of a script.
type legacyPlay struct {
	t       *T
	s       *legacyScript
	via     string
	tag     string
	clients map[string]*legacyClient
	answers map[string]legacyAnswer // the last of each client's requests
	heard   map[string][]string     // results and messages that came to each client of chatHub, on the carrier that it has
}

// play runs the script.
func (s *legacyScript) play(ctx context.Context, t *T, via string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &legacyPlay{t: t, s: s, via: via, tag: legacyTag(), clients: map[string]*legacyClient{}, answers: map[string]legacyAnswer{}, heard: map[string][]string{}}
	defer func() {
		for _, k := range p.clients {
			if k.carrier != nil {
				k.carrier.stop()
			}
		}
	}()
	door := legacyKnock(ctx, t, "", "")
	legacyNeeds(ctx, t, door, s.needs, via)
	for i := range s.steps {
		p.step(ctx, &s.steps[i])
	}
	for name, heard := range p.heard {
		p.once(ctx, p.clients[name], heard)
	}
}

// once expects that nothing that a client heard comes a second time before a
// message that it sends to itself. A result comes in the answer to /send or by the
// receive channel, never both (legacy-client-protocol 5.3).
func (p *legacyPlay) once(ctx context.Context, k *legacyClient, heard []string) {
	k.call(ctx, `{"H":"chathub","M":"SendCaller","A":["`+p.tag+` last"],"I":"last"}`)
	last := `{"H":"chatHub","M":"message","A":["` + p.tag + ` last"]}`
	for {
		switch got := k.next(ctx, &k.messages); {
		case got == last:
			for _, result := range k.results { // those that the script does not look at
				if slices.Contains(heard, result) {
					p.t.Fail("each result once", result)
				}
				heard = append(heard, result)
			}
			return
		case slices.Contains(heard, got):
			p.t.Fail("each message once", got)
		case !strings.HasPrefix(got, "{"): // none came
			p.t.Fail(last, got)
		}
	}
}

// client is the client of a name, made and negotiated if need be.
func (p *legacyPlay) client(ctx context.Context, name string) *legacyClient {
	k := p.clients[name]
	if k == nil {
		k = p.newClient(name)
		k.negotiate(ctx, "")
	}
	return k
}

func (p *legacyPlay) newClient(name string) *legacyClient {
	k := &legacyClient{t: p.t, name: name, via: p.via, version: "2.1", tag: p.tag}
	p.clients[name] = k
	return k
}

// step does one line.
func (p *legacyPlay) step(ctx context.Context, s *legacyStep) {
	if s.who == "client" {
		p.says(ctx, s)
	} else {
		p.hears(ctx, s)
	}
}

// says does what a client does.
func (p *legacyPlay) says(ctx context.Context, s *legacyStep) {
	switch s.what {
	case "negotiate":
		k, user := p.enters(s)
		k.negotiate(ctx, user)
		return
	case "join":
		k, user := p.enters(s)
		k.join(ctx, user)
		return
	}
	k := p.client(ctx, s.conn)
	switch s.what {
	case "connect":
		k.connect(ctx)
	case "start":
		k.start(ctx)
	case "call":
		k.call(ctx, p.fill(s.rest))
	case "cut":
		k.carrier.cut()
		delete(p.heard, s.conn)
	case "abort":
		delete(p.heard, s.conn)
		p.answers[s.conn] = k.abort(ctx)
	case "reconnect":
		more := k.back()
		if s.rest != "" {
			more = p.fill(s.rest)
		}
		if a := k.open(ctx, "reconnect", more); a != nil {
			p.answers[s.conn] = *a
			return
		}
		k.preamble(ctx)
	default:
		p.answers[s.conn] = k.asks(ctx, p, s)
	}
}

// enters makes the client of a line that names hubs, and perhaps user=NAME,
// version=V and with=TRANSPORT.
func (p *legacyPlay) enters(s *legacyStep) (k *legacyClient, user string) {
	k = p.newClient(s.conn)
	var hubs []string
	for _, word := range strings.Fields(p.fill(s.rest)) {
		switch name, value, set := strings.Cut(word, "="); {
		case !set:
			hubs = append(hubs, word)
		case name == "user":
			user = value
		case name == "version":
			k.version = value
		case name == "with":
			k.via = value
		}
	}
	k.data = legacyHubs(hubs...)
	return k, user
}

// asks sends a request as it is written.
func (k *legacyClient) asks(ctx context.Context, p *legacyPlay, s *legacyStep) legacyAnswer {
	r := &legacyRequest{method: s.what, target: p.fillFor(k, s.rest)}
	door := k.door
	for _, b := range s.below {
		switch b[0] {
		case "body":
			r.body = p.fillFor(k, strings.NewReplacer(`\r\n`, "\r\n", `\n`, "\n").Replace(b[1]))
		case "user": // another's login with the same token
			door = legacyKnock(ctx, k.t, b[1], k.data)
		case "nobody":
			door = legacyKnock(ctx, k.t, "", k.data)
		case "upgrade":
			r.upgrade = true
		default:
			r.headers = append(r.headers, b[0]+" "+b[1])
		}
	}
	return door.ask(ctx, k.name, r)
}

// legacyNegotiatedBy stands for an answer to negotiate, in a callback or not.
var legacyNegotiatedBy = regexp.MustCompile(`^(.*)negotiated ([\d.]+)(?: at (/\S+))?(.*)$`)

// legacyLetters is a long text in a script.
var legacyLetters = regexp.MustCompile(`\$\{(\d+)\*(\w)\}`)

func (p *legacyPlay) fill(text string) string {
	text = strings.ReplaceAll(text, "${tag}", p.tag)
	text = legacyLetters.ReplaceAllStringFunc(text, func(s string) string {
		m := legacyLetters.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], n)
	})
	for name, k := range p.clients {
		text = strings.ReplaceAll(text, "${"+name+"}", k.id)
		text = strings.ReplaceAll(text, "${"+strings.ToUpper(name)+"}", strings.ToUpper(k.id))
	}
	return text
}

// fillFor fills what the client itself was given, too.
func (p *legacyPlay) fillFor(k *legacyClient, text string) string {
	return k.fill(p.fill(text))
}

// hears expects what a server does: the line of a service is as good where one is
// behind the endpoint.
func (p *legacyPlay) hears(ctx context.Context, s *legacyStep) {
	k := p.client(ctx, s.conn)
	switch s.what {
	case "result", "message":
		of := map[string]*[]string{"result": &k.results, "message": &k.messages}[s.what]
		want := legacyPattern{p.fill(s.rest)}
		if got := k.next(ctx, of); !want.match(got) {
			p.t.Fail(want.String(), got)
		} else if strings.Contains(k.data, `"chathub"`) {
			p.heard[s.conn] = append(p.heard[s.conn], got)
		}
	case "refuses":
		p.refuses(ctx, k)
	case "ends":
		p.ends(ctx, k)
		delete(p.heard, s.conn)
	default:
		right := []legacyExpect{p.expects(k, s)}
		if s.service != nil && k.door.redirected {
			right = append(right, p.expects(k, s.service))
		}
		p.answers[s.conn].check(p.t, right...)
	}
}

// expects is an answer as a script writes it: status, short content type, body.
func (p *legacyPlay) expects(k *legacyClient, s *legacyStep) (e legacyExpect) {
	var err error
	if e.status, err = strconv.Atoi(s.what); err != nil {
		p.t.Broken(fmt.Errorf("a server says no %q", s.what))
	}
	var body string
	e.kind, body, _ = strings.Cut(p.fill(s.rest), " ")
	e.body = legacyPattern{body}
	if m := legacyNegotiatedBy.FindStringSubmatch(body); m != nil {
		e.body = legacyPattern{m[1] + legacyNegotiated(k.door.base.Path+m[3], m[2]) + m[4]}
	}
	for _, b := range s.below {
		switch b[0] {
		case "reason":
			e.reason = b[1]
		case "why":
			e.why = b[1]
		case "absent":
			e.headers = append(e.headers, [2]string{b[1], ""})
		default:
			e.headers = append(e.headers, [2]string{strings.TrimSuffix(b[0], ":"), p.fill(b[1])})
		}
	}
	return e
}

// refuses expects that an invocation makes no result: /send is a 500, a
// WebSocket says nothing but goes on (legacy-client-protocol 0.10). A service
// cannot know, so there nothing comes on any transport.
func (p *legacyPlay) refuses(ctx context.Context, k *legacyClient) {
	if k.via != legacySocket && !k.door.redirected {
		if len(k.refusals) == 0 || k.refusals[0].status != 500 {
			p.t.Fail("500", fmt.Sprint(k.refusals, k.results))
		}
		k.refusals = k.refusals[1:]
		return
	}
	if k.via != legacySocket {
		p.t.Allowed(legacyUnread)
	}
	k.call(ctx, `{"H":"chathub","M":"Echo","A":["still here"],"I":"marker"}`)
	if got, want := k.next(ctx, &k.results), `{"R":"still here","I":"marker"}`; got != want {
		p.t.Fail(want+" and nothing before", got)
	}
}

// ends expects the clean end of a carrier: a WebSocket is closed with 1000 and no
// reason, a poll is answered, a stream ends. A poll that is asked after abort a
// service does not know (legacy-service-protocol 6.2).
func (p *legacyPlay) ends(ctx context.Context, k *legacyClient) {
	want := legacyPattern{"ended: " + legacyEnded}
	switch {
	case k.via == legacySocket:
		want = legacyPattern{"ended: close 1000 "}
	case k.via == legacyPolls && k.door.redirected:
		want = append(want, "ended: status 404 ${any}")
	}
	got := k.frame(ctx)
	for k.via == legacyPolls && (legacyPattern{`{"C":"${cursor}","M":[]}`}).match(got) {
		got = k.frame(ctx)
	}
	if !want.match(got) {
		p.t.Fail(want.String(), got)
	}
}
