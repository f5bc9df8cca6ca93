package conformance

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// Hub messages of the messagepack protocol (core-client-protocol 5.3) have the
// lengths of their texts in them. So a capture in one is either a part of a text,
// and then as long as it was when the transcript was written, or a whole value: a
// text of any length, whose head is not written. ${any} is any value.

// packedSize is the size of the first message of the messagepack protocol with
// its length, 0 when that is not whole.
func packedSize(data []byte) int {
	n, head := packedLength(data)
	if head == 0 {
		return 0
	}
	return head + n
}

// packedLength reads the length before a message. Head is how many bytes it has,
// at most five, and 0 when it is none.
func packedLength(data []byte) (n, head int) {
	length, head := binary.Uvarint(data[:min(5, len(data))])
	return int(length), head
}

// A packed is a hub message of a transcript.
type packed struct {
	text []byte // with its captures
	full []byte // with their values
	// open says that a value is not known: full has the capture as a text.
	open bool
	// sized says that a capture is a whole value, so that the length is another.
	sized bool
}

// readPacked reads the first message of a text, if there is a whole one whose
// length is right.
func (c captures) readPacked(text []byte) (m packed, ok bool) {
	n, head := packedLength(text)
	if head == 0 || head == len(text) || !isArray(text[head]) {
		return packed{}, false
	}
	r := packedReader{names: c, rest: text[head:]}
	if !r.value(0) || !r.sized && len(r.full) != n {
		return packed{}, false
	}
	length := binary.AppendUvarint(nil, uint64(len(r.full)))
	return packed{text[:len(text)-len(r.rest)], append(length, r.full...), r.open, r.sized}, true
}

// expandPacked fills in the captures of whole messages. It leaves to expand what
// has none that is a whole value.
func (c captures) expandPacked(text []byte) (full []byte, ok bool) {
	sized := false
	for len(text) > 0 {
		m, ok := c.readPacked(text)
		if !ok || m.open {
			return nil, false
		}
		full, text = append(full, m.full...), text[len(m.text):]
		sized = sized || m.sized
	}
	return full, sized
}

func isArray(c byte) bool { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }

// A packedReader reads a value of messagepack that has captures in it.
type packedReader struct {
	names       captures
	rest, full  []byte
	open, sized bool
}

// anyPacked is any value of messagepack.
var anyPacked = []byte("${any}")

// captureAt finds a capture at the beginning.
var captureAt = regexp.MustCompile("^" + captureIn.String())

// deepest bounds how deep values may be in others.
const deepest = 100

// value reads one value.
func (r *packedReader) value(depth int) bool {
	if len(r.rest) == 0 || depth > deepest {
		return false
	}
	if found := r.capture(); found != nil && !bytes.Contains(found, []byte("*")) {
		value, _, isTime, ok := r.names.lookup(string(found[2 : len(found)-1]))
		if isTime {
			return false
		}
		switch {
		case bytes.Equal(found, anyPacked):
			value = anyValue
		case !ok:
			value = string(found)
		}
		r.open, r.sized = r.open || !ok, true
		r.full, r.rest = msgp.AppendString(r.full, value), r.rest[len(found):]
		return true
	}
	switch c := r.rest[0]; {
	case c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3: // small numbers, nil, false and true
		return r.bytes(1)
	case c < 0x90:
		return r.bytes(1) && r.values(2*int(c&0xf), depth)
	case c < 0xa0:
		return r.bytes(1) && r.values(int(c&0xf), depth)
	case c < 0xc0:
		return r.bytes(1) && r.bytes(int(c&0x1f))
	case c >= 0xc4 && c <= 0xc6: // bytes
		n, ok := r.number(1 << (c - 0xc4))
		return ok && r.bytes(n)
	case c >= 0xc7 && c <= 0xc9: // extensions, with a type
		n, ok := r.number(1 << (c - 0xc7))
		return ok && r.bytes(n+1)
	case c >= 0xca && c <= 0xcb: // fractions
		return r.bytes(1 + 4<<(c-0xca))
	case c >= 0xcc && c <= 0xcf:
		return r.bytes(1 + 1<<(c-0xcc))
	case c >= 0xd0 && c <= 0xd3:
		return r.bytes(1 + 1<<(c-0xd0))
	case c >= 0xd4 && c <= 0xd8: // extensions
		return r.bytes(2 + 1<<(c-0xd4))
	case c >= 0xd9 && c <= 0xdb: // texts
		n, ok := r.number(1 << (c - 0xd9))
		return ok && r.bytes(n)
	case c == 0xdc || c == 0xdd:
		n, ok := r.number(2 << (c - 0xdc))
		return ok && r.values(n, depth)
	case c == 0xde || c == 0xdf:
		n, ok := r.number(2 << (c - 0xde))
		return ok && r.values(2*n, depth)
	}
	return false
}

// values reads what is in an array or a map.
func (r *packedReader) values(n, depth int) bool {
	for range n {
		if !r.value(depth + 1) {
			return false
		}
	}
	return true
}

// number reads the head of a value and the length of so many bytes behind it.
func (r *packedReader) number(size int) (n int, ok bool) {
	if len(r.rest) < 1+size {
		return 0, false
	}
	for _, c := range r.rest[1 : 1+size] {
		n = n<<8 | int(c)
	}
	return n, r.bytes(1 + size)
}

// bytes reads so many bytes, in which captures count as what they stand for.
func (r *packedReader) bytes(n int) bool {
	for end := len(r.full) + n; len(r.full) < end; {
		if len(r.rest) == 0 {
			return false
		}
		if found := r.capture(); found != nil {
			value, _, isTime, ok := r.names.lookup(string(found[2 : len(found)-1]))
			if isTime || !ok || len(r.full)+len(value) > end {
				return false
			}
			r.full, r.rest = append(r.full, value...), r.rest[len(found):]
			continue
		}
		plain := min(len(r.rest), end-len(r.full))
		if next := bytes.Index(r.rest[1:plain], captureSign); next >= 0 {
			plain = next + 1
		}
		r.full, r.rest = append(r.full, r.rest[:plain]...), r.rest[plain:]
	}
	return true
}

// capture is the capture that comes next, nil if it is something else.
func (r *packedReader) capture() []byte {
	if !bytes.HasPrefix(r.rest, captureSign) {
		return nil
	}
	return captureAt.Find(r.rest[:min(len(r.rest), longestCapture)])
}

// longestCapture is the most bytes that a capture has: 64 signs of up to 4 bytes
// in ${}.
const longestCapture = 3 + 64*utf8.UTFMax
