package aspnetcore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
)

// A framing is what the relay knows of a hub protocol: where messages end,
// their types, and how to write the four messages that are its own. All else
// of the hub protocol belongs to the client and the app.
type framing uint8

const (
	opaque framing = iota // a protocol we do not know: bytes pass, nothing is counted or written
	text                  // json: one object and recordSeparator each
	packed                // messagepack, blazorpack: base-128 length, then one array each
)

const recordSeparator = 0x1e

// Types of hub messages (core-client-protocol 5.1). Those up to typeCancel
// are counted by stateful reconnect.
const (
	typeCancel   = 5
	typeClose    = 7
	typeAck      = 8
	typeSequence = 9
)

func framingOf(protocol string) framing {
	switch protocol {
	case "json":
		return text
	case "messagepack", "blazorpack":
		return packed
	}
	return opaque
}

var errFraming = errors.New("message length is not valid")

// first returns the size of the first message of p, 0 when p does not hold a
// whole one.
func (f framing) first(p []byte) (int, error) {
	switch f {
	case text:
		return bytes.IndexByte(p, recordSeparator) + 1, nil
	case packed:
		n, size, err := length(p)
		if err != nil || size == 0 || len(p)-size < n {
			return 0, err
		}
		return size + n, nil
	}
	return len(p), nil
}

// length reads the length prefix of a binary message: its value and its own
// size, which is 0 while the prefix is not complete (core-client-protocol 5.3).
func length(p []byte) (n, size int, err error) {
	for i := 0; i < 5; i++ {
		if i == len(p) {
			return 0, 0, nil
		}
		if i == 4 && p[i] > 7 {
			return 0, 0, errFraming
		}
		n |= int(p[i]&0x7f) << (7 * i)
		if p[i] < 0x80 {
			return n, i + 1, nil
		}
	}
	return 0, 0, errFraming
}

// whole says whether p consists of whole messages.
func (f framing) whole(p []byte) bool {
	switch f {
	case text:
		return len(p) > 0 && p[len(p)-1] == recordSeparator
	case packed:
		for len(p) > 0 {
			n, err := f.first(p)
			if n == 0 || err != nil {
				return false
			}
			p = p[n:]
		}
	}
	return true
}

// typeOf returns the type of one whole message, 0 when it cannot be told.
func (f framing) typeOf(m []byte) int {
	switch f {
	case text:
		return jsonType(m)
	case packed:
		body := f.body(m)
		if len(body) > 0 && body[0] < 0x80 { // positive fixint
			return int(body[0])
		}
	}
	return 0
}

// body returns what follows the array header of a binary message.
func (f framing) body(m []byte) []byte {
	_, size, err := length(m)
	if err != nil || size >= len(m) {
		return nil
	}
	skip := 1
	switch m[size] {
	case 0xdc:
		skip = 3
	case 0xdd:
		skip = 5
	}
	if size+skip > len(m) {
		return nil
	}
	return m[size+skip:]
}

// isClose says whether one message is a hub Close. .NET writes the type of a
// json message first, other apps need not.
func (f framing) isClose(m []byte) bool {
	const most = 1 << 10 // a Close is short; a long message is not worth the search
	return len(m) <= most && f.typeOf(m) == typeClose
}

// jsonType finds the member "type" of an object without decoding the rest:
// .NET writes it first, JavaScript last (core-client-protocol 5.2).
func jsonType(m []byte) int {
	s := scanner{p: m}
	if !s.take('{') {
		return 0
	}
	for {
		key := s.str()
		if key == nil || !s.take(':') {
			return 0
		}
		if string(key) == "type" {
			return s.number()
		}
		if !s.skip() || !s.take(',') {
			return 0
		}
	}
}

// A scanner walks over JSON that it trusts to be of the right shape, and
// gives up where it is not.
type scanner struct {
	p []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.p) && (s.p[s.i] == ' ' || s.p[s.i] == '\t' || s.p[s.i] == '\n' || s.p[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.i == len(s.p) || s.p[s.i] != c {
		return false
	}
	s.i++
	return true
}

// str returns the raw inside of a string, nil if there is none.
func (s *scanner) str() []byte {
	if !s.take('"') {
		return nil
	}
	for from := s.i; s.i < len(s.p); s.i++ {
		switch s.p[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return s.p[from : s.i-1 : s.i-1]
		}
	}
	return nil
}

func (s *scanner) number() int {
	s.space()
	n, digits := 0, 0
	for ; s.i < len(s.p) && s.p[s.i] >= '0' && s.p[s.i] <= '9' && digits < 4; s.i++ {
		n, digits = 10*n+int(s.p[s.i]-'0'), digits+1
	}
	return n
}

// skip passes over one value.
func (s *scanner) skip() bool {
	s.space()
	depth := 0
	for s.i < len(s.p) {
		switch c := s.p[s.i]; c {
		case '"':
			if s.str() == nil {
				return false
			}
			s.i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true // the end of what surrounds a bare value
			}
			depth--
		case ',':
			if depth == 0 {
				return true
			}
		}
		s.i++
		if depth == 0 && s.i < len(s.p) && (s.p[s.i] == ',' || s.p[s.i] == '}') {
			return true
		}
	}
	return false
}

// closeMessage writes a hub Close, nil for a protocol that we cannot write
// (service-protocol 7.8). The .NET shapes are used, which every client reads.
func (f framing) closeMessage(text_ string, allowReconnect bool) []byte {
	switch f {
	case text:
		b := []byte(`{"type":7`)
		if text_ != "" {
			b = append(b, `,"error":`...)
			b = append(b, quote(text_)...)
		}
		if allowReconnect {
			b = append(b, `,"allowReconnect":true`...)
		}
		return append(b, '}', recordSeparator)
	case packed:
		b := []byte{0x93, typeClose}
		switch n := len(text_); {
		case n == 0:
			b = append(b, 0xc0)
		case n < 32:
			b = append(b, 0xa0|byte(n))
		case n < 256:
			b = append(b, 0xd9, byte(n))
		default:
			text_ = text_[:min(n, 1<<16-1)]
			b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(len(text_)))
		}
		b = append(b, text_...)
		if allowReconnect {
			b = append(b, 0xc3)
		} else {
			b = append(b, 0xc2)
		}
		return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
	}
	return nil
}

// ping writes a hub ping, nil for a protocol that we cannot write.
func (f framing) ping() []byte {
	switch f {
	case text:
		return []byte("{\"type\":6}\x1e")
	case packed:
		return []byte{2, 0x91, 6}
	}
	return nil
}

// handshakeError writes a handshake response that refuses; it is JSON in
// every protocol (core-client-protocol 4.2).
func handshakeError(text string) []byte {
	b := append([]byte(`{"error":`), quote(text)...)
	return append(b, '}', recordSeparator)
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string always marshals
	return b
}

// counter writes an Ack or a Sequence (core-client-protocol 8.3, 8.5).
func (f framing) counter(kind int, id int64) []byte {
	if f == text {
		b := strconv.AppendInt([]byte(`{"type":`), int64(kind), 10)
		b = strconv.AppendInt(append(b, `,"sequenceId":`...), id, 10)
		return append(b, '}', recordSeparator)
	}
	b := []byte{11, 0x92, byte(kind), 0xcf}
	return binary.BigEndian.AppendUint64(b, uint64(id))
}

// counterOf reads the id of an Ack or a Sequence.
func (f framing) counterOf(m []byte) (int64, bool) {
	if f == text {
		var v struct {
			SequenceID *int64 `json:"sequenceId"`
		}
		if err := json.Unmarshal(m[:len(m)-1], &v); err != nil || v.SequenceID == nil || *v.SequenceID < 0 {
			return 0, false
		}
		return *v.SequenceID, true
	}
	b := f.body(m)
	if len(b) < 2 {
		return 0, false
	}
	b = b[1:]
	size := 0
	switch b[0] {
	case 0xcc, 0xd0:
		size = 1
	case 0xcd, 0xd1:
		size = 2
	case 0xce, 0xd2:
		size = 4
	case 0xcf, 0xd3:
		size = 8
	default:
		return int64(b[0]), b[0] < 0x80
	}
	if len(b) < 1+size {
		return 0, false
	}
	var n uint64
	for _, x := range b[1 : 1+size] {
		n = n<<8 | uint64(x)
	}
	return int64(n), n < 1<<62
}

// A border follows a byte stream and knows whether it stands between two
// messages, without keeping any of it.
type border struct {
	rest   int    // bytes of the message at hand that are still to come
	prefix []byte // a length prefix that is not complete
	inside bool   // text: the last byte was not a separator
}

// at says whether the stream stands at a message border.
func (b *border) at() bool { return b.rest == 0 && len(b.prefix) == 0 && !b.inside }

func (b *border) pass(f framing, p []byte) {
	switch f {
	case text:
		if len(p) > 0 {
			b.inside = p[len(p)-1] != recordSeparator
		}
	case packed:
		for len(p) > 0 {
			if b.rest > 0 {
				n := min(b.rest, len(p))
				b.rest -= n
				p = p[n:]
				continue
			}
			b.prefix = append(b.prefix, p[0])
			p = p[1:]
			n, size, err := length(b.prefix)
			if size > 0 || err != nil { // the hub ends a client whose lengths are wrong
				b.rest, b.prefix = n, nil
			}
		}
	}
}
