package hubproto

import (
	"bytes"
	"fmt"
	"strconv"
)

type jsonProtocol struct{}

func (jsonProtocol) Name() string { return "json" }
func (jsonProtocol) Binary() bool { return false }

func (jsonProtocol) Next(b []byte) (body []byte, size, need int, err error) {
	i := bytes.IndexByte(b, Separator)
	if i < 0 {
		return nil, 0, 0, nil
	}
	return b[:i], i + 1, 0, nil
}

// seen are the members that an object had, as a set of bits.
type seen uint16

const (
	sawType seen = 1 << iota
	sawID
	sawTarget
	sawArguments
	sawItem
	sawResult
	sawError
	sawSequence
)

// required are the members that a type must have (core-client-protocol 5.2).
var required = [...]seen{
	Invocation: sawTarget | sawArguments, StreamInvocation: sawTarget | sawArguments,
	StreamItem: sawID | sawItem, Completion: sawID, CancelInvocation: sawID,
	Ping: 0, Close: 0, Ack: sawSequence, Sequence: sawSequence,
}

func (jsonProtocol) Parse(body []byte, m *Message) error {
	m.Reset()
	var saw seen
	var kind int64
	// The type may come last (the JavaScript client writes it there), so
	// members are read for what their name says and checked when all are known.
	err := eachMember(body, func(s *scanner, name []byte) (err error) {
		switch string(name) {
		case "type":
			saw |= sawType
			kind, err = s.integer()
		case "headers":
			m.Headers = m.Headers[:0]
			err = s.members(func(name []byte) error {
				value, err := s.text()
				m.Headers = append(m.Headers, Header{string(name), value})
				return err
			})
		case "invocationId":
			saw |= sawID
			m.ID, err = s.text()
		case "target":
			saw |= sawTarget
			m.Target, err = s.text()
		case "arguments":
			saw |= sawArguments
			m.Arguments = m.Arguments[:0]
			err = s.elements(func() error {
				r, err := s.raw()
				m.Arguments = append(m.Arguments, r)
				return err
			})
		case "streamIds":
			m.StreamIDs = m.StreamIDs[:0]
			err = s.elements(func() error {
				id, err := s.text()
				m.StreamIDs = append(m.StreamIDs, id)
				return err
			})
		case "item":
			saw |= sawItem
			m.Item, err = s.raw()
		case "result":
			saw |= sawResult
			m.Result, err = s.raw()
		case "error":
			saw |= sawError
			m.Failed = true
			m.Error, err = s.text()
		case "allowReconnect":
			c := s.peek()
			m.AllowReconnect = c == 't'
			if err = s.skip(1); err == nil && c != 't' && c != 'f' {
				err = s.fail("no boolean")
			}
		case "sequenceId":
			saw |= sawSequence
			m.SequenceID, err = s.integer()
		default:
			err = s.skip(1)
		}
		return err
	})
	if err != nil {
		return err
	}
	if saw&sawType == 0 {
		return fmt.Errorf("%w: no type", ErrSyntax)
	}
	m.Type = Type(kind)
	if kind < 1 || int(kind) >= len(required) {
		m.Reset()
		m.Type = Type(kind)
		return nil
	}
	if lacks := required[kind] &^ saw; lacks != 0 {
		return fmt.Errorf("%w: type %d lacks a member", ErrSyntax, kind)
	}
	if m.Type == Completion && saw&sawError != 0 && saw&sawResult != 0 {
		return fmt.Errorf("%w: both error and result", ErrSyntax)
	}
	m.trim()
	return nil
}

// trim empties what a message of its type does not have.
func (m *Message) trim() {
	all := *m
	m.Reset()
	m.Type = all.Type
	if m.Type.Tracked() {
		m.Headers, m.ID = all.Headers, all.ID
	}
	switch m.Type {
	case Invocation, StreamInvocation:
		m.Target, m.Arguments, m.StreamIDs = all.Target, all.Arguments, all.StreamIDs
	case StreamItem:
		m.Item = all.Item
	case Completion:
		m.Result, m.Error, m.Failed = all.Result, all.Error, all.Failed
	case Close:
		m.Error, m.Failed, m.AllowReconnect = all.Error, all.Failed, all.AllowReconnect
	case Ack, Sequence:
		m.SequenceID = all.SequenceID
	}
}

func (jsonProtocol) Append(dst []byte, m *Message) []byte {
	dst = strconv.AppendInt(append(dst, `{"type":`...), int64(m.Type), 10)
	if m.Type.Tracked() {
		if len(m.Headers) > 0 {
			dst = append(dst, `,"headers":{`...)
			for i, h := range m.Headers {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendText(append(appendText(dst, h.Name), ':'), h.Value)
			}
			dst = append(dst, '}')
		}
		if m.ID != "" || required[m.Type]&sawID != 0 {
			dst = appendText(append(dst, `,"invocationId":`...), m.ID)
		}
	}
	switch m.Type {
	case Invocation, StreamInvocation:
		dst = appendText(append(dst, `,"target":`...), m.Target)
		dst = append(dst, `,"arguments":[`...)
		for i, a := range m.Arguments {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, a...)
		}
		dst = append(dst, ']')
		if len(m.StreamIDs) > 0 {
			dst = append(dst, `,"streamIds":[`...)
			for i, id := range m.StreamIDs {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendText(dst, id)
			}
			dst = append(dst, ']')
		}
	case StreamItem:
		dst = append(append(dst, `,"item":`...), m.Item...)
	case Completion:
		if m.Failed {
			dst = appendText(append(dst, `,"error":`...), m.Error)
		} else if m.Result != nil {
			dst = append(append(dst, `,"result":`...), m.Result...)
		}
	case Close:
		if m.Failed {
			dst = appendText(append(dst, `,"error":`...), m.Error)
		}
		if m.AllowReconnect {
			dst = append(dst, `,"allowReconnect":true`...)
		}
	case Ack, Sequence:
		dst = strconv.AppendInt(append(dst, `,"sequenceId":`...), m.SequenceID, 10)
	}
	return append(dst, '}', Separator)
}
