package legacy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode"
)

// method is a hub method.
type method struct {
	name  string // as declared
	args  int
	waits bool // may block, and so gets a goroutine
	run   func(k *call, args []json.RawMessage) (any, error)
}

// scriptName is the method's name in the proxy script: the first letter small
// (legacy-client-protocol 5.6).
func (m *method) scriptName() string {
	r := []rune(m.name)
	r[0] = unicode.ToLower(r[0])
	return string(r)
}

// The functions below make a method of a Go function by its parameters. What
// they make runs on the reader of a link and must not wait for anybody.

func call0(name string, f func(*call) (any, error)) *method {
	return &method{name: name, run: func(k *call, _ []json.RawMessage) (any, error) { return f(k) }}
}

func call1[A any](name string, f func(*call, A) (any, error)) *method {
	return &method{name: name, args: 1, run: func(k *call, args []json.RawMessage) (any, error) {
		var a A
		if err := bind(args[0], &a); err != nil {
			return nil, err
		}
		return f(k, a)
	}}
}

func call2[A, B any](name string, f func(*call, A, B) (any, error)) *method {
	return &method{name: name, args: 2, run: func(k *call, args []json.RawMessage) (any, error) {
		var a A
		var b B
		if err := bind(args[0], &a); err != nil {
			return nil, err
		}
		if err := bind(args[1], &b); err != nil {
			return nil, err
		}
		return f(k, a, b)
	}}
}

func call3[A, B, C any](name string, f func(*call, A, B, C) (any, error)) *method {
	return &method{name: name, args: 3, run: func(k *call, args []json.RawMessage) (any, error) {
		var a A
		rest := call2(name, func(k *call, b B, c C) (any, error) { return f(k, a, b, c) })
		if err := bind(args[0], &a); err != nil {
			return nil, err
		}
		return rest.run(k, args[1:])
	}}
}

// waiting says that a method may block.
func waiting(m *method) *method {
	m.waits = true
	return m
}

// bind reads an argument. .NET's reader is more lenient than Go's: it makes texts
// of numbers and numbers of texts.
func bind(raw json.RawMessage, to any) error {
	switch to := to.(type) {
	case *json.RawMessage:
		*to = raw
		return nil
	case **string:
		if string(raw) == "null" {
			*to = nil
			return nil
		}
		*to = new(string)
		return bind(raw, *to)
	case *string:
		if len(raw) > 0 && (raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9') {
			*to = string(raw)
			return nil
		}
	case *int:
		if string(raw) == "null" {
			return fmt.Errorf("null is no %T", *to)
		}
		var text string
		if json.Unmarshal(raw, &text) == nil {
			n, err := strconv.Atoi(text)
			*to = n
			return err
		}
	}
	return json.Unmarshal(raw, to)
}
