package ws

import "io"

// Reader lets the tests feed the frame reader without a socket.
type Reader struct{ r reader }

// NewReader reads messages of at most max bytes from src.
func NewReader(src io.Reader, max int64) *Reader { return &Reader{reader{src: src, max: max}} }

// Message is reader.message.
func (r *Reader) Message() (byte, []byte, error) { return r.r.message() }

// Skim is reader.skim; a control frame's size is its payload's.
func (r *Reader) Skim() (byte, int64, error) {
	op, p, n, err := r.r.skim()
	return op, n + int64(len(p)), err
}

// Buffered is the capacity the reader holds on to.
func (r *Reader) Buffered() int { return cap(r.r.buf) + cap(r.r.parts) }

// AppendFrame is appendFrame.
var AppendFrame = appendFrame
