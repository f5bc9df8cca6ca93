package main

import (
	"context"
	"fmt"
	"net"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
)

// sampleAppCmd runs the sample app without a relay, with the options and the
// output of the .NET peer it stands in for: READY url when it listens,
// CONNECTED when its server connections are up. Tests and bench use it.
type sampleAppCmd struct {
	Listen      string `name:"listen" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address for the app's page and negotiate endpoints."`
	Conn        string `name:"conn" env:"SIGNALRELAY_CONNECTION" required:"" placeholder:"STRING" help:"Connection string of the relay."`
	Connections int    `name:"connections" default:"5" placeholder:"N" help:"Server connections per hub."`
	App         string `name:"app" placeholder:"NAME" help:"Prefix of the hub names."`
	Sticky      string `name:"sticky" default:"disabled" enum:"disabled,preferred,required" placeholder:"MODE" help:"disabled, preferred or required."`
	Shutdown    string `name:"shutdown" default:"off" enum:"off,wait,migrate" placeholder:"MODE" help:"off, wait or migrate."`
	AuthExpire  bool   `name:"auth-expire" help:"Close clients when their login ends."`
}

// Run is called by kong.
func (c *sampleAppCmd) Run(ctx context.Context, p *Program) error {
	app, err := sampleapp.New(sampleapp.Options{
		ConnectionString: c.Conn, Connections: c.Connections, ApplicationName: c.App,
		Sticky: c.Sticky, Shutdown: c.Shutdown, AuthExpire: c.AuthExpire, Logger: newLogger(p.Stderr, "warn", "auto"),
	})
	if err != nil {
		return usageError{err}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "READY http://%s\n", l.Addr())
	return app.Serve(ctx, l, func() { fmt.Fprintln(p.Stdout, "CONNECTED") })
}
