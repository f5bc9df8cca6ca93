package hubproto

import "bytes"

// Separator ends every json message and both messages of the handshake.
const Separator = 0x1e

// keepBuffer is the largest buffer that a Framer keeps while it is empty.
const keepBuffer = 64 << 10

// Framer cuts the byte stream of one peer into messages, whatever its chunks
// were. It is not for concurrent use. The zero value reads the handshake.
type Framer struct {
	// Protocol is whose framing comes next. Nil means the handshake, which ends
	// with a Separator whatever follows; the function that Feed calls sets the
	// Protocol before it returns.
	Protocol Protocol
	// Max is the largest message in bytes, framing included; 0 means no limit.
	Max int

	rest    []byte
	scanned int // of rest, where no Separator is
	need    int // bytes of rest before another try makes sense
}

// Feed takes the next chunk and calls f with the body of every message that is
// complete, borrowed until f returns. It stops at the first error, of f, or
// ErrTooLarge or ErrLength; the Framer is of no use after that. Memory grows
// with what was received, never with what a length prefix announces.
func (f *Framer) Feed(chunk []byte, each func(body []byte) error) error {
	in := chunk
	if len(f.rest) > 0 {
		f.rest = append(f.rest, chunk...)
		if len(f.rest) < f.need {
			return nil
		}
		in = f.rest
	}
	for len(in) > 0 {
		body, size, need, err := f.next(in)
		if err != nil {
			return err
		}
		if f.Max > 0 && max(size, need) > f.Max {
			return ErrTooLarge
		}
		if size == 0 {
			if f.Max > 0 && len(in) > f.Max {
				return ErrTooLarge
			}
			f.need = need
			break
		}
		f.scanned, f.need = 0, 0
		if err := each(body); err != nil {
			return err
		}
		in = in[size:]
	}
	f.keep(in)
	return nil
}

// Pending is how many bytes of an incomplete message are held.
func (f *Framer) Pending() int { return len(f.rest) }

func (f *Framer) next(in []byte) (body []byte, size, need int, err error) {
	if f.Protocol != nil && f.Protocol.Binary() {
		return f.Protocol.Next(in)
	}
	i := bytes.IndexByte(in[f.scanned:], Separator)
	if i < 0 {
		f.scanned = len(in)
		return nil, 0, 0, nil
	}
	i += f.scanned
	return in[:i], i + 1, 0, nil
}

func (f *Framer) keep(in []byte) {
	if len(in) == 0 && cap(f.rest) > keepBuffer {
		f.rest = nil
		return
	}
	f.rest = append(f.rest[:0], in...)
}
