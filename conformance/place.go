package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A place is where the requests of a connection go.
type place struct{ base, query, bearer string }

func placeOf(address string) (place, error) {
	u, err := url.Parse(address)
	if err != nil {
		return place{}, err
	}
	query := u.RawQuery
	u.RawQuery, u.ForceQuery, u.Fragment = "", false, ""
	return place{base: u.String(), query: query}, nil
}

// url is that of a target, which is a path, a query or both. A path goes behind
// that of the place; what both queries name counts once
// (core-client-protocol 1 and 2.1).
func (at place) url(target string) string {
	path, query, _ := strings.Cut(target, "?")
	address := at.base
	if path != "" {
		address = strings.TrimSuffix(address, "/") + path
	}
	parts := []string{}
	if at.query != "" {
		parts = append(parts, at.query)
	}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if part != "" && !slices.ContainsFunc(strings.Split(at.query, "&"), func(s string) bool { return strings.HasPrefix(s, name+"=") }) {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return address
	}
	return address + "?" + strings.Join(parts, "&")
}

// authorize gives a header the token that the place wants, unless it has one.
func (at place) authorize(h http.Header) {
	if at.bearer != "" && h.Get("Authorization") == "" {
		h.Set("Authorization", "Bearer "+at.bearer)
	}
}

// places are where the connections of a hub are. They may be used by several
// goroutines.
type places struct {
	mu   sync.Mutex
	of   map[string]place // by connection token
	last place            // of the last negotiate
}

func (ps *places) add(token string, at place) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.of == nil {
		ps.of = map[string]place{}
	}
	ps.last = at
	ps.of[token] = at
}

// find is the place of a connection, that of the last negotiate for a token that
// nobody was told.
func (ps *places) find(token string) place {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if at, ok := ps.of[token]; ok {
		return at
	}
	return ps.last
}

// address is the URL of a request, whose header gets the token that is wanted
// there.
func (p *player) address(target string, h http.Header) string {
	if !p.o.Hub {
		return p.o.URL + target
	}
	if strings.HasPrefix(target, "/backend/") {
		return p.o.BackEnd + target
	}
	at := p.home
	if !isNegotiate(target) {
		_, query, _ := strings.Cut(target, "?")
		values, _ := url.ParseQuery(query)
		at = p.places.find(values.Get("id"))
	}
	at.authorize(h)
	return at.url(target)
}
