package suite

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// A clientPack puts the hub messages of one connection, which scenarios write
// as JSON, into MessagePack and back (core-client-protocol 5.3).
type clientPack struct {
	in hubproto.Framer // its zero value reads the handshake, which is JSON
}

// receive takes bytes of the client's and returns the messages that they end. What
// is no MessagePack is returned as a line that says so.
func (p *clientPack) receive(chunk []byte) (all []string) {
	p.in.Max = clientMessageMax
	err := p.in.Feed(chunk, func(body []byte) error {
		if p.in.Protocol == nil {
			p.in.Protocol = hubproto.MessagePack
			all = append(all, string(body))
			return nil
		}
		m, err := unpacked(body)
		if err != nil {
			m = fmt.Sprintf("what is no message in MessagePack: %s: %v", hex.EncodeToString(body), err)
		}
		all = append(all, m)
		return nil
	})
	if err != nil {
		all = append(all, fmt.Sprintf("what is no message in MessagePack: %s: %v", hex.EncodeToString(chunk), err))
	}
	return all
}

// unpacked is the JSON of a message.
func unpacked(body []byte) (string, error) {
	var m hubproto.Message
	if err := hubproto.MessagePack.Parse(body, &m); err != nil {
		return "", err
	}
	if m.Unbound != nil {
		return "", m.Unbound
	}
	err := recode(&m, func(r hubproto.Raw) (hubproto.Raw, error) {
		var v any
		if err := hubproto.MessagePack.Bind(r, &v); err != nil {
			return nil, err
		}
		return json.Marshal(v)
	})
	return strings.TrimSuffix(string(hubproto.JSON.Append(nil, &m)), "\x1e"), err
}

// packed is a message in MessagePack. The handshake answer, which has no type,
// stays as it is.
func packed(text string) ([]byte, error) {
	v, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	if member(v, "type") == nil {
		return []byte(text + "\x1e"), nil
	}
	var m hubproto.Message
	if err := hubproto.JSON.Parse([]byte(text), &m); err != nil {
		return nil, err
	}
	err = recode(&m, func(r hubproto.Raw) (hubproto.Raw, error) {
		v, err := parseJSON(string(r))
		if err != nil {
			return nil, err
		}
		if v, err = withIntegers(v); err != nil {
			return nil, err
		}
		return hubproto.MessagePack.AppendValue(nil, v)
	})
	return hubproto.MessagePack.Append(nil, &m), err
}

// recode puts every value of a message into another encoding.
func recode(m *hubproto.Message, value func(hubproto.Raw) (hubproto.Raw, error)) error {
	var failed error
	change := func(r *hubproto.Raw) {
		if *r == nil {
			return
		}
		x, err := value(*r)
		if err != nil {
			failed = err
		}
		*r = x
	}
	for i := range m.Arguments {
		change(&m.Arguments[i])
	}
	change(&m.Item)
	change(&m.Result)
	return failed
}

// withIntegers makes the numbers of a JSON value integers: a client with types
// does not read 41.0 as one.
func withIntegers(v any) (any, error) {
	switch x := v.(type) {
	case json.Number:
		return x.Int64()
	case []any:
		for i := range x {
			var err error
			if x[i], err = withIntegers(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		return nil, errors.New("scenarios have no objects in MessagePack")
	}
	return v, nil
}
