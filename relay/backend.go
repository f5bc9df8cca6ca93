package relay

import "context"

// A Backend holds the other end of its clients' streams: an app server's
// connection; later an upstream, a bridged server, another node.
//
// Open comes first, then Data, one call at a time; Close comes last, though
// possibly while a Data still waits for an app server that is behind. What a
// client has sent before it joined is part of the opening: Close comes after
// it. Different clients' calls run concurrently.
type Backend interface {
	// Open announces a client. It does not wait for an answer, but may block
	// while the app server is behind.
	Open(c *Client, o *Opening) error
	// Data passes on bytes of the client, borrowed until return. It may
	// block while the app server is behind: that is the back-pressure.
	// Partial says that the bytes end within a hub message of a client that
	// may yet throw the rest away (service-protocol 7.6).
	Data(ctx context.Context, c *Client, p []byte, partial bool) error
	// Close says that the client is gone: once, last, and not in answer to
	// the app's own close. MovedTo is the server id of the Backend that has
	// taken it over, or empty.
	Close(c *Client, text, movedTo string)
}

// A Caller is a Backend whose app may ask clients for results
// (service-protocol 10). No method blocks.
type Caller interface {
	// Answer brings the answer to an Invoke that came from this Backend.
	Answer(*Answer)
	// Expect announces that a client of this Backend is about to be asked
	// by an app server elsewhere; its completion is the answer.
	Expect(*Invoke)
	// Mapped tells the asking Backend that the client lives elsewhere.
	Mapped(*Invoke)
}

// Opening is what a Backend learns of a new client beyond what [Client] says.
type Opening struct {
	Claims  []Claim
	Headers []Header
	Query   string // with its leading '?', or empty

	// Handshake is the hub handshake request as the client sent it.
	Handshake []byte
	// Early is everything the client has sent so far, Handshake first.
	Early []byte

	// MovedFrom is the server id of the Backend that had the client before.
	MovedFrom string
}

// A Sink is a client as the core sees it. Its methods may be called by any
// goroutine, return at once and never call back into the core.
type Sink interface {
	// Output passes on bytes from the client's own Backend, cut anywhere.
	// They never change. A Backend's first Output answers the handshake.
	Output(p []byte, batch uint32) error
	// Send passes on one whole message for this client among others. It
	// waits until the handshake is answered (service-protocol 7.4).
	Send(p Payload, batch uint32) error
	// Close ends the client. The first call wins.
	Close(Reason)
	// Moved says that the stream goes on from another Backend, which
	// begins at a message border.
	Moved()
}
