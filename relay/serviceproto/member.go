package serviceproto

// The messages of this file change group membership (service-protocol 9.4).
// Where AllGroups is set Group was nil: leave every group.

// JoinGroup puts a connection into a group, without an answer. Very old SDKs
// only.
type JoinGroup struct {
	ConnectionID string
	Group        string
	TracingID    uint64
}

// LeaveGroup takes a connection out of a group, without an answer. Very old
// SDKs only.
type LeaveGroup struct {
	ConnectionID string
	Group        string
	AllGroups    bool
	TracingID    uint64
}

// UserJoinGroup puts a user into a group, without an answer.
type UserJoinGroup struct {
	UserID    string
	Group     string
	TracingID uint64
	TTL       *int // seconds, nil for ever
}

// UserLeaveGroup takes a user out of a group, without an answer.
type UserLeaveGroup struct {
	UserID    string
	Group     string
	AllGroups bool
	TracingID uint64
}

// JoinGroupWithAck puts a connection into a group and wants an [Ack].
type JoinGroupWithAck struct {
	ConnectionID string
	Group        string
	AckID        int
	TracingID    uint64
}

// LeaveGroupWithAck takes a connection out of a group and wants an [Ack].
type LeaveGroupWithAck struct {
	ConnectionID string
	Group        string
	AllGroups    bool
	AckID        int
	TracingID    uint64
}

// UserJoinGroupWithAck puts a user into a group and wants an [Ack].
type UserJoinGroupWithAck struct {
	UserID    string
	Group     string
	AckID     int
	TracingID uint64
	TTL       *int // seconds, nil for ever
}

// UserLeaveGroupWithAck takes a user out of a group and wants an [Ack].
type UserLeaveGroupWithAck struct {
	UserID    string
	Group     string
	AllGroups bool
	AckID     int
	TracingID uint64
}

// Type returns TypeJoinGroup.
func (*JoinGroup) Type() Type { return TypeJoinGroup }

// Type returns TypeLeaveGroup.
func (*LeaveGroup) Type() Type { return TypeLeaveGroup }

// Type returns TypeUserJoinGroup.
func (*UserJoinGroup) Type() Type { return TypeUserJoinGroup }

// Type returns TypeUserLeaveGroup.
func (*UserLeaveGroup) Type() Type { return TypeUserLeaveGroup }

// Type returns TypeJoinGroupWithAck.
func (*JoinGroupWithAck) Type() Type { return TypeJoinGroupWithAck }

// Type returns TypeLeaveGroupWithAck.
func (*LeaveGroupWithAck) Type() Type { return TypeLeaveGroupWithAck }

// Type returns TypeUserJoinGroupWithAck.
func (*UserJoinGroupWithAck) Type() Type { return TypeUserJoinGroupWithAck }

// Type returns TypeUserLeaveGroupWithAck.
func (*UserLeaveGroupWithAck) Type() Type { return TypeUserLeaveGroupWithAck }

func (m *JoinGroup) code(c *coder) {
	c.id(&m.ConnectionID)
	c.str(&m.Group)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *LeaveGroup) code(c *coder) {
	c.id(&m.ConnectionID)
	c.groupOrAll(&m.Group, &m.AllGroups)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *UserJoinGroup) code(c *coder) {
	c.str(&m.UserID)
	c.str(&m.Group)
	c.ext(ext{tracingID: &m.TracingID, ttl: &m.TTL})
}

func (m *UserLeaveGroup) code(c *coder) {
	c.str(&m.UserID)
	c.groupOrAll(&m.Group, &m.AllGroups)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *JoinGroupWithAck) code(c *coder) {
	c.id(&m.ConnectionID)
	c.str(&m.Group)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *LeaveGroupWithAck) code(c *coder) {
	c.id(&m.ConnectionID)
	c.groupOrAll(&m.Group, &m.AllGroups)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}

func (m *UserJoinGroupWithAck) code(c *coder) {
	c.str(&m.UserID)
	c.str(&m.Group)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID, ttl: &m.TTL})
}

func (m *UserLeaveGroupWithAck) code(c *coder) {
	c.str(&m.UserID)
	c.groupOrAll(&m.Group, &m.AllGroups)
	c.int(&m.AckID)
	c.ext(ext{tracingID: &m.TracingID})
}
