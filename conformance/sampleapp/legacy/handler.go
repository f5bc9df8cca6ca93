package legacy

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
)

//go:embed page/connection.js
var connection string

var _ web.App = (*App)(nil)

// Handler serves the app's own HTTP: negotiate and the proxy script under
// /signalr, what a back end asks of the app under /backend/, and the demo page.
// ?user=alice makes the caller alice, in the role tester. Every origin is
// allowed, with credentials.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/signalr", a.signalr)
	mux.HandleFunc("/signalr/", a.signalr)
	a.backend(mux)
	mux.HandleFunc("GET /{$}", web.Page{
		Connection: connection, Sibling: a.o.Sibling, SiblingText: "The same chat with ASP.NET Core SignalR",
		Transports: [][2]string{{"WebSockets", "WebSockets"}},
	}.Handler())
	return web.CORS(mux)
}

// Serve runs the app with its HTTP side on l until ctx ends. Connected is called
// once, when all server connections are up; nil is allowed.
func (a *App) Serve(ctx context.Context, l net.Listener, connected func()) error {
	return web.Serve(ctx, l, a, connected)
}

// backend serves what a back end does with chatHub from outside, over HTTP.
func (a *App) backend(mux *http.ServeMux) {
	if a.chat == nil {
		return
	}
	s := sender{hub: a.chat.hub}
	post := func(path string, do func(r *http.Request, m string) error) {
		mux.HandleFunc("POST /backend/"+path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r, r.URL.Query().Get("m")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	post("all", func(_ *http.Request, m string) error { return s.all(nil, "message", m) })
	post("user/{user}", func(r *http.Request, m string) error { return s.user(r.PathValue("user"), "message", m) })
	post("client/{id}", func(r *http.Request, m string) error { return s.client(r.PathValue("id"), "message", m) })
	post("group/{group}", func(r *http.Request, m string) error { return s.group(r.PathValue("group"), nil, "message", m) })
	post("join/{id}/{group}", func(r *http.Request, _ string) error { return s.join(r.PathValue("id"), r.PathValue("group")) })
	post("leave/{id}/{group}", func(r *http.Request, _ string) error { return s.leave(r.PathValue("id"), r.PathValue("group")) })
	mux.HandleFunc("GET /backend/stats", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, a.chat.stats()) })
	mux.HandleFunc("GET /backend/service", func(w http.ResponseWriter, _ *http.Request) {
		up, wanted := a.Links()
		fmt.Fprintf(w, "%d %d", up, wanted)
	})
}
