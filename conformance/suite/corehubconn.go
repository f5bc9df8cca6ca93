package suite

import (
	"bytes"
	"context"
	"fmt"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A hubConn is a client of the test hub by WebSocket.
type hubConn struct {
	name   string
	id     string
	ws     *ws.Conn
	proto  hubproto.Protocol
	framer hubproto.Framer
	came   []*hubproto.Message
}

// dialHub connects a client until ctx ends.
func dialHub(ctx context.Context, t *T, p hubproto.Protocol) *hubConn {
	at := negotiateCore(ctx, t).offering(t, "WebSockets")
	socket, err := ws.Dial(ctx, at.url(), at.header())
	if err != nil {
		t.Failf("no WebSocket: %v", err)
	}
	context.AfterFunc(ctx, func() { socket.NetConn().Close() })
	c := &hubConn{name: p.Name(), id: at.ConnectionID, ws: socket, proto: p}
	shake := hubproto.AppendHandshakeRequest(nil, hubproto.HandshakeRequest{Protocol: p.Name(), Version: 1})
	if err := socket.Write(ws.Text, shake); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	return c
}

func (c *hubConn) say(t *T, m *hubproto.Message) {
	op := byte(ws.Text)
	if c.proto.Binary() {
		op = ws.Binary
	}
	b := c.proto.Append(nil, m)
	t.Said("client", c.name, "%q", b)
	if err := c.ws.Write(op, b); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
}

// next waits for a message of a type, and of a target where one is given; others
// are passed over.
func (c *hubConn) next(t *T, kind hubproto.Type, target string) *hubproto.Message {
	for {
		for len(c.came) > 0 {
			m := c.came[0]
			c.came = c.came[1:]
			if m.Type == kind && (target == "" || m.Target == target) {
				return m
			}
		}
		_, b, err := c.ws.Read()
		if err != nil {
			t.Failf("no message of type %d: %v", kind, err)
		}
		t.Said("server", c.name, "%q", b)
		if err := c.framer.Feed(bytes.Clone(b), c.take); err != nil {
			t.Failf("what came is no hub message: %v", err)
		}
	}
}

// take keeps a message, after the answer to the handshake.
func (c *hubConn) take(body []byte) error {
	if c.framer.Protocol == nil {
		c.framer.Protocol = c.proto
		if text, refused, err := hubproto.ParseHandshakeResponse(body); refused || err != nil {
			return fmt.Errorf("handshake refused: %s %w", text, err)
		}
		return nil
	}
	m := &hubproto.Message{}
	c.came = append(c.came, m)
	return c.proto.Parse(bytes.Clone(body), m)
}

// askPackedClient answers the question of a hub. Its id is as long as the server
// likes, which the bytes of a transcript cannot say.
func askPackedClient(ctx context.Context, t *T) {
	if name := missing(ctx, t.Endpoint, []string{"Ask"}); name != "" {
		t.Skip("the test hub has no method " + name)
	}
	asked := dialHub(ctx, t, hubproto.MessagePack)
	caller := dialHub(ctx, t, hubproto.JSON)
	question, err := hubproto.Values(hubproto.JSON, asked.id, "why?")
	if err != nil {
		t.Broken(err)
	}
	caller.say(t, hubproto.Call("1", "Ask", question...))
	m := asked.next(t, hubproto.Invocation, "question")
	if m.ID == "" {
		t.Fail("question with an id", "one without")
	}
	answer, err := hubproto.Values(hubproto.MessagePack, "because")
	if err != nil {
		t.Broken(err)
	}
	asked.say(t, &hubproto.Message{Type: hubproto.Completion, ID: m.ID, Result: answer[0]})
	Equal(t, "result", `"because"`, string(caller.next(t, hubproto.Completion, "").Result))
}
