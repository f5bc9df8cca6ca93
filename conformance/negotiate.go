package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// maxRedirects is how many negotiates a client makes (core-client-protocol 2.3).
const maxRedirects = 100

func isNegotiate(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	return path == "/negotiate"
}

// A negotiation is what the player reads of a negotiate answer.
type negotiation struct {
	ConnectionID        string
	ConnectionToken     string
	URL, AccessToken    string
	AvailableTransports []struct{ Transport string }
}

// negotiate asks there, and wherever the answers send it, and returns the last
// answer, or what came in its place.
func (p *player) negotiate(at place, target string, h http.Header) Saying {
	for range maxRedirects {
		header := maps.Clone(h)
		at.authorize(header)
		r, err := p.do(p.ctx, http.MethodPost, at.url(target), header, nil)
		if err != nil {
			return unanswered(err)
		}
		var n negotiation
		if r.Status != http.StatusOK || json.Unmarshal(r.Body, &n) != nil {
			return r
		}
		if n.URL == "" {
			token := n.ConnectionToken
			if token == "" {
				token = n.ConnectionID // version 0 (core-client-protocol 2.2)
			}
			p.places.add(token, at)
			return r
		}
		bearer := at.bearer
		if at, err = placeOf(n.URL); err != nil {
			return r
		}
		if at.bearer = bearer; n.AccessToken != "" {
			at.bearer = n.AccessToken
		}
	}
	return Remark(fmt.Sprintf("the answers to %d negotiates all send the client elsewhere", maxRedirects))
}
