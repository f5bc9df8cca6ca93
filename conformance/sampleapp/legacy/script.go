package legacy

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
)

//go:embed script/proxies.js
var scriptTemplate string

// serveScript serves the proxy script of the app's hubs for the SignalR endpoint
// at base (legacy-client-protocol 6).
func (a *App) serveScript(w http.ResponseWriter, base string) {
	w.Header().Set("Content-Type", "application/javascript; charset=UTF-8")
	w.Write([]byte(a.script(base)))
}

// script is the template with the hubs in it, by name: for each its methods, also
// by name, overloads once.
func (a *App) script(base string) string {
	var hubs []*hub
	for _, h := range a.hubs {
		hubs = append(hubs, h)
	}
	slices.SortFunc(hubs, func(a, b *hub) int { return strings.Compare(a.name, b.name) })
	b := []byte{'{'}
	for i, h := range hubs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(append(b, "\n    "...), h.name), ": {"...)
		for j, m := range h.declared() {
			if j > 0 {
				b = append(b, ", "...)
			}
			b = append(appendText(b, m.scriptName()), ": "...)
			b = appendText(b, m.name)
		}
		b = append(b, '}')
	}
	b = append(b, "\n  }"...)
	return strings.NewReplacer("/*HUBS*/ {}", string(b), `/*BASE*/ ""`, string(appendText(nil, base))).Replace(scriptTemplate)
}

// declared are the hub's methods by name, each name once.
func (h *hub) declared() []*method {
	var all []*method
	for _, some := range h.methods {
		all = append(all, some[0])
	}
	slices.SortFunc(all, func(a, b *method) int { return strings.Compare(a.name, b.name) })
	return all
}
