package record

import "encoding/binary"

// packed says whether data is whole messages of the messagepack protocol, each
// with its length before it and an array in it.
func packed(data []byte) bool {
	if len(data) == 0 {
		return false
	}
	for len(data) > 0 {
		n, head := packedSize(data)
		if n < 3 || n > len(data) || n == head || !isArray(data[head]) {
			return false
		}
		data = data[n:]
	}
	return true
}

// beginsPacked says whether data is like packed messages from what it begins with:
// captures may have changed its length.
func beginsPacked(data []byte) bool {
	_, head := packedSize(data)
	return head > 0 && head < len(data) && isArray(data[head])
}

// packedSize is the size of the first message with its length, and how many
// bytes that length has. It is 0 when the length is none.
func packedSize(data []byte) (n, head int) {
	length, head := binary.Uvarint(data[:min(5, len(data))])
	if head == 0 {
		return 0, 0
	}
	return head + int(length), head
}

func isArray(c byte) bool { return c&0xf0 == 0x90 || c == 0xdc || c == 0xdd }
