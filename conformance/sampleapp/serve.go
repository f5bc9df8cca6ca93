package sampleapp

import (
	"context"
	"net"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
)

var _ web.App = (*App)(nil)

// Serve runs the app with its HTTP side on l until ctx ends. Connected is
// called once, when all server connections are up; nil is allowed.
func (a *App) Serve(ctx context.Context, l net.Listener, connected func()) error {
	return web.Serve(ctx, l, a, connected)
}
