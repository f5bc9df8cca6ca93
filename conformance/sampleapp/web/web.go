// Package web is what the HTTP sides of the sample apps have in common.
package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// App is an app with an HTTP side.
type App interface {
	Handler() http.Handler
	Run(ctx context.Context) error
	Connected() <-chan struct{}
}

// Serve runs an app with its HTTP side on l until ctx ends. Connected is called
// once, when all server connections are up; nil is allowed.
func Serve(ctx context.Context, l net.Listener, a App, connected func()) error {
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancelCause(ctx)
	served := make(chan struct{})
	go func() { // ends with Close below
		defer close(served)
		cancel(server.Serve(l))
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
	server.Close()
	<-served
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, http.ErrServerClosed) {
		err = cause
	}
	return err
}

// CORS answers preflights and allows what the asking origin wants, with
// credentials.
func CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		method := r.Header.Get("Access-Control-Request-Method")
		if r.Method != http.MethodOptions || method == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", method)
		if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
			h.Set("Access-Control-Allow-Headers", headers)
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// Plain answers without a content type, as the SDKs do (service-protocol 2.4).
func Plain(w http.ResponseWriter, status int, text string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	w.Write([]byte(text))
}
