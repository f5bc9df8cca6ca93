package bench

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds the start of a server and of its app server.
const startTimeout = 40 * time.Second

// subject is a target that runs.
type subject struct {
	Target
	o       *Options
	conn    string   // connection string; empty when clients go to the hub itself
	admin   string   // HOST:PORT of the server's /metrics; empty when we do not know it
	hub     *url.URL // what clients negotiate with
	dialect *dialect // of its clients
	pid     int
	app     *process   // nil without an app server of ours
	appPID  int        // 0 without one
	procs   []*process // in order of their start
}

// start starts the target's processes, where it has any, and finds out whose cost to read.
func (t Target) start(ctx context.Context, o *Options) (*subject, error) {
	s := &subject{Target: t, o: o, dialect: t.Flavour.dialect()}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *subject) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	listen, admin := "", ""
	if s.Command != nil {
		if listen, err = freeAddr(); err != nil {
			return err
		}
		if admin, err = freeAddr(); err != nil {
			return err
		}
	}
	fill := func(s string) string { return strings.NewReplacer("{listen}", listen, "{admin}", admin).Replace(s) }
	if strings.Contains(strings.Join(s.Command, " "), "{admin}") {
		s.admin = admin
	}
	service := fill(s.URL)
	if s.isConnectionString() {
		s.conn = service
		if service, err = endpointOf(s.conn); err != nil {
			return err
		}
	}
	if s.hub, err = url.Parse(service); err != nil {
		return err
	}
	if s.Command != nil {
		p, err := run(s.Command, fill)
		if err != nil {
			return err
		}
		s.procs = append(s.procs, p)
		if err := p.listens(ctx, listen); err != nil {
			return err
		}
	}
	if s.pid = s.PID; s.pid == 0 {
		if s.pid, err = listener(portOf(s.hub)); err != nil {
			return err
		}
	}
	if s.conn != "" {
		return s.startApp(ctx)
	}
	return nil
}

// startApp puts an app server behind the service and points clients at its negotiate endpoint.
func (s *subject) startApp(ctx context.Context) error {
	if len(s.AppServer) == 0 {
		return errors.New("a connection string needs the command of an app server")
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	p, err := run(s.AppServer, strings.NewReplacer("{app}", addr, "{conn}", s.conn).Replace, "SIGNALRELAY_CONNECTION="+s.conn)
	if err != nil {
		return fmt.Errorf("app server: %w", err)
	}
	s.app, s.procs = p, append(s.procs, p)
	select {
	case <-p.connected:
	case <-p.ended:
		return fmt.Errorf("app server ended: %s", p.tail())
	case <-ctx.Done():
		return fmt.Errorf("app server did not connect: %s", p.tail())
	}
	if s.appPID, err = listener(portOf(&url.URL{Host: addr})); err != nil {
		return err
	}
	s.hub = &url.URL{Scheme: "http", Host: addr, Path: s.dialect.mount}
	return nil
}

// another is the same service with one more app server, through which its clients go. Stopping it stops only that.
func (s *subject) another(ctx context.Context) (*subject, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	other := &subject{Target: s.Target, o: s.o, dialect: s.dialect, conn: s.conn, admin: s.admin, pid: s.pid}
	if err := other.startApp(ctx); err != nil {
		other.stop()
		return nil, err
	}
	return other, nil
}

// suspendApp stops the app server in its tracks, its children too; its sockets stay open. It can be stopped for good
// afterwards.
func (s *subject) suspendApp() error { return syscall.Kill(-s.app.cmd.Process.Pid, syscall.SIGSTOP) }

// stop ends what start started, last one first.
func (s *subject) stop() {
	for i := len(s.procs) - 1; i >= 0; i-- {
		s.procs[i].stop()
	}
}

// process is a child; its output is kept for error texts only.
type process struct {
	cmd              *exec.Cmd
	connected, ended chan struct{} // closed when it prints CONNECTED, and when it is gone

	mu   sync.Mutex
	last []string
}

func run(command []string, fill func(string) string, env ...string) (*process, error) {
	args := make([]string, len(command))
	for i, a := range command {
		args[i] = fill(a)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), connected: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl-C is ours to hand on, and scripts have children
	p.cmd.WaitDelay = time.Second
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		p.cmd.Wait()
		w.Close()
	}()
	go p.watch(r) // ends with the pipe, when all output is read
	return p, nil
}

func (p *process) watch(r io.Reader) {
	defer close(p.ended)
	once := sync.OnceFunc(func() { close(p.connected) })
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "CONNECTED") {
			once()
		}
		p.mu.Lock()
		p.last = append(p.last, sc.Text())
		p.last = p.last[max(0, len(p.last)-5):]
		p.mu.Unlock()
	}
	io.Copy(io.Discard, r) // a line too long for the scanner must not block the process
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cmp.Or(strings.Join(p.last, "; "), "it said nothing")
}

// listens waits until somebody accepts at addr.
func (p *process) listens(ctx context.Context, addr string) error {
	for {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %s", p.cmd.Path, addr, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop asks the process group to end, waits, and kills it.
func (p *process) stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGCONT) // a suspended process hears of the first with the second
	select {
	case <-p.ended:
	case <-time.After(3 * time.Second):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// freeAddr is a loopback address nobody listens on at the moment.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func portOf(u *url.URL) int {
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
		return port
	case u.Scheme == "https":
		return 443
	}
	return 80
}

// endpointOf reads the one part of a connection string (service-protocol 1.1) that tells where its service listens.
func endpointOf(conn string) (string, error) {
	endpoint, port := "", ""
	for pair := range strings.SplitSeq(conn, ";") {
		key, value, _ := strings.Cut(pair, "=")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "endpoint":
			endpoint = strings.TrimSuffix(strings.TrimSpace(value), "/")
		case "port":
			port = ":" + strings.TrimSpace(value)
		}
	}
	if endpoint == "" {
		return "", errors.New("connection string without an endpoint")
	}
	return endpoint + port, nil
}
