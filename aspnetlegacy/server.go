package aspnetlegacy

import (
	"net/url"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// serveServer takes a server connection of an app: of the application itself
// or of one of its hubs (2.1).
func (a *Adapter) serveServer(x *transport.Exchange) {
	key := keyOf(x.RawQuery)
	if key == "" {
		aspnet.Refuse(x, 400, "Exactly one valid 'hub' is required in the query.")
		return
	}
	a.ServeServer(x, hubName(key), &a.servers, func(token string) (*auth.Token, error) {
		return a.Keys.AspNetServer(token, key, auth.Check{Now: time.Now(), Hosts: a.Hosts})
	})
}

// maxKey is the longest hub value that is looked at, in bytes: names of
// applications are names of .NET types.
const maxKey = 1 << 10

// keyOf returns the one hub of a query in lower case, empty if there is none
// or several. The SDK does not encode it: a '+', which names of nested types
// have, is no blank (2.1).
func keyOf(raw string) string {
	key, found := "", false
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name != "hub" {
			continue
		}
		value, err := url.PathUnescape(value)
		if err != nil || found || len(value) > maxKey || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return ""
		}
		key, found = strings.ToLower(value), true
	}
	return key
}
