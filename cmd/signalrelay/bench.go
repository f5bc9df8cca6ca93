package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

type benchCmd struct {
	Target    string        `arg:"" optional:"" help:"URL of a hub with the contract of BenchHub, or a connection string, of a server that is running. Without one a relay is started, with the sample app behind it."`
	Flavour   string        `name:"flavour" default:"both" enum:"core,aspnet,both" placeholder:"NAME" help:"What the clients speak: core, aspnet (ASP.NET SignalR), or both, beside each other on relays of their own. A server that is running is measured with core when it is both."`
	Against   []string      `name:"against" placeholder:"NAME=URL[,PID]" help:"Server to compare with; may be repeated."`
	Floor     string        `name:"floor" placeholder:"DIR" help:"Source of a server that only does the system calls, to compare with."`
	Kestrel   string        `name:"kestrel" placeholder:"FILE" help:"The dotnetpeer program, whose self-hosted hub is compared with."`
	Scenario  []string      `name:"scenario" placeholder:"NAME" help:"Scenario to run; may be repeated. All when empty."`
	Clients   int           `name:"clients" default:"2000" placeholder:"N" help:"Clients of broadcast, echo and connect."`
	Idle      int           `name:"idle-clients" default:"8000" placeholder:"N" help:"Clients of the idle scenarios."`
	Growth    []int         `name:"growth-clients" default:"1000,2000,4000,8000,16000" placeholder:"N" help:"Steps of the growth scenario."`
	Size      Size          `name:"size" default:"64" placeholder:"SIZE" help:"Size of a payload."`
	Rounds    int           `name:"rounds" default:"3" placeholder:"N" help:"Rounds for each server, in turns."`
	Duration  time.Duration `name:"duration" default:"5s" placeholder:"TIME" help:"Length of a round of broadcast and echo."`
	Rest      time.Duration `name:"rest" default:"8s" placeholder:"TIME" help:"Rest before idle memory is read."`
	PID       int           `name:"pid" placeholder:"PID" help:"Process whose CPU time and memory are read; that which listens when 0."`
	JSON      string        `name:"json" placeholder:"FILE" help:"Write the results as JSON too."`
	ServeArgs []string      `name:"serve-arg" placeholder:"ARG" help:"Argument for the relay that is started; may be repeated."`
}

// Run is called by kong.
func (c *benchCmd) Run(ctx context.Context, p *Program) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{
		Scenarios: c.Scenario, Floor: c.Floor, Kestrel: c.Kestrel, Clients: c.Clients, IdleClients: c.Idle, GrowthClients: c.Growth,
		Size: int(c.Size), Rounds: c.Rounds, Duration: c.Duration, Rest: c.Rest, Progress: p.Stderr,
		AppServer: []string{self, "sample-app", "--listen", "{app}", "--conn", "{conn}"},
	}
	if o.Targets, err = c.targets(self, o.AppServer); err != nil {
		return usageError{err}
	}
	for _, a := range c.Against {
		t, err := bench.ParseTarget(a)
		if err != nil {
			return usageError{err}
		}
		o.Targets = append(o.Targets, t)
	}
	if c.JSON != "" {
		f, err := os.Create(c.JSON)
		if err != nil {
			return err
		}
		defer f.Close()
		o.JSON = f
	}
	_, err = bench.Run(ctx, o, p.Stdout)
	return err
}

// targets are what is under test: the server that is running, or relays of the program self, with app servers that
// app starts.
func (c *benchCmd) targets(self string, app []string) ([]bench.Target, error) {
	aspnet := func(t bench.Target) bench.Target {
		t.Flavour, t.Tested = bench.ASPNET, true
		t.AppServer = append(slices.Clone(app), "--flavour", "aspnet")
		return t
	}
	if c.Target != "" {
		t, err := bench.ParseTarget(c.Target)
		if t.PID = cmp.Or(c.PID, t.PID); c.Flavour == "aspnet" {
			t = aspnet(t)
		}
		return []bench.Target{t}, err
	}
	core := bench.Target{
		Name: "relay", URL: "Endpoint=http://{listen};AccessKey=" + developmentKey + ";Version=1.0;",
		Command: append([]string{self, "serve", "--listen", "{listen}", "--admin", "{admin}"}, c.ServeArgs...),
	}
	beside := aspnet(core)
	beside.Name = "relay, ASP.NET SignalR"
	switch c.Flavour {
	case "core":
		return []bench.Target{core}, nil
	case "aspnet":
		return []bench.Target{beside}, nil
	}
	return []bench.Target{core, beside}, nil
}
