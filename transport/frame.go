package transport

import "encoding/binary"

// Opcodes of RFC 6455, 5.2.
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
)

// Close codes of RFC 6455, 7.4.1.
const (
	CloseNormal    = 1000
	CloseGoingAway = 1001
	CloseProtocol  = 1002
	ClosePolicy    = 1008
	CloseTooLarge  = 1009
	CloseInternal  = 1011
)

// maxHeader is the size of the longest frame header that a server writes.
const maxHeader = 10

// appendHeader appends the header of a whole, unmasked message.
func appendHeader(dst []byte, op byte, n int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return append(dst, 126, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
}

// A frameParser cuts a client's byte stream into frames. It keeps no payload:
// pieces go out as they come in, unmasked in place.
type frameParser struct {
	left    uint64 // payload of the frame at hand that is still to come
	message int64  // payload of the message at hand so far
	mask    [4]byte
	head    [14]byte
	headLen uint8 // bytes of head that are there
	pos     uint8 // position in mask
	op      byte  // of the frame at hand
	fin     bool
	inside  bool // a frame's payload is being read
	text    bool // the message at hand is text
	begun   bool // a message is open, continuations are due
	control []byte
}

// idle says whether the stream stands between two messages, with nothing kept.
func (f *frameParser) idle() bool { return !f.inside && !f.begun && f.headLen == 0 }

// feed parses p. data gets each piece of a message, control each whole control
// frame; an error of theirs ends it.
func (f *frameParser) feed(p []byte, max int64, data func(p []byte, fr Frame) error, control func(op byte, p []byte) error) error {
	for {
		if !f.inside {
			rest, whole, err := f.header(p, max)
			if err != nil || !whole {
				return err
			}
			p = rest
		}
		n := len(p)
		if uint64(n) > f.left {
			n = int(f.left)
		}
		piece := p[:n]
		p = p[n:]
		f.pos = unmask(piece, f.mask, f.pos)
		f.left -= uint64(n)
		done := f.left == 0
		if f.op >= opClose {
			f.control = append(f.control, piece...)
			if done {
				f.inside = false
				c := f.control
				f.control = nil
				if err := control(f.op, c); err != nil {
					return err
				}
			}
		} else {
			end := done && f.fin
			if n > 0 || end {
				if err := data(piece, Frame{Text: f.text, End: end}); err != nil {
					return err
				}
			}
			if done {
				f.inside = false
				f.begun = !f.fin
				if f.fin {
					f.message = 0
				}
			}
		}
		if len(p) == 0 && (f.inside || f.headLen == 0) {
			return nil
		}
	}
}

// header reads a frame header, which may come in pieces, and checks it
// against RFC 6455, 5.2 and 5.5.
func (f *frameParser) header(p []byte, max int64) (rest []byte, whole bool, err error) {
	for {
		need := 2
		if f.headLen >= 2 {
			if f.head[0]&0x70 != 0 || f.head[1]&0x80 == 0 { // no extension was agreed on; clients mask
				return nil, false, ErrProtocol
			}
			need = headerSize(f.head[1])
		}
		if int(f.headLen) == need && f.headLen > 2 {
			break
		}
		if len(p) == 0 {
			return nil, false, nil
		}
		n := copy(f.head[f.headLen:need], p)
		f.headLen += uint8(n)
		p = p[n:]
	}
	h := f.head[:f.headLen]
	f.headLen = 0
	f.op, f.fin = h[0]&0xf, h[0]&0x80 != 0
	switch size := h[1] & 0x7f; size {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(h[2:])
	default:
		f.left = uint64(size)
	}
	copy(f.mask[:], h[len(h)-4:])
	f.pos = 0
	switch {
	case f.op >= opClose:
		if f.op > opPong || !f.fin || f.left > 125 {
			return nil, false, ErrProtocol
		}
	case f.op > opBinary, (f.op == opContinue) != f.begun:
		return nil, false, ErrProtocol
	default:
		if f.op != opContinue {
			f.text = f.op == opText
		}
		f.begun = true
		if f.left > uint64(max) || f.message+int64(f.left) > max {
			return nil, false, ErrTooLarge
		}
		f.message += int64(f.left)
	}
	f.inside = true
	return p, true, nil
}

// headerSize is the size of a masked frame's header by its second byte.
func headerSize(b byte) int {
	switch b & 0x7f {
	case 126:
		return 8
	case 127:
		return 14
	}
	return 6
}

// unmask applies a mask from a position on and returns the next position.
func unmask(p []byte, mask [4]byte, pos uint8) uint8 {
	var k [8]byte
	for i := range k {
		k[i] = mask[(int(pos)+i)&3]
	}
	key := binary.LittleEndian.Uint64(k[:])
	n := len(p)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^key)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= k[i]
	}
	return uint8((int(pos) + n) & 3)
}
