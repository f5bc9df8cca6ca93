package serviceproto

import (
	"errors"
	"strconv"
)

// A Type is the number that opens every message. Zero is no type.
type Type int

// The types of service-protocol 4.3. The comment is the array after the type;
// "/nil" marks members that may be nil, ext{…} the extension keys of the
// message (service-protocol 4.2).
const (
	TypeHandshakeRequest                Type = 1  // version int, connectionType int, target str, migrationLevel int, ext, allowStatefulReconnects bool
	TypeHandshakeResponse               Type = 2  // error str/nil, ext, connectionId str/nil
	TypePing                            Type = 3  // str, str, … flat
	TypeOpenConnection                  Type = 4  // connectionId str, claims, headers, queryString str, ext{1,3}
	TypeCloseConnection                 Type = 5  // connectionId str, error str, headers, ext{1}
	TypeConnectionData                  Type = 6  // connectionId str, payload bin, ext{1,5,6}
	TypeMultiConnectionData             Type = 7  // connectionIds list, payloads, ext{1,4}
	TypeUserData                        Type = 8  // userId str, payloads, ext{1,4}
	TypeMultiUserData                   Type = 9  // userIds list, payloads, ext{1,4}
	TypeBroadcastData                   Type = 10 // excludedConnectionIds list, payloads, ext{1,4}
	TypeJoinGroup                       Type = 11 // connectionId str, group str, ext{1}
	TypeLeaveGroup                      Type = 12 // connectionId str, group str/nil, ext{1}
	TypeGroupBroadcastData              Type = 13 // group str, excludedConnectionIds list, payloads, ext{1,4}, excludedUserIds list, callerUserId str/nil
	TypeMultiGroupBroadcastData         Type = 14 // groups list, payloads, ext{1,4}
	TypeServiceError                    Type = 15 // text str, no ext
	TypeUserJoinGroup                   Type = 16 // userId str, group str, ext{1,2}
	TypeUserLeaveGroup                  Type = 17 // userId str, group str/nil, ext{1}
	TypeJoinGroupWithAck                Type = 18 // connectionId str, group str, ackId int, ext{1}
	TypeLeaveGroupWithAck               Type = 19 // connectionId str, group str/nil, ackId int, ext{1}
	TypeAck                             Type = 20 // ackId int, status int, message str, ext, payload bin or absent
	TypeCheckUserInGroupWithAck         Type = 21 // userId str, group str, ackId int, ext{1}
	TypeServiceEvent                    Type = 22 // objectType int, id str, kind int, message str, ext
	TypeCheckGroupExistenceWithAck      Type = 23 // group str, ackId int, ext{1}
	TypeCheckConnectionExistenceWithAck Type = 24 // connectionId str, ackId int, ext{1}
	TypeCheckUserExistenceWithAck       Type = 25 // userId str, ackId int, ext{1}
	TypeUserJoinGroupWithAck            Type = 26 // userId str, group str, ackId int, ext{1,2}
	TypeUserLeaveGroupWithAck           Type = 27 // userId str, group str/nil, ackId int, ext{1}
	TypeAccessKeyRequest                Type = 28 // aadToken str, kid str/nil, ext
	TypeAccessKeyResponse               Type = 29 // kid str/nil, key str/nil, errorType str/nil, errorMessage str/nil, ext
	TypeCloseConnectionWithAck          Type = 30 // connectionId str, reason str/nil, ackId int, ext{1}
	TypeCloseConnectionsWithAck         Type = 31 // reason str/nil, ackId int, excluded list, ext{1}
	TypeCloseUserConnectionsWithAck     Type = 32 // userId str, reason str/nil, ackId int, excluded list, ext{1}
	TypeCloseGroupConnectionsWithAck    Type = 33 // group str, reason str/nil, ackId int, excluded list, ext{1}
	TypeClientInvocation                Type = 34 // invocationId str, connectionId str, callerServerId str, payloads, ext{1}
	TypeClientCompletion                Type = 35 // invocationId str, connectionId str, callerServerId str, protocol str, payload bin, ext{1,3}
	TypeErrorCompletion                 Type = 36 // invocationId str, connectionId str, callerServerId str, error str, ext{1}
	TypeServiceMapping                  Type = 37 // invocationId str, connectionId str, instanceId str, ext
	TypeConnectionReconnect             Type = 38 // connectionId str, ext
	TypeConnectionFlowControl           Type = 39 // connectionId str, connectionType int32, operation int32, ext
	TypeGroupMemberQuery                Type = 40 // ext{1} first, group str, ackId int, top int/nil, continuationToken str/nil, maxPageSize int/nil
	TypeRefreshAuth                     Type = 41 // connectionToken str, claims, expireTime timestamp, ackId int, ext
	TypeGetConnectionClaims             Type = 42 // connectionToken str, ackId int, ext
	TypeUpdateConnectionClaims          Type = 43 // connectionId str, claims, ext
)

// ErrUnknownType is returned by [Decoder.Decode] for a type this package does
// not know. Such a frame is to be skipped, not answered (service-protocol 3.3).
var ErrUnknownType = errors.New("unknown service message type")

// String returns the name of the protocol, such as "ConnectionData".
func (t Type) String() string {
	if t > 0 && int(t) < len(types) {
		return types[t].name
	}
	return "Type(" + strconv.Itoa(int(t)) + ")"
}

// types holds what the decoder knows about a type before it reads the members:
// the fewest elements, type included, that real readers take without an
// extension map (service-protocol 4.3, "Need"). Where those readers insist on
// the map we do not.
var types = [...]struct {
	name string
	need int
}{
	TypeHandshakeRequest:                {"HandshakeRequest", 2},
	TypeHandshakeResponse:               {"HandshakeResponse", 2},
	TypePing:                            {"Ping", 1},
	TypeOpenConnection:                  {"OpenConnection", 3},
	TypeCloseConnection:                 {"CloseConnection", 3},
	TypeConnectionData:                  {"ConnectionData", 3},
	TypeMultiConnectionData:             {"MultiConnectionData", 3},
	TypeUserData:                        {"UserData", 3},
	TypeMultiUserData:                   {"MultiUserData", 3},
	TypeBroadcastData:                   {"BroadcastData", 3},
	TypeJoinGroup:                       {"JoinGroup", 3},
	TypeLeaveGroup:                      {"LeaveGroup", 3},
	TypeGroupBroadcastData:              {"GroupBroadcastData", 4},
	TypeMultiGroupBroadcastData:         {"MultiGroupBroadcastData", 3},
	TypeServiceError:                    {"ServiceError", 2},
	TypeUserJoinGroup:                   {"UserJoinGroup", 3},
	TypeUserLeaveGroup:                  {"UserLeaveGroup", 3},
	TypeJoinGroupWithAck:                {"JoinGroupWithAck", 4},
	TypeLeaveGroupWithAck:               {"LeaveGroupWithAck", 4},
	TypeAck:                             {"Ack", 4},
	TypeCheckUserInGroupWithAck:         {"CheckUserInGroupWithAck", 4},
	TypeServiceEvent:                    {"ServiceEvent", 5},
	TypeCheckGroupExistenceWithAck:      {"CheckGroupExistenceWithAck", 3},
	TypeCheckConnectionExistenceWithAck: {"CheckConnectionExistenceWithAck", 3},
	TypeCheckUserExistenceWithAck:       {"CheckUserExistenceWithAck", 3},
	TypeUserJoinGroupWithAck:            {"UserJoinGroupWithAck", 4},
	TypeUserLeaveGroupWithAck:           {"UserLeaveGroupWithAck", 4},
	TypeAccessKeyRequest:                {"AccessKeyRequest", 3},
	TypeAccessKeyResponse:               {"AccessKeyResponse", 5},
	TypeCloseConnectionWithAck:          {"CloseConnectionWithAck", 4},
	TypeCloseConnectionsWithAck:         {"CloseConnectionsWithAck", 4},
	TypeCloseUserConnectionsWithAck:     {"CloseUserConnectionsWithAck", 5},
	TypeCloseGroupConnectionsWithAck:    {"CloseGroupConnectionsWithAck", 5},
	TypeClientInvocation:                {"ClientInvocation", 5},
	TypeClientCompletion:                {"ClientCompletion", 6},
	TypeErrorCompletion:                 {"ErrorCompletion", 5},
	TypeServiceMapping:                  {"ServiceMapping", 4},
	TypeConnectionReconnect:             {"ConnectionReconnect", 2},
	TypeConnectionFlowControl:           {"ConnectionFlowControl", 4},
	TypeGroupMemberQuery:                {"GroupMemberQuery", 6},
	TypeRefreshAuth:                     {"RefreshAuth", 5},
	TypeGetConnectionClaims:             {"GetConnectionClaims", 3},
	TypeUpdateConnectionClaims:          {"UpdateConnectionClaims", 3},
}
