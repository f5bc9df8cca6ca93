package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// Hub messages of the JSON protocol, each ended by the record separator (core-client-protocol 5.2).
const (
	recordSeparator  = 0x1e
	handshakeRequest = "{\"protocol\":\"json\",\"version\":1}\x1e"
	handshakeAnswer  = "{}"
)

// What a hub message is, by the digit of its type (core-client-protocol 5.1).
const (
	invocation = '1'
	completion = '3'
	hubClose   = '7'
)

// closeError is the hub's Close (core-client-protocol 7.1): it ends the connection.
type closeError struct {
	AllowReconnect bool   `json:"allowReconnect"`
	text           string // of the message, its beginning
}

func newCloseError(m []byte) *closeError {
	e := &closeError{text: string(m[:min(len(m), 200)])}
	_ = json.Unmarshal(m, e) // a Close that cannot be read does not allow anything
	return e
}

func (e *closeError) Error() string { return e.text }

// client is one WebSocket client of a fleet. Its fields belong to the goroutine that reads it.
type client struct {
	conn      *ws.Conn
	rest      []byte // of a hub message that came in parts
	sent      time.Time
	latencies []time.Duration
}

// handshake asks for the JSON protocol and waits for the answer; what came behind it is kept in rest.
func (c *client) handshake() error {
	if err := c.conn.Write(ws.Text, []byte(handshakeRequest)); err != nil {
		return err
	}
	c.conn.SetReadDeadline(time.Now().Add(stepTimeout))
	defer c.conn.SetReadDeadline(time.Time{})
	for {
		_, p, err := c.conn.Read()
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		c.rest = append(c.rest, p...)
		answer, rest, ok := bytes.Cut(c.rest, []byte{recordSeparator})
		if !ok {
			continue
		}
		if string(answer) != handshakeAnswer {
			return fmt.Errorf("handshake: server answered %q", answer)
		}
		if c.rest = rest; len(rest) == 0 {
			c.rest = nil
		}
		return nil
	}
}

// read calls on for every hub message until the connection ends.
func (c *client) read(on func(kind byte) error) error {
	if err := c.feed(nil, on); err != nil {
		return err
	}
	for {
		_, p, err := c.conn.Read()
		if err != nil {
			return err
		}
		if err := c.feed(p, on); err != nil {
			return err
		}
	}
}

// feed is split behind what came of a message before.
func (c *client) feed(p []byte, on func(kind byte) error) error {
	if len(c.rest) > 0 {
		p, c.rest = append(c.rest, p...), nil
	}
	return c.split(p, on)
}

// split looks at no more of a message than its type, which every server writes first.
func (c *client) split(p []byte, on func(kind byte) error) error {
	const head = `{"type":`
	for len(p) > 0 {
		i := bytes.IndexByte(p, recordSeparator)
		if i < 0 {
			c.rest = append(c.rest, p...)
			return nil
		}
		m := p[:i]
		p = p[i+1:]
		if len(m) < len(head)+2 || string(m[:len(head)]) != head {
			return fmt.Errorf("message does not start with its type: %.60q", m)
		}
		kind := m[len(head)]
		if kind == hubClose {
			return newCloseError(m)
		}
		if kind == completion && bytes.HasPrefix(m, []byte(`{"type":3,"invocationId":"1","error":`)) {
			return errors.New(string(m[:min(len(m), 200)]))
		}
		if err := on(kind); err != nil {
			return err
		}
	}
	return nil
}
