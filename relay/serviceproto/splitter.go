package serviceproto

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits of a [Splitter].
const (
	defaultMaxFrame = 64 << 20 // the SDK has none (service-protocol 3.2)
	maxLengthBytes  = 5        // of a length
	maxKeptFrame    = 64 << 10 // of a buffer that is kept between frames
)

// Errors of [Splitter.Feed]. After either the stream has no next frame that
// could be found: the connection is to be closed.
var (
	ErrFrameTooLarge = errors.New("service frame is too large")
	ErrLength        = errors.New("service frame has an impossible length")
)

// A Splitter cuts the byte stream of one server connection into frames. The
// borders of the chunks it is fed, such as WebSocket messages, mean nothing
// (service-protocol 3.2). The zero value is ready. It is not for concurrent
// use.
type Splitter struct {
	// Max is the largest body in bytes, 64 MiB when it is zero.
	Max int

	// begun is a frame that did not end in the chunk it began in, from its
	// length on. It grows with what arrives, never with what is announced.
	begun []byte
}

// Feed calls f with the body of each frame that ends in chunk, in order. The
// body is borrowed: it lies in chunk or in the Splitter's buffer and is f's
// until f returns. more says that another whole frame follows in chunk, so that
// f may leave flushing to the last one.
//
// Feed ends at the first error, which is f's, ErrFrameTooLarge or ErrLength.
// The Splitter is of no use then.
func (s *Splitter) Feed(chunk []byte, f func(body []byte, more bool) error) error {
	for len(chunk) > 0 {
		body, rest, err := s.next(chunk)
		if err != nil {
			return err
		}
		if body == nil {
			return nil
		}
		if err := f(body, s.whole(rest)); err != nil {
			return err
		}
		if cap(s.begun) > maxKeptFrame {
			s.begun = nil
		}
		s.begun, chunk = s.begun[:0], rest
	}
	return nil
}

// next returns the first frame of the stream and what follows it in chunk. The
// body is nil, and chunk kept, when the frame does not end in chunk.
func (s *Splitter) next(chunk []byte) (body, rest []byte, err error) {
	// A frame begun earlier is completed here, its length first and by the byte.
	frame := s.begun
	for len(frame) > 0 {
		size, head, err := s.length(frame)
		if err != nil {
			return nil, nil, err
		}
		missing := 1
		if head > 0 {
			missing = head + size - len(frame)
		}
		if missing == 0 {
			s.begun = frame
			return frame[head:len(frame):len(frame)], chunk, nil
		}
		if len(chunk) == 0 {
			s.begun = frame
			return nil, nil, nil
		}
		missing = min(missing, len(chunk))
		frame, chunk = append(frame, chunk[:missing]...), chunk[missing:]
	}
	size, head, err := s.length(chunk)
	if err != nil {
		return nil, nil, err
	}
	if head == 0 || size > len(chunk)-head {
		s.begun = append(s.begun, chunk...)
		return nil, nil, nil
	}
	return chunk[head : head+size : head+size], chunk[head+size:], nil
}

// whole reports whether b starts with a whole frame.
func (s *Splitter) whole(b []byte) bool {
	size, head, err := s.length(b)
	return err == nil && head > 0 && size <= len(b)-head
}

// length reads the length at the start of b: size is that of the body, head its
// own, zero when b is too short to hold it.
func (s *Splitter) length(b []byte) (size, head int, err error) {
	u, head := binary.Uvarint(b[:min(len(b), maxLengthBytes)])
	if head == 0 && len(b) >= maxLengthBytes || u > 1<<31-1 {
		return 0, 0, ErrLength
	}
	limit := s.Max
	if limit == 0 {
		limit = defaultMaxFrame
	}
	if u > uint64(limit) {
		return 0, 0, fmt.Errorf("%w: %d bytes", ErrFrameTooLarge, u)
	}
	return int(u), head, nil
}

// appendLength appends the length of a body of n bytes.
func appendLength(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) }
