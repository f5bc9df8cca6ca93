package aspnetlegacy

import (
	"errors"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

const unknownConnection = "No connection with that token."

// servePing tells a client that its token is still good. It names no
// connection, and a client that is refused stops for good (6.6).
func (a *Adapter) servePing(r *request) {
	if !r.fresh() && !a.logins.has(r.login) {
		a.unauthorized(r, auth.ErrExpired)
		return
	}
	r.json(`{ "Response": "pong" }`)
}

// serveConnection serves everything that names a connection.
func (a *Adapter) serveConnection(r *request, do action) {
	s := a.sessions.Get(idOf(r.con))
	switch {
	case s == nil && do == connect && r.via.accepts(r.x):
		a.open(r)
		return
	case s == nil && !r.fresh():
		a.unauthorized(r, auth.ErrExpired)
		return
	case do == starting:
		if s != nil && !s.over() {
			r.json(`{ "Response": "started" }`)
			return
		}
	case do == abort:
		if s != nil {
			s.leave()
			r.x.Reply(transport.Response{Status: 200, Type: "text/plain", Header: noSniff})
			return
		}
	case !r.via.accepts(r.x):
		r.refuse(400, notWebSocket)
		return
	case s == nil:
	case do == send:
		s.serveSend(r)
		return
	default:
		s.serveCarrier(r, do)
		return
	}
	r.refuse(404, unknownConnection) // 1.5
}

// accepts says whether a request can be served by the transport it names.
func (c *carriage) accepts(x *transport.Exchange) bool {
	return c.kind != transport.WebSocket || x.IsWebSocket()
}

// open connects a new client: its app hears of it first (3.7).
func (a *Adapter) open(r *request) {
	now := time.Now()
	switch {
	case !r.fresh():
		a.unauthorized(r, auth.ErrExpired)
		return
	case now.Sub(r.con.Made) > connectTimeout:
		r.refuse(404, unknownConnection)
		return
	case a.Draining():
		r.refuse(503, aspnet.ShuttingDown)
		return
	case a.Full():
		r.refuse(429, tooMany)
		return
	}
	if _, ok := r.formatFor(); !ok {
		r.x.Reply(transport.Response{Status: 500})
		return
	}
	s := newSession(a, r)
	a.logins.add(s.login, 1) // until Closed, which comes to every session
	// Until the app knows of the client nothing of it may get there; in is
	// free again when it does.
	s.in.Lock()
	if !a.sessions.Add(s.id, s) {
		s.in.Unlock()
		s.conn.Cut(transport.ErrTimeout)
		if old := a.sessions.Get(s.id); old != nil {
			old.serveCarrier(r, connect) // two requests raced; this one is the second
			return
		}
		r.refuse(404, unknownConnection)
		return
	}
	c, err := s.app.Connect(a.Context, s.opening(r), s)
	s.client.Store(c)
	s.in.Unlock()
	if err != nil {
		a.Logger.Debug("client refused", "hub", s.app.Name, "connection", s.id, "error", err)
		a.sessions.Retire(s.id, s, time.Time{}) // the next transport may try with the same token
		s.conn.Cut(err)
		r.refuse(503, noServer)
		return
	}
	if s.over() { // it has left meanwhile, when there was nobody to tell
		c.End("")
	}
	s.serveCarrier(r, connect)
}

// opening describes the client to its app.
func (s *session) opening(r *request) relay.Connect {
	t := r.token
	return relay.Connect{
		ID: s.id, User: t.User, HasUser: t.User != "", Also: s.a.hubsOf(t, r.hubs),
		ServerID: t.ServerID, Sticky: aspnet.Stickiness(t.Sticky),
		Opening: relay.Opening{
			Claims: claims(t), Headers: s.a.Headers(r.x, t),
			Query: aspnet.Query(r.x.RawQuery, isOurs),
		},
	}
}

// isOurs says whether a query parameter is for us and not for the hub (3.2).
func isOurs(name string) bool {
	switch strings.ToLower(name) {
	case "access_token", "tid", "messageid", "groupstoken", "frameid", "callback", "_":
		return true
	}
	return false
}

// claims returns a token's claims under the names that the SDK looks for, each
// once (1.3, 3.3).
func claims(t *auth.Token) []relay.Claim {
	all := make([]relay.Claim, 0, len(t.Claims))
	for _, c := range t.Claims {
		if auth.LongName(c.Type) == "" { // else it is there by its long name
			all = append(all, c)
		}
	}
	return all
}

// serveSend takes a message of a client that has no WebSocket. Its answer, if
// it has one, takes the other way (4.4).
func (s *session) serveSend(r *request) {
	text := parseForm(string(r.x.Body())).get("data")
	if text == "" && r.via.kind == transport.LongPoll {
		text = r.query.get("data")
	}
	switch {
	case text == "":
		r.x.Reply(transport.Response{Status: 500})
		return
	case int64(len(text)) > s.a.o.MaxMessage:
		r.refuse(413, "Message too large")
		return
	}
	if err := s.conn.Inject([]byte(text)); errors.Is(err, transport.ErrClosed) || s.over() {
		r.refuse(404, unknownConnection)
		return
	}
	r.x.Reply(transport.Response{Status: 200, Header: noSniff})
}

// serveCarrier makes a request the carrier of the session. A client that
// reconnects goes on after the message it saw last, and its app hears of it;
// so does one that polls, and its app does not (6.3).
func (s *session) serveCarrier(r *request, do action) {
	format, ok := r.formatFor()
	if !ok {
		r.x.Reply(transport.Response{Status: 500})
		return
	}
	if do == reconnect || do == bare && r.via.kind != transport.LongPoll { // legacy-client-protocol 4.5
		s.tellReconnected()
	}
	mark := r.query.get("messageId")
	if mark == "" && r.via.kind == transport.LongPoll {
		mark = parseForm(string(r.x.Body())).get("messageId")
	}
	if !s.carry(r, format, mark, do) {
		r.refuse(404, unknownConnection)
	}
}
