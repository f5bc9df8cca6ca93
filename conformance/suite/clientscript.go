package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A clientScript is one conversation that a client should have with us. It is
// written as text, one scenario a file:
//
//	# about: what is asked, one line
//	# do: what the author of a client has his client do
//	# from: where the right answer is from
//
//	use websockets c1
//	server c1> {"type":1,"target":"hello","arguments":["there"]}
//	client c1> {"type":1,"target":"Echo","arguments":["x"],"invocationId":"${id}"}
//	server c1> {"type":3,"invocationId":"${id}","result":"x"}
//	client c1> close
//	quiet 500ms
//
// A name stands for one HTTP request and for the connection that it opens. Lines
// that are indented belong to the one above. cases/client/README.md explains
// every kind of line.
type clientScript struct {
	name    string // of the file, and the first part of the path
	flavour string // core or legacy: the folder
	about   string
	do      string
	from    string
	packs   bool          // there is one with the same lines in MessagePack
	pack    bool          // this is that one
	wait    time.Duration // for each thing that the client should do
	allowed []*clientAllowance
	steps   []clientStep
}

// A clientStep is one line.
type clientStep struct {
	text string // as it was written, for the reader of a failure
	from string // client or server; empty for neither
	name string
	says any // one of the types below
}

type (
	// A clientRequest is an HTTP request that should come.
	clientRequest struct {
		methods []string
		path    string // below the scenario's own
		fields  []clientField
		body    string // pattern; empty takes any
	}
	// A clientAllowance is for requests that a client may make and need not.
	clientAllowance struct {
		clientRequest
		most, status int
	}
	// A clientField is a member of the query or form, or a header.
	clientField struct {
		name, pattern string
		header        bool
	}
	// A clientAnswer is what we answer a request.
	clientAnswer struct {
		status int
		name   string // of what it opens
		opens  string // websocket, events or poll: what the request becomes
		header []clientField
		body   string
	}
	clientMessage string // JSON, a pattern where the client says it
	clientBytes   string // as they are
	clientPieces  []string
	clientEnds    struct{ may bool } // the client ends the connection; or may, which ends the scenario
	clientClose   struct{ code int } // a close frame of ours
	clientDrop    struct{}           // the end of a connection without a word
	// A clientRefusal is the answer to the next requests that belong to an open
	// connection and would else be answered without being asked for.
	clientRefusal struct {
		poll   bool // polls, else posts
		status int
		most   int // a request more than that is wrong
	}
	clientQuiet  time.Duration
	clientRepeat struct{ least, most int } // of the two steps before
)

// clientWait is how long we wait for a client that should do something.
const clientWait = 10 * time.Second

// loadClientScripts reads the scenarios below cases/client.
func loadClientScripts(files fs.FS) ([]*clientScript, error) {
	var all []*clientScript
	for _, flavour := range []string{"core", "legacy"} {
		names, err := fs.Glob(files, path.Join("cases/client", flavour, "*.txt"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return nil, err
			}
			s := &clientScript{name: strings.TrimSuffix(path.Base(name), ".txt"), flavour: flavour, wait: clientWait}
			if err := s.read(files, string(text)); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if s.about == "" || s.do == "" || s.from == "" || len(s.steps) == 0 {
				return nil, fmt.Errorf("%s: about, do, from or every step is missing", name)
			}
			all = append(all, s)
			if s.packs {
				all = append(all, s.inMessagePack())
			}
		}
	}
	return all, nil
}

// inMessagePack is the same scenario for the other hub protocol. The handshake,
// which is JSON in both, names it.
func (s *clientScript) inMessagePack() *clientScript {
	p := *s
	p.pack = true
	p.name += "-messagepack"
	p.do = "with the MessagePack hub protocol: " + p.do
	p.from += "; core-client-protocol 5.3"
	p.steps = slices.Clone(p.steps)
	for i := range p.steps {
		if m, ok := p.steps[i].says.(clientMessage); ok {
			p.steps[i].says = clientMessage(strings.Replace(string(m), `"protocol":"json"`, `"protocol":"messagepack"`, 1))
		}
	}
	return &p
}

func (s *clientScript) read(files fs.FS, text string) error {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(lines); {
		line, at := lines[i], i+1
		i++
		below := i
		for i < len(lines) && strings.HasPrefix(lines[i], "  ") {
			i++
		}
		if err := s.readLine(files, strings.TrimSpace(line), lines[below:i]); err != nil {
			return fmt.Errorf("line %d: %w", at, err)
		}
	}
	return nil
}

func (s *clientScript) readLine(files fs.FS, line string, below []string) error {
	word, rest, _ := strings.Cut(line, " ")
	var err error
	switch {
	case line == "":
	case word == "#":
		return s.readHead(rest)
	case word == "use":
		// A part is said with another name in each place: @ stands for it.
		part, name, ok := strings.Cut(rest, " ")
		if !ok {
			return errors.New("use a part for which name?")
		}
		text, err := fs.ReadFile(files, path.Join("cases/client/parts", part+".txt"))
		if err != nil {
			return err
		}
		return s.read(files, strings.ReplaceAll(string(text), "@", name))
	case word == "allow":
		a := &clientAllowance{}
		count, rest, _ := strings.Cut(rest, " ")
		status, request, _ := strings.Cut(rest, " ")
		if a.most, err = strconv.Atoi(count); err != nil {
			return err
		}
		if a.status, err = strconv.Atoi(status); err != nil {
			return err
		}
		a.clientRequest, err = readClientRequest(request, below)
		s.allowed = append(s.allowed, a)
	case word == "quiet":
		var d time.Duration
		d, err = time.ParseDuration(rest)
		s.steps = append(s.steps, clientStep{text: line, says: clientQuiet(d)})
	case word == "repeat":
		var r clientRepeat
		if _, err = fmt.Sscanf(rest, "%d to %d", &r.least, &r.most); err == nil && len(s.steps) < 2 {
			err = errors.New("nothing to repeat")
		}
		s.steps = append(s.steps, clientStep{text: line, says: r})
	default:
		head, said, ok := strings.Cut(line, "> ")
		who, name, named := strings.Cut(head, " ")
		if !ok || !named || who != "client" && who != "server" {
			return fmt.Errorf("who says %q?", line)
		}
		step := clientStep{text: line, from: who, name: name}
		if who == "client" {
			step.says, err = readClientSaying(said, below)
		} else {
			step.says, err = readServerSaying(said, below)
		}
		s.steps = append(s.steps, step)
	}
	return err
}

func (s *clientScript) readHead(rest string) (err error) {
	name, value, _ := strings.Cut(rest, ": ")
	switch name {
	case "about":
		s.about = value
	case "do":
		s.do = value
	case "from":
		s.from = value
	case "protocols":
		if value != "json messagepack" {
			return fmt.Errorf("no hub protocols: %q", value)
		}
		s.packs = true
	case "wait":
		s.wait, err = time.ParseDuration(value)
	default:
		err = fmt.Errorf("unknown header %q", name)
	}
	return err
}

func readClientSaying(said string, below []string) (any, error) {
	switch {
	case said == "close":
		return clientEnds{}, nil
	case said == "may close":
		return clientEnds{may: true}, nil
	case strings.HasPrefix(said, "{"):
		_, err := parseJSON(said)
		return clientMessage(said), err
	}
	return readClientRequest(said, below)
}

func readClientRequest(said string, below []string) (r clientRequest, err error) {
	methods, target, ok := strings.Cut(said, " ")
	if !ok || strings.ToUpper(methods) != methods || strings.Contains(target, " ") {
		return r, fmt.Errorf("no request: %q", said)
	}
	r.methods, r.path = strings.Split(methods, "|"), target
	r.fields, r.body, err = readClientFields(below)
	return r, err
}

// readClientFields reads "name=value" of a query, "Name: value" of a header, and
// a body, which goes on to the end of the lines.
func readClientFields(below []string) (all []clientField, body string, err error) {
	for i, line := range below {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "body "); ok {
			return all, strings.Join(append([]string{rest}, below[i+1:]...), "\n"), nil
		}
		colon, equals := strings.Index(line, ": "), strings.Index(line, "=")
		switch {
		case colon > 0 && (equals < 0 || colon < equals):
			all = append(all, clientField{line[:colon], line[colon+2:], true})
		case equals > 0:
			all = append(all, clientField{line[:equals], line[equals+1:], false})
		default:
			return nil, "", fmt.Errorf("unexpected %q", line)
		}
	}
	return all, "", nil
}

func readServerSaying(said string, below []string) (any, error) {
	word, rest, _ := strings.Cut(said, " ")
	switch word {
	case "raw":
		return clientBytes(unsign(rest)), nil
	case "pieces":
		return clientPieces(strings.Split(unsign(rest), "|")), nil
	case "drop":
		return clientDrop{}, nil
	case "close":
		code, err := strconv.Atoi(rest)
		return clientClose{code}, err
	case "polls", "posts":
		r := clientRefusal{poll: word == "polls"}
		_, err := fmt.Sscanf(rest, "%d at most %d", &r.status, &r.most)
		return r, err
	}
	if strings.HasPrefix(said, "{") {
		return clientMessage(said), nil
	}
	status, err := strconv.Atoi(word)
	if err != nil || http.StatusText(status) == "" {
		return nil, fmt.Errorf("unexpected %q", said)
	}
	a := clientAnswer{status: status, opens: rest}
	if status == http.StatusSwitchingProtocols {
		a.opens = "websocket"
	}
	switch a.opens {
	case "", "websocket", "events", "poll":
	default:
		return nil, fmt.Errorf("a request cannot become %q", a.opens)
	}
	a.header, a.body, err = readClientFields(below)
	return a, err
}

// unsign gives the bytes of text in which ␞ stands for 0x1e and ↵ for a line
// break.
func unsign(s string) string { return strings.NewReplacer("␞", "\x1e", "↵", "\n").Replace(s) }
