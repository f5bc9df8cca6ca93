package aspnetlegacy

// A cursor is the text by which a client says what it has seen: the number of
// a message in seven characters, which order as their numbers do. That is
// what fits where the inner frame's head was, see stamp. Clients return it
// unread (legacy-client-protocol 4.2).
const (
	cursorSize   = 7
	cursorDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
	cursorBits   = 6
)

// start is the cursor of the init message: nothing seen that counts.
const start = "0"

func putCursor(dst []byte, n uint64) {
	for i := cursorSize - 1; i >= 0; i-- {
		dst[i] = cursorDigits[n&(1<<cursorBits-1)]
		n >>= cursorBits
	}
}

// cursorOf reads a cursor of ours.
func cursorOf(s string) (n uint64, ok bool) {
	if len(s) != cursorSize {
		return 0, false
	}
	for i := range len(s) {
		d := digits[s[i]]
		if d < 0 {
			return 0, false
		}
		n = n<<cursorBits | uint64(d)
	}
	return n, true
}

var digits = func() (d [256]int8) {
	for i := range d {
		d[i] = -1
	}
	for i, c := range []byte(cursorDigits) {
		d[c] = int8(i)
	}
	return d
}()

// Messages that a cursor stands in begin with head and end with tail; what is
// between is an element of M or several.
const (
	messageHead = `{"C":"` // then the cursor, then:
	messageMid  = `","M":[`
	messageTail = `]}`
	messageFrom = len(messageHead) + cursorSize + len(messageMid) // where the elements begin
)

// cursorIn returns the cursor of a message that has one.
func cursorIn(m []byte) string {
	const mid = len(messageHead) + cursorSize
	if len(m) < messageFrom || string(m[:len(messageHead)]) != messageHead || string(m[mid:messageFrom]) != messageMid {
		return ""
	}
	return string(m[len(messageHead) : len(messageHead)+cursorSize])
}
