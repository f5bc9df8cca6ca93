package appserver

import (
	"context"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// Names of headers that the SDK looks for (service-protocol 6.3). The server
// ids in the two of a migration are those of X-ASRS-Server-Id.
const (
	headerInstance    = "Asrs-Instance-Id"
	headerMigrateFrom = "Asrs-Migrate-From"
	headerMigrateTo   = "Asrs-Migrate-To"
)

// Open announces a client. There is no answer (service-protocol 6.7). Like Data
// it waits while the app server is far behind: the clients of a reconnect storm
// are no reason to lose the connection.
func (c *Conn) Open(client *relay.Client, o *relay.Opening) error {
	if err := c.conn.Wait(context.Background()); err != nil { // ends with the connection at the latest
		return relay.ErrClosed
	}
	headers := append(o.Headers[:len(o.Headers):len(o.Headers)], relay.Header{Name: headerInstance, Values: []string{c.o.InstanceID}})
	if o.MovedFrom != "" {
		headers = append(headers, relay.Header{Name: headerMigrateFrom, Values: []string{o.MovedFrom}})
	}
	return c.send(&serviceproto.OpenConnection{
		ConnectionID: client.ID, Claims: o.Claims, Headers: headers, Query: o.Query, Protocol: client.Protocol,
	})
}

// Data passes bytes of a client on. While the app server is far behind, it
// waits, and with it the client's socket and nobody else.
func (c *Conn) Data(ctx context.Context, client *relay.Client, p []byte, partial bool) error {
	if err := c.conn.Wait(ctx); err != nil {
		return relay.ErrClosed
	}
	var room [64]byte
	if partial {
		head := serviceproto.AppendPartialConnectionDataHead(room[:0], client.ID, len(p))
		return c.sent(c.conn.SendCopy(head, p, serviceproto.PartialConnectionDataTail))
	}
	head := serviceproto.AppendConnectionDataHead(room[:0], client.ID, len(p))
	return c.sent(c.conn.SendCopy(head, p, serviceproto.ConnectionDataTail))
}

// Close says that a client has gone, or has moved to another server.
func (c *Conn) Close(client *relay.Client, text, movedTo string) {
	m := &serviceproto.CloseConnection{ConnectionID: client.ID, Error: text}
	if movedTo != "" {
		m.Headers = []relay.Header{{Name: headerMigrateTo, Values: []string{movedTo}}}
	}
	c.send(m)
}

// Answer brings what a client returned, or why it did not, to the app server
// that asked.
func (c *Conn) Answer(m *relay.Answer) {
	if m.Error != "" {
		c.send(&serviceproto.ErrorCompletion{InvocationID: m.ID, ConnectionID: m.Connection, CallerServerID: m.Caller, Error: m.Error})
		return
	}
	c.send(&serviceproto.ClientCompletion{
		InvocationID: m.ID, ConnectionID: m.Connection, CallerServerID: m.Caller, Protocol: m.Protocol, Data: m.Data,
	})
}

// Expect makes the SDK route the completion of a client to the app server
// that asked. It needs the id only (service-protocol 10, 3).
func (c *Conn) Expect(m *relay.Invoke) {
	c.send(&serviceproto.ClientInvocation{InvocationID: m.ID, ConnectionID: m.Connection, CallerServerID: m.Caller, Payload: m.Payload})
}

// Mapped tells the asking app server which instance has the client.
func (c *Conn) Mapped(m *relay.Invoke) {
	c.send(&serviceproto.ServiceMapping{InvocationID: m.ID, ConnectionID: m.Connection, InstanceID: c.o.InstanceID})
}
