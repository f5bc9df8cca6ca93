package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
)

// sampleAppCmd runs the sample app without a relay, with the options and the
// output of the .NET peers it stands in for: READY url when it listens,
// CONNECTED when its server connections are up. Tests and bench use it.
type sampleAppCmd struct {
	Listen         string `name:"listen" default:"127.0.0.1:8080" env:"-" placeholder:"HOST:PORT" help:"Address for the app's page and negotiate endpoints."`
	Conn           string `name:"conn" env:"SIGNALRELAY_CONNECTION" required:"" placeholder:"STRING" help:"Connection string of the relay."`
	Flavour        string `name:"flavour" default:"core" enum:"core,aspnet,both" placeholder:"NAME" help:"What the app is: core, aspnet (ASP.NET SignalR), or both, with the page and back end of the latter under /legacy."`
	Connections    int    `name:"connections" default:"5" placeholder:"N" help:"Server connections per hub."`
	App            string `name:"app" placeholder:"NAME" help:"Prefix of the hub names, or name of the ASP.NET application."`
	Sticky         string `name:"sticky" default:"disabled" enum:"disabled,preferred,required" placeholder:"MODE" help:"disabled, preferred or required."`
	Shutdown       string `name:"shutdown" default:"off" enum:"off,wait,migrate" placeholder:"MODE" help:"off, wait or migrate; ASP.NET applications break off."`
	AuthExpire     bool   `name:"auth-expire" help:"Close clients when their login ends; not for ASP.NET."`
	DetailedErrors bool   `name:"detailed-errors" help:"Let clients of the ASP.NET application see the text of every error."`
}

// Run is called by kong.
func (c *sampleAppCmd) Run(ctx context.Context, p *Program) error {
	app, err := c.app(newLogger(p.Stderr, "warn", "auto"))
	if err != nil {
		return usageError{err}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "READY http://%s\n", l.Addr())
	return web.Serve(ctx, l, app, func() { fmt.Fprintln(p.Stdout, "CONNECTED") })
}

// app makes what the flavour asks for.
func (c *sampleAppCmd) app(log *slog.Logger) (web.App, error) {
	both := bothApps{connected: make(chan struct{})}
	core := sampleapp.Options{
		ConnectionString: c.Conn, Connections: c.Connections, ApplicationName: c.App,
		Sticky: c.Sticky, Shutdown: c.Shutdown, AuthExpire: c.AuthExpire, Logger: log,
	}
	aspnet := legacy.Options{
		ConnectionString: c.Conn, Connections: c.Connections, ApplicationName: c.App,
		Sticky: c.Sticky, DetailedErrors: c.DetailedErrors, Logger: log,
	}
	if c.Flavour == "both" {
		core.Room = room.New()
		aspnet.Room = core.Room
		core.Sibling, aspnet.Sibling = "/legacy/", "/"
	}
	var err error
	if c.Flavour != "aspnet" {
		if both.core, err = sampleapp.New(core); err != nil || c.Flavour == "core" {
			return both.core, err
		}
	}
	if both.aspnet, err = legacy.New(aspnet); err != nil || c.Flavour == "aspnet" {
		return both.aspnet, err
	}
	return both, nil
}

// bothApps are the two sample apps in one process, in the same chat.
type bothApps struct {
	core      *sampleapp.App
	aspnet    *legacy.App
	connected chan struct{}
}

// Handler serves what belongs to SignalR of ASP.NET at its usual place and its
// page and back end under /legacy; all else is the other app's.
func (b bothApps) Handler() http.Handler {
	mux := http.NewServeMux()
	aspnet := b.aspnet.Handler()
	mux.Handle("/signalr", aspnet)
	mux.Handle("/signalr/", aspnet)
	mux.Handle("/legacy/", http.StripPrefix("/legacy", aspnet))
	mux.Handle("/", b.core.Handler())
	return mux
}

// Run runs both until ctx ends.
func (b bothApps) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- b.aspnet.Run(ctx) }() // ends with ctx; read below
	go func() {                                // ends with ctx
		for _, one := range []<-chan struct{}{b.core.Connected(), b.aspnet.Connected()} {
			select {
			case <-one:
			case <-ctx.Done():
				return
			}
		}
		close(b.connected)
	}()
	return errors.Join(b.core.Run(ctx), <-ended)
}

// Connected is closed when both were connected.
func (b bothApps) Connected() <-chan struct{} { return b.connected }
