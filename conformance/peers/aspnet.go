package peers

import (
	"context"
	"path/filepath"
)

// StartLegacyHub starts Microsoft's own ASP.NET SignalR server, which hosts its
// hubs itself, on a free port. Its chatHub has the contract of the sample app's.
func StartLegacyHub(ctx context.Context, peers string, options ...string) (*App, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	command := []string{filepath.Join(peers, "legacypeer"), "legacyhub", "--urls", "http://" + addr}
	p, err := Start("legacyhub", nil, append(command, options...)...)
	if err != nil {
		return nil, err
	}
	return await(ctx, &App{p, addr, "http://" + addr}, "^listening on")
}

// ClassicClient is the command of the battery with Microsoft's .NET client for
// ASP.NET SignalR.
func ClassicClient(peers string, a *App, options ...string) []string {
	return append(append(dotnet(peers, ""), "legacyclient", a.URL+"/signalr", "chatHub"), options...)
}
