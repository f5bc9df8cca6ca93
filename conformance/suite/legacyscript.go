package suite

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A legacyScript is a case of ASP.NET SignalR as text. A file holds any number of
// them, an empty line before each:
//
//	# name: call-echo
//	# level: hub
//	# about: a text comes back
//	# from: recorded from ASP.NET SignalR 2.4.1
//	# on: webSockets serverSentEvents
//	client c1> join chathub
//	client c1> call {"H":"chathub","M":"Echo","A":["x"],"I":0}
//	server c1> result {"R":"x","I":"0"}
//
// It becomes a case for each transport of the header "on". The header "golden"
// names the recordings that it is about, "limit" is its time, "service" says why
// there is nothing to ask behind a redirect, and "needs" what the endpoint must
// have: jsonp, cors, "no jsonp", "no cors", websockets, nobody (who has no name). The case is skipped
// elsewhere.
//
// A client says
//
//	negotiate HUB… user=NAME version=V with=TRANSPORT   get an id and a token
//	join …                                              and connect and start
//	connect, start, cut, abort
//	reconnect [fresh | &PARAMETERS]                     with cursor and groups, or not
//	call INVOCATION                                     the way of the transport
//	METHOD /target                                      a request of its own
//
// Below a request of its own stand header lines, "body TEXT", "upgrade", and "user
// NAME" or "nobody" when it is another's with the same token. A server says
//
//	result JSON, message JSON, progress JSON            the next that comes
//	frame JSON                                          the next message whole
//	refuses                                             no result, though all goes on
//	ends                                                a carrier, cleanly
//	STATUS [TYPE [BODY]]                                to the last request
//
// with "reason TEXT", "Header: value" and "absent Header" below an answer. TYPE is
// none, json, js, sse, html or plain; nothing behind STATUS asks for nothing else.
// BODY may be "negotiated VERSION", with "at PATH" when Url ends so. A line of service stands for the answer above it
// where a service is behind the endpoint, which may answer either; below it stands
// "why TEXT".
//
// ${tag} is a word of this run alone; a client does not look at messages with
// another's. ${c1} is the id of c1, ${C1} the same in capitals, ${token}, ${id},
// ${cursor} and ${groups} are what the client was given, ${9*x} is nine letters. In
// what a server says ${any}, ${cursor}, ${token} and ${seconds} stand for what
// differs.
type legacyScript struct {
	name, about, from, service, needs string
	level                             Level
	on, golden                        []string
	limit                             time.Duration
	steps                             []legacyStep
}

// A legacyStep is one line and those indented below it.
type legacyStep struct {
	who, conn, what, rest string
	below                 [][2]string // header lines, body, user …, by their first word
	service               *legacyStep
}

// legacyLine is a line that somebody says.
var legacyLine = regexp.MustCompile(`^(client|server|service)(?: (\w+))?> ?(\S+)(?: (.*))?$`)

// loadLegacyScripts reads a file.
func loadLegacyScripts(text string) (all []*legacyScript, err error) {
	var s *legacyScript
	header := false
	for n, line := range strings.Split(text, "\n") {
		fail := func(err error) ([]*legacyScript, error) { return nil, fmt.Errorf("line %d: %w", n+1, err) }
		switch {
		case strings.HasPrefix(line, "#!"): // for the reader of the file
		case strings.HasPrefix(line, "# "):
			if !header {
				s = &legacyScript{}
				all = append(all, s)
			}
			header = true
			if err := s.head(line[2:]); err != nil {
				return fail(err)
			}
		case line == "":
			header = false
		case s == nil:
			return fail(errors.New("no case has begun"))
		case strings.HasPrefix(line, "  "):
			header = false
			if len(s.steps) == 0 {
				return fail(errors.New("no line above"))
			}
			step := &s.steps[len(s.steps)-1]
			if step.service != nil {
				step = step.service
			}
			key, value, _ := strings.Cut(strings.TrimPrefix(line, "  "), " ")
			step.below = append(step.below, [2]string{key, value})
		default:
			header = false
			if err := s.line(line); err != nil {
				return fail(err)
			}
		}
	}
	for _, s := range all {
		for _, step := range s.steps {
			if step.service != nil && step.service.why() == "" {
				return nil, fmt.Errorf("case %q does not say why a service may answer otherwise", s.name)
			}
		}
		if s.name == "" || s.about == "" || s.from == "" || s.level == "" || len(s.steps) == 0 {
			return nil, fmt.Errorf("case %q lacks its name, level, about, from or lines", s.name)
		}
	}
	return all, nil
}

func (s *legacyScript) head(line string) error {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "name":
		s.name = value
	case "level":
		if s.level = Level(value); s.level != Core && s.level != Hub {
			return fmt.Errorf("no level is called %q", value)
		}
	case "about":
		s.about = value
	case "from":
		s.from = value
	case "on":
		s.on = strings.Fields(value)
		for _, via := range s.on {
			if legacyNames[via] == "" {
				return fmt.Errorf("no transport is called %q", via)
			}
		}
	case "golden":
		s.golden = strings.Split(value, "; ")
	case "service":
		s.service = value
	case "needs":
		s.needs = value
	case "limit":
		var err error
		s.limit, err = time.ParseDuration(value)
		return err
	default:
		return fmt.Errorf("no header is called %q", key)
	}
	return nil
}

func (s *legacyScript) line(line string) error {
	m := legacyLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("%q is said by nobody", line)
	}
	step := legacyStep{who: m[1], conn: m[2], what: m[3], rest: m[4]}
	if step.conn == "" {
		step.conn = "c1"
	}
	if !step.known() {
		return fmt.Errorf("a %s cannot say %q", step.who, step.what)
	}
	if step.who != "service" {
		s.steps = append(s.steps, step)
		return nil
	}
	if len(s.steps) == 0 || s.steps[len(s.steps)-1].who != "server" {
		return errors.New("a line of service has none of server above it")
	}
	s.steps[len(s.steps)-1].service = &step
	return nil
}

// legacyMethod is what a request of its own begins with.
var legacyMethod = regexp.MustCompile(`^[A-Z]+$`)

// known says whether somebody can say the step.
func (s *legacyStep) known() bool {
	if s.who == "client" {
		return legacyMethod.MatchString(s.what) ||
			slices.Contains([]string{"negotiate", "join", "connect", "start", "cut", "abort", "reconnect", "call"}, s.what)
	}
	_, err := strconv.Atoi(s.what)
	return err == nil || slices.Contains([]string{"result", "message", "progress", "frame", "refuses", "ends"}, s.what)
}

// why says why a service may answer so.
func (s *legacyStep) why() string {
	for _, b := range s.below {
		if b[0] == "why" {
			return b[1]
		}
	}
	return ""
}

// legacyUnread is why a service answers invocations that are none.
const legacyUnread = "a service does not read what is sent (legacy-service-protocol 4.4)"

// cases are the script on each of its transports. What they are about ends with
// what a service may do.
func (s *legacyScript) cases() (all []Case) {
	about := s.about
	for _, step := range s.steps {
		switch {
		case step.service != nil:
			about += "; " + step.service.why()
		case step.what == "refuses":
			about += "; " + legacyUnread
		}
	}
	if len(s.on) == 0 {
		return []Case{{Name: s.name, Level: s.level, About: about, From: s.from, Limit: s.limit,
			Run: func(ctx context.Context, t *T) { s.play(ctx, t, legacyStream) }}}
	}
	for _, via := range s.on {
		all = append(all, Case{Name: s.name + "-" + legacyNames[via], Level: s.level, About: about + ", on " + via, From: s.from, Limit: s.limit,
			Run: func(ctx context.Context, t *T) { s.play(ctx, t, via) }})
	}
	return all
}

// legacyNames are what transports are called in names of cases.
var legacyNames = map[string]string{legacySocket: "websockets", legacyStream: "sse", legacyFrame: "foreverframe", legacyPolls: "longpolling"}

// A legacyPlay is one run of a script.
type legacyPlay struct {
	t       *T
	s       *legacyScript
	via     string
	tag     string
	clients map[string]*legacyClient
	answers map[string]legacyAnswer // the last of each client's requests
}

// play runs the script.
func (s *legacyScript) play(ctx context.Context, t *T, via string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &legacyPlay{t: t, s: s, via: via, tag: legacyTag(), clients: map[string]*legacyClient{}, answers: map[string]legacyAnswer{}}
	defer func() {
		for _, k := range p.clients {
			if k.carrier != nil {
				k.carrier.stop()
			}
		}
	}()
	door := legacyKnock(ctx, t, "", "")
	legacyNeeds(ctx, t, door, s.needs, s.service, via)
	for i := range s.steps {
		p.step(ctx, &s.steps[i])
	}
}

// legacyNeeds skips what cannot be asked here.
func legacyNeeds(ctx context.Context, t *T, door *legacyDoor, needs, service, via string) {
	if door.redirected && service != "" {
		t.Skip(service)
	}
	if door.redirected && via == legacyFrame {
		t.Skip("a client that was redirected has no forever frame (legacy-client-protocol 2.3)")
	}
	switch needs {
	case "":
	case "jsonp", "no jsonp":
		a := door.ask(ctx, "", &legacyRequest{method: "GET", target: "/ping?callback=cb"})
		if is := a.status == 200; is != (needs == "jsonp") {
			t.Skip(map[bool]string{true: "JSONP is enabled here", false: "JSONP is not enabled here"}[is])
		}
	case "cors", "no cors":
		a := door.ask(ctx, "", &legacyRequest{method: "GET", target: "/ping", headers: []string{"Origin: http://other.example"}})
		if is := a.header.Get("Access-Control-Allow-Origin") != ""; is != (needs == "cors") {
			t.Skip(map[bool]string{true: "other origins are allowed here", false: "no other origin is allowed here"}[is])
		}
	case "nobody":
		if t.Endpoint.Query.Has("user") || t.Endpoint.URL.Query().Has("user") {
			t.Skip("everybody is a user here")
		}
	case "websockets":
		if strings.Contains(door.first.body, `"TryWebSockets":false`) {
			t.Skip("there are no WebSockets here")
		}
	default:
		t.Broken(fmt.Errorf("nothing is known of the need %q", needs))
	}
}

// client is the client of a name, made and negotiated if need be.
func (p *legacyPlay) client(ctx context.Context, name string) *legacyClient {
	k := p.clients[name]
	if k == nil {
		k = p.newClient(name, "")
		k.negotiate(ctx, "")
	}
	return k
}

func (p *legacyPlay) newClient(name, hubs string) *legacyClient {
	k := &legacyClient{t: p.t, name: name, via: p.via, version: "2.1", tag: p.tag, data: hubs}
	p.clients[name] = k
	return k
}

// legacyHubs is the connectionData for hubs by name.
func legacyHubs(names ...string) string {
	if len(names) == 0 {
		return ""
	}
	return `[{"name":"` + strings.Join(names, `"},{"name":"`) + `"}]`
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
	case "negotiate", "join": // hubs, then user=NAME, version=V, with=TRANSPORT
		k := p.newClient(s.conn, "")
		user := ""
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
		if s.what == "join" {
			k.join(ctx, user)
		} else {
			k.negotiate(ctx, user)
		}
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
	case "abort":
		p.answers[s.conn] = k.abort(ctx)
	case "reconnect": // "fresh" brings neither cursor nor groups
		more := k.back()
		if s.rest != "" {
			more = p.fill(s.rest)
		}
		if s.rest == "fresh" {
			more = ""
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
	return legacyGiven(k, p.fill(text))
}

// hears does what a server does: the line of a service is as good where one is
// behind the endpoint.
func (p *legacyPlay) hears(ctx context.Context, s *legacyStep) {
	k := p.client(ctx, s.conn)
	switch s.what {
	case "result", "message", "progress":
		of := map[string]*[]string{"result": &k.results, "message": &k.messages, "progress": &k.progress}[s.what]
		want := legacyPattern{p.fill(s.rest)}
		if got := k.next(ctx, of); !want.match(got) {
			p.t.Fail(want.String(), got)
		}
	case "frame":
		k.expect(ctx, legacyPattern{p.fill(s.rest)})
	case "refuses":
		p.refuses(ctx, k)
	case "ends":
		p.ends(ctx, k)
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
