package peers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	keptLines = 10_000           // of a process's output
	tailLines = 30               // of these, in error texts
	stopTime  = 25 * time.Second // from SIGTERM to SIGKILL; an app may wait 10 s for its clients
)

// A Process is a child whose output is read line by line. Its methods may be
// called concurrently.
type Process struct {
	name string
	cmd  *exec.Cmd

	ended chan struct{} // closed once it is gone and its output is read
	err   error         // of Wait; set before ended is closed

	mu     sync.Mutex
	lines  []string      // the last keptLines
	grown  chan struct{} // closed and renewed with every line
	onLine func(string)
}

// Start runs a command in a process group of its own. onLine, if not nil, is
// called with each line of its standard output and error, one at a time. The
// environment is ours without what would configure a relay.
func Start(name string, onLine func(line string), command ...string) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(command[0], command[1:]...),
		ended: make(chan struct{}), grown: make(chan struct{}), onLine: onLine}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SIGNALRELAY_") })
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	read := make(chan struct{})
	go func() { p.read(r); close(read) }() // ends with the pipe
	go func() {                            // ends with the process
		p.err = p.cmd.Wait()
		w.Close()
		<-read
		close(p.ended)
	}()
	return p, nil
}

func (p *Process) read(r io.Reader) {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			p.take(line)
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) take(line string) {
	p.mu.Lock()
	p.lines = append(p.lines, line)
	p.lines = p.lines[max(0, len(p.lines)-keptLines):]
	close(p.grown)
	p.grown = make(chan struct{})
	p.mu.Unlock()
	if p.onLine != nil {
		p.onLine(line)
	}
}

// Says waits for n lines, past ones included, that a regular expression matches.
func (p *Process) Says(ctx context.Context, n int, pattern string) error {
	wanted := regexp.MustCompile(pattern)
	for {
		p.mu.Lock()
		said, grown := len(p.matching(wanted)), p.grown
		p.mu.Unlock()
		if said >= n {
			return nil
		}
		select {
		case <-grown:
		case <-p.ended:
			return fmt.Errorf("%s ended before it said %s: %s", p.name, pattern, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s said %s %d times, not %d: %w: %s", p.name, pattern, said, n, ctx.Err(), p.Tail())
		}
	}
}

// Lines returns the lines so far that a regular expression matches.
func (p *Process) Lines(pattern string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.matching(regexp.MustCompile(pattern))
}

func (p *Process) matching(wanted *regexp.Regexp) (lines []string) {
	for _, line := range p.lines {
		if wanted.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Tail is the end of the output, for error texts.
func (p *Process) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == 0 {
		return "it said nothing"
	}
	return "its last words:\n" + strings.Join(p.lines[max(0, len(p.lines)-tailLines):], "\n")
}

// Ended is closed once the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end of the process and returns how it ended.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return fmt.Errorf("%s did not end: %w: %s", p.name, ctx.Err(), p.Tail())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w: %s", p.name, p.err, p.Tail())
	}
	return nil
}

// Terminate sends SIGTERM and does not wait.
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

// Kill sends SIGKILL, to its children too, and waits for the end.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// signal leaves a process alone that has ended: its id may be another's by now.
func (p *Process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		syscall.Kill(-p.cmd.Process.Pid, s) // gone a moment ago is as good
	}
}

// Stop sends SIGTERM, waits and, if that takes too long, kills.
func (p *Process) Stop() error {
	p.Terminate()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := p.Wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		p.Kill()
	}
	return err
}

// FreeAddr returns a loopback address nobody listens on at the moment. Somebody
// may do so before its user does; a test that meets that fails and tells.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
