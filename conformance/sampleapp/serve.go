package sampleapp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Serve runs the app with its HTTP side on l until ctx ends. Connected is
// called once, when all server connections are up; nil is allowed.
func (a *App) Serve(ctx context.Context, l net.Listener, connected func()) error {
	web := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancelCause(ctx)
	served := make(chan struct{})
	go func() { // ends with Close below
		defer close(served)
		cancel(web.Serve(l))
	}()
	go func() { // ends with ctx
		select {
		case <-a.Connected():
			if connected != nil {
				connected()
			}
		case <-ctx.Done():
		}
	}()
	err := a.Run(ctx)
	web.Close()
	<-served
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, http.ErrServerClosed) {
		err = cause
	}
	return err
}
