package hubproto

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep .NET reads nested JSON (core-client-protocol 5.2).
const maxDepth = 64

// scanner walks over JSON text and checks it on the way, so that a value that
// was skipped is known to be well formed.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, what, s.i)
}

// peek passes over white space and looks at the next byte; 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return s.b[s.i]
		}
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// eachMember calls f for every member of the object that b begins with. F takes
// the value off the scanner.
func eachMember(b []byte, f func(s *scanner, name []byte) error) error {
	s := &scanner{b: b}
	return s.members(func(name []byte) error { return f(s, name) })
}

func (s *scanner) members(f func(name []byte) error) error {
	if !s.take('{') {
		return s.fail("no object")
	}
	if s.take('}') {
		return nil
	}
	for {
		name, err := s.name()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.fail("no colon")
		}
		if err := f(name); err != nil {
			return err
		}
		if s.take(',') {
			continue
		}
		if s.take('}') {
			return nil
		}
		return s.fail("object does not end")
	}
}

// elements calls f for every element of an array; f takes it off the scanner.
func (s *scanner) elements(f func() error) error {
	if !s.take('[') {
		return s.fail("no array")
	}
	if s.take(']') {
		return nil
	}
	for {
		if err := f(); err != nil {
			return err
		}
		if s.take(',') {
			continue
		}
		if s.take(']') {
			return nil
		}
		return s.fail("array does not end")
	}
}

// raw takes one value of any kind.
func (s *scanner) raw() (Raw, error) {
	s.peek()
	from := s.i
	if err := s.skip(1); err != nil {
		return nil, err
	}
	return Raw(s.b[from:s.i:s.i]), nil
}

// skip passes over one value that stands inside depth others.
func (s *scanner) skip(depth int) error {
	if depth >= maxDepth {
		return s.fail("nested too deep")
	}
	switch c := s.peek(); {
	case c == '"':
		_, _, err := s.quoted()
		return err
	case c == '{':
		s.i++
		if s.take('}') {
			return nil
		}
		for {
			if s.peek() != '"' {
				return s.fail("no name")
			}
			if _, _, err := s.quoted(); err != nil {
				return err
			}
			if !s.take(':') {
				return s.fail("no colon")
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
			if s.take(',') {
				continue
			}
			if s.take('}') {
				return nil
			}
			return s.fail("object does not end")
		}
	case c == '[':
		return s.elements(func() error { return s.skip(depth + 1) })
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if len(s.b)-s.i >= len(word) && string(s.b[s.i:s.i+len(word)]) == word {
			s.i += len(word)
			return nil
		}
	}
	return s.fail("no value")
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

func (s *scanner) number() error {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail("no digit")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return s.fail("no digit")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return s.fail("no digit")
		}
	}
	return nil
}

// integer takes a number without fraction that fits 64 bits.
func (s *scanner) integer() (int64, error) {
	s.peek()
	from := s.i
	if from == len(s.b) || s.b[from] != '-' && (s.b[from] < '0' || s.b[from] > '9') {
		return 0, s.fail("no number")
	}
	if err := s.number(); err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(s.b[from:s.i]), 10, 64)
	if err != nil {
		return 0, s.fail("no 64-bit integer")
	}
	return n, nil
}

// quoted takes a string and returns what is between its quotes.
func (s *scanner) quoted() (inner []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, s.fail("no string")
	}
	s.i++
	from := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[from : s.i-1], escaped, nil
		case c < 0x20:
			return nil, false, s.fail("control character in a string")
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		default:
			s.i++
		}
	}
	return nil, false, s.fail("string does not end")
}

func (s *scanner) escape() error {
	s.i++
	if s.i == len(s.b) {
		return s.fail("string does not end")
	}
	switch s.b[s.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
		if s.i+5 > len(s.b) {
			return s.fail("short escape")
		}
		if _, err := strconv.ParseUint(string(s.b[s.i+1:s.i+5]), 16, 16); err != nil {
			return s.fail("no hexadecimal escape")
		}
		s.i += 5
		return nil
	}
	return s.fail("unknown escape")
}

// name takes a string and decodes it, without a copy when it has no escapes.
func (s *scanner) name() ([]byte, error) {
	from := s.i
	inner, escaped, err := s.quoted()
	if err != nil || !escaped {
		return inner, err
	}
	s.i = from
	text, err := s.text()
	return []byte(text), err
}

// text takes a string and decodes it. Text that is not UTF-8 and half of a
// surrogate pair are errors, as in .NET.
func (s *scanner) text() (string, error) {
	inner, escaped, err := s.quoted()
	if err != nil {
		return "", err
	}
	if !escaped {
		if !utf8.Valid(inner) {
			return "", s.fail("no UTF-8")
		}
		return string(inner), nil
	}
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); {
		if inner[i] != '\\' {
			out = append(out, inner[i])
			i++
			continue
		}
		switch c := inner[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(inner[i+2:])
			if utf16.IsSurrogate(r) {
				if i+12 > len(inner) || inner[i+6] != '\\' || inner[i+7] != 'u' {
					return "", s.fail("half a surrogate pair")
				}
				if r = utf16.DecodeRune(r, hex4(inner[i+8:])); r == utf8.RuneError {
					return "", s.fail("half a surrogate pair")
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
			i += 4
		default:
			out = append(out, c)
		}
		i += 2
	}
	if !utf8.Valid(out) {
		return "", s.fail("no UTF-8")
	}
	return string(out), nil
}

// hex4 reads four digits that escape has checked.
func hex4(b []byte) rune {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n)
}

const upperHex = "0123456789ABCDEF"

// appendText writes a string as the relaxed .NET writer does: only what JSON
// requires is escaped (core-client-protocol 5.2).
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
