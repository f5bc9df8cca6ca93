package suite

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// What a service of the recordings said is one right way to answer, not the
// only one. These rules say what else is right. They are made anew for each run
// of a case, so that a result can name those that it needed.

// recordedRules are for conversations of a real app with a real client.
func recordedRules(_ *conformance.Transcript) []*conformance.Rule {
	return []*conformance.Rule{{
		Why: "the counters in a status ping are optional (service-protocol 5.1)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, g := firstWords(want.Said), firstWords(got)
			return w != "" && w == g
		},
	}, {
		Why: "a service that forwards only whole hub messages may leave ConnectionReconnect out (service-protocol 11.2)",
		MayLack: func(_ string, want conformance.Step) bool {
			_, ok := message(want.Said).(*serviceproto.ConnectionReconnect)
			return ok
		},
	}, {
		Why: "a service need not ask for tracing (service-protocol 5.1)",
		MayLack: func(_ string, want conformance.Step) bool {
			return strings.HasPrefix(firstWords(want.Said), "d-m ")
		},
	}, {
		Why: "a client that got its hub's own Close is not told a second time (service-protocol 8.4)",
		MayLack: func(scenario string, want conformance.Step) bool {
			d, _ := want.Said.(conformance.Data)
			return scenario == "shutdown-off-only-finack" && strings.Contains(string(d.Bytes), "ServerOffline")
		},
	}, {
		Why: "the caller of a forwarded completion may be named: the SDK looks at the invocation id alone (service-protocol 10)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			a, ok1 := message(want.Said).(*serviceproto.ClientCompletion)
			b, ok2 := message(got).(*serviceproto.ClientCompletion)
			if !ok1 || !ok2 {
				return false
			}
			named := *a
			named.CallerServerID = b.CallerServerID
			return cmp.Equal(&named, b)
		},
	}}
}

// clientRules are for conversations of a real client, whose app server was not
// recorded.
func clientRules(tr *conformance.Transcript) []*conformance.Rule {
	return []*conformance.Rule{listedOnly(), {
		Why: "a preflight's answer may name only the method that was asked for (core-client-protocol 11.2)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			method, _ := isPreflight(tr, want)
			return ok1 && ok2 && method != "" && w.Status == g.Status && field(g.Header, allowMethods) == method && hasFields(g.Header, w.Header, allowMethods)
		},
	}}
}

// writtenRules are for conversations that were written by hand, which do not
// say all that a new client brings along.
func writtenRules(_ *conformance.Transcript) []*conformance.Rule {
	return []*conformance.Rule{listedOnly(), {
		Why: "the app server may be told why a client was closed (service-protocol 8.1)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			a, ok1 := message(want.Said).(*serviceproto.CloseConnection)
			b, ok2 := message(got).(*serviceproto.CloseConnection)
			if !ok1 || !ok2 || a.Error != "" {
				return false
			}
			told := *a
			told.Error = b.Error
			return cmp.Equal(&told, b, cmpopts.EquateEmpty())
		},
	}}
}

// legacyRules are for conversations of a recorded ASP.NET app with a client that
// was added.
func legacyRules(_ *conformance.Transcript) []*conformance.Rule {
	return []*conformance.Rule{listedOnly(), {
		Why: "the result of an invocation may come in a frame of messages (legacy-service-protocol 4.3)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			var result map[string]any
			var frame struct{ M []map[string]any }
			if json.Unmarshal(content(want.Said), &result) != nil || result["I"] == nil || json.Unmarshal(content(got), &frame) != nil {
				return false
			}
			return len(frame.M) == 1 && cmp.Equal(result, frame.M[0])
		},
	}}
}

// content is what a client gets, as an answer or on a connection.
func content(s conformance.Saying) []byte {
	switch s := s.(type) {
	case conformance.Data:
		return s.Bytes
	case conformance.Response:
		return s.Body
	}
	return nil
}

// strictlyClosed is the case that wants what peerClosed does without.
const strictlyClosed = "client-close-answered"

// notAllowed is the case in which clients ask for transports that their tokens do
// not allow.
const notAllowed = "transports-of-the-token"

// lenientRules are for every transcript: they keep one fault of a service from
// failing each case that passes by it, or leave open what the protocol does. Our
// own relay needs hardly any of them.
func lenientRules(tr *conformance.Transcript) []*conformance.Rule {
	peerClosed := func(at conformance.Step) bool {
		return slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool {
			_, closes := s.Said.(conformance.Close)
			return closes && (s.Who == conformance.Client || s.Who == conformance.App) && s.Conn == at.Conn && s.Line < at.Line
		})
	}
	return []*conformance.Rule{mayHaveBody(tr), mayOnlyEnd(tr), mayHideText(tr), anyAddress(), {
		Why: "who asks for a transport that the token does not allow may be refused with any status (service-protocol 1.7)",
		MayDiffer: func(scenario string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			return ok1 && ok2 && scenario == notAllowed && w.Status == http.StatusNotFound && g.Status/100 == 4
		},
	}, {
		Why: "that a close is answered is what " + strictlyClosed + " asks; here the end of the connection will do",
		MayDiffer: func(scenario string, want conformance.Step, got conformance.Saying) bool {
			_, closed := want.Said.(conformance.Close)
			_, dropped := got.(conformance.Drop)
			return closed && dropped && scenario != strictlyClosed && peerClosed(want)
		},
	}, {
		Why: "a preflight may be answered with any status of success (the Fetch standard, section CORS-preflight fetch)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			_, preflight := isPreflight(tr, want)
			return ok1 && ok2 && w.Status == http.StatusNoContent && preflight && g.Status/100 == 2 && hasFields(g.Header, w.Header)
		},
	}, {
		Why: "an answer without a body needs no type: no client looks at it",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			return ok1 && ok2 && w.Status == g.Status && len(w.Body) == 0 && len(g.Body) == 0 &&
				field(g.Header, "Content-Type") == "" && hasFields(g.Header, w.Header, "Content-Type")
		},
	}}
}

// isKeepAlive says whether it is the empty frame of ASP.NET SignalR, which comes
// by the clock (legacy-service-protocol 4.4).
func isKeepAlive(_ string, said conformance.Saying) bool {
	d, ok := said.(conformance.Data)
	return ok && string(d.Bytes) == "{}"
}

// listedOnly compares of a new client what the transcript lists.
func listedOnly() *conformance.Rule {
	return &conformance.Rule{
		Why: "of a new client only what the transcript lists is compared",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			a, ok1 := message(want.Said).(*serviceproto.OpenConnection)
			b, ok2 := message(got).(*serviceproto.OpenConnection)
			if !ok1 || !ok2 || a.ConnectionID != b.ConnectionID || a.Protocol != b.Protocol ||
				a.Query != "" && a.Query != b.Query {
				return false
			}
			for _, c := range a.Claims {
				if !slices.Contains(b.Claims, c) {
					return false
				}
			}
			for _, h := range a.Headers {
				if !slices.ContainsFunc(b.Headers, func(o relay.Header) bool { return cmp.Equal(h, o) }) {
					return false
				}
			}
			return true
		},
	}
}

// anyAddress is for recordings on one machine, played with a service on another.
func anyAddress() *conformance.Rule {
	const forwarded = "X-Forwarded-For"
	byName := cmpopts.SortSlices(func(a, b relay.Header) bool { return strings.ToLower(a.Name) < strings.ToLower(b.Name) })
	return &conformance.Rule{
		Why: "the address of a client is what the service sees, which may be that of a proxy (service-protocol 6.3)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			a, ok1 := message(want.Said).(*serviceproto.OpenConnection)
			b, ok2 := message(got).(*serviceproto.OpenConnection)
			if !ok1 || !ok2 {
				return false
			}
			seen := *a
			seen.Headers = slices.Clone(a.Headers)
			for i, h := range seen.Headers {
				if strings.EqualFold(h.Name, forwarded) {
					seen.Headers[i].Values = addresses(b.Headers, forwarded)
				}
			}
			return cmp.Equal(&seen, b, byName, cmpopts.EquateEmpty())
		},
	}
}

// addresses are the values of a header that begin with an IP address, as an app
// looks at them.
func addresses(all []relay.Header, name string) (values []string) {
	for _, h := range all {
		if !strings.EqualFold(h.Name, name) {
			continue
		}
		for _, v := range h.Values {
			first, _, _ := strings.Cut(v, ",")
			if _, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil {
				values = append(values, v)
			}
		}
	}
	return values
}

// message is the service message that was said, nil for anything else.
func message(s conformance.Saying) serviceproto.Message {
	f, _ := s.(conformance.Frame)
	return f.Message
}

// firstWords are the first two words of a ping.
func firstWords(s conformance.Saying) string {
	if m, ok := message(s).(*serviceproto.Ping); ok && len(m.Words) > 1 {
		return m.Words[0] + " " + m.Words[1]
	}
	return ""
}
