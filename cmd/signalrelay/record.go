package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/record"
)

// recordCmd records what clients and a server say to each other.
type recordCmd struct {
	To        string        `name:"to" required:"" placeholder:"URL" help:"The hub, or the mount of the hubs of ASP.NET SignalR, that is recorded: http://host/hub."`
	Out       string        `name:"out" required:"" type:"path" placeholder:"FILE" help:"Transcript that is written when the recording ends."`
	Listen    string        `name:"listen" default:"127.0.0.1:0" env:"-" placeholder:"HOST:PORT" help:"Address that clients connect to, with the paths of the server; port 0 takes a free one."`
	For       time.Duration `name:"for" placeholder:"TIME" help:"End of the recording; without, it ends with SIGINT or SIGTERM."`
	AccessKey string        `name:"access-key" env:"-" placeholder:"KEY" help:"Key of the tokens that clients bring along: they are then signed anew when the transcript is played. It is not written."`
}

// Run is called by kong.
func (c *recordCmd) Run(ctx context.Context, p *Program) error {
	if err := checkAddress(c.Listen); err != nil {
		return usageError{err}
	}
	to, err := url.Parse(c.To)
	if err != nil {
		return usageError{fmt.Errorf("to: %w", err)}
	}
	name := strings.TrimSuffix(filepath.Base(c.Out), filepath.Ext(c.Out))
	r, err := record.New(record.Options{To: to, AccessKey: c.AccessKey, Name: name})
	if err != nil {
		return usageError{fmt.Errorf("to: %w", err)}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return usageError{err}
	}
	defer l.Close() // again, once it was served
	// Now, not when the recording is over and lost.
	out, err := openOutFile(c.Out)
	if err != nil {
		return usageError{err}
	}
	defer out.giveUp()
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	fmt.Fprintf(p.Stdout, "Recording: http://%s%s instead of %s\n", l.Addr(), to.EscapedPath(), to)
	server := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Close
	select {
	case err = <-served:
	case <-ctx.Done():
		// What is still open ends with the recording and is no part of it.
		text := r.Transcript()
		server.Close()
		<-served
		if len(text.Steps) == 0 {
			return fmt.Errorf("nothing was recorded: %s is as it was", c.Out)
		}
		if err = out.write(text.Text()); err == nil {
			fmt.Fprintf(p.Stdout, "Recorded: %s, %s\n", c.Out, text.About)
		}
	}
	return err
}

// An outFile is a file that is open before there is anything to write.
type outFile struct {
	*os.File
	created bool // by us
	written bool
}

func openOutFile(name string) (*outFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		return &outFile{File: f}, err
	}
	return &outFile{File: f, created: true}, err
}

// write makes text all that is in the file.
func (o *outFile) write(text []byte) error {
	o.written = true
	err := o.Truncate(0)
	if err == nil {
		_, err = o.Write(text)
	}
	return errors.Join(err, o.Close())
}

// giveUp leaves things as they were, unless something was written.
func (o *outFile) giveUp() {
	o.Close() // again, where it was
	if o.created && !o.written {
		os.Remove(o.Name())
	}
}
