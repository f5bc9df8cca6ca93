package record

import "bytes"

// separator ends a message of the json protocol.
const separator = 0x1e

// withoutKeepAlives is what one end says without what it says by the clock: the
// pings of both flavours and a server's acks of a stateful connection. It is
// empty when nothing else was said.
func withoutKeepAlives(data []byte, byServer bool) []byte {
	switch {
	case byServer && bytes.Equal(data, []byte("{}")): // legacy-client-protocol 4.2
		return nil
	case packed(data): // before json, since what ends it may look like a separator
		return without(data, func(b []byte) int { n, _ := packedSize(b); return n }, func(m []byte) bool {
			return bytes.Equal(m, []byte{2, 0x91, 6}) || byServer && len(m) > 2 && m[1] == 0x92 && m[2] == 8
		})
	case len(data) > 0 && data[len(data)-1] == separator:
		return without(data, func(b []byte) int { return bytes.IndexByte(b, separator) + 1 }, func(m []byte) bool {
			return bytes.Equal(m, []byte("{\"type\":6}\x1e")) || byServer && bytes.HasPrefix(m, []byte(`{"type":8,`))
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
