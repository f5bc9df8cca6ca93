package serviceproto

import (
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// ConnectionDataTail follows the payload after [AppendConnectionDataHead], and
// PartialConnectionDataTail after [AppendPartialConnectionDataHead]: the
// extension maps of those frames. Both are read-only.
var (
	ConnectionDataTail        = []byte{0x80}
	PartialConnectionDataTail = []byte{0x81, keyPartial, 0xc3}
)

// Append appends the frame of m, its length first, in the shape that the newest
// SDK writes, and returns the longer slice. m must be one of this package's
// messages; its values are not checked. It may be shared by concurrent calls.
func Append(dst []byte, m Message) []byte {
	// Nearly every frame has a head of three bytes: the length, the array and the
	// type. What follows is moved once in the others.
	start := len(dst)
	c := coder{writing: true, n: 1, b: append(dst, 0, 0, 0)}
	t := c.message(m)

	var array, head [16]byte
	a := append(msgp.AppendArrayHeader(array[:0], uint32(c.n)), byte(t))
	h := appendLength(head[:0], len(a)+len(c.b)-start-3)
	h = append(h, a...)
	c.b = slices.Insert(c.b, start, h[:len(h)-3]...)
	copy(c.b[start:], h)
	return c.b
}

// AppendConnectionDataHead appends the frame of a [ConnectionData] without
// extension values up to its payload of n bytes. The caller adds the payload
// and ConnectionDataTail, and thereby copies it once or not at all.
func AppendConnectionDataHead(dst []byte, connectionID string, n int) []byte {
	return appendConnectionDataHead(dst, connectionID, n, len(ConnectionDataTail))
}

// AppendPartialConnectionDataHead is [AppendConnectionDataHead] for a slice that
// does not end a hub message, for PartialConnectionDataTail. Only for clients
// with stateful reconnect: older SDKs do not know it (service-protocol 7.6).
func AppendPartialConnectionDataHead(dst []byte, connectionID string, n int) []byte {
	return appendConnectionDataHead(dst, connectionID, n, len(PartialConnectionDataTail))
}

func appendConnectionDataHead(dst []byte, connectionID string, n, tail int) []byte {
	dst = appendLength(dst, 2+strSize(len(connectionID))+binHeaderSize(n)+n+tail)
	dst = append(dst, 0x94, byte(TypeConnectionData)) // an array of four
	dst = msgp.AppendString(dst, connectionID)
	return msgp.AppendBytesHeader(dst, uint32(n))
}

// strSize returns the size of a str of n bytes.
func strSize(n int) int {
	switch {
	case n < 1<<5:
		return 1 + n
	case n < 1<<8:
		return 2 + n
	case n < 1<<16:
		return 3 + n
	}
	return 5 + n
}

// binHeaderSize returns the size of what stands before a bin of n bytes.
func binHeaderSize(n int) int {
	switch {
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	}
	return 5
}
