package serviceproto

import (
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// A Decoder reads the frames of one server connection, one after the other. The
// zero value is ready. It is not for concurrent use.
//
// A message is valid until the next call of Decode: the structs of the frequent
// types and all lists of strings are used again. Whoever keeps anything longer
// copies it. Until then the Decoder also keeps the last frame from being freed.
type Decoder struct {
	c coder

	// The structs of the frequent types.
	ping                    Ping
	closeConnection         CloseConnection
	connectionData          ConnectionData
	multiConnectionData     MultiConnectionData
	userData                UserData
	multiUserData           MultiUserData
	broadcastData           BroadcastData
	groupBroadcastData      GroupBroadcastData
	multiGroupBroadcastData MultiGroupBroadcastData
	joinGroupWithAck        JoinGroupWithAck
	leaveGroupWithAck       LeaveGroupWithAck
	ack                     Ack
}

// Decode reads the body of a frame, which is the frame without its length.
//
// Strings and byte slices of the message point into body, so body must not
// change while they are in use. What Decode allocates is bounded by a small
// multiple of len(body), whatever the lengths in it claim.
//
// An error costs this frame only: the SDK goes on with the next one and so may
// the caller (service-protocol 3.3). It is ErrUnknownType for a type that is
// not known. Unknown extension keys, known ones on the wrong message, elements
// after the known ones and bytes after the array are skipped; members that
// older SDKs do not write are zero (service-protocol 4.1, 4.3).
func (d *Decoder) Decode(body []byte) (Message, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(body)
	if err != nil {
		return nil, fmt.Errorf("read service message: %w", err)
	}
	if n == 0 {
		return nil, errors.New("read service message: the array is empty")
	}
	i, rest, err := msgp.ReadInt32Bytes(rest)
	if err != nil {
		return nil, fmt.Errorf("read service message: type: %w", err)
	}
	t := Type(i)
	m := d.empty(t)
	if m == nil {
		return nil, fmt.Errorf("%w %d", ErrUnknownType, i)
	}
	if int64(n) < int64(types[t].need) {
		return nil, fmt.Errorf("read %v: %d elements, want %d", t, n, types[t].need)
	}
	d.c.begin(rest, int(n)-1)
	d.c.message(m)
	if d.c.err != nil {
		return nil, fmt.Errorf("read %v: %w", t, d.c.err)
	}
	return m, nil
}

// begin makes the coder read n elements from b.
func (c *coder) begin(b []byte, n int) {
	*c = coder{b: b, n: n, strings: c.strings[:0], payloads: c.payloads[:0]}
	if cap(c.strings) > maxKeptStrings {
		c.strings = nil
	}
	if cap(c.payloads) > maxKeptPayloads {
		c.payloads = nil
	}
}
