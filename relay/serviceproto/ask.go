package serviceproto

import (
	"time"

	"github.com/signalrelay/signalrelay/relay"
)

// Statuses of an [Ack] (service-protocol 9.1). The SDK turns 1 into true, 2
// into false and everything else into an exception.
const (
	StatusOK            = 1
	StatusNotFound      = 2
	StatusTimeout       = 3
	StatusInternalError = 4
	StatusForbidden     = 5 // understood for RefreshAuth only
)

// Ack answers the messages that carry an AckID, on the server connection they
// came on.
type Ack struct {
	AckID   int
	Status  int
	Message string
	Data    []byte // answer to a query; nil is left out, which every SDK takes
}

// CheckUserInGroupWithAck asks whether a user is in a group.
type CheckUserInGroupWithAck struct {
	UserID    string
	Group     string
	AckID     int
	TracingID uint64
}

// CheckGroupExistenceWithAck asks whether a group has a member.
type CheckGroupExistenceWithAck struct {
	Group     string
	AckID     int
	TracingID uint64
}

// CheckConnectionExistenceWithAck asks whether a connection exists.
type CheckConnectionExistenceWithAck struct {
	ConnectionID string
	AckID        int
	TracingID    uint64
}

// CheckUserExistenceWithAck asks whether a user has a connection.
type CheckUserExistenceWithAck struct {
	UserID    string
	AckID     int
	TracingID uint64
}

// CloseConnectionWithAck closes one connection. No SDK sends it or its three
// siblings (service-protocol 4.4, 30 to 33). An empty Reason is written as nil.
type CloseConnectionWithAck struct {
	ConnectionID string
	Reason       string
	AckID        int
	TracingID    uint64
}

// CloseConnectionsWithAck closes all connections of the hub but the excluded
// ones.
type CloseConnectionsWithAck struct {
	Reason    string
	AckID     int
	Excluded  []string // connection ids
	TracingID uint64
}

// CloseUserConnectionsWithAck closes all connections of a user but the excluded
// ones.
type CloseUserConnectionsWithAck struct {
	UserID    string
	Reason    string
	AckID     int
	Excluded  []string // connection ids
	TracingID uint64
}

// CloseGroupConnectionsWithAck closes all connections of a group but the
// excluded ones.
type CloseGroupConnectionsWithAck struct {
	Group     string
	Reason    string
	AckID     int
	Excluded  []string // connection ids
	TracingID uint64
}

// GroupMemberQuery asks for a page of a group's members. The Ack's Data is
// written by [AppendGroupMembers].
type GroupMemberQuery struct {
	TracingID         uint64
	Group             string
	AckID             int
	Top               *int    // limit of the whole listing, nil for none
	ContinuationToken *string // nil for the first page
	MaxPageSize       *int    // limit of one answer, nil for ours
}

// RefreshAuth sets the claims and the expiry of a client's login
// (service-protocol 4.4, 41). ExpireTime is in UTC.
type RefreshAuth struct {
	ConnectionToken string        // secret of the client, not its id
	Claims          []relay.Claim // none keeps the present ones
	ExpireTime      time.Time
	AckID           int
}

// GetConnectionClaims asks for the claims of a client (service-protocol 4.4,
// 42).
type GetConnectionClaims struct {
	ConnectionToken string // secret of the client, not its id
	AckID           int
}

// Type returns TypeAck.
func (*Ack) Type() Type { return TypeAck }

// Type returns TypeCheckUserInGroupWithAck.
func (*CheckUserInGroupWithAck) Type() Type { return TypeCheckUserInGroupWithAck }

// Type returns TypeCheckGroupExistenceWithAck.
func (*CheckGroupExistenceWithAck) Type() Type { return TypeCheckGroupExistenceWithAck }

// Type returns TypeCheckConnectionExistenceWithAck.
func (*CheckConnectionExistenceWithAck) Type() Type { return TypeCheckConnectionExistenceWithAck }

// Type returns TypeCheckUserExistenceWithAck.
func (*CheckUserExistenceWithAck) Type() Type { return TypeCheckUserExistenceWithAck }

// Type returns TypeCloseConnectionWithAck.
func (*CloseConnectionWithAck) Type() Type { return TypeCloseConnectionWithAck }

// Type returns TypeCloseConnectionsWithAck.
func (*CloseConnectionsWithAck) Type() Type { return TypeCloseConnectionsWithAck }

// Type returns TypeCloseUserConnectionsWithAck.
func (*CloseUserConnectionsWithAck) Type() Type { return TypeCloseUserConnectionsWithAck }

// Type returns TypeCloseGroupConnectionsWithAck.
func (*CloseGroupConnectionsWithAck) Type() Type { return TypeCloseGroupConnectionsWithAck }

// Type returns TypeGroupMemberQuery.
func (*GroupMemberQuery) Type() Type { return TypeGroupMemberQuery }

// Type returns TypeRefreshAuth.
func (*RefreshAuth) Type() Type { return TypeRefreshAuth }

// Type returns TypeGetConnectionClaims.
func (*GetConnectionClaims) Type() Type { return TypeGetConnectionClaims }

func (m *Ack) code(c *coder) {
	c.int(&m.AckID)
	c.int(&m.Status)
	c.str(&m.Message)
	c.ext(ext{})
	c.binOrAbsent(&m.Data)
}

func (m *CheckUserInGroupWithAck) code(c *coder) {
	c.str(&m.UserID)
	c.str(&m.Group)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CheckGroupExistenceWithAck) code(c *coder) {
	c.str(&m.Group)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CheckConnectionExistenceWithAck) code(c *coder) {
	c.id(&m.ConnectionID)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CheckUserExistenceWithAck) code(c *coder) {
	c.str(&m.UserID)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CloseConnectionWithAck) code(c *coder) {
	c.id(&m.ConnectionID)
	c.strOrNil(&m.Reason)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CloseConnectionsWithAck) code(c *coder) {
	c.strOrNil(&m.Reason)
	c.int(&m.AckID)
	c.strs(&m.Excluded)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CloseUserConnectionsWithAck) code(c *coder) {
	c.str(&m.UserID)
	c.strOrNil(&m.Reason)
	c.int(&m.AckID)
	c.strs(&m.Excluded)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *CloseGroupConnectionsWithAck) code(c *coder) {
	c.str(&m.Group)
	c.strOrNil(&m.Reason)
	c.int(&m.AckID)
	c.strs(&m.Excluded)
	c.ext(ext{tracingID: &m.TracingID})
}

// The extension map comes first here and nowhere else.
func (m *GroupMemberQuery) code(c *coder) {
	c.ext(ext{tracingID: &m.TracingID})
	c.str(&m.Group)
	c.int(&m.AckID)
	c.intOrNil(&m.Top)
	c.strPtr(&m.ContinuationToken)
	c.intOrNil(&m.MaxPageSize)
}

func (m *RefreshAuth) code(c *coder) {
	c.str(&m.ConnectionToken)
	c.claims(&m.Claims)
	c.time(&m.ExpireTime)
	c.int(&m.AckID)
	c.ext(ext{})
}

func (m *GetConnectionClaims) code(c *coder) {
	c.str(&m.ConnectionToken)
	c.int(&m.AckID)
	c.ext(ext{})
}
