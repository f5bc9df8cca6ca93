package suite

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mostNegotiated is how much of an answer to negotiate is read, in bytes.
const mostNegotiated = 1 << 20

// A negotiated is what an endpoint answered to negotiate.
type negotiated struct {
	members
	status int
	said   string // the status, with its reason
	kind   string // Content-Type
	body   []byte
}

// readNegotiated reads an answer, and no more of it than an endpoint may say.
func readNegotiated(resp *http.Response) (*negotiated, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostNegotiated))
	if err != nil {
		return nil, err
	}
	return &negotiated{membersOf(body), resp.StatusCode, resp.Status, resp.Header.Get("Content-Type"), body}, nil
}

// String tells the answer in a few words.
func (n *negotiated) String() string {
	if len(n.body) == 0 {
		return "negotiate answers " + n.said + " and nothing"
	}
	const most = 80
	return fmt.Sprintf("negotiate answers %s, %s: %s", n.said, cmp.Or(n.kind, "of no type"), cutTo(most, withoutTokens(string(bytes.TrimSpace(n.body)))))
}

// The members of an answer to negotiate, by their names in lower case, tell one SignalR
// from the other.
type members map[string]json.RawMessage

// membersOf are those of an object; all else has none.
func membersOf(body []byte) members {
	all, m := map[string]json.RawMessage{}, members{}
	if json.Unmarshal(body, &all) == nil {
		for name, value := range all {
			m[strings.ToLower(name)] = value
		}
	}
	return m
}

// has says whether there is one of some members.
func (m members) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := m[name]; return ok })
}

// text is a member that is a text, or empty.
func (m members) text(name string) (text string) {
	if json.Unmarshal(m[name], &text) != nil {
		return ""
	}
	return text
}

// isCore says whether ASP.NET Core SignalR answers so, right or wrong, and isLegacy
// the same of ASP.NET SignalR 2 (core-client-protocol 2.2, legacy-client-protocol 2.2).
func (m members) isCore() bool   { return m.has("availabletransports", "negotiateversion") }
func (m members) isLegacy() bool { return m.has("protocolversion", "redirecturl") }

// hasIDs says whether there is a connection, which both have.
func (m members) hasIDs() bool { return m.has("connectionid", "connectiontoken") }

// The ends of the sentences that begin with what an endpoint is not.
const (
	butLegacy = " but an endpoint of ASP.NET SignalR 2: conform legacy asks those"
	butCore   = " but a hub of ASP.NET Core SignalR: conform core asks those"
)

// withoutQuery is an address that may be told.
func withoutQuery(u *url.URL) string {
	own := *u
	own.RawQuery, own.Fragment = "", ""
	return own.Redacted()
}
