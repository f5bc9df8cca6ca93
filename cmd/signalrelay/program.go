package main

import (
	"context"
	"io"
	"os"
	"reflect"
	"sync"

	"github.com/alecthomas/kong"
)

// A Program is one run of the command: ParseFlags, then Run. It is main without
// the process around it, so that tests can run whole daemons.
type Program struct {
	// Set before ParseFlags.

	Stdout, Stderr io.Writer
	newRelay       newRelayFunc

	// Set by ParseFlags.

	cli    cli
	kong   *kong.Kong
	ctx    *kong.Context // nil when help was all that was asked for
	layers *layers

	// Guarded by mu, set by Run.

	mu          sync.Mutex
	addr, admin string
	cancel      context.CancelFunc
	ready       chan struct{} // closed once serve listens
}

// cli is the grammar of the command line.
type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run the relay."`
	Demo        demoCmd        `cmd:"" help:"Run a relay with a sample app and a chat page."`
	Token       tokenCmd       `cmd:"" help:"Print a token for a client or an app server."`
	Bench       benchCmd       `cmd:"" help:"Measure a relay or any SignalR server."`
	Conform     conformCmd     `cmd:"" help:"Ask a SignalR server, service or client whether it is right."`
	Record      recordCmd      `cmd:"" help:"Record what clients and a SignalR server say to each other."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running relay whether it is ready."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	Completion  completionCmd  `cmd:"" help:"Print a completion script for a shell."`
	SampleApp   sampleAppCmd   `cmd:"" help:"Run the sample app behind a relay that is running already."`
	ConfigDocs  configDocsCmd  `cmd:"" hidden:"" help:"Print docs/configuration.md."`
}

// usageError is an error of whoever wrote the command line or the
// configuration; the exit code is 2.
type usageError struct{ error }

// Unwrap returns the cause.
func (e usageError) Unwrap() error { return e.error }

// NewProgram returns a Program on the standard streams.
func NewProgram() *Program {
	return &Program{Stdout: os.Stdout, Stderr: os.Stderr, newRelay: newRelay, ready: make(chan struct{})}
}

// helpShown unwinds the parser once it has written help.
type helpShown struct{}

// ParseFlags reads the command line, the environment (as os.Environ writes it)
// and the configuration file. Its errors are usage errors.
func (p *Program) ParseFlags(args, environ []string) (err error) {
	p.layers = newLayers(environ)
	p.kong, err = kong.New(&p.cli,
		kong.Name("signalrelay"),
		kong.Description("An open replacement for Azure SignalR Service."),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.ValueFormatter(p.helpOf),
		kong.WithBeforeResolve(func(ctx *kong.Context) error { return p.layers.load(ctx) }),
		kong.Resolvers(p.layers),
	)
	if err != nil {
		return err
	}
	defer func() {
		switch r := recover(); r.(type) {
		case nil, helpShown:
		default:
			panic(r)
		}
	}()
	if p.ctx, err = p.kong.Parse(args); err != nil {
		p.ctx = nil
		return usageError{err}
	}
	return nil
}

// Run runs the command that ParseFlags found until it is done or ctx ends. For
// serve the end of ctx is a signal to drain, after which Run returns nil.
func (p *Program) Run(ctx context.Context) error {
	if p.ctx == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.cancel = cancel
	p.mu.Unlock()
	p.ctx.Bind(p)
	p.ctx.BindTo(ctx, (*context.Context)(nil))
	return p.ctx.Run()
}

// Close ends Run as a signal would.
func (p *Program) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
	return nil
}

// Ready is closed once serve takes connections.
func (p *Program) Ready() <-chan struct{} { return p.ready }

// Addr is the address serve listens on, "" before it does.
func (p *Program) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// AdminAddr is the address of the admin listener, "" without one.
func (p *Program) AdminAddr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.admin
}

func (p *Program) listening(addr, admin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addr, p.admin = addr, admin
	close(p.ready)
}

// helpOf adds the name of the environment variable to the help of a flag.
func (p *Program) helpOf(v *kong.Value) string {
	if v.Flag != nil && (p.layers.answers(v.Flag) || v.Name == "config") {
		return v.Help + " ($" + envName(v.Name) + ")"
	}
	return v.Help
}

// eachField calls f for every field of a Config with its tags.
func (c *Config) eachField(f func(field reflect.StructField, value reflect.Value)) {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		f(v.Type().Field(i), v.Field(i))
	}
}
