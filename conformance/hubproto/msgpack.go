package hubproto

import (
	"errors"
	"fmt"
	"math"

	"github.com/tinylib/msgp/msgp"
)

type packProtocol struct{}

func (packProtocol) Name() string { return "messagepack" }
func (packProtocol) Binary() bool { return true }

// Next reads the length prefix: base 128, least significant group first, at
// most five bytes and 2 GiB (core-client-protocol 5.3).
func (packProtocol) Next(b []byte) (body []byte, size, need int, err error) {
	var n uint64
	for i := 0; i < len(b); i++ {
		n |= uint64(b[i]&0x7f) << (7 * i)
		if i == 4 && b[i] > 7 {
			return nil, 0, 0, ErrLength
		}
		if b[i] < 0x80 {
			head := i + 1
			if uint64(len(b)-head) < n {
				return nil, 0, head + int(n), nil
			}
			size = head + int(n)
			return b[head:size:size], size, 0, nil
		}
	}
	return nil, 0, len(b) + 1, nil
}

func packError(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrSyntax, what, err)
}

var errShort = errors.New("element is missing")

// elements reads the elements of one message's array.
type elements struct {
	b    []byte
	left uint32
}

func (e *elements) next() error {
	if e.left == 0 {
		return errShort
	}
	e.left--
	return nil
}

func (e *elements) text(what string) (s string, null bool, err error) {
	if err = e.next(); err == nil {
		if msgp.IsNil(e.b) {
			e.b = e.b[1:]
			return "", true, nil
		}
		s, e.b, err = msgp.ReadStringBytes(e.b)
	}
	if err != nil {
		err = packError(what, err)
	}
	return s, false, err
}

// name reads text that must not be nil or empty.
func (e *elements) name(what string) (string, error) {
	s, _, err := e.text(what)
	if err == nil && s == "" {
		err = packError(what, errors.New("nil or empty"))
	}
	return s, err
}

func (e *elements) number(what string) (n int64, err error) {
	if err = e.next(); err == nil {
		n, e.b, err = msgp.ReadInt64Bytes(e.b)
	}
	if err != nil {
		err = packError(what, err)
	}
	return n, err
}

func (e *elements) raw(what string) (Raw, error) {
	if err := e.next(); err != nil {
		return nil, packError(what, err)
	}
	return e.value(what)
}

// value takes the next value, which need not be an element.
func (e *elements) value(what string) (Raw, error) {
	rest, err := msgp.Skip(e.b)
	if err != nil {
		return nil, packError(what, err)
	}
	n := len(e.b) - len(rest)
	r := Raw(e.b[:n:n])
	e.b = rest
	return r, nil
}

func (packProtocol) Parse(body []byte, m *Message) error {
	m.Reset()
	left, b, err := msgp.ReadArrayHeaderBytes(body)
	if err != nil {
		return packError("message", err)
	}
	e := &elements{b, left}
	kind, err := e.number("type")
	if err != nil {
		return err
	}
	if m.Type = Type(kind); m.Type.Tracked() {
		if err := e.headers(m); err != nil {
			return err
		}
	}
	switch m.Type {
	case Invocation, StreamInvocation:
		return e.call(m)
	case StreamItem:
		if m.ID, err = e.name("stream id"); err == nil {
			m.Item, err = e.raw("item")
		}
	case Completion:
		return e.completion(m)
	case CancelInvocation:
		m.ID, err = e.name("invocation id")
	case Close:
		var null bool
		m.Error, null, err = e.text("error")
		m.Failed = !null && err == nil
		if err == nil && e.left > 0 {
			if m.AllowReconnect, e.b, err = msgp.ReadBoolBytes(e.b); err != nil {
				err = packError("allowReconnect", err)
			}
		}
	case Ack, Sequence:
		m.SequenceID, err = e.number("sequence id")
	}
	return err
}

func (e *elements) headers(m *Message) error {
	if err := e.next(); err != nil {
		return packError("headers", err)
	}
	n, b, err := msgp.ReadMapHeaderBytes(e.b)
	if err != nil {
		return packError("headers", err)
	}
	entries := &elements{b, math.MaxUint32}
	for ; n > 0; n-- {
		name, err := entries.name("header name")
		if err != nil {
			return err
		}
		value, err := entries.name("header value")
		if err != nil {
			return err
		}
		m.Headers = append(m.Headers, Header{name, value})
	}
	e.b = entries.b
	return nil
}

// call reads what follows the headers of types 1 and 4. JavaScript leaves the
// stream ids out when there are none.
func (e *elements) call(m *Message) (err error) {
	if m.ID, _, err = e.text("invocation id"); err != nil {
		return err
	}
	if m.ID == "" && m.Type == StreamInvocation {
		return packError("invocation id", errors.New("nil or empty"))
	}
	if m.Target, err = e.name("target"); err != nil {
		return err
	}
	if m.Unbound = e.arguments(m); m.Unbound != nil || e.left == 0 {
		return nil
	}
	e.left--
	n, b, err := msgp.ReadArrayHeaderBytes(e.b)
	if err != nil {
		return packError("stream ids", err)
	}
	ids := &elements{b, n}
	for ids.left > 0 {
		id, err := ids.name("stream id")
		if err != nil {
			return err
		}
		m.StreamIDs = append(m.StreamIDs, id)
	}
	return nil
}

func (e *elements) arguments(m *Message) error {
	if err := e.next(); err != nil {
		return packError("arguments", err)
	}
	n, b, err := msgp.ReadArrayHeaderBytes(e.b)
	if err != nil {
		return packError("arguments", err)
	}
	e.b = b
	for ; n > 0; n-- {
		r, err := e.value("argument")
		if err != nil {
			return err
		}
		m.Arguments = append(m.Arguments, r)
	}
	return nil
}

// The kinds of a Completion.
const (
	completedError  = 1 // error text follows
	completedVoid   = 2 // nothing follows
	completedResult = 3 // a value follows
)

func (e *elements) completion(m *Message) (err error) {
	if m.ID, err = e.name("invocation id"); err != nil {
		return err
	}
	kind, err := e.number("result kind")
	if err != nil {
		return err
	}
	switch kind {
	case completedError:
		m.Failed = true
		m.Error, _, err = e.text("error")
	case completedVoid:
	case completedResult:
		m.Result, err = e.raw("result")
	default:
		err = packError("result kind", fmt.Errorf("%d is none", kind))
	}
	return err
}

func (packProtocol) Append(dst []byte, m *Message) []byte {
	// The length prefix is written when the length is known. Most messages need
	// one byte for it, so one is left free and larger ones move.
	from := len(dst)
	dst = appendPack(append(dst, 0), m)
	n := len(dst) - from - 1
	if n < 0x80 {
		dst[from] = byte(n)
		return dst
	}
	var prefix [5]byte
	k := 0
	for v := n; ; k++ {
		prefix[k] = byte(v & 0x7f)
		if v >>= 7; v == 0 {
			break
		}
		prefix[k] |= 0x80
	}
	dst = append(dst, prefix[:k]...)
	copy(dst[from+k+1:], dst[from+1:from+1+n])
	copy(dst[from:], prefix[:k+1])
	return dst
}

func appendPack(dst []byte, m *Message) []byte {
	sizes := [...]uint32{Invocation: 6, StreamItem: 4, Completion: 5, StreamInvocation: 6, CancelInvocation: 3, Ping: 1, Close: 3, Ack: 2, Sequence: 2}
	size := uint32(1)
	if m.Type > 0 && int(m.Type) < len(sizes) {
		size = sizes[m.Type]
	}
	if m.Type == Completion && !m.Failed && m.Result == nil {
		size = 4
	}
	dst = msgp.AppendArrayHeader(dst, size)
	dst = msgp.AppendInt(dst, int(m.Type))
	if m.Type.Tracked() {
		dst = msgp.AppendMapHeader(dst, uint32(len(m.Headers)))
		for _, h := range m.Headers {
			dst = msgp.AppendString(msgp.AppendString(dst, h.Name), h.Value)
		}
		if m.ID == "" {
			dst = msgp.AppendNil(dst)
		} else {
			dst = msgp.AppendString(dst, m.ID)
		}
	}
	switch m.Type {
	case Invocation, StreamInvocation:
		dst = msgp.AppendString(dst, m.Target)
		dst = msgp.AppendArrayHeader(dst, uint32(len(m.Arguments)))
		for _, a := range m.Arguments {
			dst = append(dst, a...)
		}
		dst = msgp.AppendArrayHeader(dst, uint32(len(m.StreamIDs)))
		for _, id := range m.StreamIDs {
			dst = msgp.AppendString(dst, id)
		}
	case StreamItem:
		dst = append(dst, m.Item...)
	case Completion:
		switch {
		case m.Failed:
			dst = msgp.AppendString(msgp.AppendInt(dst, completedError), m.Error)
		case m.Result == nil:
			dst = msgp.AppendInt(dst, completedVoid)
		default:
			dst = append(msgp.AppendInt(dst, completedResult), m.Result...)
		}
	case Close:
		if m.Failed {
			dst = msgp.AppendString(dst, m.Error)
		} else {
			dst = msgp.AppendNil(dst)
		}
		dst = msgp.AppendBool(dst, m.AllowReconnect)
	case Ack, Sequence:
		dst = appendNumber(dst, m.SequenceID)
	}
	return dst
}

// appendNumber writes the smallest form, unsigned where there is a choice.
func appendNumber(dst []byte, n int64) []byte {
	if n >= 0 {
		return msgp.AppendUint64(dst, uint64(n))
	}
	return msgp.AppendInt64(dst, n)
}
