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
	lost bool   // what is before base: the client has not said that it has seen all of it
}

// add keeps one message, and no more than limit bytes unless it is one alone.
func (r *replay) add(m *relay.Encoding, limit int) {
	r.kept = append(r.kept, m)
	r.size += len(m.Data)
	for r.size > limit && len(r.kept)-r.from > 1 {
		r.lose(1)
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
		r.lose(n)
	}
}

// lose forgets the n oldest, whether the client has seen them or not.
func (r *replay) lose(n int) {
	r.drop(n)
	r.lost = true
}

// seen takes what the client says it has seen, which is forgotten. False says
// that something after it is lost; then all is forgotten. A cursor that is none
// of ours means from now on, as it does on the real server
// (legacy-server-recordings, SSE). One that the client itself has gone beyond
// is of a request that was overtaken, and says nothing: browsers repeat a poll
// whose socket fails (legacy-client-protocol 10).
func (r *replay) seen(mark string) (ok bool) {
	n, known := r.upTo(mark)
	if !known {
		_, ours := cursorOf(mark)
		ours = ours || mark == start
		if ours && !r.lost {
			return true
		}
		n, known = len(r.kept)-r.from, !ours
	}
	r.drop(n)
	r.lost = false
	return known
}

// upTo returns how many of the messages come no later than the one with that
// cursor. False says that it is neither kept nor the last before those.
func (r *replay) upTo(mark string) (n int, known bool) {
	for n := len(r.kept) - r.from; n > 0; n-- {
		if cursorIn(r.kept[r.from+n-1].Data) == mark {
			return n, true
		}
	}
	return 0, mark == r.base
}

// rest returns everything that is kept.
func (r *replay) rest(dst []transport.Queued) []transport.Queued {
	for _, m := range r.kept[r.from:] {
		dst = append(dst, transport.Queued{Data: m.Data, Text: true})
	}
	return dst
}
