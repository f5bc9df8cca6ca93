// Package transport turns WebSocket, Server-Sent Events and long polling into
// one kind of connection. It knows no hub, group or user, and it is the only
// importer of fasthttp.
//
// fasthttp parses requests and writes short answers. A request that carries a
// connection leaves it: the socket is hijacked, an owner goroutine parks on it
// without a buffer, and whoever sends writes to it directly (outbox.go). So an
// idle client costs a goroutine and a few hundred bytes, whatever its
// transport, and one message costs one system call. WebSocket framing is our
// own for the same reason: a library keeps buffers and a writer for each
// connection, and reads whole messages where we pass on what has arrived.
//
//	request ─► Exchange ─► the adapter's Handler ─┬► Reply
//	                                              ├► Inject: a POST's body ─► Receiver
//	                                              └► Carry: the socket becomes a carrier of a Conn
//
// A Conn is the logical connection: it outlives its carriers where its
// transport says so, which makes a long-polling client and a stateful
// reconnect the same thing.
package transport

import (
	"errors"
	"time"
)

// Kind is the transport a Conn is bound to.
type Kind uint8

const (
	None        Kind = iota // not bound yet
	WebSocket               // RFC 6455, both ways
	EventStream             // Server-Sent Events down, POST up
	LongPoll                // one GET at a time down, POST up
)

// String returns the name that SignalR negotiates by.
func (k Kind) String() string {
	return [...]string{"none", "WebSockets", "ServerSentEvents", "LongPolling"}[k]
}

// What callers branch on.
var (
	// ErrClosed says that the Conn has ended or is closing.
	ErrClosed = errors.New("connection is closed")
	// ErrSlow says that more than Profile.Buffer bytes wait already.
	ErrSlow = errors.New("peer is too slow")
	// ErrTooLarge says that a body or message is above its limit.
	ErrTooLarge = errors.New("message is too large")
	// ErrProtocol says that the peer broke RFC 6455.
	ErrProtocol = errors.New("WebSocket protocol error")
	// ErrTimeout says that the peer stayed away too long.
	ErrTimeout = errors.New("no transport in time")
	// ErrPanic says that our own code failed while it served the Conn.
	ErrPanic = errors.New("internal error")
)

// A Receiver is a Conn's inbound half.
type Receiver interface {
	// Message hands over the next piece of the peer's byte stream: the
	// payload of (a part of) a WebSocket frame, or the body of a POST. p is
	// borrowed until return. Blocking here is the back-pressure; an error
	// ends the Conn. Calls never overlap.
	Message(p []byte, f Frame) error
	// Closed is called once, last, and never from inside a method of Conn.
	// err is nil after a close frame of the peer or Close of our own.
	Closed(err error)
}

// A Ticker is a Receiver that wants to be called about once a second. Tick
// may overlap Message.
type Ticker interface{ Tick(now time.Time) }

// Frame says what a piece of the stream is: Text of a text frame, End of a
// WebSocket message or of a body, which counts as text; First of a carrier, or
// a body: what came before is not continued.
type Frame struct{ Text, End, First bool }

// A Profile is what all Conns of a kind have in common. It must not change
// once it is in use.
type Profile struct {
	// Buffer is how many bytes may wait for the peer besides the largest
	// message among them: Send returns ErrSlow when more waits already. So a
	// message of any size fits, and does not make the next one too much.
	Buffer int
	// HighWater is from where on Wait blocks.
	HighWater int
	// MaxMessage is the largest incoming WebSocket message or body.
	MaxMessage int64
	// ReadBuffer is the size of the pooled buffer that is held while there
	// is something to read, 4 KiB or 64 KiB.
	ReadBuffer int
	// Await is how long a Conn waits for its first carrier.
	Await time.Duration
	// PollTimeout is when a parked poll is answered Empty.
	PollTimeout time.Duration
	// PollGap is how long a polling peer may stay without a poll.
	PollGap time.Duration
	// Grace, if not zero, is how long the Conn outlives a carrier of another
	// kind, however the peer or the network ended it. The Receiver then keeps
	// what the peer may have missed and brings it with the next carrier (see
	// Exchange.Resume): while there is none, Send drops what it is given.
	Grace time.Duration
	// Stream says that message borders mean nothing: all that waits goes
	// out as one binary WebSocket message, written by the on-demand writer
	// only. Use SendCopy.
	Stream bool
	// WriteTimeout replaces Options.WriteTimeout when it is not zero.
	WriteTimeout time.Duration
}

// A Format is what differs between flavours of one transport, as data. It
// must not change once it is in use.
type Format struct {
	// Preamble is the first thing on an event stream.
	Preamble string
	// EventHead and EventTail enclose a message; LineBreak replaces each
	// line end within it.
	EventHead, EventTail, LineBreak string
	// Escape, if there is one, replaces a message by what may stand on the
	// stream.
	Escape func(message []byte) []byte
	// StreamType is the Content-Type of an event stream; empty means
	// text/event-stream.
	StreamType string
	// StreamHeader is added to the head of an event stream's response,
	// UpgradeHeader to that of a WebSocket.
	StreamHeader, UpgradeHeader [][2]string

	// Poll is the answer to a poll that brings messages; its Body is not
	// used: the messages are joined by Join, or end to end without it.
	Poll Response
	// Join makes one document of the first of some messages, and says of how
	// many; mark is what Resume was given. Where there is a Join it also makes
	// the answers Empty, Ended and Replaced, of no message.
	Join func(mark string, messages [][]byte) (document []byte, n int)
	// Blank is what KeepAlive sends to a poll, ahead of the document; empty
	// for nothing. Over TLS, where a write may block, polls get none.
	Blank string
	// Empty, Ended and Replaced answer a poll when its time is over, when
	// the Conn has ended, and when a newer poll has come.
	Empty, Ended, Replaced Response
}

// Queued is a message on its way to the peer. Data never changes.
type Queued struct {
	Data []byte
	Text bool
}
