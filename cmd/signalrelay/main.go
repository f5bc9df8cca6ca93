// Command signalrelay is an open replacement for Azure SignalR Service: apps on
// Microsoft's Azure SignalR SDK connect to it as they would to the service, and
// so do their clients.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes. Scripts may rely on them.
const (
	exitOK      = 0
	exitFailure = 1 // it could not be done
	exitUsage   = 2 // the command line or the configuration is wrong, or conform could not find out
)

func main() { os.Exit(run(NewProgram(), os.Args[1:], os.Environ())) }

// run is main for a Program; it returns the exit code.
func run(p *Program, args, environ []string) int {
	if err := p.ParseFlags(args, environ); err != nil {
		return p.report(err)
	}
	ctx, stop := untilSignal(p.cutShort())
	defer stop()
	return p.report(p.Run(ctx))
}

// report writes an error as every command does and returns the exit code.
func (p *Program) report(err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(p.Stderr, "signalrelay: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

// cutShort is the exit code of a command that does not come to its end. It is not
// one by which conform says that somebody disagrees.
func (p *Program) cutShort() int {
	if p.ctx == nil {
		return exitFailure
	}
	switch command, _, _ := strings.Cut(p.ctx.Command(), " "); command {
	case "conform", "record":
		return exitUsage
	}
	return exitFailure
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. The
// second ends the process at once, with an exit code; it is handled here and not
// left to the system, which ignores unhandled signals of process 1 in a container.
func untilSignal(code int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(os.Stderr, "signalrelay: second signal, leaving at once")
		os.Exit(code)
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}
