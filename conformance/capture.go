package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// captureIn finds captures.
var captureIn = regexp.MustCompile(`\$\{[^{}"` + "`" + `]{1,64}\}`)

// captureSign begins a capture.
var captureSign = []byte("${")

// slack is how far a time may be from where a transcript has it.
const slack = 90 * time.Second

// maxRepeat bounds what one repetition may ask for.
const maxRepeat = 64 << 20

// captures are the names that stand for what differs from run to run.
type captures map[string]string

// lookup returns what a name stands for, which is a text or a time: so much later
// than now.
func (c captures) lookup(name string) (value string, at time.Duration, isTime, ok bool) {
	if rest, found := strings.CutPrefix(name, "unix"); found {
		if d, err := time.ParseDuration(rest); err == nil || rest == "" {
			return "", d, true, true
		}
	}
	if n, text, found := strings.Cut(name, "*"); found {
		if n, err := strconv.Atoi(n); err == nil && n >= 0 && n <= maxRepeat && n*len(text) <= maxRepeat {
			return strings.Repeat(text, n), 0, false, true
		}
	}
	value, ok = c[name]
	return value, 0, false, ok
}

// expand replaces the captures in s. Times become those of now. Names that
// stand for nothing yet are an error.
func (c captures) expand(s string, now time.Time) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var err error
	s = captureIn.ReplaceAllStringFunc(s, func(capture string) string {
		value, d, isTime, ok := c.lookup(capture[2 : len(capture)-1])
		switch {
		case isTime:
			return strconv.FormatInt(now.Add(d).Unix(), 10)
		case !ok:
			err = errors.Join(err, notKnown(capture[2:len(capture)-1]))
		}
		return value
	})
	return s, err
}

// notKnown says that a name stands for nothing.
func notKnown(name string) error {
	if secretName.MatchString(name) {
		return fmt.Errorf("%s came with the client that was recorded: give its value", name)
	}
	return fmt.Errorf("${%s} is not known yet", name)
}

// secretName finds the names of what package record takes out and the server does
// not tell again.
var secretName = regexp.MustCompile(`^(secret[0-9]+|cookie[0-9]+|accesskey)$`)

// expandBytes is expand for what a client sends, which may be messagepack.
func (c captures) expandBytes(b []byte, now time.Time) ([]byte, error) {
	if !bytes.Contains(b, captureSign) {
		return b, nil
	}
	if full, ok := c.expandPacked(b); ok {
		return full, nil
	}
	s, err := c.expand(string(b), now)
	return []byte(s), err
}

// bind makes want what it would be if it agreed with got: captures are replaced
// by their values, those without one are taken from got and kept, and times that
// are close enough are got's.
func (c captures) bind(want, got string, now time.Time) string {
	expanded, err := c.expand(want, now)
	open := err != nil || strings.Contains(want, "${unix")
	if expanded == got || !open || !utf8.ValidString(want) {
		return expanded
	}
	var pattern strings.Builder
	var names []string
	rest := want
	for at := captureIn.FindStringIndex(rest); at != nil; at = captureIn.FindStringIndex(rest) {
		name := rest[at[0]+2 : at[1]-1]
		pattern.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		switch value, _, isTime, ok := c.lookup(name); {
		case isTime:
			pattern.WriteString(`([0-9]{1,12})`)
			names = append(names, name)
		case ok:
			pattern.WriteString(regexp.QuoteMeta(value))
		default:
			pattern.WriteString(`([^"&\s]+?)`)
			names = append(names, name)
		}
		rest = rest[at[1]:]
	}
	whole, err := regexp.Compile(`(?s)^` + pattern.String() + regexp.QuoteMeta(rest) + `$`)
	if err != nil {
		return expanded // too long for a regular expression
	}
	found := whole.FindStringSubmatch(got)
	if found == nil {
		return expanded
	}
	bound := captures{}
	for i, name := range names {
		value := found[i+1]
		if _, d, isTime, _ := c.lookup(name); isTime {
			n, _ := strconv.ParseInt(value, 10, 64)
			if time.Unix(n, 0).Sub(now.Add(d)).Abs() > slack {
				return expanded
			}
			continue
		}
		if was, ok := bound[name]; ok && was != value {
			return expanded
		}
		bound[name] = value
	}
	maps.Copy(c, bound)
	return got
}

// bindValue is bind for every text and byte slice of a message, in place.
// Lists of different lengths are only expanded.
func (c captures) bindValue(want, got reflect.Value, now time.Time) {
	same := got.IsValid() && want.Type() == got.Type()
	switch want.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !want.IsNil() {
			c.bindValue(want.Elem(), elem(got, same), now)
		}
	case reflect.Struct:
		if want.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range want.NumField() {
			var g reflect.Value
			if same {
				g = got.Field(i)
			}
			c.bindValue(want.Field(i), g, now)
		}
	case reflect.String:
		want.SetString(c.bind(want.String(), textOf(got, same), now))
	case reflect.Slice:
		if want.Type().Elem().Kind() == reflect.Uint8 {
			if bytes.Contains(want.Bytes(), captureSign) {
				want.SetBytes([]byte(c.bind(string(want.Bytes()), textOf(got, same), now)))
			}
			return
		}
		for i := range want.Len() {
			var g reflect.Value
			if same && i < got.Len() {
				g = got.Index(i)
			}
			c.bindValue(want.Index(i), g, now)
		}
	}
}

func elem(v reflect.Value, ok bool) reflect.Value {
	if !ok || v.IsNil() {
		return reflect.Value{}
	}
	return v.Elem()
}

func textOf(v reflect.Value, ok bool) string {
	switch {
	case !ok:
		return ""
	case v.Kind() == reflect.String:
		return v.String()
	}
	return string(v.Bytes())
}
