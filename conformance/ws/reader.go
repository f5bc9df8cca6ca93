package ws

import (
	"fmt"
	"io"
	"sync"
)

const (
	smallBuffer = 512       // what an idle connection keeps
	largeBuffer = 16 << 10  // a bigger one is given back after the message that needed it
	skipBuffer  = 64 << 10  // scratch for skipping payloads, shared by all connections
	messageMax  = 256 << 20 // default of reader.max
)

var skipPool = sync.Pool{New: func() any { b := make([]byte, skipBuffer); return &b }}

// reader cuts a byte stream into messages and control frames. A failed read (a deadline) loses nothing: the next
// call goes on where the last one stopped.
type reader struct {
	src  io.Reader
	max  int64  // largest message in bytes
	buf  []byte // buf[r:w] is read and not yet consumed
	r, w int

	op      byte   // of the message whose fragments are being collected; 0 = none
	parts   []byte // payloads of its fragments so far, when collected
	total   int64  // their length, also when skipped
	skip    int64  // payload bytes of the current data frame still to be skipped
	skipped header // that frame
}

// message returns the next whole data message, or the next control frame, which may come in the middle of one.
// The payload is valid until the next call.
func (r *reader) message() (op byte, p []byte, err error) {
	r.shrink()
	for {
		h, err := r.header()
		if err != nil {
			return 0, nil, err
		}
		if err := r.fill(h.len, h.size); err != nil {
			return 0, nil, err
		}
		p := r.buf[r.r+h.len:][:h.size:h.size]
		r.r += h.len + int(h.size)
		if h.control() {
			return h.op, p, nil
		}
		if h.fin && r.op == 0 {
			return h.op, p, nil // the common case: one frame, no copy
		}
		if r.op == 0 {
			r.op = h.op
		}
		r.parts, r.total = append(r.parts, p...), r.total+h.size
		if h.fin {
			op, p := r.op, r.parts
			r.op, r.parts, r.total = 0, nil, 0
			return op, p, nil
		}
	}
}

// skim is message without keeping the payload of data messages: it returns their size.
func (r *reader) skim() (op byte, control []byte, size int64, err error) {
	r.shrink()
	for {
		if err := r.discard(); err != nil {
			return 0, nil, 0, err
		}
		if r.skipped.fin {
			op, size := r.op, r.total
			r.op, r.total, r.skipped = 0, 0, header{}
			return op, nil, size, nil
		}
		h, err := r.header()
		if err != nil {
			return 0, nil, 0, err
		}
		if h.control() {
			if err := r.fill(h.len, h.size); err != nil {
				return 0, nil, 0, err
			}
			p := r.buf[r.r+h.len:][:h.size:h.size]
			r.r += h.len + int(h.size)
			return h.op, p, 0, nil
		}
		if r.op == 0 {
			r.op = h.op
		}
		r.r += h.len
		r.total, r.skip, r.skipped = r.total+h.size, h.size, h
	}
}

// discard consumes what is left of the frame being skipped, past the small buffer in large pieces.
func (r *reader) discard() error {
	n := min(r.skip, int64(r.w-r.r))
	r.r, r.skip = r.r+int(n), r.skip-n
	if r.skip == 0 {
		return nil
	}
	scratch := skipPool.Get().(*[]byte)
	defer skipPool.Put(scratch)
	for r.skip > 0 {
		n, err := r.src.Read((*scratch)[:min(r.skip, skipBuffer)])
		r.skip -= int64(n)
		if err != nil && r.skip > 0 {
			return err
		}
	}
	return nil
}

// header reads and checks, but does not consume, the next frame's header.
func (r *reader) header() (header, error) {
	for {
		h, err := parseHeader(r.buf[r.r:r.w])
		if err != nil {
			return header{}, err
		}
		if h.len == 0 {
			if err := r.more(r.w - r.r + 1); err != nil {
				return header{}, err
			}
			continue
		}
		switch {
		case h.control():
		case (h.op == continuation) != (r.op != 0):
			return header{}, fmt.Errorf("fragments out of order: %w", ErrProtocol)
		case h.size > r.max-r.total:
			return header{}, fmt.Errorf("message over %d bytes: %w", r.max, ErrProtocol)
		}
		return h, nil
	}
}

// fill reads until the frame of the given header and payload length is in buf. The buffer at most doubles per
// read, so a length that is only claimed allocates next to nothing.
func (r *reader) fill(head int, size int64) error {
	for need := head + int(size); r.w-r.r < need; {
		if err := r.more(need); err != nil {
			return err
		}
	}
	return nil
}

// more makes room towards need unconsumed bytes and reads once.
func (r *reader) more(need int) error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if r.r+need > len(r.buf) {
		held := r.buf[r.r:r.w]
		if r.w-r.r == len(r.buf) || len(r.buf) < smallBuffer {
			r.buf = make([]byte, min(max(need, smallBuffer), max(2*len(r.buf), smallBuffer)))
		}
		r.w = copy(r.buf, held)
		r.r = 0
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// shrink gives a large buffer back once it is consumed, so that one large message does not make an idle
// connection expensive.
func (r *reader) shrink() {
	if r.r == r.w && len(r.buf) > largeBuffer {
		r.buf, r.r, r.w = nil, 0, 0
	}
}
