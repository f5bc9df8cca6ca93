package suite

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A hubConn is a client of the test hub by WebSocket.
type hubConn struct {
	hubReader
	name  string
	id    string
	ws    *ws.Conn
	calls int // how many were made
}

// dialHub connects a client until ctx ends.
func dialHub(ctx context.Context, t *T, p hubproto.Protocol) *hubConn {
	at := negotiateCore(ctx, t).offering(t, "WebSockets")
	c := &hubConn{hubReader: hubReader{proto: p}, name: p.Name(), id: at.ConnectionID, ws: at.open(ctx, t)}
	if err := c.ws.Write(ws.Text, handshake(p, 1)); err != nil {
		t.Failf("the endpoint ended a connection: %v", err)
	}
	return c
}

// open opens the connection as a WebSocket until ctx ends.
func (p *corePlace) open(ctx context.Context, t *T) *ws.Conn {
	socket, err := p.dial(ctx, t)
	if err != nil {
		t.Failf("no WebSocket: %v", err)
	}
	context.AfterFunc(ctx, func() { socket.NetConn().Close() })
	return socket
}

// handshake is what a client says first.
func handshake(p hubproto.Protocol, version int) []byte {
	return hubproto.AppendHandshakeRequest(nil, hubproto.HandshakeRequest{Protocol: p.Name(), Version: version})
}

// call calls a method, with an id of its own, and waits for the answer.
func (c *hubConn) call(t *T, method string, arguments ...any) *hubproto.Message {
	c.calls++
	m := hubproto.Call(fmt.Sprint(method, c.calls), method, rawOf(t, c.proto, arguments...)...)
	c.say(t, m)
	for {
		if answer := c.next(t, hubproto.Completion, ""); answer.ID == m.ID {
			return answer
		}
	}
}

// drop ends the TCP connection.
func (c *hubConn) drop(t *T) {
	t.Said("client", c.name, "drop")
	c.ws.NetConn().Close()
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
		c.read(t, b)
	}
}

// rawOf are values as a hub protocol has them.
func rawOf(t *T, p hubproto.Protocol, v ...any) []hubproto.Raw {
	all, err := hubproto.Values(p, v...)
	if err != nil {
		t.Broken(err)
	}
	return all
}

// A hubReader reads what a hub says to one client.
type hubReader struct {
	proto  hubproto.Protocol
	framer hubproto.Framer
	came   []*hubproto.Message // that nobody has looked at
	counts int64               // how many came that a client with stateful reconnect counts
}

// read takes the next bytes, whatever carried them. It skips the case where the hub
// refuses messagepack.
func (r *hubReader) read(t *T, b []byte) {
	err := r.framer.Feed(b, func(body []byte) error {
		if r.framer.Protocol == nil {
			r.framer.Protocol = r.proto
			text, refused, err := hubproto.ParseHandshakeResponse(body)
			switch {
			case refused && r.proto == hubproto.MessagePack:
				t.Skip(noPacked)
			case refused || err != nil:
				return fmt.Errorf("handshake refused: %s %w", text, err)
			}
			return nil
		}
		m := &hubproto.Message{}
		r.came = append(r.came, m)
		err := r.proto.Parse(bytes.Clone(body), m)
		if m.Type.Tracked() {
			r.counts++
		}
		return err
	})
	if err != nil {
		t.Failf("what came is no hub message: %v", err)
	}
}

// hasAnswer says whether the answer to a call has come.
func (r *hubReader) hasAnswer(id string) bool {
	return slices.ContainsFunc(r.came, func(m *hubproto.Message) bool { return m.Type == hubproto.Completion && m.ID == id })
}

// askPackedClient answers the question of a hub. Its id is as long as the server
// likes, which the bytes of a transcript cannot say.
func askPackedClient(ctx context.Context, t *T) {
	skipWithout(ctx, t, "Ask")
	asked := dialHub(ctx, t, hubproto.MessagePack)
	caller := dialHub(ctx, t, hubproto.JSON)
	caller.say(t, hubproto.Call("1", "Ask", rawOf(t, hubproto.JSON, asked.id, "why?")...))
	m := asked.next(t, hubproto.Invocation, "question")
	if m.ID == "" {
		t.Fail("question with an id", "one without")
	}
	asked.say(t, &hubproto.Message{Type: hubproto.Completion, ID: m.ID, Result: rawOf(t, hubproto.MessagePack, "because")[0]})
	Equal(t, "result", `"because"`, string(caller.next(t, hubproto.Completion, "").Result))
}
