package conformance

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Load reads the text of a transcript. An error names the line. What Load
// allocates is bounded by a small multiple of the text.
func Load(text []byte) (*Transcript, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("load transcript: not UTF-8")
	}
	t := &Transcript{}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); {
		line, at := lines[i], i+1
		i++
		var err error
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case strings.HasPrefix(line, "#"):
			err = t.readHead(line)
		default:
			below := i
			for i < len(lines) && strings.HasPrefix(lines[i], "  ") && strings.TrimSpace(lines[i]) != "" {
				lines[i] = lines[i][2:]
				i++
			}
			var s Step
			if s, err = readStep(line, lines[below:i]); err == nil {
				s.Line = at
				t.Steps = append(t.Steps, s)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("load transcript: line %d: %w", at, err)
		}
	}
	return t, nil
}

// readHead reads "# name: value".
func (t *Transcript) readHead(line string) error {
	name, value, _ := strings.Cut(strings.TrimSpace(line[1:]), ": ")
	for _, h := range t.head() {
		if h.name == name {
			if *h.value != "" || len(t.Steps) > 0 {
				return fmt.Errorf("%s again or late", name)
			}
			*h.value = strings.TrimSpace(value)
			return nil
		}
	}
	return fmt.Errorf("unknown header %q", name)
}

func readStep(line string, below []string) (s Step, err error) {
	head, said, ok := strings.Cut(line, "> ")
	if !ok {
		return s, errors.New(`no speaker: a step is who speaks, on which connection, and what, such as "client c1> drop"`)
	}
	who, conn, _ := strings.Cut(head, " ")
	s.Who, s.Conn = Speaker(who), conn
	switch s.Who {
	case Note:
		if conn != "" || len(below) > 0 {
			return s, errors.New("a note has neither connection nor lines below")
		}
		s.Said = Remark(strings.TrimRight(said, " \r"))
		return s, nil
	case App, Client, Relay, Server:
		if !isWord(conn) {
			return s, errors.New("no connection")
		}
	default:
		return s, fmt.Errorf("unknown speaker %q", who)
	}
	if s.Who.judged() {
		if said, err = readBounds(said, &s); err != nil {
			return s, err
		}
	}
	s.Said, err = readSaying(said, below)
	return s, err
}

// readBounds reads "after 14s within 20s" and returns what follows.
func readBounds(said string, s *Step) (string, error) {
	for {
		word, rest, _ := strings.Cut(said, " ")
		bound := map[string]*time.Duration{"after": &s.After, "within": &s.Within}[word]
		if bound == nil {
			return said, nil
		}
		value, rest, _ := strings.Cut(rest, " ")
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 || *bound != 0 {
			return "", fmt.Errorf("no time: %q", value)
		}
		*bound, said = d, rest
	}
}

func readSaying(said string, below []string) (Saying, error) {
	word, rest, _ := strings.Cut(said, " ")
	switch {
	case word == "" || word[0] == ' ':
		return nil, errors.New("nothing said")
	case word == "connect" && len(below) == 0:
		transport, query, _ := strings.Cut(strings.TrimRight(rest, " \r"), " ?")
		if !isWord(transport) || query != "" && !isWord(query) {
			return nil, fmt.Errorf("no transport: %q", rest)
		}
		return Connect{transport, query}, nil
	case word == "resume" && rest == "" && len(below) == 0:
		return Resume{}, nil
	case word == "close" || word == "drop" || word == string(Text) || word == string(Binary) || word == string(Event):
		if len(below) > 0 {
			return nil, fmt.Errorf("a %s has no lines below", word)
		}
		return readTransport(word, &scanner{rest})
	case '0' <= word[0] && word[0] <= '9':
		status, err := strconv.Atoi(word)
		if err != nil || rest != "" {
			return nil, fmt.Errorf("no status: %q", said)
		}
		r := Response{Status: status}
		err = readHTTP(below, &r.Header, nil, &r.Body)
		return r, err
	case strings.ToUpper(word) == word:
		if rest == "" || strings.ContainsAny(rest, " \r\t") {
			return nil, fmt.Errorf("no request target: %q", rest)
		}
		r := Request{Method: word, Target: rest}
		err := readHTTP(below, &r.Header, &r.Token, &r.Body)
		return r, err
	}
	return readFrame(word, strings.TrimRight(rest, " \r"), below)
}

// readTransport reads what travels besides service messages and HTTP.
func readTransport(word string, s *scanner) (Saying, error) {
	switch word {
	case "drop":
		return Drop{}, s.end()
	case "close":
		var c Close
		var err error
		if s.space(); s.rest != "" && '0' <= s.rest[0] && s.rest[0] <= '9' {
			code, _ := s.value() // a word at least
			if c.Code, err = strconv.Atoi(code); err != nil {
				return nil, fmt.Errorf("no close code: %q", code)
			}
		}
		if s.space(); s.rest != "" {
			if c.Reason, err = s.value(); err != nil {
				return nil, err
			}
		}
		return c, s.end()
	}
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	return Data{DataKind(word), []byte(v)}, s.end()
}

// readHTTP reads the lines below a request or response.
func readHTTP(below []string, header *[]Field, token **Token, body *[]byte) error {
	for _, line := range below {
		if name, value, ok := strings.Cut(line, ": "); ok && isWord(name) {
			*header = append(*header, Field{name, strings.TrimRight(value, " \r")})
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case (word == "token" || word == "forged") && token != nil && *token == nil:
			algorithm, payload, ok := strings.Cut(rest, " ")
			if !ok || algorithm == "" || payload == "" {
				return errors.New("a token is an algorithm and a payload")
			}
			*token = &Token{algorithm, payload, word == "forged"}
		case word == "body" && *body == nil:
			s := scanner{rest}
			v, err := s.value()
			if err != nil {
				return err
			}
			if *body = []byte(v); v == "" {
				return errors.New("an empty body")
			}
			if err := s.end(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unexpected %q", line)
		}
	}
	return nil
}
