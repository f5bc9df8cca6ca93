package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcodes of RFC 6455 section 5.2. Read only ever returns Text and Binary.
const (
	Text   byte = 0x1
	Binary byte = 0x2

	continuation byte = 0x0
	closing      byte = 0x8
	ping         byte = 0x9
	pong         byte = 0xA
)

// maxControl is the largest payload of a close, ping or pong frame (RFC 6455 section 5.5).
const maxControl = 125

// ErrProtocol is wrapped by every error about bytes that are not a WebSocket server's.
var ErrProtocol = errors.New("websocket protocol violation")

type header struct {
	fin  bool
	op   byte
	size int64 // of the payload
	len  int   // of the header itself; 0 while more bytes are needed
}

func (h header) control() bool { return h.op&0x8 != 0 }

// parseHeader reads the frame header at the start of b. A server's frames are never masked (RFC 6455 section 5.1).
func parseHeader(b []byte) (header, error) {
	if len(b) < 2 {
		return header{}, nil
	}
	h := header{fin: b[0]&0x80 != 0, op: b[0] & 0xF, size: int64(b[1] & 0x7F), len: 2}
	switch {
	case b[0]&0x70 != 0:
		return header{}, fmt.Errorf("reserved bits %#x: %w", b[0]&0x70, ErrProtocol)
	case b[1]&0x80 != 0:
		return header{}, fmt.Errorf("masked frame from a server: %w", ErrProtocol)
	case h.op > Binary && h.op < closing || h.op > pong:
		return header{}, fmt.Errorf("opcode %#x: %w", h.op, ErrProtocol)
	case h.control() && (!h.fin || h.size > maxControl):
		return header{}, fmt.Errorf("fragmented or oversized control frame: %w", ErrProtocol)
	}
	switch h.size {
	case 126:
		if h.len = 4; len(b) < h.len {
			return header{}, nil
		}
		h.size = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if h.len = 10; len(b) < h.len {
			return header{}, nil
		}
		if h.size = int64(binary.BigEndian.Uint64(b[2:])); h.size < 0 {
			return header{}, fmt.Errorf("length with the highest bit set: %w", ErrProtocol)
		}
	}
	return h, nil
}

// appendFrame appends one final, masked frame to dst.
func appendFrame(dst []byte, op byte, p []byte, key uint32) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(p); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, key)
	from := len(dst)
	dst = append(dst, p...)
	mask(dst[from:], key)
	return dst
}

// mask applies the key, whose first wire byte is its lowest, eight bytes at a time.
func mask(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3)))
	}
}
