package record

import (
	"bytes"
	"encoding/binary"
)

// Opcodes of RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
)

// frames cuts one direction of a WebSocket into messages. Bytes that are no
// WebSocket's are passed over.
type frames struct {
	say      func(op byte, data []byte) // a whole message or a close frame
	begun    func()                     // a part of a message, once or more often; nil for nobody
	tooLarge func()                     // a message of more than maxBody, after which nothing is said; nil for nobody
	buf      []byte
	parts    []byte // of a message in fragments
	op       byte   // of that message, 0 for none
	done     bool   // nothing is said any more
}

func (f *frames) feed(p []byte) {
	if f.done {
		return
	}
	f.buf = append(f.buf, p...)
	for {
		head, size, mask, ok := frameHead(f.buf)
		if !ok || uint64(len(f.buf)-head) < size {
			switch {
			case ok && size > maxBody, len(f.parts) > maxBody:
				f.giveUp()
			case ok && f.begun != nil && f.buf[0]&0xf <= opBinary:
				f.begun()
			}
			return
		}
		op, fin := f.buf[0]&0xf, f.buf[0]&0x80 != 0
		payload := f.buf[head : head+int(size)]
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		switch {
		case op == opClose:
			f.say(op, payload)
		case op > opBinary: // ping and pong
		case op != opContinuation && fin:
			f.say(op, append([]byte(nil), payload...))
		default:
			if op != opContinuation {
				f.op = op
			}
			if f.parts = append(f.parts, payload...); fin {
				f.say(f.op, f.parts)
				f.op, f.parts = 0, nil
			} else if f.begun != nil {
				f.begun()
			}
		}
		f.buf = append(f.buf[:0], f.buf[head+int(size):]...)
	}
}

func (f *frames) giveUp() {
	f.done, f.buf, f.parts = true, nil, nil
	if f.tooLarge != nil {
		f.tooLarge()
	}
}

// unfinished is what has come of the message that is under way, and how many
// bytes its last frame lacks.
func (f *frames) unfinished() (op byte, data []byte, missing uint64) {
	op, data = f.op, bytes.Clone(f.parts)
	head, size, mask, ok := frameHead(f.buf)
	if !ok || f.buf[0]&0xf > opBinary {
		return op, data, 0
	}
	if f.buf[0]&0xf != opContinuation {
		op = f.buf[0] & 0xf
	}
	for i, c := range f.buf[head:] {
		data = append(data, c^mask[i&3])
	}
	return op, data, size - uint64(len(f.buf)-head)
}

// frameHead reads the head of a frame, masked or not (RFC 6455 section 5.2).
func frameHead(b []byte) (head int, size uint64, mask [4]byte, ok bool) {
	if len(b) < 2 {
		return 0, 0, mask, false
	}
	head, size = 2, uint64(b[1]&0x7f)
	switch {
	case size == 126 && len(b) >= 4:
		head, size = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		head, size = 10, binary.BigEndian.Uint64(b[2:])
	case size >= 126:
		return 0, 0, mask, false
	}
	if b[1]&0x80 != 0 {
		if len(b) < head+4 {
			return 0, 0, mask, false
		}
		copy(mask[:], b[head:])
		head += 4
	}
	return head, size, mask, true
}
