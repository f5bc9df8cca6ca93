package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/signalrelay/signalrelay/conformance"
)

// Opcodes of RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
)

// upgraded notes that a WebSocket is open and has what it carries noted.
func (x *exchange) upgraded(resp *http.Response) error {
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return errors.New("the connection cannot be written to")
	}
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	x.carry()
	x.answer = x.r.add(server, x.conn, conformance.Response{Status: resp.StatusCode})
	s := &socket{ReadWriteCloser: conn, x: x}
	s.fromServer.say = func(op byte, data []byte) { s.said(server, op, data) }
	s.fromClient.begun = s.begun
	s.fromClient.say = func(op byte, data []byte) { s.said(conformance.Client, op, data) }
	resp.Body = s
	return nil
}

// A socket is the server's side of a WebSocket that is passed on: Read has what
// the server says, Write what the client says. Each message is noted before the
// other end has the last of its bytes.
type socket struct {
	io.ReadWriteCloser
	x *exchange

	fromServer, fromClient frames     // one goroutine each
	place                  *entry     // of a message that the client has begun
	writing                sync.Mutex // held while fromClient is fed, or looked at by another

	mu     sync.Mutex
	closed bool // one end has said so
}

// Read is io.Reader's.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.fromServer.feed(p[:n])
	if err != nil {
		s.lost(server)
	}
	return n, err
}

// Write is io.Writer's.
func (s *socket) Write(p []byte) (int, error) {
	s.writing.Lock()
	s.fromClient.feed(p)
	s.writing.Unlock()
	return s.ReadWriteCloser.Write(p)
}

// CloseWrite is called when the client has sent its last byte.
func (s *socket) CloseWrite() error {
	s.lost(conformance.Client)
	if c, ok := s.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return s.ReadWriteCloser.Close()
}

// Close is called when one end has gone: the client, unless Read told of the
// server.
func (s *socket) Close() error {
	s.brokenOff()
	s.lost(conformance.Client)
	return s.ReadWriteCloser.Close()
}

// lost notes that somebody went away without a word.
func (s *socket) lost(who conformance.Speaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.x.ended(who, conformance.Drop{})
	}
}

func (s *socket) said(who conformance.Speaker, op byte, data []byte) {
	if op == opClose {
		var c conformance.Close
		if len(data) >= 2 {
			c.Code, c.Reason = int(binary.BigEndian.Uint16(data)), string(data[2:])
		}
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.x.r.note(who, s.x.carrier, c)
		return
	}
	kind := conformance.Text
	if op == opBinary {
		kind = conformance.Binary
	}
	if who == server {
		s.x.heard(kind, data)
		return
	}
	data = withoutKeepAlives(data, false)
	s.x.r.mu.Lock()
	defer s.x.r.mu.Unlock()
	e := s.place
	if s.place = nil; e == nil {
		e = s.x.r.add(who, s.x.carrier, nil)
	}
	e.Said, e.left = conformance.Data{Kind: kind, Bytes: s.x.clientSays(data)}, len(data) == 0
}

// begun keeps the place of a message of the client of which only a part has
// come: the server may answer before it has all of it.
func (s *socket) begun() {
	s.x.r.mu.Lock()
	defer s.x.r.mu.Unlock()
	if s.place == nil {
		s.place = s.x.r.add(conformance.Client, s.x.carrier, nil)
		s.place.left = true
	}
}

// brokenOff notes a message of the client that the server did not wait for the
// end of. It is as long as it was to be, since that may be the reason.
func (s *socket) brokenOff() {
	s.writing.Lock()
	defer s.writing.Unlock()
	op, data, missing := s.fromClient.unfinished()
	s.x.r.mu.Lock()
	defer s.x.r.mu.Unlock()
	if s.place == nil || len(data) == 0 || missing > maxBody {
		return
	}
	kind := conformance.Text
	if op == opBinary {
		kind = conformance.Binary
	}
	s.place.Said, s.place.left = conformance.Data{Kind: kind, Bytes: fmt.Appendf(quote(data), "${%d*x}", missing)}, false
	s.place = nil
}

// heard notes what the server says on a carrier.
func (x *exchange) heard(kind conformance.DataKind, data []byte) {
	if data = withoutKeepAlives(data, true); len(data) == 0 {
		return
	}
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	x.r.add(server, x.carrier, conformance.Data{Kind: kind, Bytes: x.serverSays(data)})
}

// frames cuts one direction of a WebSocket into messages. Bytes that are no
// WebSocket's are passed over.
type frames struct {
	say    func(op byte, data []byte) // a whole message or a close frame
	begun  func()                     // a part of a message, once or more often; nil for nobody
	buf    []byte
	parts  []byte // of a message in fragments
	op     byte   // of that message, 0 for none
	broken bool
}

func (f *frames) feed(p []byte) {
	if f.broken {
		return
	}
	f.buf = append(f.buf, p...)
	for {
		head, size, mask, ok := frameHead(f.buf)
		if !ok || uint64(len(f.buf)-head) < size {
			if f.broken = ok && size > maxBody || len(f.parts) > maxBody; ok && f.begun != nil && f.buf[0]&0xf <= opBinary {
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
