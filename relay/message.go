package relay

import "time"

// Scope says what the names of a [Target] are.
type Scope uint8

const (
	Everyone    Scope = iota // every client of the hub; Names is empty
	Connections              // Names are connection ids
	Groups                   // Names are groups
	Users                    // Names are user ids
)

// A Target names clients of one hub. A client that several Names reach gets
// one copy per name, as members of several groups do at a self-hosted hub
// (service-protocol 4.4, 14).
type Target struct {
	Scope       Scope
	Names       []string
	Except      []string // connection ids that are left out
	ExceptUsers []string // user ids that are left out
}

// A Message is what a Backend, the REST API or another node asks of a Hub:
// one of *Deliver, *Member, *Check, *List, *Hangup, *Invoke and *Answer. All
// strings and bytes of a Deliver, an Invoke and an Answer must stay as they
// are for ever; those of the others only until Handle returns.
type Message interface{ message() }

// Deliver sends one payload to the clients of a target.
type Deliver struct {
	To      Target
	Payload Payload
	// Batch is the same number, not zero, for messages that came together.
	// The first of a batch that reaches a client is written at once, the
	// others share a write. Zero: each by itself.
	Batch uint32
}

// Member puts clients into a group or takes them out.
type Member struct {
	Join  bool
	Scope Scope  // Connections or Users: what Name is
	Name  string // connection id or user id
	Group string
	All   bool // leave every group; Group is empty

	// Expires ends the membership of a user, for connections that come
	// later (service-protocol 9.4). The zero time never comes; a time that
	// has passed means the present connections only.
	Expires time.Time
}

// Check asks whether what Scope and Name say exists: a connection, a user, a
// group with members; or, with a Group besides, whether the user is in it.
type Check struct {
	Scope Scope
	Name  string
	Group string
}

// List asks for the members of a group, in pages. From continues after the
// connection id that an earlier answer named as Next; Limit 0 means no limit.
type List struct {
	Group string
	From  string
	Limit int
}

// Hangup closes clients. Text, when not empty, is told to them.
type Hangup struct {
	To   Target
	Text string
}

// Invoke asks one client for a result. The answer comes to the asking
// Backend's [Caller] under the same ID.
type Invoke struct {
	ID         string // invocation id, chosen by the asking app server
	Connection string
	Caller     string // server id of the asking app server
	Payload    Payload
}

// Answer is what a client returned to an Invoke, as its Backend's hub read
// it; or, with an Error, why there is none.
type Answer struct {
	ID         string
	Connection string
	Caller     string // server id of the app server that asked
	Protocol   string
	Data       []byte // a framed hub Completion; empty when the asking app has it already
	Error      string
}

func (*Deliver) message() {}
func (*Member) message()  {}
func (*Check) message()   {}
func (*List) message()    {}
func (*Hangup) message()  {}
func (*Invoke) message()  {}
func (*Answer) message()  {}

// Result answers a Message. Found says that what a Member or Check named
// exists; Members and Next answer a List.
type Result struct {
	Found   bool
	Members []GroupMember
	Next    string
}

// A GroupMember is one connection of a group, with its user if it has one.
type GroupMember struct {
	Connection string
	User       string
	HasUser    bool
}

// Category says why a connection ended, in the words of Azure SignalR
// Service's metric ConnectionCloseCount.
type Category string

const (
	Normal                      Category = "Normal"
	Throttled                   Category = "Throttled"
	PingTimeout                 Category = "PingTimeout"
	NoAvailableServerConnection Category = "NoAvailableServerConnection"
	SlowClient                  Category = "SlowClient"
	HandshakeError              Category = "HandshakeError"
	ServerConnectionClosed      Category = "ServerConnectionClosed"
	ServiceTransientError       Category = "ServiceTransientError"
	BadRequest                  Category = "BadRequest"
	ClosedByAppServer           Category = "ClosedByAppServer"
	ServiceReload               Category = "ServiceReload"
	Unauthorized                Category = "Unauthorized"
)

// Categories lists every Category, for exporters that want the zero ones too.
var Categories = []Category{
	Normal, Throttled, PingTimeout, NoAvailableServerConnection, SlowClient, HandshakeError, ServerConnectionClosed,
	ServiceTransientError, BadRequest, ClosedByAppServer, ServiceReload, Unauthorized,
}

// A Reason says why a client is closed.
type Reason struct {
	Category Category
	// Text is told to the client as the error of its close; empty for none.
	Text string
	// Detail says that Text is the app's own and only for clients that may
	// see detailed errors.
	Detail bool
	// AllowReconnect invites the client to come back.
	AllowReconnect bool
}
