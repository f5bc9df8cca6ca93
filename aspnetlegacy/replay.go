package aspnetlegacy

import (
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/transport"
)

// A replay keeps what a client may not have got, for its next reconnect or
// poll: references to messages that all receivers share, oldest first. A
// client that keeps up costs eight bytes a message until its time is over.
type replay struct {
	kept []*relay.Encoding
	from int    // where kept begins
	size int    // bytes of the messages
	base string // the cursor of what came before kept[from]
}

// add keeps one message, and no more than limit bytes unless it is one alone.
func (r *replay) add(m *relay.Encoding, limit int) {
	r.kept = append(r.kept, m)
	r.size += len(m.Data)
	for r.size > limit && len(r.kept)-r.from > 1 {
		r.drop(1)
	}
}

// drop forgets the n oldest.
func (r *replay) drop(n int) {
	for _, m := range r.kept[r.from : r.from+n] {
		r.size -= len(m.Data)
		r.base = cursorIn(m.Data)
	}
	clear(r.kept[r.from : r.from+n])
	if r.from += n; r.from == len(r.kept) {
		r.kept, r.from = nil, 0
	} else if r.from > len(r.kept)/2 {
		r.kept = append([]*relay.Encoding(nil), r.kept[r.from:]...)
		r.from = 0
	}
}

// expire forgets what is not newer than a message of that number.
func (r *replay) expire(number uint64) {
	n := 0
	for _, m := range r.kept[r.from:] {
		if c, ok := cursorOf(cursorIn(m.Data)); !ok || c > number {
			break
		}
		n++
	}
	if n > 0 {
		r.drop(n)
	}
}

// seen takes what the client says it has seen, which is forgotten. False says
// that something after it is lost. A cursor that is none of ours means from
// now on, as it does on the real server (legacy-server-recordings, SSE).
func (r *replay) seen(mark string) (ok bool) {
	if mark == r.base {
		return true
	}
	for i := len(r.kept) - 1; i >= r.from; i-- {
		if cursorIn(r.kept[i].Data) == mark {
			r.drop(i + 1 - r.from)
			return true
		}
	}
	if _, ours := cursorOf(mark); ours || mark == start {
		return false
	}
	r.drop(len(r.kept) - r.from)
	return true
}

// rest returns everything that is kept.
func (r *replay) rest(dst []transport.Queued) []transport.Queued {
	for _, m := range r.kept[r.from:] {
		dst = append(dst, transport.Queued{Data: m.Data, Text: true})
	}
	return dst
}
