package suite

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A goodbye is the last that a client hears of a hub: a Close, or the answer to a
// handshake that is refused.
type goodbye struct {
	Type  int
	Error string
}

// readGoodbye reads one in JSON.
func readGoodbye(s conformance.Saying) (b goodbye, ok bool) {
	d, isData := s.(conformance.Data)
	text, whole := bytes.CutSuffix(d.Bytes, []byte("\x1e"))
	if !isData || !whole || json.Unmarshal(text, &b) != nil {
		return goodbye{}, false
	}
	const typeClose = 7
	return b, b.Type == typeClose || b.Type == 0 && b.Error != ""
}

// An appsPart is what app servers of a transcript do for one client.
type appsPart struct {
	answers bool     // its handshake
	parts   bool     // from it, with a goodbye of the hub's own
	ends    bool     // it
	errors  []string // with these
}

func appsPartFor(tr *conformance.Transcript, client string) (p appsPart) {
	id := "${" + client + "}"
	for _, s := range tr.Steps {
		if s.Who != conformance.App {
			continue
		}
		switch m := message(s.Said).(type) {
		case *serviceproto.ConnectionData:
			if m.ConnectionID != id {
				continue
			}
			_, parts := readGoodbye(conformance.Data{Bytes: m.Data})
			p.answers, p.parts = true, p.parts || parts
		case *serviceproto.CloseConnection:
			if m.ConnectionID != id {
				continue
			}
			p.ends = true
			if m.Error != "" {
				p.errors = append(p.errors, m.Error)
			}
		}
	}
	return p
}

// mayOnlyEnd is for clients that the service turns away, and for those that an app
// server ends with a CloseConnection.
func mayOnlyEnd(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "a client that a service closes of its own or for an app server need not be told why: the end of its connection will do (service-protocol 8.3)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			_, ok := readGoodbye(want.Said)
			app := appsPartFor(tr, want.Conn)
			return ok && isEnd(got) && !app.parts && (app.ends || !app.answers)
		},
	}
}

// mayHideText is for clients that an app server ends with an error.
func mayHideText(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "of an error of the app a client is told in general words; those of the app only may be told where the token says so (service-protocol 1.7, 8.3)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := readGoodbye(want.Said)
			g, ok2 := readGoodbye(got)
			app := appsPartFor(tr, want.Conn)
			leaks := slices.ContainsFunc(app.errors, func(text string) bool { return strings.Contains(g.Error, text) })
			return ok1 && ok2 && len(app.errors) > 0 && !app.parts && !leaks && w.Type == g.Type
		},
	}
}

// isEnd says whether it is the end of a connection.
func isEnd(s conformance.Saying) bool {
	switch s.(type) {
	case conformance.Close, conformance.Drop:
		return true
	}
	return false
}
