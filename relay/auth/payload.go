package auth

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"unicode/utf8"
)

// The JSON objects of a token are walked over rather than decoded, because the
// order and the repeats of their members matter (service-protocol 1.8).

// isObject reports whether b is valid JSON and an object.
func isObject(b []byte) bool {
	b = bytes.TrimLeft(b, blanks)
	return len(b) > 0 && b[0] == '{' && json.Valid(b)
}

// members walks the members of a JSON object: the name, decoded, and the raw
// text of the value. The text must be valid JSON.
func members(object string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		s := strings.TrimLeft(object, blanks+"{")
		for s != "" && s[0] == '"' {
			name := s[:valueLen(s)]
			s = strings.TrimLeft(s[len(name):], blanks+":")
			value := s[:valueLen(s)]
			s = strings.TrimLeft(s[len(value):], blanks+",")
			if !yield(text(name), value) {
				return
			}
		}
	}
}

// elements walks the raw texts of the elements of a JSON array, or yields the
// text itself when it is none. The text must be valid JSON.
func elements(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if value[0] != '[' {
			yield(value)
			return
		}
		s := strings.TrimLeft(value[1:], blanks)
		for s != "" && s[0] != ']' {
			element := s[:valueLen(s)]
			s = strings.TrimLeft(s[len(element):], blanks+",")
			if !yield(element) {
				return
			}
		}
	}
}

const blanks = " \t\r\n"

// valueLen is the length of the JSON value that s starts with.
func valueLen(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth < 0 { // the end of what holds a number or a literal
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ':' || strings.IndexByte(blanks, c) >= 0):
			return i
		}
	}
	return len(s)
}

// text is the value of a claim as text: strings decoded, null empty, numbers
// and booleans as they are written, objects and inner arrays as compact JSON
// (service-protocol 1.8). A string without escapes shares the payload's memory.
func text(value string) string {
	switch value[0] {
	case '"':
		inner := value[1 : len(value)-1]
		if strings.IndexByte(inner, '\\') < 0 && utf8.ValidString(inner) {
			return inner
		}
		var s string
		if json.Unmarshal([]byte(value), &s) != nil {
			return ""
		}
		return s
	case '{', '[':
		return compact(value)
	case 'n':
		return ""
	}
	return value
}

// compact drops the white space between the tokens of a JSON text.
func compact(value string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case quoted && c == '\\':
			b.WriteByte(c)
			i++
			c = value[i]
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			continue
		}
		b.WriteByte(c)
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
