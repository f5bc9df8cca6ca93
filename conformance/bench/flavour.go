package bench

import (
	"context"
	"net"
)

// Flavour is which SignalR the clients of a target speak.
type Flavour int

// The flavours there are. A target's URL is that of its hub for Core, and for ASPNET where its hubs are mounted, of
// which benchHub is called.
const (
	Core   Flavour = iota // ASP.NET Core SignalR, with the JSON protocol
	ASPNET                // ASP.NET SignalR 2.x
)

// dialect is what differs between flavours.
type dialect struct {
	mount string // path of the hub, or of the hubs, at an app server

	// open makes the i-th client on a WebSocket, ready to invoke. Adjust may be nil.
	open func(ctx context.Context, s *subject, i int, adjust func(*net.Dialer)) (*client, error)
	// stream and poll make the i-th client on one of the other transports. What they return is what the client's
	// goroutine then does, until the connection is closed.
	stream, poll func(ctx context.Context, s *subject, i int) (*httpConn, func() error, error)
	// leave ends a client as a page that is closed does.
	leave func(c *client)

	// invocation is what a client sends to call a method of the hub with a text of size bytes.
	invocation func(method string, size int) []byte
	// feed takes what a WebSocket message of the server holds, and calls on for each hub message in it.
	feed func(c *client, p []byte, on func(kind byte) error) error
}

func (f Flavour) dialect() *dialect {
	if f == ASPNET {
		return &aspnet
	}
	return &core
}
