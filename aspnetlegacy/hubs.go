package aspnetlegacy

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

var errHubs = errors.New("connectionData is not a list of hubs, each once")

// parseHubs reads the hubs of a connectionData in lower case. Absent, empty
// and null are no hubs; a hub without a name, or twice, is an error, as it is
// on the real server (legacy-server.json, negotiate.connectionData.*).
func parseHubs(data string) ([]string, error) {
	s := scanner{text: data}
	s.space()
	if s.text == "" || s.word("null") {
		return nil, nil
	}
	var hubs []string
	if !s.list('[', ']', func() bool {
		name, ok := s.hub()
		name = strings.ToLower(name)
		for _, h := range hubs {
			ok = ok && h != name
		}
		hubs = append(hubs, name)
		return ok && name != ""
	}) {
		return nil, errHubs
	}
	return hubs, nil
}

// A scanner reads JSON as leniently as Json.NET, as far as it matters here:
// either quotes, names without quotes, a comma too many.
type scanner struct {
	text  string
	depth int
}

// maxDepth is how deep Json.NET may be nested at SignalR (legacy-client-protocol
// 5.1).
const maxDepth = 20

func (s *scanner) space() { s.text = strings.TrimLeft(s.text, " \t\r\n") }

func (s *scanner) word(w string) bool {
	rest, ok := strings.CutPrefix(s.text, w)
	if ok {
		s.text = rest
	}
	return ok
}

// list reads what stands between two brackets, element by element.
func (s *scanner) list(open, end byte, element func() bool) bool {
	if s.depth++; s.depth > maxDepth || !s.word(string(open)) {
		return false
	}
	defer func() { s.depth-- }()
	for {
		s.space()
		if s.word(string(end)) {
			return true
		}
		if !element() {
			return false
		}
		s.space()
		if !s.word(",") && !strings.HasPrefix(s.text, string(end)) {
			return false
		}
	}
}

// hub reads one element of connectionData.
func (s *scanner) hub() (name string, ok bool) {
	return name, s.list('{', '}', func() bool {
		member, ok := s.scalar()
		if s.space(); !ok || !s.word(":") {
			return false
		}
		s.space()
		if !strings.EqualFold(member, "name") {
			return s.skip()
		}
		if s.word("null") {
			name = ""
			return true
		}
		name, ok = s.scalar()
		return ok
	})
}

// skip reads any value.
func (s *scanner) skip() bool {
	s.space()
	switch {
	case strings.HasPrefix(s.text, "["):
		return s.list('[', ']', s.skip)
	case strings.HasPrefix(s.text, "{"):
		return s.list('{', '}', func() bool {
			_, ok := s.scalar()
			s.space()
			return ok && s.word(":") && s.skip()
		})
	}
	_, ok := s.scalar()
	return ok
}

// scalar reads a string, or a word without quotes.
func (s *scanner) scalar() (string, bool) {
	if s.text == "" {
		return "", false
	}
	quote := s.text[0]
	if quote != '"' && quote != '\'' {
		n := strings.IndexAny(s.text, " \t\r\n,:[]{}\"'")
		if n < 0 {
			n = len(s.text)
		}
		word := s.text[:n]
		s.text = s.text[n:]
		return word, n > 0
	}
	var b strings.Builder
	for i := 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == quote:
			s.text = s.text[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(s.text):
			n := escaped(&b, s.text[i+1:])
			if n == 0 {
				return "", false
			}
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// escaped writes what an escape stands for and returns its length behind the
// backslash, 0 if it is none.
func escaped(b *strings.Builder, s string) int {
	if i := strings.IndexByte(`"'\/bfnrt`, s[0]); i >= 0 {
		b.WriteByte("\"'\\/\b\f\n\r\t"[i])
		return 1
	}
	if s[0] != 'u' || len(s) < 5 {
		return 0
	}
	r := rune(0)
	for _, c := range []byte(s[1:5]) {
		i := strings.IndexByte("0123456789abcdef", c|0x20)
		if i < 0 || c < '0' {
			return 0
		}
		r = r<<4 | rune(i)
	}
	b.WriteRune(r)
	return 5
}

// hubName is what the core calls the hub of a server connection that names
// itself key: {application}_{hub} in lower case, or {application}_{application}
// for the application itself. The blank keeps it apart from the hubs of ASP.NET
// Core, whose names have none. A key is never taken apart: both parts may have
// any character in them (2.6).
func hubName(key string) string { return "aspnet " + key }

// keyFor returns the key of a hub, or of the application by its own name, as a
// client's token and the server connections of its app agree on it. SDKs before
// 1.0.9 put no application before it (2.6).
func keyFor(t *auth.Token, name string) string {
	if older(t.SDKVersion, 1, 0, 9) {
		return name
	}
	return strings.ToLower(t.Application) + "_" + name
}

// older says whether a version, of numbers with dots between, comes before
// another. One that cannot be read does not: it is new to us.
func older(version string, than ...int) bool {
	parts := strings.Split(version, ".")
	for i, n := range than {
		v := 0
		if i < len(parts) {
			var err error
			if v, err = strconv.Atoi(parts[i]); err != nil {
				return false
			}
		}
		if v != n {
			return v < n
		}
	}
	return false
}

// appOf returns the hub of a token's application.
func (a *Adapter) appOf(t *auth.Token) *relay.Hub {
	return a.Relay.Hub(hubName(keyFor(t, strings.ToLower(t.Application))))
}

// hubsOf returns the hubs of an application that a client may listen to.
func (a *Adapter) hubsOf(t *auth.Token, names []string) []*relay.Hub {
	app := strings.ToLower(t.Application)
	var hubs []*relay.Hub
	for _, n := range names {
		if n == app {
			continue // no hub may be called like its application (2.1)
		}
		name := hubName(keyFor(t, n))
		h := a.Relay.Existing(name)
		if h == nil && a.claimed.add(app) {
			h = a.Relay.Hub(name) // its server connections may be on their way
		}
		if h != nil {
			hubs = append(hubs, h)
		}
	}
	return hubs
}

// hubNames counts the hubs that came to be because a client named them. Hubs
// are for ever, and clients may name what they like.
type hubNames struct {
	mu    sync.Mutex
	byApp map[string]int
}

// maxClaimed is how many hubs an application may get that way.
const maxClaimed = 64

func (c *hubNames) add(app string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byApp == nil {
		c.byApp = map[string]int{}
	}
	if c.byApp[app] >= maxClaimed {
		return false
	}
	c.byApp[app]++
	return true
}
