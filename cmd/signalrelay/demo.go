package main

import (
	"context"
	"errors"
)

type demoCmd struct {
	Listen string `name:"listen" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address for the page and the sample app."`
	Relay  string `name:"relay" default:"127.0.0.1:8888" placeholder:"HOST:PORT" help:"Address for the relay."`
}

// Run is called by kong.
func (c *demoCmd) Run(ctx context.Context, p *Program) error {
	if err := checkAddress(c.Listen); err != nil {
		return usageError{err}
	}
	return runDemo(ctx, p, c)
}

// runDemo runs a relay and, attached to it, the sample app. The relay is that of
// serve: newService(p, &config).run(ctx) with defaultConfig, c.Relay as its
// address and no time to drain; p.Ready tells when the app can attach.
func runDemo(ctx context.Context, p *Program, c *demoCmd) error {
	return errors.New("the sample app is not wired in yet")
}
