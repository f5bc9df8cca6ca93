package serviceproto

import "github.com/signalrelay/signalrelay/relay"

// The messages of this file are a call from the app to one client that wants a
// result (service-protocol 10).

// ClientInvocation is the call. CallerServerID names the app server that waits.
type ClientInvocation struct {
	InvocationID   string
	ConnectionID   string
	CallerServerID string
	Payload        relay.Payload
	TracingID      uint64
}

// ClientCompletion is the result, as the client wrote it. The protocol stands
// in the message twice, as a member and as extension key 3; both are written.
type ClientCompletion struct {
	InvocationID   string
	ConnectionID   string
	CallerServerID string
	Protocol       string
	Data           []byte
	TracingID      uint64
}

// ErrorCompletion is the result when there is none: the client is gone.
type ErrorCompletion struct {
	InvocationID   string
	ConnectionID   string
	CallerServerID string
	Error          string
	TracingID      uint64
}

// ServiceMapping tells the calling app server which instance of the service has
// its call, so that an offline ping of that instance fails the call
// (service-protocol 5.3).
type ServiceMapping struct {
	InvocationID string
	ConnectionID string
	InstanceID   string
}

// Type returns TypeClientInvocation.
func (*ClientInvocation) Type() Type { return TypeClientInvocation }

// Type returns TypeClientCompletion.
func (*ClientCompletion) Type() Type { return TypeClientCompletion }

// Type returns TypeErrorCompletion.
func (*ErrorCompletion) Type() Type { return TypeErrorCompletion }

// Type returns TypeServiceMapping.
func (*ServiceMapping) Type() Type { return TypeServiceMapping }

func (m *ClientInvocation) code(c *coder) {
	c.str(&m.InvocationID)
	c.id(&m.ConnectionID)
	c.str(&m.CallerServerID)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *ClientCompletion) code(c *coder) {
	c.str(&m.InvocationID)
	c.id(&m.ConnectionID)
	c.str(&m.CallerServerID)
	c.str(&m.Protocol)
	c.bin(&m.Data)
	protocol := m.Protocol
	c.ext(ext{tracingID: &m.TracingID, protocol: &protocol})
	if !c.writing && m.Protocol == "" {
		m.Protocol = protocol
	}
}

func (m *ErrorCompletion) code(c *coder) {
	c.str(&m.InvocationID)
	c.id(&m.ConnectionID)
	c.str(&m.CallerServerID)
	c.str(&m.Error)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *ServiceMapping) code(c *coder) {
	c.str(&m.InvocationID)
	c.id(&m.ConnectionID)
	c.str(&m.InstanceID)
	c.ext(ext{})
}
