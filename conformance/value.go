package conformance

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values are written in the first of these forms that holds them:
//
//	word              letters, digits and a few signs
//	`{"type":6}␞`     printable text; ␞ is 0x1e
//	"a\tb"            any text, as Go quotes it
//	x"0f95${c1}"      bytes; a capture is as long as what it stands for
//	[word `text`]     a list

const separator, separatorSign = "\x1e", "␞"

var errValue = errors.New("no value")

// wordSigns are the characters of a word besides letters and digits.
const wordSigns = "_-.:/${}+*%&?=;,@<>|~"

func isWord(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && !strings.ContainsRune(wordSigns, rune(c)) {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// appendString writes a text.
func appendString(b []byte, s string) []byte {
	if isWord(s) {
		return append(b, s...)
	}
	return appendText(b, s)
}

// appendText is appendString without words.
func appendText(b []byte, s string) []byte {
	for _, r := range s {
		if r == utf8.RuneError || r == '`' || string(r) == separatorSign || string(r) != separator && !unicode.IsPrint(r) {
			return strconv.AppendQuote(b, s)
		}
	}
	b = append(b, '`')
	b = append(b, strings.ReplaceAll(s, separator, separatorSign)...)
	return append(b, '`')
}

// appendBytes writes bytes, as text if they are.
func appendBytes(b, v []byte) []byte {
	if isText(v) {
		return appendText(b, string(v))
	}
	return appendHex(b, v)
}

func isText(v []byte) bool {
	return utf8.Valid(v) && !strings.ContainsFunc(string(v), func(r rune) bool {
		return string(r) != separator && !unicode.IsSpace(r) && !unicode.IsPrint(r)
	})
}

// appendHex writes bytes as hex, leaving captures as they are.
func appendHex(b, v []byte) []byte {
	b = append(b, `x"`...)
	for len(v) > 0 {
		at := captureIn.FindIndex(v)
		if at == nil {
			at = []int{len(v), len(v)}
		}
		b = hex.AppendEncode(b, v[:at[0]])
		b = append(b, v[at[0]:at[1]]...)
		v = v[at[1]:]
	}
	return append(b, '"')
}

// A scanner reads values off a line.
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " ") }

// value reads one word, text or hex, and says whether there was one.
func (s *scanner) value() (string, error) {
	s.space()
	switch {
	case strings.HasPrefix(s.rest, "`"):
		text, rest, ok := strings.Cut(s.rest[1:], "`")
		if !ok {
			return "", errors.New("text without an end")
		}
		s.rest = rest
		return strings.ReplaceAll(text, separatorSign, separator), nil
	case strings.HasPrefix(s.rest, `"`):
		quoted, err := strconv.QuotedPrefix(s.rest)
		if err != nil {
			return "", errors.New("quoted text without an end")
		}
		s.rest = s.rest[len(quoted):]
		return strconv.Unquote(quoted)
	case strings.HasPrefix(s.rest, `x"`):
		digits, rest, ok := strings.Cut(s.rest[2:], `"`)
		if !ok {
			return "", errors.New("hex without an end")
		}
		s.rest = rest
		return unhex(digits)
	}
	n := 0
	for n < len(s.rest) && isWord(s.rest[n:n+1]) {
		n++
	}
	if n == 0 {
		return "", errValue
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word, nil
}

func unhex(s string) (string, error) {
	var b []byte
	for s != "" {
		at := captureIn.FindStringIndex(s)
		if at == nil {
			at = []int{len(s), len(s)}
		}
		v, err := hex.DecodeString(s[:at[0]])
		if err != nil {
			return "", err
		}
		b = append(append(b, v...), s[at[0]:at[1]]...)
		s = s[at[1]:]
	}
	return string(b), nil
}

// end reports an error when anything but space is left.
func (s *scanner) end() error {
	if s.space(); s.rest != "" {
		return errors.New("unexpected " + strconv.Quote(s.rest))
	}
	return nil
}

// list reads [a b c].
func (s *scanner) list() (all []string, err error) {
	if s.space(); !strings.HasPrefix(s.rest, "[") {
		return nil, errors.New("no list")
	}
	s.rest = s.rest[1:]
	for {
		if s.space(); strings.HasPrefix(s.rest, "]") {
			s.rest = s.rest[1:]
			return all, nil
		}
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}
