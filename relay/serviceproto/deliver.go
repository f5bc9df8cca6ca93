package serviceproto

import "github.com/signalrelay/signalrelay/relay"

// The six messages of this file send one payload, encoded once per hub
// protocol, to many connections. Filter, extension key 4, is never sent by the
// SDK and its grammar is not known.

// MultiConnectionData goes to each listed connection that exists in the hub;
// the SDK uses it for a single one too (service-protocol 4.4, 7).
type MultiConnectionData struct {
	ConnectionIDs []string
	Payload       relay.Payload
	TracingID     uint64
	Filter        string
}

// UserData goes to all connections of one user.
type UserData struct {
	UserID    string
	Payload   relay.Payload
	TracingID uint64
	Filter    string
}

// MultiUserData goes to all connections of the listed users.
type MultiUserData struct {
	UserIDs   []string
	Payload   relay.Payload
	TracingID uint64
	Filter    string
}

// BroadcastData goes to all connections of the hub but the excluded ones.
type BroadcastData struct {
	Excluded  []string // connection ids
	Payload   relay.Payload
	TracingID uint64
	Filter    string
}

// GroupBroadcastData goes to the members of a group but the excluded ones.
type GroupBroadcastData struct {
	Group         string
	Excluded      []string // connection ids
	Payload       relay.Payload
	TracingID     uint64
	Filter        string
	ExcludedUsers []string // serverless only: the SDK leaves it empty
	CallerUser    string   // likewise; empty is written as nil
}

// MultiGroupBroadcastData goes to the members of each listed group.
type MultiGroupBroadcastData struct {
	Groups    []string
	Payload   relay.Payload
	TracingID uint64
	Filter    string
}

// Type returns TypeMultiConnectionData.
func (*MultiConnectionData) Type() Type { return TypeMultiConnectionData }

// Type returns TypeUserData.
func (*UserData) Type() Type { return TypeUserData }

// Type returns TypeMultiUserData.
func (*MultiUserData) Type() Type { return TypeMultiUserData }

// Type returns TypeBroadcastData.
func (*BroadcastData) Type() Type { return TypeBroadcastData }

// Type returns TypeGroupBroadcastData.
func (*GroupBroadcastData) Type() Type { return TypeGroupBroadcastData }

// Type returns TypeMultiGroupBroadcastData.
func (*MultiGroupBroadcastData) Type() Type { return TypeMultiGroupBroadcastData }

func (m *MultiConnectionData) code(c *coder) {
	c.strs(&m.ConnectionIDs)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID, filter: &m.Filter})
}

func (m *UserData) code(c *coder) {
	c.str(&m.UserID)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID, filter: &m.Filter})
}

func (m *MultiUserData) code(c *coder) {
	c.strs(&m.UserIDs)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID, filter: &m.Filter})
}

func (m *BroadcastData) code(c *coder) {
	c.strs(&m.Excluded)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID, filter: &m.Filter})
}

func (m *GroupBroadcastData) code(c *coder) {
	c.str(&m.Group)
	c.strs(&m.Excluded)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID, filter: &m.Filter})
	c.strs(&m.ExcludedUsers)
	c.strOrNil(&m.CallerUser)
}

func (m *MultiGroupBroadcastData) code(c *coder) {
	c.strs(&m.Groups)
	c.payload(&m.Payload)
	c.ext(ext{tracingID: &m.TracingID, filter: &m.Filter})
}
