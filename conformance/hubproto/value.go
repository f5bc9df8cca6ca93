package hubproto

import (
	"encoding/json"
	"fmt"

	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// Field is one member of an Object, named as a .NET property: "Label".
type Field struct {
	Name  string
	Value any
}

// Object is a value with named members, in order. Json writes the names with a
// small first letter, messagepack as they are: the defaults of .NET.
type Object []Field

func camel(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

func wrongKind(v any) error { return fmt.Errorf("%w: no %T", ErrBind, v) }
func noEncoding(v any) error {
	return fmt.Errorf("%w: %T", ErrValue, v)
}

func (p jsonProtocol) AppendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case Raw:
		return append(dst, v...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case string:
		return appendText(dst, v), nil
	case *string:
		if v == nil {
			return append(dst, "null"...), nil
		}
		return appendText(dst, *v), nil
	case time.Time:
		return appendText(dst, v.Format(time.RFC3339Nano)), nil
	case float64, []byte:
		b, err := json.Marshal(v) // base64, as .NET writes bytes
		if err != nil {
			return dst, noEncoding(v)
		}
		return append(dst, b...), nil
	case []string:
		return appendList(p, dst, v)
	case []int:
		return appendList(p, dst, v)
	case []any:
		return appendList(p, dst, v)
	case Object:
		dst = append(dst, '{')
		for i, f := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, camel(f.Name)), ':')
			var err error
			if dst, err = p.AppendValue(dst, f.Value); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, noEncoding(v)
}

func appendList[T any](p jsonProtocol, dst []byte, list []T) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = p.AppendValue(dst, v); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (p jsonProtocol) Bind(r Raw, v any) error {
	if raw, ok := v.(*Raw); ok {
		*raw = r
		return nil
	}
	s := &scanner{b: r}
	null := s.peek() == 'n'
	switch v := v.(type) {
	case *string:
		return orWrong(bindTo(v, s.text), v)
	case **string:
		if null {
			*v = nil
			return nil
		}
		text, err := s.text()
		*v = &text
		return orWrong(err, v)
	case *bool:
		c := s.peek()
		if *v = c == 't'; c != 't' && c != 'f' {
			return wrongKind(v)
		}
		return nil
	case *int:
		n, err := s.integer()
		*v = int(n)
		return orWrong(err, v)
	case *int64:
		return orWrong(bindTo(v, s.integer), v)
	case *float64:
		if c := s.peek(); c != '-' && (c < '0' || c > '9') {
			return wrongKind(v)
		}
		f, err := strconv.ParseFloat(string(r), 64)
		*v = f
		return orWrong(err, v)
	case *[]string:
		return bindList(s, null, v, s.text)
	case *[]int:
		return bindList(s, null, v, func() (int, error) { n, err := s.integer(); return int(n), err })
	case *map[string]Raw:
		if *v = nil; null {
			return nil
		}
		*v = map[string]Raw{}
		return orWrong(s.members(func(name []byte) error {
			raw, err := s.raw()
			(*v)[string(name)] = raw
			return err
		}), v)
	case *[]byte, *any:
		return orWrong(json.Unmarshal(r, v), v)
	}
	return wrongKind(v)
}

func bindTo[T any](to *T, read func() (T, error)) (err error) {
	*to, err = read()
	return err
}

func bindList[T any](s *scanner, null bool, to *[]T, read func() (T, error)) error {
	if *to = nil; null {
		return nil
	}
	*to = []T{}
	return orWrong(s.elements(func() error {
		v, err := read()
		*to = append(*to, v)
		return err
	}), to)
}

func orWrong(err error, v any) error {
	if err != nil {
		return wrongKind(v)
	}
	return nil
}
