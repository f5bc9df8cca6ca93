package aspnetcore

import (
	"errors"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// format is how ASP.NET Core writes event streams and polls
// (core-client-protocol 3.4, 3.5).
var format = transport.Format{
	Preamble: ":\r\n", EventHead: "data: ", EventTail: "\r\n\r\n", LineBreak: "\r\ndata: ",
	StreamHeader: [][2]string{
		{"Cache-Control", "no-cache,no-store"}, {"Pragma", "no-cache"}, {"Content-Encoding", "identity"},
		{"X-Accel-Buffering", "no"}, // for those who run behind nginx
	},
	Poll:     transport.Response{Status: 200, Type: "application/octet-stream", Header: pollHeader},
	Empty:    transport.Response{Status: 200, Type: "text/plain", Header: pollHeader},
	Ended:    transport.Response{Status: 204, Type: "text/plain", Header: pollHeader},
	Replaced: transport.Response{Status: 204, Type: "text/plain", Header: pollHeader},
}

var pollHeader = [][2]string{{"Cache-Control", "no-cache, no-store"}, {"Pragma", "no-cache"}, {"Expires", "Thu, 01 Jan 1970 00:00:00 GMT"}}

// Texts of core-client-protocol 3.2.
const (
	needID       = "Connection ID required"
	unknownID    = "No Connection with that ID"
	otherKind    = "Cannot change transports mid-connection"
	noPost       = "POST requests are not allowed for WebSocket connections."
	noDelete     = "Cannot terminate this connection using the DELETE endpoint."
	notSupported = " transport not supported by this end point type"
)

// serveClient serves everything a client does after its negotiate.
func (a *Adapter) serveClient(x *transport.Exchange) {
	kind := transport.None
	switch {
	case x.Method == "POST" || x.Method == "DELETE":
	case x.Method != "GET":
		aspnet.Refuse(x, 405, "")
		return
	case x.Accepts("text/event-stream"):
		kind = transport.EventStream
	case x.IsWebSocket():
		kind = transport.WebSocket
	default:
		kind = transport.LongPoll
	}
	hub := hubOf(x)
	if hub == "" {
		aspnet.Refuse(x, 400, badHub)
		return
	}
	// A known connection may come with a token that has expired meanwhile
	// (service-protocol 8.8).
	t, err := a.Keys.Client(aspnet.Bearer(x), hub, auth.Check{Now: time.Now(), Hosts: a.Hosts, IgnoreExpiry: true})
	if err != nil {
		a.unauthorized(x, hub, err)
		return
	}
	s, status, text := a.find(x, kind, hub, t)
	if s == nil {
		aspnet.Refuse(x, status, text)
		return
	}
	switch {
	case x.Method == "POST":
		s.servePost(x)
	case x.Method == "DELETE":
		s.serveDelete(x)
	case kind == transport.LongPoll:
		s.servePoll(x)
	default:
		s.serveStream(x, kind)
	}
}

// find returns the session of a request: the one its id names, or a new one
// for an id that is fresh from a negotiate and for a WebSocket without id.
func (a *Adapter) find(x *transport.Exchange, kind transport.Kind, hub string, t *auth.Token) (s *session, status int, text string) {
	id := x.Query("id")
	var con aspnet.Token
	if id != "" {
		var err error
		if con, err = a.Tokens.Read(id, hub, t.User); err != nil {
			return nil, 404, unknownID
		}
		if s = a.sessions.Get(idOf(con)); s != nil {
			if s.conn.Ended() { // the client has been told, Closed is on its way
				return nil, 404, unknownID
			}
			return s, 0, ""
		}
	}
	now := time.Now()
	switch expired := now.After(t.Expires.Add(auth.DefaultSkew)); {
	case expired:
		return nil, 401, "Unauthorized: " + auth.ErrExpired.Error()
	case id == "" && kind != transport.WebSocket:
		return nil, 400, needID
	case id != "" && now.Sub(con.Made) > connectTimeout+time.Second, x.Method == "DELETE":
		return nil, 404, unknownID
	case a.Draining():
		return nil, 503, aspnet.ShuttingDown
	case a.Full():
		return nil, 429, "Too many connections."
	}
	if id == "" { // skipNegotiation, and clients that do not negotiate again after the redirect
		con = a.Tokens.Make(hub, t.User, 0, now) // nobody can come back with it: it stays here
	}
	s = newSession(a, x, hub, t, con)
	s.conn = a.Server.NewConn(s, a.clientProfile(t.PollGap))
	if !a.sessions.Add(s.id, s) {
		s.conn.Cut(transport.ErrTimeout)
		if old := a.sessions.Get(s.id); old != nil {
			return old, 0, "" // two requests raced; this one is the second
		}
		return nil, 404, unknownID
	}
	return s, 0, ""
}

// allowed says whether the app allows a transport to this client.
func (s *session) allowed(kind transport.Kind) bool {
	bit := map[transport.Kind]auth.Transports{
		transport.WebSocket: auth.WebSockets, transport.EventStream: auth.ServerSentEvents, transport.LongPoll: auth.LongPolling,
	}[kind]
	return s.transports&bit != 0
}

// serveStream begins a WebSocket or an event stream; or takes a WebSocket up
// again where stateful reconnect was granted.
func (s *session) serveStream(x *transport.Exchange, kind transport.Kind) {
	switch {
	case !s.allowed(kind):
		aspnet.Refuse(x, 404, kind.String()+notSupported)
	case !s.conn.Bind(kind):
		aspnet.Refuse(x, 400, otherKind)
	default:
		if kind == transport.WebSocket {
			s.resume()
		}
		if x.Carry(s.conn, kind, &format) {
			return
		}
		// One that is being closed is as good as gone: JavaScript asks for its id
		// again after every Close.
		if s.isClosing() {
			aspnet.Refuse(x, 404, unknownID)
		} else {
			aspnet.Refuse(x, 409, "")
		}
	}
}

// servePoll parks a poll. The first one is answered at once: that is how the
// client learns that it is connected.
func (s *session) servePoll(x *transport.Exchange) {
	switch first := s.conn.Kind() == transport.None; {
	case !s.allowed(transport.LongPoll):
		aspnet.Refuse(x, 404, transport.LongPoll.String()+notSupported)
	case !s.conn.Bind(transport.LongPoll):
		aspnet.Refuse(x, 400, otherKind)
	case first:
		s.conn.Touch()
		x.Reply(transport.Response{Status: 200, Type: "application/octet-stream", Header: pollHeader})
	default:
		x.Carry(s.conn, transport.LongPoll, &format)
	}
}

// servePost takes bytes of a client that does not have a WebSocket. Python's
// signalrcore posts before its first poll.
func (s *session) servePost(x *transport.Exchange) {
	if s.conn.Kind() == transport.WebSocket {
		aspnet.Refuse(x, 405, noPost)
		return
	}
	switch err := s.conn.Inject(x.Body()); {
	case errors.Is(err, transport.ErrTooLarge):
		aspnet.Refuse(x, 413, "")
	case err != nil:
		aspnet.Refuse(x, 404, "")
	default:
		x.Reply(transport.Response{Status: 200, Type: "text/plain"})
	}
}

// serveDelete ends a long-polling client.
func (s *session) serveDelete(x *transport.Exchange) {
	if s.conn.Kind() != transport.LongPoll {
		aspnet.Refuse(x, 400, noDelete)
		return
	}
	s.leave()
	x.Reply(transport.Response{Status: 202, Type: "text/plain"})
}
