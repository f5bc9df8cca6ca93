package sampleapp

import (
	"context"
	"errors"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// hubError is an error whose text clients may see: .NET's HubException. All
// other errors of a hub reach a client without their text.
type hubError string

// Error is the text.
func (e hubError) Error() string { return string(e) }

// hubText is what an error adds to a text for a client.
func hubText(err error) string {
	var e hubError
	if errors.As(err, &e) {
		return " HubException: " + string(e)
	}
	return ""
}

// call is one running call of a hub method.
type call struct {
	c       *client
	ctx     context.Context // ends with the client, and with the cancel of a stream
	id      string          // "": no answer is wanted
	target  string          // as the client spelled it
	uploads []*upload       // in the order of the stream parameters
}

// emit sends an item of a result stream. It fails when nobody wants it.
func (k *call) emit(v any) error {
	if err := k.ctx.Err(); err != nil {
		return err
	}
	item, err := k.c.protocol().AppendValue(nil, v)
	if err == nil {
		k.c.write(&hubproto.Message{Type: hubproto.StreamItem, ID: k.id, Item: item})
	}
	return err
}

// method is a hub method. Bind reads the arguments, so that what it returns
// needs nothing of the message any more.
type method struct {
	args      int
	uploads   int
	streaming bool // items go out by call.emit
	waits     bool // may block, and so needs a goroutine
	bind      func(k *call, args []hubproto.Raw) (run func() (any, error), err error)
}

// The functions below make a method of a Go function by its parameters. What
// they make runs on the reader of a link and must not wait for anybody.

func call0(f func(*call) (any, error)) *method {
	return &method{bind: func(k *call, _ []hubproto.Raw) (func() (any, error), error) {
		return func() (any, error) { return f(k) }, nil
	}}
}

func call1[A any](f func(*call, A) (any, error)) *method {
	return &method{args: 1, bind: func(k *call, args []hubproto.Raw) (func() (any, error), error) {
		var a A
		err := k.c.protocol().Bind(args[0], &a)
		return func() (any, error) { return f(k, a) }, err
	}}
}

func call2[A, B any](f func(*call, A, B) (any, error)) *method {
	return &method{args: 2, bind: func(k *call, args []hubproto.Raw) (func() (any, error), error) {
		var a A
		var b B
		p := k.c.protocol()
		err := errors.Join(p.Bind(args[0], &a), p.Bind(args[1], &b))
		return func() (any, error) { return f(k, a, b) }, err
	}}
}

func call3[A, B, C any](f func(*call, A, B, C) (any, error)) *method {
	return &method{args: 3, bind: func(k *call, args []hubproto.Raw) (func() (any, error), error) {
		var a A
		var b B
		var c C
		p := k.c.protocol()
		err := errors.Join(p.Bind(args[0], &a), p.Bind(args[1], &b), p.Bind(args[2], &c))
		return func() (any, error) { return f(k, a, b, c) }, err
	}}
}

// waiting says that a method may block.
func waiting(m *method) *method {
	m.waits = true
	return m
}

// streaming says that a method's answer is a stream.
func streaming(m *method) *method {
	m.streaming = true
	return m
}

// uploading says how many streams a method takes.
func uploading(n int, m *method) *method {
	m.uploads, m.waits = n, true
	return m
}

// dotnetError is an error in the words of .NET, which callers compare.
type dotnetError string

func (e dotnetError) Error() string { return string(e) }
