package relay

import "errors"

// What callers branch on.
var (
	// ErrClosed says that the client, Backend or hub has ended.
	ErrClosed = errors.New("closed")
	// ErrSlow says that a receiver has too much waiting already.
	ErrSlow = errors.New("receiver is too slow")
	// ErrNoServer says that no Backend may take the client.
	ErrNoServer = errors.New("no server connection for this hub")
	// ErrDraining says that the hub takes no new clients.
	ErrDraining = errors.New("draining")
	// ErrDuplicate says that the connection id is in use.
	ErrDuplicate = errors.New("connection id is in use")
)
