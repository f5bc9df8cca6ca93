package auth

import "strings"

// audience is the part of an audience URL that counts (service-protocol 1.3).
// It is cut out by hand, because this runs on every connect and url.Parse with
// its map of queries costs more than the signature.
type audience struct {
	host string // without port
	path string // without the final slash
	hub  string // the last one, as it is written
	hubs int    // how many there are
}

// parseAudience reads scheme://host[:port]/path[/][?hub=name]. It reports false
// without a host.
func parseAudience(s string) (a audience, ok bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" {
		return a, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	authority := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, a.path = rest[:i], strings.TrimSuffix(rest[i:], "/")
	}
	a.host = withoutPort(authority)
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(name, "hub") {
			continue
		}
		a.hub, a.hubs = value, a.hubs+1
	}
	return a, a.host != ""
}

// endpoint is what an audience must name.
type endpoint struct {
	path     string
	hub      string
	unescape func(string) (string, error) // of the audience's hub; nil: it names none
}

// names reports whether the audience is for e, without case.
func (a audience) names(e endpoint) bool {
	if !strings.EqualFold(a.path, e.path) {
		return false
	}
	if e.unescape == nil {
		return a.hubs == 0
	}
	hub, err := e.unescape(a.hub)
	return a.hubs == 1 && err == nil && strings.EqualFold(hub, e.hub)
}

// onHost reports whether the audience is on one of hosts, or hosts is empty.
func (a audience) onHost(hosts []string) bool {
	for _, h := range hosts {
		if strings.EqualFold(withoutPort(h), a.host) {
			return true
		}
	}
	return len(hosts) == 0
}

// withoutPort cuts the port off a host; an IPv6 address keeps its brackets.
func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}
