package aspnetlegacy

import (
	"net/url"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

const (
	clientPath = "/aspnetclient"
	serverPath = "/aspnetserver"
)

// Owns says whether a path is this flavour's.
func (a *Adapter) Owns(path string) bool { return under(path, clientPath) || under(path, serverPath) }

// under says whether a path is base or below it, without case.
func under(path, base string) bool {
	return len(path) >= len(base) && strings.EqualFold(path[:len(base)], base) && (len(path) == len(base) || path[len(base)] == '/')
}

// Serve answers one request: it is a handler of the transport.
func (a *Adapter) Serve(x *transport.Exchange) {
	switch {
	case under(x.Path, clientPath):
		a.serveClient(x)
	case strings.EqualFold(strings.TrimSuffix(x.Path, "/"), serverPath):
		a.serveServer(x)
	default:
		aspnet.Refuse(x, 404, "")
	}
}

// A request is one of a client, read and found in order.
type request struct {
	x     *transport.Exchange
	query form
	login string // the access token
	token *auth.Token
	hubs  []string // of connectionData, in lower case
	via   *carriage
	con   aspnet.Token // what its connectionToken says
}

// An action is what the end of a path asks for. The method is never looked at
// (legacy-client-protocol 1.1).
type action string

const (
	negotiate action = "/negotiate"
	ping      action = "/ping"
	starting  action = "/start"
	connect   action = "/connect"
	send      action = "/send"
	abort     action = "/abort"
	poll      action = "/poll"
	reconnect action = "/reconnect"
	bare      action = "" // and any other: a reconnect, or a poll of the oldest clients
)

func actionOf(path string) action {
	for _, a := range [...]action{negotiate, ping, starting, connect, send, abort, poll, reconnect} {
		if n := len(path) - len(a); n >= 0 && strings.EqualFold(path[n:], string(a)) {
			return a
		}
	}
	return bare
}

// Texts of the real server (legacy-client-protocol 1.2).
const (
	unknownTransport = "Protocol error: Unknown transport."
	missingToken     = "Protocol error: Missing connection token."
	badToken         = "The ConnectionId is in the incorrect format."
	otherUser        = "Unrecognized user identity.  The user identity cannot change during an active SignalR connection."
	notWebSocket     = "Not a valid web socket request."
)

// serveClient checks a request in the order of the real server
// (legacy-client-protocol 1.2), with the token that only we ask for where that
// asks the app about the user.
func (a *Adapter) serveClient(x *transport.Exchange) {
	r := &request{x: x, query: parseForm(x.RawQuery)}
	if r.query.get("callback") != "" && !a.o.JSONP {
		x.Reply(transport.Response{Status: 403, Reason: "Forbidden: JSONP is disabled."})
		return
	}
	r.login = aspnet.BearerOf(x.Header("Authorization"), r.query.get("access_token"))
	var err error
	// A known connection may come with a token that has expired meanwhile; who
	// is new must not (see find).
	if r.token, err = a.Keys.AspNetClient(r.login, auth.Check{Hosts: a.Hosts, IgnoreExpiry: true}); err != nil {
		a.unauthorized(r, err)
		return
	}
	if r.hubs, err = parseHubs(r.query.get("connectionData")); err != nil {
		x.Reply(transport.Response{Status: 500})
		return
	}
	switch do := actionOf(x.Path); do {
	case negotiate:
		a.serveNegotiate(r)
	case ping:
		a.servePing(r)
	default:
		if r.identify(a) {
			a.serveConnection(r, do)
		}
	}
}

// identify reads the transport and the connection token, or refuses.
func (r *request) identify(a *Adapter) bool {
	token := r.query.get("connectionToken")
	if r.via = carriageOf(r.query.get("transport")); r.via == nil {
		r.refuse(400, unknownTransport)
		return false
	}
	if token == "" {
		r.refuse(400, missingToken)
		return false
	}
	var err error
	switch r.con, err = a.Tokens.Read(token, tokenScope, userOf(r.token)); err {
	case nil:
		return true
	case aspnet.ErrUser:
		r.refuse(403, otherUser)
	default:
		r.refuse(400, badToken)
	}
	return false
}

// refuse answers as the real server does, without a Content-Type.
func (r *request) refuse(status int, text string) {
	r.x.Reply(transport.Response{Status: status, Body: []byte(text), Header: noSniff})
}

var noSniff = [][2]string{{"X-Content-Type-Options", "nosniff"}}

// json answers with a document, or with a script that calls back with it
// (legacy-client-protocol 1.6).
func (r *request) json(document string) {
	kind, callback := jsonType, r.query.get("callback")
	if callback != "" {
		if !isCallback(callback) {
			r.x.Reply(transport.Response{Status: 500})
			return
		}
		kind, document = scriptType, callback+"("+document+");"
	}
	r.x.Reply(transport.Response{Status: 200, Type: kind, Body: []byte(document), Header: noSniff})
}

func (a *Adapter) unauthorized(r *request, err error) {
	a.Logger.Debug("token refused", "path", r.x.Path, "peer", r.x.RemoteIP(), "error", err)
	r.refuse(401, "Unauthorized: "+err.Error())
}

// fresh says whether the request's token has not expired.
func (r *request) fresh() bool { return time.Now().Before(r.token.Expires.Add(auth.DefaultSkew)) }

// AdmitBody says whether a request may send a large body: only who has a
// token may make us hold megabytes.
func (a *Adapter) AdmitBody(target, authorization string) bool {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	token := aspnet.BearerOf(authorization, parseForm(u.RawQuery).get("access_token"))
	_, err = a.Keys.AspNetClient(token, auth.Check{Hosts: a.Hosts, IgnoreExpiry: true})
	return err == nil
}
