package bench

import (
	"errors"
	"fmt"
)

// keepAlive is the frame that says nothing.
const keepAlive = "{}"

// frame is what a server of ASP.NET SignalR sends, by the members that tell what it is: as they stand in it, nil where
// there are none (legacy-client-protocol 4.2).
type frame struct{ init, messages, id, fault []byte }

// parseFrame does not decode: that would cost the machine about as much as the server's sending it.
func parseFrame(p []byte) (frame, error) {
	s := scanner{rest: p}
	f, ok := s.frame()
	if !ok {
		return f, errFrame(p)
	}
	return f, nil
}

// feedFrame calls on for what a frame holds: the result of an invocation, or any number of messages
// (legacy-client-protocol 5.2, 5.3). A result may stand among the messages too.
func (c *client) feedFrame(p []byte, on func(kind byte) error) error {
	f, err := parseFrame(p)
	if err != nil {
		return err
	}
	switch {
	case f.id != nil && f.fault != nil:
		return errors.New(beginning(p))
	case f.id != nil:
		return on(completion)
	case f.fault != nil:
		return &closeError{text: beginning(p)}
	case f.messages == nil:
		return nil
	}
	s := scanner{rest: f.messages}
	if !s.take('[') {
		return errFrame(p)
	}
	for !s.take(']') {
		m, ok := s.frame()
		kind := byte(invocation)
		switch {
		case !ok:
			return errFrame(p)
		case m.id != nil && m.fault != nil:
			return errors.New(beginning(p))
		case m.id != nil:
			kind = completion
		}
		if err := on(kind); err != nil {
			return err
		}
		s.take(',')
	}
	return nil
}

func errFrame(p []byte) error { return fmt.Errorf("no frame of ASP.NET SignalR: %.60q", p) }

// scanner finds where the values of a JSON text end. It takes every valid text and some others.
type scanner struct{ rest []byte }

// frame takes the object that is next, a frame or an element of one; false says that there is none.
func (s *scanner) frame() (f frame, ok bool) {
	if !s.take('{') {
		return f, false
	}
	for !s.take('}') {
		name := s.value()
		if name == nil || !s.take(':') {
			return f, false
		}
		value := s.value()
		if value == nil {
			return f, false
		}
		switch string(name) {
		case `"S"`:
			f.init = value
		case `"M"`:
			f.messages = value
		case `"I"`:
			f.id = value
		case `"E"`:
			f.fault = value
		}
		s.take(',')
	}
	return f, true
}

// take skips white space and then c, if that is next.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) space() {
	for len(s.rest) > 0 && s.rest[0] <= ' ' {
		s.rest = s.rest[1:]
	}
}

// value skips white space and takes the value that is next; nil for none.
func (s *scanner) value() []byte {
	s.space()
	depth := 0
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			if i = textEnd(s.rest, i); i < 0 {
				return nil
			}
			if depth == 0 {
				return s.cut(i)
			}
			i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.cut(i)
			}
			if depth--; depth == 0 {
				return s.cut(i + 1)
			}
		default:
			if depth == 0 && (c == ',' || c == ':' || c <= ' ') {
				return s.cut(i)
			}
		}
	}
	return nil
}

// textEnd is where the text ends that begins at i; negative for nowhere.
func textEnd(p []byte, i int) int {
	for i++; i < len(p); i++ {
		switch p[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// cut takes n bytes; nil for none.
func (s *scanner) cut(n int) (p []byte) {
	if p, s.rest = s.rest[:n], s.rest[n:]; n == 0 {
		return nil
	}
	return p
}
