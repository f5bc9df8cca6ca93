package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// DevelopmentKey is the access key of Microsoft's emulator, which everybody
// knows.
const DevelopmentKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

// startTime bounds the start of every server. A busy machine takes ten seconds
// for an app on .NET.
const startTime = 60 * time.Second

// A Relay is a running relay.
type Relay struct {
	*Process
	Binary, Addr, Admin string
}

// StartRelay starts a relay binary on free ports, with options of its serve,
// and waits until it is ready.
func StartRelay(ctx context.Context, binary string, options ...string) (*Relay, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	return StartRelayAt(ctx, binary, addr, admin, options...)
}

// StartRelayAt is StartRelay on addresses of the caller's choice.
func StartRelayAt(ctx context.Context, binary, addr, admin string, options ...string) (*Relay, error) {
	command := []string{binary, "serve", "--listen", addr, "--admin", admin, "--drain-time", "1s"}
	p, err := Start("relay", nil, append(command, options...)...)
	if err != nil {
		return nil, err
	}
	r := &Relay{p, binary, addr, admin}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if _, err = Get(ctx, "http://"+admin+"/readyz"); err == nil {
			return r, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.Ended():
			return nil, fmt.Errorf("relay ended: %s", p.Tail())
		case <-ctx.Done():
			p.Kill()
			return nil, fmt.Errorf("relay is not ready: %w: %s", err, p.Tail())
		}
	}
}

// ConnectionString is what an app needs to reach the relay.
func (r *Relay) ConnectionString() string {
	return "Endpoint=http://" + r.Addr + ";AccessKey=" + DevelopmentKey + ";Version=1.0;"
}

// An App is a running app server with the hub /chat.
type App struct {
	*Process
	Addr string
	URL  string // of Addr, without a path
}

// StartAzureHub starts Microsoft's SDK behind the service of a connection string
// and waits until all its server connections are up. Variant is a directory of
// peers, empty for the newest.
func StartAzureHub(ctx context.Context, peers, variant, conn string, options ...string) (*App, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	return StartAzureHubAt(ctx, peers, variant, addr, conn, options...)
}

// StartAzureHubAt is StartAzureHub on an address of the caller's choice.
func StartAzureHubAt(ctx context.Context, peers, variant, addr, conn string, options ...string) (*App, error) {
	command := append(dotnet(peers, variant), "azurehub", "--urls", "http://"+addr, "--conn", conn)
	p, err := Start("azurehub", nil, append(command, options...)...)
	if err != nil {
		return nil, err
	}
	return await(ctx, &App{p, addr, "http://" + addr}, "^CONNECTED")
}

// StartCoreHub starts Microsoft's server with the test hubs and waits until it
// listens.
func StartCoreHub(ctx context.Context, peers string, options ...string) (*App, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	command := append(dotnet(peers, ""), "corehub", "--urls", "http://"+addr)
	p, err := Start("corehub", nil, append(command, options...)...)
	if err != nil {
		return nil, err
	}
	return await(ctx, &App{p, addr, "http://" + addr}, "^READY")
}

// StartDemo starts the demo command, whose app is ours, on free ports.
func StartDemo(ctx context.Context, binary string) (*App, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	relay, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := Start("demo", nil, binary, "demo", "--listen", addr, "--relay", relay)
	if err != nil {
		return nil, err
	}
	return await(ctx, &App{p, addr, "http://" + addr}, "^Chat:")
}

func await(ctx context.Context, a *App, pattern string) (*App, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := a.Says(ctx, 1, pattern); err != nil {
		a.Kill()
		return nil, err
	}
	return a, nil
}

func dotnet(peers, variant string) []string {
	command := []string{filepath.Join(peers, "dotnetpeer")}
	if variant != "" {
		command = append(command, "--variant", variant)
	}
	return command
}

// Clients returns the connection ids of the clients that the app process hosts.
func (a *App) Clients(ctx context.Context) ([]string, error) {
	text, err := Get(ctx, a.URL+"/backend/connections")
	return strings.Fields(text), err
}

// SendAll has the app send a message to every client of the hub.
func (a *App) SendAll(ctx context.Context, message string) error {
	_, err := ask(ctx, http.MethodPost, a.URL+"/backend/all?m="+message)
	return err
}

// Get returns the body of a 200.
func Get(ctx context.Context, url string) (string, error) { return ask(ctx, http.MethodGet, url) }

func ask(ctx context.Context, method, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", method, url, resp.Status, b)
	}
	return string(b), err
}
