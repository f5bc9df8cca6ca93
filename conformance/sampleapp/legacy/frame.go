package legacy

import (
	"bytes"
	"encoding/json"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// framed wraps a text for clients into the frame of its own that every payload
// of an app is (4.1).
func framed(text []byte) []byte {
	return serviceproto.Append(nil, &serviceproto.ConnectionData{Data: text})
}

// member is one member of a JSON object whose order counts.
type member struct {
	name  string
	value json.RawMessage
}

// appendJSON appends a value as .NET writes it: without escapes for HTML.
func appendJSON(b []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return b, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// appendText appends a text, which has no way to fail.
func appendText(b []byte, s string) []byte {
	b, err := appendJSON(b, s)
	if err != nil {
		panic(err)
	}
	return b
}

// appendObject appends members whose values are valid JSON.
func appendObject(b []byte, members []member) []byte {
	b = append(b, '{')
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, m.name), ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}

// message is the frame of the message bus that holds one item. Its cursor means
// nothing: the service has its own (4.2).
func message(item []byte) []byte {
	b := make([]byte, 0, len(item)+16)
	b = append(b, `{"C":"0","M":[`...)
	b = append(b, item...)
	return append(b, "]}"...)
}

// invocation is a call of a client's method by a hub, with the state that has
// changed, if any (4.2).
func invocation(hub, method string, args []any, state []member) ([]byte, error) {
	if args == nil {
		args = []any{}
	}
	b := append(make([]byte, 0, 64), `{"H":`...)
	b = append(appendText(b, hub), `,"M":`...)
	b = append(appendText(b, method), `,"A":`...)
	b, err := appendJSON(b, args)
	if err != nil {
		return nil, err
	}
	if len(state) > 0 {
		b = appendObject(append(b, `,"S":`...), state)
	}
	return append(b, '}'), nil
}

// progress is a report of a running call (legacy-client-protocol 5.3). The id of
// the envelope is one that old clients do not know.
func progress(id string, data []byte) []byte {
	b := append(make([]byte, 0, 64), `{"I":`...)
	b = append(appendText(b, "P|"+id), `,"P":{"I":`...)
	b = append(appendText(b, id), `,"D":`...)
	b = append(b, data...)
	return append(b, "}}"...)
}

// completion is the end of a call.
type completion struct {
	state  []member
	result []byte // nil and null are left out
	id     []byte // as JSON: a string or null
	failed bool
	shown  bool   // the error is a HubException
	text   string // of the error
	data   []byte // of a HubException; may be nil
}

// append writes the members in the order S, R, I, H, E, D (4.2).
func (c *completion) append(b []byte) []byte {
	b = append(b, '{')
	if len(c.state) > 0 {
		b = append(appendObject(append(b, `"S":`...), c.state), ',')
	}
	if !c.failed && c.result != nil && string(c.result) != "null" {
		b = append(append(append(b, `"R":`...), c.result...), ',')
	}
	b = append(append(b, `"I":`...), c.id...)
	if c.failed && c.shown {
		b = append(b, `,"H":true`...)
	}
	if c.failed {
		b = appendText(append(b, `,"E":`...), c.text)
	}
	if c.failed && c.data != nil {
		b = append(append(b, `,"D":`...), c.data...)
	}
	return append(b, '}')
}
