package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
)

// ServeApp runs the sample app at listen behind the service of a connection string until ctx ends, and prints the
// CONNECTED that Target.AppServer waits for. It is the body of a process of its own, so that bench does not mistake
// the app's cost for the service's or its own.
func ServeApp(ctx context.Context, listen, connectionString string, out io.Writer) error {
	app, err := sampleapp.New(sampleapp.Options{ConnectionString: connectionString, Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return fmt.Errorf("bench app: %w", err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("bench app: %w", err)
	}
	server := &http.Server{Handler: app.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancelCause(ctx)
	served := make(chan struct{})
	go func() { // ends with Close below
		defer close(served)
		cancel(server.Serve(l))
	}()
	go func() { // ends with ctx
		select {
		case <-app.Connected():
			fmt.Fprintln(out, "CONNECTED")
		case <-ctx.Done():
		}
	}()
	err = app.Run(ctx)
	server.Close()
	<-served
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, http.ErrServerClosed) {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("bench app: %w", err)
	}
	return nil
}
