package main

import (
	"context"
	"errors"
	"time"
)

type benchCmd struct {
	Target   string        `arg:"" optional:"" default:"Endpoint=http://127.0.0.1:8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;" help:"Connection string of a relay, or the URL of a hub. The default is a relay of this machine with the development key."`
	Scenario []string      `name:"scenario" placeholder:"NAME" help:"Scenario to run; may be repeated. All when empty."`
	Clients  int           `name:"clients" default:"2000" placeholder:"N" help:"Clients to connect."`
	Size     Size          `name:"size" default:"64" placeholder:"SIZE" help:"Size of a payload."`
	Duration time.Duration `name:"duration" default:"10s" placeholder:"TIME" help:"Time to measure each scenario."`
	PID      int           `name:"pid" placeholder:"PID" help:"Process whose CPU time and memory are read; that of the server."`
	JSON     bool          `name:"json" help:"Print JSON instead of a table."`
}

// Run is called by kong.
func (c *benchCmd) Run(ctx context.Context, p *Program) error { return runBench(ctx, p, c) }

// runBench measures and prints.
func runBench(ctx context.Context, p *Program, c *benchCmd) error {
	return errors.New("the scenarios are not wired in yet")
}
