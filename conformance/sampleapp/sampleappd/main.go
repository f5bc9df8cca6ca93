// Command sampleappd runs the sample app by itself, with the options and the
// output of the .NET peer it stands in for: READY url when it listens, CONNECTED
// when its server connections are up. SIGTERM stops it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sampleappd:", err)
		os.Exit(1)
	}
}

func run() error {
	var o sampleapp.Options
	level := slog.LevelWarn
	listen := flag.String("urls", "http://127.0.0.1:8080", "where the app listens")
	flag.StringVar(&o.ConnectionString, "conn", "", "connection string of the service")
	flag.IntVar(&o.Connections, "connections", 5, "server connections per hub")
	flag.StringVar(&o.ApplicationName, "app", "", "prefix of the hub names")
	flag.StringVar(&o.Sticky, "sticky", "disabled", "disabled, preferred or required")
	flag.StringVar(&o.Shutdown, "shutdown", "off", "off, wait or migrate")
	flag.BoolVar(&o.AuthExpire, "auth-expire", false, "close clients when their login ends")
	flag.TextVar(&level, "log-level", level, "debug, info, warn or error")
	flag.Parse()
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	app, err := sampleapp.New(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(*listen, "http://"))
	if err != nil {
		return err
	}
	fmt.Println("READY http://" + l.Addr().String())
	server := &http.Server{Handler: app.Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Close below

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // ends with the process at the latest
		select {
		case <-app.Connected():
			fmt.Println("CONNECTED")
		case <-ctx.Done():
		}
	}()
	err = app.Run(ctx)
	server.Close()
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
