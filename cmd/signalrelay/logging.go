package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"
)

// newLogger returns a logger on w. Format auto is text on a terminal and JSON
// elsewhere; an unknown level is info.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if l.UnmarshalText([]byte(level)) != nil {
		l = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: l}
	if f, ok := w.(*os.File); format == "text" || format == "auto" && ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// progressEvery is how long something may take in silence.
const progressEvery = 2 * time.Second

// progress logs what, with args, each time progressEvery has passed, until stop
// is called. Stop waits for a line that is being written.
func progress(log *slog.Logger, what string, args func() []any) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() { // ends with stop
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				log.Info(what, append(args(), "elapsed", time.Since(start).Round(time.Second))...)
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
