package aspnet

import (
	"net/url"
	"strings"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// Bearer returns the token of a request: from the header, or from the query
// where browsers cannot set headers (service-protocol 1.5).
func Bearer(x *transport.Exchange) string {
	return BearerOf(x.Header("Authorization"), x.Query("access_token"))
}

// BearerOf is Bearer for the values of the header and the query.
func BearerOf(header, query string) string {
	const scheme = "Bearer "
	if len(header) > len(scheme) && strings.EqualFold(header[:len(scheme)], scheme) {
		return strings.TrimSpace(header[len(scheme):])
	}
	return query
}

// Refuse answers with a status and a text.
func Refuse(x *transport.Exchange, status int, text string) {
	x.Reply(transport.Response{Status: status, Type: "text/plain", Body: []byte(text)})
}

// Headers returns what the hub will see of a request's headers
// (service-protocol 6.3, legacy-service-protocol 3.4).
func (n *Node) Headers(x *transport.Exchange, t *auth.Token) []relay.Header {
	var headers []relay.Header
	add := func(name, value string) {
		for i := range headers {
			if strings.EqualFold(headers[i].Name, name) { // two that differ in case only would cost the frame
				headers[i].Values = append(headers[i].Values, value)
				return
			}
		}
		headers = append(headers, relay.Header{Name: name, Values: []string{value}})
	}
	peer := x.RemoteIP()
	if n.TrustForwarded {
		var before string
		x.EachHeader(func(name, value string) {
			if strings.EqualFold(name, forwardedFor) { // some proxies add a line of their own
				before += value + ", "
			}
		})
		peer = before + peer
	}
	add(forwardedFor, peer)
	if t.Diagnostic {
		add("Asrs-Is-Diagnostic-Client", "true")
	}
	x.EachHeader(func(name, value string) {
		if !ownHeader(name) {
			add(name, value)
		}
	})
	return headers
}

const forwardedFor = "X-Forwarded-For"

// ownHeader says whether a header belongs to this hop, to the secret that got
// the client in, or to what only we may tell the app.
func ownHeader(name string) bool {
	switch n := strings.ToLower(name); n {
	case "connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding", "content-length", "expect",
		"proxy-authorization", "proxy-connection", "authorization", "x-forwarded-for":
		return true
	default:
		return strings.HasPrefix(n, "sec-websocket-") || strings.HasPrefix(n, "asrs-") || strings.HasPrefix(n, "x-asrs-")
	}
}

// Query returns a raw query without the parameters that drop names, as it goes
// into OpenConnection: with a leading '?', or empty.
func Query(raw string, drop func(name string) bool) string {
	var query strings.Builder
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if part == "" || drop(name) {
			continue
		}
		if query.Len() == 0 {
			query.WriteByte('?')
		} else {
			query.WriteByte('&')
		}
		query.WriteString(part)
	}
	return query.String()
}

// Stickiness is how much a token insists on its app server, in the words of the
// core.
func Stickiness(s auth.Sticky) relay.Stickiness {
	switch s {
	case auth.StickyRequired:
		return relay.Required
	case auth.StickyPreferred:
		return relay.Preferred
	}
	return relay.Anywhere
}
