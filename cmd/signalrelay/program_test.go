package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// daemonVariable makes the test binary a signalrelay with a fake relay, which
// drains in no time when the value is drains and never otherwise.
const daemonVariable = "TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(daemonVariable) != "" {
		p, r := NewProgram(), newFakeRelay()
		if os.Getenv(daemonVariable) == "drains" {
			close(r.drained)
		}
		p.newRelay = r.new
		os.Exit(run(p, os.Args[1:], os.Environ()))
	}
	os.Exit(m.Run())
}

// fakeRelay answers every request with its name and drains when it is let.
type fakeRelay struct {
	server   http.Server
	draining chan struct{} // closed when Drain is called
	drained  chan struct{} // lets Drain return when closed
	over     atomic.Int64
	fault    atomic.Pointer[error]
	config   *Config
}

func newFakeRelay() *fakeRelay {
	r := &fakeRelay{draining: make(chan struct{}), drained: make(chan struct{})}
	r.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fake relay") })
	return r
}

func (r *fakeRelay) new(c *Config, _ *auth.Keys, _ *slog.Logger) (relayServer, error) {
	r.config = c
	return r, nil
}

func (r *fakeRelay) Serve(l net.Listener) error {
	if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (r *fakeRelay) Drain(ctx context.Context, over time.Duration) error {
	r.over.Store(int64(over))
	close(r.draining)
	select {
	case <-r.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *fakeRelay) Close() error { return r.server.Close() }

func (r *fakeRelay) Stats() Stats {
	return Stats{Clients: 3, Servers: 5, ClientsOpened: 10, MessagesOut: 77, BytesIn: 1234,
		ClientsClosed: map[relay.Category]int64{relay.SlowClient: 2, relay.Normal: 4, relay.ServiceTransientError: 1}}
}

func (r *fakeRelay) Check() error {
	if err := r.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// output is a buffer for the two goroutines that write to it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

// command runs a command line to its end and returns what it wrote.
func command(t *testing.T, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut output
	p := NewProgram()
	p.Stdout, p.Stderr, p.newRelay = &out, &errOut, newFakeRelay().new
	err := p.ParseFlags(args, environ)
	if err == nil {
		err = p.Run(t.Context())
	}
	code = p.report(err)
	return out.String(), errOut.String(), code
}

// daemon is a serve that runs.
type daemon struct {
	*Program
	relay    *fakeRelay
	out, log *output
	ended    chan error
}

func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{Program: NewProgram(), relay: newFakeRelay(), out: &output{}, log: &output{}, ended: make(chan error, 1)}
	d.Stdout, d.Stderr, d.newRelay = d.out, d.log, d.relay.new
	args = append([]string{"serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"}, args...)
	if err := d.ParseFlags(args, nil); err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- d.Run(context.Background()) }()
	select {
	case <-d.Ready():
	case err := <-d.ended:
		t.Fatalf("serve ended: %v\n%s", err, d.log)
	}
	return d
}

// stop drains d and returns what Run did.
func (d *daemon) stop() error {
	close(d.relay.drained)
	d.Close()
	return <-d.ended
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	d := start(t, "--drain-time=3s")
	base, admin := "http://"+d.Addr(), "http://"+d.AdminAddr()

	if want := "ConnectionString: Endpoint=" + base + ";AccessKey=" + developmentKey + ";Version=1.0;\n"; d.out.String() != want {
		t.Errorf("printed %q, want %q", d.out, want)
	}
	if _, body := get(t, base+"/"); body != "fake relay" {
		t.Errorf("relay says %q", body)
	}
	type answer struct {
		Status int
		Body   string
	}
	ask := func(path string) answer { s, b := get(t, admin+path); return answer{s, b} }
	for path, want := range map[string]answer{
		"/livez":             {200, "alive\n"},
		"/readyz":            {200, "ready\n"},
		"/debug/consistency": {200, "consistent\n"},
		"/debug/pprof/":      {404, "404 page not found\n"},
	} {
		if diff := cmp.Diff(want, ask(path)); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
	fault := errors.New("user alice is in no hub")
	d.relay.fault.Store(&fault)
	if diff := cmp.Diff(answer{500, "user alice is in no hub\n"}, ask("/debug/consistency")); diff != "" {
		t.Error(diff)
	}

	d.Close()
	<-d.relay.draining
	if got := ask("/readyz"); got.Status != http.StatusServiceUnavailable {
		t.Errorf("while draining /readyz says %v", got)
	}
	if got := ask("/livez"); got.Status != http.StatusOK {
		t.Errorf("while draining /livez says %v", got)
	}
	if got := time.Duration(d.relay.over.Load()); got != 3*time.Second {
		t.Errorf("drained over %v, want 3s", got)
	}
	if err := d.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, addr := range []string{d.Addr(), d.AdminAddr()} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

func TestMetrics(t *testing.T) {
	d := start(t, "--pprof")
	_, body := get(t, "http://"+d.AdminAddr()+"/metrics")
	for _, want := range []string{
		`signalrelay_connection_count{endpoint="Client"} 3`,
		`signalrelay_connection_count{endpoint="Server"} 5`,
		`signalrelay_connection_open_count_total{endpoint="Client"} 10`,
		`signalrelay_connection_close_count_total{connection_close_category="SlowClient",endpoint="Client"} 2`,
		`signalrelay_connection_close_count_total{connection_close_category="Throttled",endpoint="Client"} 0`,
		`signalrelay_message_count_total{direction="out"} 77`,
		`signalrelay_inbound_traffic_bytes_total 1234`,
		`signalrelay_outbound_traffic_bytes_total 0`,
		`signalrelay_user_errors_total 2`,
		`signalrelay_system_errors_total 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if status, _ := get(t, "http://"+d.AdminAddr()+"/debug/pprof/"); status != http.StatusOK {
		t.Errorf("--pprof: /debug/pprof/ answers %d", status)
	}
	if t.Failed() {
		t.Log(body)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

func TestServeKeepsSecrets(t *testing.T) {
	const secret, second = "s3cret-s3cret-s3cret-s3cret", "another-s3cret-another"
	d := start(t, "--access-key="+secret, "--access-key="+second, "--log-level=debug")
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{secret, second}, d.relay.config.AccessKey); diff != "" {
		t.Error(diff)
	}
	all := d.out.String() + d.log.String()
	if !strings.Contains(all, "AccessKey="+mask) || strings.Contains(all, secret) || strings.Contains(all, second) {
		t.Errorf("printed and logged:\n%s", all)
	}
}

func TestServeWithoutAdmin(t *testing.T) {
	d := start(t, "--admin=none")
	if d.AdminAddr() != "" {
		t.Errorf("admin at %s", d.AdminAddr())
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

func TestServeAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"--listen", "--admin"} {
		args := []string{"serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", flag + "=" + l.Addr().String()}
		if _, stderr, code := command(t, nil, args...); code != exitFailure || !strings.Contains(stderr, "in use") {
			t.Errorf("%s: code %d, %s", flag, code, stderr)
		}
	}
}

// TestSignals runs the test binary as a daemon.
func TestSignals(t *testing.T) {
	run := func(t *testing.T, kind string) (c *exec.Cmd, await func(string)) {
		t.Helper()
		c = exec.Command(os.Args[0], "serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--drain-time=1h")
		c.Env = append(os.Environ(), daemonVariable+"="+kind)
		stderr, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill() })
		lines := bufio.NewScanner(stderr)
		return c, func(text string) {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), text) {
					return
				}
			}
			t.Fatalf("the daemon ended without %q", text)
		}
	}
	t.Run("the first drains", func(t *testing.T) {
		c, await := run(t, "drains")
		await(`"listening"`)
		c.Process.Signal(syscall.SIGTERM)
		await(`"drained"`)
		if err := c.Wait(); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("the second ends at once", func(t *testing.T) {
		c, await := run(t, "hangs")
		await(`"listening"`)
		c.Process.Signal(os.Interrupt)
		await(`"draining"`)
		c.Process.Signal(syscall.SIGTERM)
		await("second signal")
		var exit *exec.ExitError
		if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailure {
			t.Errorf("ended with %v", err)
		}
	})
}
