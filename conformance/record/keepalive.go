package record

import (
	"bytes"
)

const separator = 0x1e

// withoutKeepAlives is what one end says without what it says by the clock: the
// pings of both flavours and a server's acks of a stateful connection. It is
// empty when nothing else was said. Server tells who speaks.
func withoutKeepAlives(data []byte, server bool) []byte {
	switch {
	case server && bytes.Equal(data, []byte("{}")): // legacy-client-protocol 4.2
		return nil
	case packed(data): // before json, since what ends it may look like a separator
		return without(data, func(b []byte) int { n, _ := packedSize(b); return n }, func(m []byte) bool {
			return bytes.Equal(m, []byte{2, 0x91, 6}) || server && len(m) > 2 && m[1] == 0x92 && m[2] == 8
		})
	case len(data) > 0 && data[len(data)-1] == separator:
		return without(data, func(b []byte) int { return bytes.IndexByte(b, separator) + 1 }, func(m []byte) bool {
			return bytes.Equal(m, []byte("{\"type\":6}\x1e")) || server && bytes.HasPrefix(m, []byte(`{"type":8,`))
		})
	}
	return data
}

// without leaves out the messages that are drop.
func without(data []byte, size func([]byte) int, drop func([]byte) bool) []byte {
	var kept []byte
	for rest := data; len(rest) > 0; {
		n := size(rest)
		if m := rest[:n]; !drop(m) {
			kept = append(kept, m...)
		}
		rest = rest[n:]
	}
	return kept
}

// packed says whether data is whole messages of the messagepack protocol, each
// with its length before it and an array in it.
func packed(data []byte) bool {
	if len(data) == 0 {
		return false
	}
	for len(data) > 0 {
		n, head := packedSize(data)
		if n < 3 || n > len(data) || !isArray(data[head]) {
			return false
		}
		data = data[n:]
	}
	return true
}

// packedSize is the size of the first message with its length, and how many
// bytes that length has. It is 0 when the length is none.
func packedSize(data []byte) (n, head int) {
	for i, c := range data[:min(5, len(data))] {
		n |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n + i + 1, i + 1
		}
	}
	return 0, 0
}

func isArray(c byte) bool { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }
