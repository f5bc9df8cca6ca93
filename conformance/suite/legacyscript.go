package suite

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
// names the recordings that it is about, and "needs" what the endpoint must have:
// jsonp, cors, "no jsonp", "no cors", websockets, nobody (who has no name). The case
// is skipped elsewhere.
//
// A client says
//
//	negotiate HUB… user=NAME version=V with=TRANSPORT   get an id and a token
//	join …                                              and connect and start
//	connect, start, cut, abort
//	reconnect [&PARAMETERS]                             with cursor and groups, or these
//	call INVOCATION                                     the way of the transport
//	METHOD /target                                      a request of its own
//
// Below a request of its own stand header lines, "body TEXT", "upgrade", and "user
// NAME" or "nobody" when it is another's with the same token. A server says
//
//	result JSON, message JSON                           the next that comes
//	refuses                                             no result, though all goes on
//	ends                                                a carrier, cleanly
//	STATUS [TYPE [BODY]]                                to the last request
//
// with "reason TEXT", "Header: value" and "absent Header" below an answer. TYPE is
// none, json, js, sse, html or plain; nothing behind STATUS asks for nothing else.
// BODY may be "negotiated VERSION", with "at PATH" when Url ends so. A line of
// service stands for the answer above it where a service is behind the endpoint,
// which may answer either; below it stands "why TEXT".
//
// ${tag} is a word of this run alone; a client does not look at messages with
// another's. ${c1} is the id of c1, ${C1} the same in capitals, ${token}, ${id},
// ${cursor} and ${groups} are what the client was given, ${9*x} is nine letters. In
// what a server says ${any}, ${cursor}, ${token} and ${seconds} stand for what
// differs.
type legacyScript struct {
	name, about, from, needs string
	level                    Level
	on, golden               []string
	steps                    []legacyStep
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
	case "needs":
		s.needs = value
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
	return err == nil || slices.Contains([]string{"result", "message", "refuses", "ends"}, s.what)
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
		return []Case{{Name: s.name, Level: s.level, About: about, From: s.from,
			Run: func(ctx context.Context, t *T) { s.play(ctx, t, legacyStream) }}}
	}
	for _, via := range s.on {
		all = append(all, Case{Name: s.name + "-" + legacyNames[via], Level: s.level, About: about + ", on " + via, From: s.from,
			Run: func(ctx context.Context, t *T) { s.play(ctx, t, via) }})
	}
	return all
}

// legacyNames are what transports are called in names of cases.
var legacyNames = map[string]string{legacySocket: "websockets", legacyStream: "sse", legacyFrame: "foreverframe", legacyPolls: "longpolling"}
