package peers

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// StartLegacyApp starts the Go sample app for ASP.NET SignalR, of a relay binary,
// behind a relay and waits until all its server connections are up. Addr is
// where it listens.
func StartLegacyApp(ctx context.Context, binary, addr string, r *Relay) (*App, error) {
	p, err := Start("sample app", nil, binary, "sample-app", "--flavour", "aspnet", "--listen", addr,
		"--conn", r.ConnectionString(), "--connections", "2")
	if err != nil {
		return nil, err
	}
	return await(ctx, &App{p, addr, "http://" + addr}, "^CONNECTED")
}

// LegacyStats are how often clients of a sample app's chatHub came, went and
// came back.
type LegacyStats struct{ Connects, Disconnects, Reconnects int }

// LegacyStats asks an app for its counts.
func (a *App) LegacyStats(ctx context.Context) (s LegacyStats, err error) {
	text, err := Get(ctx, a.URL+"/backend/stats")
	if err != nil {
		return s, err
	}
	if _, err := fmt.Sscan(text, &s.Connects, &s.Disconnects, &s.Reconnects); err != nil {
		return s, fmt.Errorf("stats %q: %w", text, err)
	}
	return s, nil
}

// SendClient has the app send a message to one client of the hub.
func (a *App) SendClient(ctx context.Context, id, message string) error {
	_, err := ask(ctx, http.MethodPost, a.URL+"/backend/client/"+id+"?m="+message)
	return err
}

// Metric returns the value of one of the relay's metrics, which is named as it
// is shown, with its labels.
func (r *Relay) Metric(ctx context.Context, name string) (float64, error) {
	text, err := Get(ctx, "http://"+r.Admin+"/metrics")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("relay has no metric %s", name)
}
