package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"text/tabwriter"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// conformCmd asks whether a SignalR server, service or client is right. Its exit
// codes are 0 when it agrees, 1 when it disagrees and 2 when that could not be
// found out.
type conformCmd struct {
	Core    conformCoreCmd    `cmd:"" help:"Ask an ASP.NET Core SignalR endpoint."`
	Legacy  conformLegacyCmd  `cmd:"" help:"Ask an ASP.NET SignalR 2 endpoint."`
	Service conformServiceCmd `cmd:"" help:"Ask a service that works as Azure SignalR Service: the suite plays app servers and clients."`
	Client  conformClientCmd  `cmd:"" help:"Judge the clients that are pointed at this server."`
	Replay  conformReplayCmd  `cmd:"" help:"Play a transcript against an endpoint."`
}

// Help is shown below the usage.
func (conformCmd) Help() string {
	return "The exit code is 0 when it agrees, 1 when it disagrees and 2 when that could not be found out. " +
		"The report goes to standard output, progress to standard error. docs/conformance.md tells more."
}

// reportFlags are shared by all.
type reportFlags struct {
	Format string `name:"format" default:"text" enum:"text,tap,junit,json,markdown" placeholder:"NAME" help:"How the result is written: text, tap, junit, json or markdown."`
	Known  string `name:"known" type:"path" placeholder:"FILE" help:"List of cases that are known to fail, \"name: reason\" a line. One that passes fails the run."`
	List   bool   `name:"list" help:"Print the cases, with level, what each is about and where its answer is from, and ask nothing."`
	Only   string `name:"run" placeholder:"REGEXP" help:"Ask only the cases whose names match."`
}

// conformFlags are shared by the kinds of endpoints.
type conformFlags struct {
	reportFlags `embed:""`
	Parallel    int           `name:"parallel" default:"8" placeholder:"N" help:"Cases that are asked at a time; 8 without."`
	Timeout     time.Duration `name:"timeout" placeholder:"TIME" help:"Time that a case may take; ${needed}, without."`
}

// loginFlags are for endpoints that want a login.
type loginFlags struct {
	Header []string `name:"header" sep:"none" placeholder:"\"NAME: VALUE\"" help:"Sent with every request and upgrade that clients make to the endpoint, as Cookie or Authorization for a login; not to another host, such as a service that it sends its clients to. May be repeated."`
}

// hubFlags are for endpoints that are hubs.
type hubFlags struct {
	loginFlags `embed:""`
	Query      []string `name:"query" sep:"none" placeholder:"NAME=VALUE" help:"Added to every negotiate and connect, for a token or a user; may be repeated."`
	BackEnd    string   `name:"back-end" placeholder:"URL" help:"Where the back end of the test hub is; the endpoint's host without."`
}

type conformCoreCmd struct {
	conformFlags `embed:"" set:"needed=what the case needs, mostly 10s"`
	hubFlags     `embed:""`
	URL          string `arg:"" optional:"" help:"URL of the hub."`
}

type conformLegacyCmd struct {
	conformFlags `embed:"" set:"needed=what the case needs, mostly 10s"`
	hubFlags     `embed:""`
	URL          string `arg:"" optional:"" help:"URL under which the hubs are, mostly with the path /signalr."`
}

type conformServiceCmd struct {
	conformFlags `embed:"" set:"needed=what the case needs, mostly 10s"`
	Conn         string `arg:"" optional:"" name:"connection-string" env:"SIGNALRELAY_CONNECTION" help:"Connection string of the service."`
}

type conformReplayCmd struct {
	conformFlags `embed:"" set:"needed=what the transcript needs, or 5m where it does not say"`
	loginFlags   `embed:""`
	File         string   `arg:"" help:"Transcript."`
	Endpoint     string   `arg:"" optional:"" help:"URL of the hub, or of the mount of the hubs; connection string of the service if app servers speak in the transcript, or it asks a REST API."`
	AccessKey    string   `name:"access-key" env:"-" placeholder:"KEY" help:"Key that the tokens of the transcript are signed with, where there is no connection string."`
	Capture      []string `name:"capture" sep:"none" placeholder:"NAME=VALUE" help:"Value that the transcript does not have, as secret1=…; may be repeated."`
}

type conformClientCmd struct {
	reportFlags `embed:""`
	Listen      string        `name:"listen" default:"127.0.0.1:9000" env:"-" placeholder:"HOST:PORT" help:"Address that clients are pointed at. Its page tells what to have them do."`
	For         time.Duration `name:"for" placeholder:"TIME" help:"End of the run; without, it ends with SIGINT or SIGTERM."`
	Timeout     time.Duration `name:"timeout" placeholder:"TIME" help:"Time that a client may take for each thing it should do; what the scenario needs, mostly 10s, without."`
}

// Run is called by kong.
func (c *conformCoreCmd) Run(ctx context.Context, p *Program) error {
	return c.conform(ctx, p, suite.CoreSet(), func() (*suite.Endpoint, error) { return c.endpoint(c.URL) })
}

// Run is called by kong.
func (c *conformLegacyCmd) Run(ctx context.Context, p *Program) error {
	return c.conform(ctx, p, suite.LegacySet(), func() (*suite.Endpoint, error) { return c.endpoint(c.URL) })
}

// Run is called by kong.
func (c *conformServiceCmd) Run(ctx context.Context, p *Program) error {
	return c.conform(ctx, p, suite.ServiceSet(), func() (*suite.Endpoint, error) { return serviceEndpoint(c.Conn) })
}

// Run is called by kong.
func (c *conformReplayCmd) Run(ctx context.Context, p *Program) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return usageError{err}
	}
	given, err := pairs("capture", c.Capture)
	if err != nil {
		return usageError{err}
	}
	values := map[string]string{}
	for name := range given {
		values[name] = given.Get(name)
	}
	cases, err := suite.Transcripts(text, values)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.File, err)}
	}
	service := false
	for i := range cases {
		one := &cases[i]
		if one.Name == "" {
			one.Name = filepath.Base(c.File)
		}
		if one.Limit == 0 {
			one.Limit = replayLimit
		}
		service = service || one.Level == suite.Service || one.Level == suite.ServiceLegacy || one.Level == suite.REST
	}
	set := &suite.Set{Name: "replay", About: "transcripts", Cases: cases, Probe: reachable}
	return c.conform(ctx, p, set, func() (*suite.Endpoint, error) {
		if service {
			e, err := serviceEndpoint(c.Endpoint)
			if err == nil {
				e.Header, err = c.header()
			}
			return e, err
		}
		e, err := (&hubFlags{loginFlags: c.loginFlags}).endpoint(c.Endpoint)
		if err == nil {
			e.AccessKey = c.AccessKey
		}
		return e, err
	})
}

// Run is called by kong. It judges clients until ctx ends.
func (c *conformClientCmd) Run(ctx context.Context, p *Program) error {
	o, err := c.options(c.Timeout)
	if err != nil {
		return usageError{err}
	}
	cases, err := c.named(suite.ClientSet().Cases, o.Only)
	if err != nil {
		return usageError{err}
	}
	if c.List {
		return listCases(p.Stdout, cases)
	}
	if err := checkAddress(c.Listen); err != nil {
		return usageError{err}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return usageError{err}
	}
	if c.For > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.For)
		defer stop()
	}
	fmt.Fprintf(p.Stderr, "Scenarios: http://%s/\n", l.Addr())
	o.Each = func(x suite.Result) { fmt.Fprintf(p.Stderr, "%s %s\n", x.Outcome, x.Name) }
	r, err := suite.ServeClients(ctx, l, o)
	if err != nil {
		return usageError{err}
	}
	return c.report(p, r)
}

// replayLimit is how long a transcript of unknown length may take.
const replayLimit = 5 * time.Minute

// options are the flags as the suite wants them.
func (c *reportFlags) options(limit time.Duration) (o suite.Options, err error) {
	if limit < 0 {
		return o, fmt.Errorf("timeout: %v is less than nothing", limit)
	}
	o.Limit = limit
	if o.Only, err = regexp.Compile(c.Only); err != nil {
		return o, fmt.Errorf("run: %w", err)
	}
	if c.Known == "" {
		return o, nil
	}
	text, err := os.ReadFile(c.Known)
	if err != nil {
		return o, fmt.Errorf("known: %w", err)
	}
	if o.Known, err = conformance.Known(text); err != nil {
		return o, fmt.Errorf("%s: %w", c.Known, err)
	}
	return o, nil
}

// named are the cases whose names match, of which there has to be one.
func (c *reportFlags) named(cases []suite.Case, only *regexp.Regexp) (all []suite.Case, err error) {
	for _, x := range cases {
		if only.MatchString(x.Name) {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("run: no case has a name like %q; --list prints them", c.Only)
	}
	return all, nil
}

// report writes a report. Its error says with its exit code what is in it.
func (c *reportFlags) report(p *Program, r *suite.Report) error {
	if err := r.Write(p.Stdout, suite.Format(c.Format)); err != nil {
		return usageError{fmt.Errorf("report: %w", err)} // nobody learns what was found out
	}
	err := r.Err()
	if errors.Is(err, suite.ErrNotAsked) {
		return usageError{err}
	}
	return err
}

// conform lists or asks the cases of a set and writes the report.
func (c *conformFlags) conform(ctx context.Context, p *Program, set *suite.Set, endpoint func() (*suite.Endpoint, error)) error {
	o, err := c.options(c.Timeout)
	if err != nil {
		return usageError{err}
	}
	if c.Parallel < 1 {
		return usageError{fmt.Errorf("parallel: %d is less than one case at a time", c.Parallel)}
	}
	cases, err := c.named(set.Cases, o.Only)
	if err != nil {
		return usageError{err}
	}
	if c.List {
		return listCases(p.Stdout, cases)
	}
	e, err := endpoint()
	if err != nil {
		return usageError{err}
	}
	progress := suite.Progress{W: p.Stderr, Total: len(cases), Live: isTerminal(p.Stderr)}
	o.Each, o.Parallel = progress.Each, c.Parallel
	r, err := suite.Run(ctx, set, e, o)
	if err != nil {
		return usageError{err} // nothing was found out, which is not to disagree
	}
	return c.report(p, r)
}

// listCases prints cases, one a line.
func listCases(w io.Writer, cases []suite.Case) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range cases {
		fmt.Fprintf(t, "%s\t%s\t%s [%s]\n", c.Name, c.Level, c.About, c.From)
	}
	if err := t.Flush(); err != nil {
		return usageError{fmt.Errorf("list: %w", err)}
	}
	return nil
}

// isTerminal says whether a line on w can be written over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
