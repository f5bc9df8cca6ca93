package serviceproto

// Connection types of a [HandshakeRequest] (service-protocol 3.4).
const (
	ConnectionDefault  = 0 // may carry clients, always accepted
	ConnectionOnDemand = 1 // opened because a target ping asked for it
	ConnectionWeak     = 2 // a secondary endpoint: never give it a client
)

// HandshakeRequest is the first frame of the app server (service-protocol 3.4).
// Members that an old SDK leaves out are zero.
type HandshakeRequest struct {
	Version                 int    // always 1
	ConnectionType          int    // ConnectionDefault and its siblings
	Target                  string // empty even on demand: the query of the upgrade has it
	MigrationLevel          int    // 0 off, 1 on graceful shutdown, 2 any
	AllowStatefulReconnects bool   // of the hub, newer SDKs only
}

// HandshakeResponse is the answer to a [HandshakeRequest]; the SDK gives up
// when anything else comes first. A non-empty Error is a refusal.
type HandshakeResponse struct {
	Error        string
	ConnectionID string // the cid of the upgrade; empty is written as nil
}

// Ping carries any number of words, as key, value, key, value (service-protocol
// 5.1). None at all is the keep-alive.
type Ping struct {
	Words []string
}

// ServiceError tells the app server that its connection is about to go. It has
// no extension map. Service-protocol 3.9 says why it is best not sent.
type ServiceError struct {
	Error string
}

// ServiceEvent tells the app server about a thing of the service; the SDK only
// logs it (service-protocol 12.1).
type ServiceEvent struct {
	ObjectType int    // 0 service instance, 1 connection, 2 user, 3 group, 4 server connection
	ID         string // of that object
	Kind       int    // 0 reloading, 1 invalid, 2 does not exist, 3 buffer full
	Message    string
}

// AccessKeyRequest asks for an access key in exchange for an Azure identity
// token (service-protocol 1.10).
type AccessKeyRequest struct {
	Token string
	KeyID string // empty is written as nil
}

// AccessKeyResponse answers an [AccessKeyRequest]. A non-empty ErrorType, a
// .NET exception class name, is a refusal. Empty members are written as nil.
type AccessKeyResponse struct {
	KeyID     string
	Key       string
	ErrorType string
	Error     string
}

// Type returns TypeHandshakeRequest.
func (*HandshakeRequest) Type() Type { return TypeHandshakeRequest }

// Type returns TypeHandshakeResponse.
func (*HandshakeResponse) Type() Type { return TypeHandshakeResponse }

// Type returns TypePing.
func (*Ping) Type() Type { return TypePing }

// Type returns TypeServiceError.
func (*ServiceError) Type() Type { return TypeServiceError }

// Type returns TypeServiceEvent.
func (*ServiceEvent) Type() Type { return TypeServiceEvent }

// Type returns TypeAccessKeyRequest.
func (*AccessKeyRequest) Type() Type { return TypeAccessKeyRequest }

// Type returns TypeAccessKeyResponse.
func (*AccessKeyResponse) Type() Type { return TypeAccessKeyResponse }

func (m *HandshakeRequest) code(c *coder) {
	c.int(&m.Version)
	c.int(&m.ConnectionType)
	c.str(&m.Target)
	c.int(&m.MigrationLevel)
	c.ext(ext{})
	c.bool(&m.AllowStatefulReconnects)
}

func (m *HandshakeResponse) code(c *coder) {
	c.str(&m.Error)
	c.ext(ext{})
	c.strOrNil(&m.ConnectionID)
}

func (m *Ping) code(c *coder) { c.words(&m.Words) }

func (m *ServiceError) code(c *coder) { c.str(&m.Error) }

func (m *ServiceEvent) code(c *coder) {
	c.int(&m.ObjectType)
	c.str(&m.ID)
	c.int(&m.Kind)
	c.str(&m.Message)
	c.ext(ext{})
}

func (m *AccessKeyRequest) code(c *coder) {
	c.str(&m.Token)
	c.strOrNil(&m.KeyID)
	c.ext(ext{})
}

func (m *AccessKeyResponse) code(c *coder) {
	c.strOrNil(&m.KeyID)
	c.strOrNil(&m.Key)
	c.strOrNil(&m.ErrorType)
	c.strOrNil(&m.Error)
	c.ext(ext{})
}
