package aspnetlegacy

import (
	"encoding/binary"
	"errors"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// jsonKey is the protocol under which apps send, always (4).
const jsonKey = "json"

var errInner = errors.New("payload holds no inner frame")

// inbound takes messages of app servers apart: what they send to clients is a
// frame within the frame (4.1). It is done here, once a message, for all its
// receivers, as is the numbering.
func (a *Adapter) inbound(m serviceproto.Message, handle func(serviceproto.Message) error) error {
	var payload *relay.Payload
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		rest := m.Data
		for len(rest) > 0 {
			frame, text, more, err := unwrap(rest)
			if err != nil {
				return err
			}
			m.Data, rest = a.cursors.stamp(frame, text), more
			if err := handle(m); err != nil {
				return err
			}
		}
		return nil
	case *serviceproto.UserData:
		payload = &m.Payload
	case *serviceproto.MultiUserData:
		payload = &m.Payload
	case *serviceproto.BroadcastData:
		payload = &m.Payload
	case *serviceproto.GroupBroadcastData:
		payload = &m.Payload
	case *serviceproto.MultiGroupBroadcastData:
		payload = &m.Payload
	case *serviceproto.MultiConnectionData:
		payload = &m.Payload
	default:
		return handle(m)
	}
	rest := payload.For(jsonKey)
	if rest == nil {
		return errInner
	}
	for len(rest) > 0 {
		frame, text, more, err := unwrap(rest)
		if err != nil {
			return err
		}
		// A new one each time: the sessions keep it.
		*payload, rest = relay.Payload{{Protocol: jsonKey, Data: a.cursors.stamp(frame, text)}}, more
		if err := handle(m); err != nil {
			return err
		}
	}
	return nil
}

// innerRoom is how many bytes of an inner frame, at least, come before its
// text.
const innerRoom = 6

// unwrap returns the inner frame that p begins with, a ConnectionData without
// a connection id, and what follows it. The text begins at an offset in frame.
func unwrap(p []byte) (frame []byte, text int, rest []byte, err error) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > uint64(len(p)-size) {
		return nil, 0, nil, errInner
	}
	body, rest := p[size:size+int(n)], p[size+int(n):]
	// An array of three elements or more, the type, an empty string.
	if len(body) < 4 || body[0] < 0x93 || body[0] > 0x9f || body[1] != byte(serviceproto.TypeConnectionData) || body[2] != 0xa0 {
		return nil, 0, nil, errInner
	}
	length, head := 0, 0
	switch b := body[3:]; {
	case b[0] == 0xc4 && len(b) >= 2:
		length, head = int(b[1]), 2
	case b[0] == 0xc5 && len(b) >= 3:
		length, head = int(binary.BigEndian.Uint16(b[1:])), 3
	case b[0] == 0xc6 && len(b) >= 5:
		length, head = int(binary.BigEndian.Uint32(b[1:])), 5
	default:
		return nil, 0, nil, errInner
	}
	if length > len(body)-3-head {
		return nil, 0, nil, errInner
	}
	text = size + 3 + head
	return p[: text+length : text+length], text, rest, nil
}

// stamp gives the message at an offset in an inner frame the next cursor, in
// place of the "0" that every app sends (4.2). The cursor is six characters
// longer, as long as what stands before the text and is no longer needed: so
// nothing is copied. A hub response has no cursor and comes back as it is.
func (c *cursors) stamp(frame []byte, text int) []byte {
	const head = messageHead + start + messageMid
	m := frame[text:]
	if len(m) < len(head) || string(m[:len(head)]) != head {
		return m
	}
	m = frame[text-innerRoom:]
	copy(m, messageHead)
	putCursor(m[len(messageHead):], c.last.Add(1))
	return m
}
