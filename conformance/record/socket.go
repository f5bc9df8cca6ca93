package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/signalrelay/signalrelay/conformance"
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
	s.fromServer = frames{say: func(op byte, data []byte) { s.said(server, op, data) }, tooLarge: func() { s.tooLarge(server) }}
	s.fromClient = frames{say: func(op byte, data []byte) { s.said(conformance.Client, op, data) }, tooLarge: func() { s.tooLarge(conformance.Client) }, begun: s.begun}
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
	e.Said, e.omitted = conformance.Data{Kind: kind, Bytes: s.x.clientSays(data)}, len(data) == 0
}

// begun keeps the place of a message of the client of which only a part has
// come: the server may answer before it has all of it.
func (s *socket) begun() {
	s.x.r.mu.Lock()
	defer s.x.r.mu.Unlock()
	if s.place == nil {
		s.place = s.x.r.add(conformance.Client, s.x.carrier, nil)
		s.place.omitted = true
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
	s.place.Said, s.place.omitted = conformance.Data{Kind: kind, Bytes: fmt.Appendf(quote(data), "${%d*x}", missing)}, false
	s.place = nil
}

// tooLarge notes that a message is not noted, nor what the same end says after it.
func (s *socket) tooLarge(who conformance.Speaker) {
	s.x.r.note(conformance.Note, "", conformance.Remark(fmt.Sprintf("a message of more than 64 MiB of the %s on %s and what it said after that are left out", who, s.x.carrier)))
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
