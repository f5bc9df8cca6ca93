package aspnet

import (
	"strings"

	"github.com/signalrelay/signalrelay/transport"
)

// A Flavour is an adapter: it serves the requests under the paths it owns.
type Flavour interface {
	Owns(path string) bool
	Serve(x *transport.Exchange)
	// AdmitBody is transport.Options.AdmitBody for the paths it owns.
	AdmitBody(target, authorization string) bool
}

// Flavours share one listener: the first that owns a path serves it, so the
// last has to own the rest.
type Flavours []Flavour

// Serve answers one request: it is the transport's Handler.
func (f Flavours) Serve(x *transport.Exchange) { f.of(x.Path).Serve(x) }

// AdmitBody says whether a request may send a large body.
func (f Flavours) AdmitBody(target, authorization string) bool {
	path, _, _ := strings.Cut(target, "?")
	return f.of(path).AdmitBody(target, authorization)
}

func (f Flavours) of(path string) Flavour {
	last := len(f) - 1
	for _, one := range f[:last] {
		if one.Owns(path) {
			return one
		}
	}
	return f[last]
}
