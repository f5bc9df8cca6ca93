package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
)

type demoCmd struct {
	Listen   string `name:"listen" default:"127.0.0.1:8080" env:"-" placeholder:"HOST:PORT" help:"Address for the pages and the sample apps."`
	Relay    string `name:"relay" default:"127.0.0.1:8888" placeholder:"HOST:PORT" help:"Address for the relay."`
	LogLevel string `name:"log-level" default:"warn" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error."`
}

// Run is called by kong.
func (c *demoCmd) Run(ctx context.Context, p *Program) error {
	if err := checkAddress(c.Listen); err != nil {
		return usageError{err}
	}
	return runDemo(ctx, p, c)
}

// runDemo runs a relay as serve would and, attached to it through real server
// connections, the sample app. When one of them ends, so does the other.
func runDemo(ctx context.Context, p *Program, c *demoCmd) error {
	config := defaultConfig()
	config.Listen, config.DrainTime, config.LogLevel = c.Relay, 0, c.LogLevel
	if c.Relay != defaultConfig().Listen {
		config.Admin = "none" // a second demo beside the first
	}
	s, err := newService(p, &config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	relayed := make(chan error, 1)
	go func() { relayed <- s.run(ctx) }() // ends with ctx; read below
	select {
	case err := <-relayed:
		return err
	case <-p.Ready():
	}
	appErr := runApp(ctx, p, c.Listen, &config)
	stop()
	return errors.Join(appErr, <-relayed)
}

// runApp serves the two sample apps and their pages until ctx ends.
func runApp(ctx context.Context, p *Program, listen string, config *Config) error {
	conn, err := config.connectionString(p.Addr(), developmentKey)
	if err != nil {
		return err
	}
	log := newLogger(p.Stderr, config.LogLevel, config.LogFormat)
	app, err := (&sampleAppCmd{Conn: conn.Secret(), Flavour: "both"}).app(log)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return web.Serve(ctx, l, app, func() {
		fmt.Fprintf(p.Stdout, "Chat: http://%s/ (open it in two windows)\n", l.Addr())
		fmt.Fprintf(p.Stdout, "The same chat with ASP.NET SignalR 2: http://%s/legacy/\n", l.Addr())
		fmt.Fprintf(p.Stdout, "Hubs for other clients: http://%[1]s/chat and, for ASP.NET SignalR 2, http://%[1]s/signalr\n", l.Addr())
	})
}
