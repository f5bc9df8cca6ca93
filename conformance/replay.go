package conformance

import (
	"context"
	"net/http"
	"time"
)

// Options say what a transcript is played against. The zero value of everything
// but URL and AccessKey is a sane default.
type Options struct {
	URL       string // of the relay: http://host:port
	AccessKey string // that its tokens are signed with
	// Header is sent with every request and upgrade to the scheme and host of URL, and
	// nowhere else; see [Caller].
	Header http.Header
	// Patience is how long each expected message may take; 0 means 5 s.
	Patience time.Duration
	// Rules are differences that are allowed; see [Rule].
	Rules []*Rule
	// Hub says that URL is that of one ASP.NET Core hub, perhaps with a query.
	// A negotiate answer that sends the client elsewhere is followed, and the
	// answer there is the one that counts (core-client-protocol 2.3): requests
	// that name the connection go there, as do those that name none afterwards.
	Hub bool
	// BackEnd is where requests to /backend/ go if Hub is set: scheme and host.
	BackEnd string
	// Names are captures that have a value from the start.
	Names map[string]string
	// Ignore, if not nil, says which messages are no part of any scenario.
	Ignore func(conn string, said Saying) bool
}

// Replay plays the app servers and the clients of a transcript, each step once
// all that the relay had said before it has come, and compares what the relay
// says with the transcript. The first difference ends it and is a *Difference;
// any other error means that the transcript could not be played. Any number of
// replays may run at a time, though those against one relay share its hubs.
func Replay(ctx context.Context, t *Transcript, o Options) error {
	p, err := newPlayer(ctx, t, o)
	if err != nil {
		return err
	}
	return p.run(p.step, p.leftOver)
}
