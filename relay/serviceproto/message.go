package serviceproto

// A Message is one frame of the service protocol: a pointer to one of this
// package's structs, one struct per [Type]. The set is closed.
type Message interface{ Type() Type }

// empty returns a message without values of type t, nil when t is not known.
func (d *Decoder) empty(t Type) Message {
	switch t {
	case TypeHandshakeRequest:
		return new(HandshakeRequest)
	case TypeHandshakeResponse:
		return new(HandshakeResponse)
	case TypePing:
		d.ping = Ping{}
		return &d.ping
	case TypeOpenConnection:
		return new(OpenConnection)
	case TypeCloseConnection:
		d.closeConnection = CloseConnection{}
		return &d.closeConnection
	case TypeConnectionData:
		d.connectionData = ConnectionData{}
		return &d.connectionData
	case TypeMultiConnectionData:
		d.multiConnectionData = MultiConnectionData{}
		return &d.multiConnectionData
	case TypeUserData:
		d.userData = UserData{}
		return &d.userData
	case TypeMultiUserData:
		d.multiUserData = MultiUserData{}
		return &d.multiUserData
	case TypeBroadcastData:
		d.broadcastData = BroadcastData{}
		return &d.broadcastData
	case TypeJoinGroup:
		return new(JoinGroup)
	case TypeLeaveGroup:
		return new(LeaveGroup)
	case TypeGroupBroadcastData:
		d.groupBroadcastData = GroupBroadcastData{}
		return &d.groupBroadcastData
	case TypeMultiGroupBroadcastData:
		d.multiGroupBroadcastData = MultiGroupBroadcastData{}
		return &d.multiGroupBroadcastData
	case TypeServiceError:
		return new(ServiceError)
	case TypeUserJoinGroup:
		return new(UserJoinGroup)
	case TypeUserLeaveGroup:
		return new(UserLeaveGroup)
	case TypeJoinGroupWithAck:
		d.joinGroupWithAck = JoinGroupWithAck{}
		return &d.joinGroupWithAck
	case TypeLeaveGroupWithAck:
		d.leaveGroupWithAck = LeaveGroupWithAck{}
		return &d.leaveGroupWithAck
	case TypeAck:
		d.ack = Ack{}
		return &d.ack
	case TypeCheckUserInGroupWithAck:
		return new(CheckUserInGroupWithAck)
	case TypeServiceEvent:
		return new(ServiceEvent)
	case TypeCheckGroupExistenceWithAck:
		return new(CheckGroupExistenceWithAck)
	case TypeCheckConnectionExistenceWithAck:
		return new(CheckConnectionExistenceWithAck)
	case TypeCheckUserExistenceWithAck:
		return new(CheckUserExistenceWithAck)
	case TypeUserJoinGroupWithAck:
		return new(UserJoinGroupWithAck)
	case TypeUserLeaveGroupWithAck:
		return new(UserLeaveGroupWithAck)
	case TypeAccessKeyRequest:
		return new(AccessKeyRequest)
	case TypeAccessKeyResponse:
		return new(AccessKeyResponse)
	case TypeCloseConnectionWithAck:
		return new(CloseConnectionWithAck)
	case TypeCloseConnectionsWithAck:
		return new(CloseConnectionsWithAck)
	case TypeCloseUserConnectionsWithAck:
		return new(CloseUserConnectionsWithAck)
	case TypeCloseGroupConnectionsWithAck:
		return new(CloseGroupConnectionsWithAck)
	case TypeClientInvocation:
		return new(ClientInvocation)
	case TypeClientCompletion:
		return new(ClientCompletion)
	case TypeErrorCompletion:
		return new(ErrorCompletion)
	case TypeServiceMapping:
		return new(ServiceMapping)
	case TypeConnectionReconnect:
		return new(ConnectionReconnect)
	case TypeConnectionFlowControl:
		return new(ConnectionFlowControl)
	case TypeGroupMemberQuery:
		return new(GroupMemberQuery)
	case TypeRefreshAuth:
		return new(RefreshAuth)
	case TypeGetConnectionClaims:
		return new(GetConnectionClaims)
	case TypeUpdateConnectionClaims:
		return new(UpdateConnectionClaims)
	}
	return nil
}

// message reads or writes the members of m and returns its type. It is a switch
// and calls no method of [Message], so that neither m nor the coder has to live
// on the heap.
func (c *coder) message(m Message) Type {
	switch m := m.(type) {
	case *HandshakeRequest:
		m.code(c)
		return TypeHandshakeRequest
	case *HandshakeResponse:
		m.code(c)
		return TypeHandshakeResponse
	case *Ping:
		m.code(c)
		return TypePing
	case *OpenConnection:
		m.code(c)
		return TypeOpenConnection
	case *CloseConnection:
		m.code(c)
		return TypeCloseConnection
	case *ConnectionData:
		m.code(c)
		return TypeConnectionData
	case *MultiConnectionData:
		m.code(c)
		return TypeMultiConnectionData
	case *UserData:
		m.code(c)
		return TypeUserData
	case *MultiUserData:
		m.code(c)
		return TypeMultiUserData
	case *BroadcastData:
		m.code(c)
		return TypeBroadcastData
	case *JoinGroup:
		m.code(c)
		return TypeJoinGroup
	case *LeaveGroup:
		m.code(c)
		return TypeLeaveGroup
	case *GroupBroadcastData:
		m.code(c)
		return TypeGroupBroadcastData
	case *MultiGroupBroadcastData:
		m.code(c)
		return TypeMultiGroupBroadcastData
	case *ServiceError:
		m.code(c)
		return TypeServiceError
	case *UserJoinGroup:
		m.code(c)
		return TypeUserJoinGroup
	case *UserLeaveGroup:
		m.code(c)
		return TypeUserLeaveGroup
	case *JoinGroupWithAck:
		m.code(c)
		return TypeJoinGroupWithAck
	case *LeaveGroupWithAck:
		m.code(c)
		return TypeLeaveGroupWithAck
	case *Ack:
		m.code(c)
		return TypeAck
	case *CheckUserInGroupWithAck:
		m.code(c)
		return TypeCheckUserInGroupWithAck
	case *ServiceEvent:
		m.code(c)
		return TypeServiceEvent
	case *CheckGroupExistenceWithAck:
		m.code(c)
		return TypeCheckGroupExistenceWithAck
	case *CheckConnectionExistenceWithAck:
		m.code(c)
		return TypeCheckConnectionExistenceWithAck
	case *CheckUserExistenceWithAck:
		m.code(c)
		return TypeCheckUserExistenceWithAck
	case *UserJoinGroupWithAck:
		m.code(c)
		return TypeUserJoinGroupWithAck
	case *UserLeaveGroupWithAck:
		m.code(c)
		return TypeUserLeaveGroupWithAck
	case *AccessKeyRequest:
		m.code(c)
		return TypeAccessKeyRequest
	case *AccessKeyResponse:
		m.code(c)
		return TypeAccessKeyResponse
	case *CloseConnectionWithAck:
		m.code(c)
		return TypeCloseConnectionWithAck
	case *CloseConnectionsWithAck:
		m.code(c)
		return TypeCloseConnectionsWithAck
	case *CloseUserConnectionsWithAck:
		m.code(c)
		return TypeCloseUserConnectionsWithAck
	case *CloseGroupConnectionsWithAck:
		m.code(c)
		return TypeCloseGroupConnectionsWithAck
	case *ClientInvocation:
		m.code(c)
		return TypeClientInvocation
	case *ClientCompletion:
		m.code(c)
		return TypeClientCompletion
	case *ErrorCompletion:
		m.code(c)
		return TypeErrorCompletion
	case *ServiceMapping:
		m.code(c)
		return TypeServiceMapping
	case *ConnectionReconnect:
		m.code(c)
		return TypeConnectionReconnect
	case *ConnectionFlowControl:
		m.code(c)
		return TypeConnectionFlowControl
	case *GroupMemberQuery:
		m.code(c)
		return TypeGroupMemberQuery
	case *RefreshAuth:
		m.code(c)
		return TypeRefreshAuth
	case *GetConnectionClaims:
		m.code(c)
		return TypeGetConnectionClaims
	case *UpdateConnectionClaims:
		m.code(c)
		return TypeUpdateConnectionClaims
	}
	panic("serviceproto: a message of another package")
}
