package transport

import "sync/atomic"

// Stats counts what a Server does. Read the fields at any time.
type Stats struct {
	Requests  atomic.Int64    // HTTP requests
	Carriers  [4]atomic.Int64 // open WebSockets, event streams and parked polls, by Kind
	BytesIn   atomic.Int64    // of carriers and POST bodies
	BytesOut  atomic.Int64    // of carriers
	Inline    atomic.Int64    // messages that the sender's own write took whole
	Deferred  atomic.Int64    // messages that went through the outbox
	Slow      atomic.Int64    // Sends refused with ErrSlow
	Panics    atomic.Int64    // panics that were contained
	TimedOut  atomic.Int64    // Conns that ended because nobody came
	Protocol  atomic.Int64    // Conns that ended by a protocol error of the peer
	WriteFail atomic.Int64    // carriers lost to a failed or stalled write
}
