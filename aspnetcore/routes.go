package aspnetcore

import (
	"net/url"
	"strings"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// Owns says whether a path is this flavour's: it answers for those of nobody,
// too.
func (a *Adapter) Owns(string) bool { return true }

// Serve answers one request: it is a handler of the transport.
func (a *Adapter) Serve(x *transport.Exchange) {
	switch path := strings.TrimSuffix(x.Path, "/"); {
	case strings.EqualFold(path, "/client"):
		a.serveClient(x)
	case strings.EqualFold(path, "/client/negotiate"):
		a.serveNegotiate(x)
	case strings.EqualFold(path, "/server"):
		a.serveServer(x)
	case strings.EqualFold(path, "/api/health"): // service-protocol 12.5
		if x.Method != "GET" && x.Method != "HEAD" {
			aspnet.Refuse(x, 405, "")
			return
		}
		x.Reply(transport.Response{Status: 200})
	default:
		aspnet.Refuse(x, 404, "")
	}
}

// maxHub is the longest hub name that is looked at, in bytes.
const maxHub = 256

// hubOf returns the one hub of the query in lower case, empty if there is
// none or several (service-protocol 1.9).
func hubOf(x *transport.Exchange) string {
	all := x.QueryAll("hub")
	if len(all) != 1 || len(all[0]) > maxHub {
		return ""
	}
	for _, c := range all[0] {
		if c <= ' ' || c == 0x7f {
			return ""
		}
	}
	return strings.ToLower(all[0])
}

const badHub = "Exactly one valid 'hub' is required in the query."

// AdmitBody says whether a request may send a large body: only who has a
// token for a hub may make us hold megabytes.
func (a *Adapter) AdmitBody(target, authorization string) bool {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	q := u.Query()
	_, err = a.Keys.Client(aspnet.BearerOf(authorization, q.Get("access_token")), strings.ToLower(q.Get("hub")), auth.Check{Hosts: a.Hosts, IgnoreExpiry: true})
	return err == nil
}
