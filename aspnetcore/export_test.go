package aspnetcore

import (
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// Token makes a connection token as a negotiate at made would have.
func (a *Adapter) Token(hub, user string, made time.Time) (token, id string) {
	c := a.Tokens.Make(hub, user, 0, made)
	return c.Text, idOf(c)
}

// ReadToken checks a connection token and returns its connection id.
func (a *Adapter) ReadToken(s, hub, user string) (string, error) {
	c, err := a.Tokens.Read(s, hub, user)
	return idOf(c), err
}

// Tick does for every session what the transport's sweeper does at now.
func (a *Adapter) Tick(now time.Time) {
	a.sessions.Each(func(s *session) { s.Tick(now) })
}

// HoldIn keeps a session from taking what its client sends, and so from hearing
// of its end while it does, until release.
func (a *Adapter) HoldIn(id string) (release func()) {
	s := a.sessions.Get(id)
	s.in.Lock()
	return s.in.Unlock
}

// Ended returns how many ended connection ids are still remembered.
func (a *Adapter) Ended() int {
	_, ended := a.sessions.Len()
	return ended
}

// MaxUnacked is how much a stateful client may leave unacknowledged, in bytes.
const MaxUnacked = maxUnacked

// A Framing is what the relay knows of a hub protocol.
type Framing = framing

// The framings.
const (
	Opaque = opaque
	Text   = text
	Packed = packed
)

func FramingOf(protocol string) Framing       { return framingOf(protocol) }
func (f framing) First(p []byte) (int, error) { return f.first(p) }
func (f framing) Whole(p []byte) bool         { return f.whole(p) }
func (f framing) TypeOf(m []byte) int         { return f.typeOf(m) }
func (f framing) IsClose(m []byte) bool       { return f.isClose(m) }
func (f framing) CloseMessage(s string, allowReconnect bool) []byte {
	return f.closeMessage(s, allowReconnect)
}
func (f framing) Counter(kind int, id int64) []byte { return f.counter(kind, id) }
func (f framing) CounterOf(m []byte) (int64, bool)  { return f.counterOf(m) }

// A Border knows whether a stream stands between two messages.
type Border = border

func (b *border) At() bool                 { return b.at() }
func (b *border) Pass(f Framing, p []byte) { b.pass(f, p) }

// ParseHandshake reads a handshake request without its separator.
func ParseHandshake(p []byte) (protocol string, version int, err error) {
	h, err := parseHandshake(p)
	return h.Protocol, h.Version, err
}

// HandshakeError writes a handshake response that refuses.
func HandshakeError(text string) []byte { return handshakeError(text) }

// NegotiateQuery reads what a negotiate's query says.
func NegotiateQuery(raw string) (hub string, version int, refusal string) {
	x := &transport.Exchange{Method: "POST", RawQuery: raw}
	version, refusal = negotiateVersion(x)
	return hubOf(x), version, refusal
}
