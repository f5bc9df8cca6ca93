package aspnetlegacy

import (
	"time"

	"github.com/signalrelay/signalrelay/relay"
)

// Token makes a connection token as a negotiate at made would have, for a user
// of an application.
func (a *Adapter) Token(app, user string, made time.Time) string {
	return a.Tokens.Make(tokenScope, app+"\x00"+user, 0, made).Text
}

// SetGrace sets how long clients may be away, before the first one comes.
func (a *Adapter) SetGrace(d time.Duration) {
	p := a.profiles.Usual()
	p.Grace, p.PollGap, p.Await = d, d, d
}

// Tick does for every session what the transport's sweeper does at now.
func (a *Adapter) Tick(now time.Time) {
	a.sessions.Each(func(s *session) { s.Tick(now) })
}

// Kept returns how many messages, and how many of their bytes, are kept for
// all clients together.
func (a *Adapter) Kept() (messages, size int) {
	a.sessions.Each(func(s *session) {
		s.out.Lock()
		defer s.out.Unlock()
		messages += len(s.replay.kept) - s.replay.from
		size += s.replay.size
	})
	return messages, size
}

// Logins returns how many access tokens have a live connection.
func (a *Adapter) Logins() int {
	a.logins.mu.Lock()
	defer a.logins.mu.Unlock()
	return len(a.logins.live)
}

// Form reads a query and returns a field of it.
func Form(raw, name string) string { return parseForm(raw).get(name) }

// Names of the pure functions.
var (
	ParseHubs  = parseHubs
	Join       = join
	IsCallback = isCallback
	VersionOf  = versionOf
	KeyOf      = keyOf
	EscapeTags = escapeTags
	CursorOf   = cursorOf
	CursorIn   = cursorIn
	Farewell   = farewell
	InitOf     = initMessage
	ErrInner   = errInner
)

// ActionOf says what a path asks for.
func ActionOf(path string) string { return string(actionOf(path)) }

// Cursor is the text of a number.
func Cursor(n uint64) string {
	b := make([]byte, cursorSize)
	putCursor(b, n)
	return string(b)
}

// A Numbering gives messages their cursors.
type Numbering struct{ c cursors }

// Stamp takes all inner frames out of a payload and numbers them.
func (n *Numbering) Stamp(payload []byte) (messages [][]byte, err error) {
	for len(payload) > 0 {
		frame, text, rest, err := unwrap(payload)
		if err != nil {
			return messages, err
		}
		messages = append(messages, n.c.stamp(frame, text))
		payload = rest
	}
	return messages, nil
}

// Message makes a message of one element.
func (n *Numbering) Message(element string) []byte { return n.c.message([]byte(element)) }

// A Replay is what a client may have missed.
type Replay struct{ r replay }

// NewReplay returns an empty Replay.
func NewReplay() *Replay { return &Replay{replay{base: start}} }

// Add keeps a message.
func (r *Replay) Add(m []byte, limit int) {
	r.r.add(&relay.Encoding{Protocol: jsonKey, Data: m}, limit)
}

// Expire forgets up to a number.
func (r *Replay) Expire(number uint64) { r.r.expire(number) }

// Seen takes what the client has seen.
func (r *Replay) Seen(mark string) bool { return r.r.seen(mark) }

// Size returns the bytes that are kept.
func (r *Replay) Size() int { return r.r.size }

// Rest returns the messages that are kept.
func (r *Replay) Rest() (all []string) {
	for _, q := range r.r.rest(nil) {
		all = append(all, string(q.Data))
	}
	return all
}
