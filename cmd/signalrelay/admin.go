package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin is the second listener: health, metrics and debugging. It is plain
// net/http, because what it hosts is made for that.
type admin struct {
	ready    atomic.Bool // green on /readyz
	listener net.Listener
	server   *http.Server
	failed   chan error // gets what ended the server, once
}

// startAdmin listens on the admin address of c. With none it returns an admin
// that nobody can reach.
func startAdmin(c *Config, r relayServer, log *slog.Logger) (*admin, error) {
	a := &admin{failed: make(chan error, 1)}
	if c.Admin == "none" {
		return a, nil
	}
	l, err := net.Listen("tcp", c.Admin)
	if err != nil {
		return nil, err
	}
	a.listener = l
	a.server = &http.Server{
		Handler:           a.routes(r, c.Pprof),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { // ends with a.close
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- err
		}
	}()
	return a, nil
}

func (a *admin) close() {
	if a.server != nil {
		a.server.Close()
	}
}

func (a *admin) addr() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

func (a *admin) routes(r relayServer, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.ready.Load() {
			say(w, http.StatusServiceUnavailable, "not ready: starting or draining")
			return
		}
		say(w, http.StatusOK, "ready")
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics{r}, collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/consistency", func(w http.ResponseWriter, _ *http.Request) {
		if err := r.Check(); err != nil {
			say(w, http.StatusInternalServerError, err.Error())
			return
		}
		say(w, http.StatusOK, "consistent")
	})
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}
