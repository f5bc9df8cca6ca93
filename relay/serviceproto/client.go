package serviceproto

import (
	"fmt"

	"github.com/signalrelay/signalrelay/relay"
)

// Data types of [ConnectionData] (service-protocol 7.5): a hint of newer SDKs
// about the one hub message in the frame. Zero is none given.
const (
	DataHandshake  = 1 // the hub's handshake response
	DataInvocation = 2 // invocation, stream item, completion, stream invocation, cancel
	DataOther      = 3 // ping, ack, sequence
	DataClose      = 4 // close
)

// Members of [ConnectionFlowControl]. The written upstream specification counts
// connection types from 0; the code, which we follow, counts from 1
// (service-protocol 4.4, 39).
const (
	FlowClient = 1 // ConnectionType: one client
	FlowServer = 2 // ConnectionType: the server connection itself

	FlowPause    = 1 // Operation: hold the client's output
	FlowPauseAck = 2 // Operation: everything before this was sent
	FlowResume   = 3 // Operation: output may go on, on this connection
	FlowOffline  = 4 // Operation: prefer other server connections
)

// OpenConnection tells the app server about a new client (service-protocol 6).
// Header names must differ in more than case: the SDK loses the frame otherwise.
type OpenConnection struct {
	ConnectionID string
	Claims       []relay.Claim // in order, types may repeat
	Headers      []relay.Header
	Query        string
	TracingID    uint64
	Protocol     string // the hub protocol, extension key 3
}

// CloseConnection ends a client, whichever side says it (service-protocol 8).
type CloseConnection struct {
	ConnectionID string
	Error        string         // empty for a normal end
	Headers      []relay.Header // Asrs-Migrate-To when the client moves on
	TracingID    uint64
}

// ConnectionData is a slice of one client's byte stream, in either direction.
// The service writes it with [AppendConnectionDataHead] where it can, to save
// a copy of Data.
type ConnectionData struct {
	ConnectionID string
	Data         []byte
	TracingID    uint64
	DataType     int  // DataHandshake and its siblings, from newer SDKs
	Partial      bool // more of this hub message follows (service-protocol 7.6)
}

// ConnectionReconnect tells the app server that a client with stateful
// reconnect has a new transport (service-protocol 11.2).
type ConnectionReconnect struct {
	ConnectionID string
}

// ConnectionFlowControl moves a client between server connections without
// losing order (service-protocol 11.3). Values outside the constants do not
// decode, as in the SDK.
type ConnectionFlowControl struct {
	ConnectionID   string // for FlowServer the cid of the server connection
	ConnectionType int    // FlowClient or FlowServer
	Operation      int    // FlowPause and its siblings
}

// UpdateConnectionClaims gives the app server a client's new claims
// (service-protocol 4.4, 43).
type UpdateConnectionClaims struct {
	ConnectionID string
	Claims       []relay.Claim
}

// Type returns TypeOpenConnection.
func (*OpenConnection) Type() Type { return TypeOpenConnection }

// Type returns TypeCloseConnection.
func (*CloseConnection) Type() Type { return TypeCloseConnection }

// Type returns TypeConnectionData.
func (*ConnectionData) Type() Type { return TypeConnectionData }

// Type returns TypeConnectionReconnect.
func (*ConnectionReconnect) Type() Type { return TypeConnectionReconnect }

// Type returns TypeConnectionFlowControl.
func (*ConnectionFlowControl) Type() Type { return TypeConnectionFlowControl }

// Type returns TypeUpdateConnectionClaims.
func (*UpdateConnectionClaims) Type() Type { return TypeUpdateConnectionClaims }

func (m *OpenConnection) code(c *coder) {
	c.id(&m.ConnectionID)
	c.claims(&m.Claims)
	c.headers(&m.Headers)
	c.str(&m.Query)
	c.ext(ext{tracingID: &m.TracingID, protocol: &m.Protocol})
}

func (m *CloseConnection) code(c *coder) {
	c.id(&m.ConnectionID)
	c.str(&m.Error)
	c.headers(&m.Headers)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *ConnectionData) code(c *coder) {
	c.id(&m.ConnectionID)
	c.bin(&m.Data)
	c.ext(ext{tracingID: &m.TracingID, dataType: &m.DataType, partial: &m.Partial})
}

func (m *ConnectionReconnect) code(c *coder) {
	c.id(&m.ConnectionID)
	c.ext(ext{})
}

func (m *ConnectionFlowControl) code(c *coder) {
	c.id(&m.ConnectionID)
	c.int32(&m.ConnectionType)
	c.int32(&m.Operation)
	c.ext(ext{})
	if m.ConnectionType < FlowClient || m.ConnectionType > FlowServer ||
		m.Operation < FlowPause || m.Operation > FlowOffline {
		c.fail(fmt.Errorf("flow control: connection type %d, operation %d", m.ConnectionType, m.Operation))
	}
}

func (m *UpdateConnectionClaims) code(c *coder) {
	c.id(&m.ConnectionID)
	c.claims(&m.Claims)
	c.ext(ext{})
}
