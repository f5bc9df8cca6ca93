package hubproto

// Type is the number that a hub message carries on the wire.
type Type int

// Message types and who sends them (core-client-protocol 5.1). "Tracked" ones
// are numbered by stateful reconnect.
const (
	Invocation       Type = 1 // call of a method: both ways, tracked
	StreamItem       Type = 2 // item of a stream: both ways, tracked
	Completion       Type = 3 // end of a call or a stream: both ways, tracked
	StreamInvocation Type = 4 // call of a streaming method: to the server, tracked
	CancelInvocation Type = 5 // cancels a result stream: to the server, tracked
	Ping             Type = 6 // keep-alive: both ways
	Close            Type = 7 // last message of its sender: both ways
	Ack              Type = 8 // stateful reconnect: both ways
	Sequence         Type = 9 // stateful reconnect: both ways
)

// Tracked reports whether stateful reconnect numbers messages of this type.
func (t Type) Tracked() bool { return t >= Invocation && t <= CancelInvocation }

// Raw is one value in the encoding of the hub protocol that it came with. It
// aliases the message that it was parsed from.
type Raw []byte

// Header is one entry of a message's headers.
type Header struct{ Name, Value string }

// Message is one hub message. Which fields count depends on Type; the others
// are zero. A Message may be parsed into again and again: Parse keeps the memory
// of its slices.
type Message struct {
	Type    Type
	Headers []Header // types 1 to 5, in wire order

	ID        string   // invocation or stream id; "" for a call that wants no answer
	Target    string   // method, types 1 and 4
	Arguments []Raw    // types 1 and 4
	StreamIDs []string // upload streams, types 1 and 4
	Item      Raw      // type 2

	Result Raw    // type 3; nil: none was sent, which is not the same as a null
	Error  string // types 3 and 7
	Failed bool   // types 3 and 7: there is an Error, which may be empty text

	AllowReconnect bool  // type 7
	SequenceID     int64 // types 8 and 9

	// Unbound says why the arguments of a call could not be read although the
	// message is whole: that call fails and the connection lives on
	// (core-client-protocol 5.3).
	Unbound error
}

// Reset empties the message and keeps its slices' memory.
func (m *Message) Reset() {
	*m = Message{Headers: m.Headers[:0], Arguments: m.Arguments[:0], StreamIDs: m.StreamIDs[:0]}
}

// Call is an Invocation without streams. An empty id asks for no answer.
func Call(id, target string, arguments ...Raw) *Message {
	return &Message{Type: Invocation, ID: id, Target: target, Arguments: arguments}
}
