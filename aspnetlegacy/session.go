package aspnetlegacy

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/transport"
)

// A session is one client connection. The transport sees a Receiver, the core
// a Sink, and nobody else knows both. It outlives its transports: the client
// may come back by another.
type session struct {
	// What a broadcast touches comes first.
	conn *transport.Conn // static

	// Guarded by out.
	out     sync.Mutex
	replay  replay
	kind    transport.Kind // of the last carrier
	closing bool
	ticks   uint32       // seconds since the last keep-alive
	why     relay.Reason // set with closing
	goodbye []byte       // for a client that comes back after its end

	// Static after construction.
	a     *Adapter
	app   *relay.Hub
	id    string
	made  int64  // Unix seconds of the connection token
	login uint64 // see logins

	// Owned by Message, and by whoever holds in.
	in      sync.Mutex
	client  atomic.Pointer[relay.Client]
	partial []byte // the beginning of a message
}

var (
	_ transport.Receiver = (*session)(nil)
	_ transport.Ticker   = (*session)(nil)
	_ relay.Sink         = (*session)(nil)
)

func newSession(a *Adapter, r *request) *session {
	s := &session{a: a, app: a.appOf(r.token), id: idOf(r.con), made: r.con.Made.Unix(), login: a.logins.hash(r.login)}
	s.replay.base = start
	s.conn = a.Server.NewConn(s, a.clientProfile(r.token.PollGap))
	return s
}

// ---- from the client ----

var errBinary = errors.New("binary WebSocket message")

// reconnected is how an app is told that its client is back (3.5). No client
// may say it.
const reconnected = "asrs:reconnect"

// Message takes the next piece of what the client says. The app gets whole
// messages, just as they are (3.5). What the real server does not take costs
// the client its WebSocket, without a word (legacy-server-recordings,
// webSocket).
func (s *session) Message(p []byte, f transport.Frame) error {
	s.in.Lock()
	defer s.in.Unlock()
	if f.First {
		s.partial = nil
	}
	if !f.Text {
		return errBinary
	}
	if !f.End {
		s.partial = append(s.partial, p...)
		return nil
	}
	if len(s.partial) > 0 {
		p = append(s.partial, p...)
		s.partial = nil
	}
	if len(p) == 0 || string(p) == reconnected {
		return nil
	}
	return s.pass(p)
}

// pass gives a message to the app; s.in is held. Where that can no longer be
// done, the close of this session is on its way already.
func (s *session) pass(p []byte) error {
	c := s.client.Load()
	if c == nil {
		return transport.ErrClosed
	}
	if err := c.Data(s.a.Context, p, false, false); !errors.Is(err, relay.ErrClosed) {
		return err
	}
	return nil
}

func (s *session) tellReconnected() {
	s.in.Lock()
	defer s.in.Unlock()
	s.pass([]byte(reconnected)) // a session that has ended has nobody to tell
}

// Tick sends keep-alives and forgets what is too old to be missed.
func (s *session) Tick(now time.Time) {
	old := s.a.cursors.before(now, s.a.o.ReplayTime)
	s.out.Lock()
	defer s.out.Unlock()
	s.replay.expire(old)
	if s.closing && s.a.Draining() && !s.conn.Carried() { // nobody comes to hear why any more
		s.conn.Cut(nil)
		return
	}
	if s.ticks++; time.Duration(s.ticks)*time.Second >= s.a.o.KeepAlive {
		s.ticks = 0
		s.conn.KeepAlive(keepAlive)
	}
}

var keepAlive = []byte("{}")

// over says whether the session has ended, but for its last message.
func (s *session) over() bool {
	s.out.Lock()
	defer s.out.Unlock()
	return s.closing
}

// leave ends the client at its own wish (6.2).
func (s *session) leave() {
	if c := s.client.Load(); c != nil {
		c.End("")
	}
	s.out.Lock()
	if !s.closing {
		s.closing = true
		s.why = relay.Reason{Category: relay.Normal}
	}
	s.out.Unlock()
	if s.conn.Carried() {
		s.conn.Close(transport.CloseNormal, "") // .NET waits for this end
	} else {
		s.conn.Cut(nil)
	}
	s.retire()
}

// retire makes the session's token answer 404 from now on.
func (s *session) retire() { s.a.sessions.Retire(s.id, s, time.Unix(s.made, 0)) }

// Closed is the end of every session.
func (s *session) Closed(err error) {
	s.retire()
	s.a.logins.add(s.login, -1)
	s.out.Lock()
	if !s.closing {
		s.closing = true
		s.why.Category = aspnet.CategoryOf(err)
	}
	s.replay = replay{}
	why, kind := s.why, s.kind
	s.out.Unlock()
	c := s.client.Load() // after closing, which open looks at after it has set this
	if c == nil {
		return // its app never heard of it
	}
	c.End("")
	s.a.CountClose(why.Category)
	args := []any{"hub", s.app.Name, "connection", s.id, "transport", kind.String(), "category", string(why.Category)}
	if why.Text != "" {
		args = append(args, "text", why.Text)
	}
	if err != nil {
		args = append(args, "error", err)
	}
	s.a.Logger.Info("client disconnected", args...)
}

// ---- to the client ----

// missed ends a client that has lost messages.
var missed = relay.Reason{Category: relay.SlowClient, Text: "Messages were lost: the client stayed away for too long."}

// carry makes a request the carrier of the session: with what the client has
// missed, by what it says it has seen. False says that there is nothing to
// carry any more.
func (s *session) carry(r *request, f *transport.Format, mark string, do action) bool {
	s.out.Lock()
	whole := do == connect || s.seen(mark)
	if !whole {
		s.close(missed)
	}
	carried := s.resume(r, f, do)
	s.out.Unlock()
	if !whole { // the core calls Close, so it hears of it only now
		s.hangup(missed)
	}
	return carried
}

// seen is replay.seen; s.out is held.
func (s *session) seen(mark string) bool {
	if n, ok := cursorOf(mark); ok && n > s.a.cursors.last.Load() {
		mark = "" // it only looks like one of ours
	}
	return s.replay.seen(mark)
}

// resume makes a request the carrier, with all that is kept; s.out is held.
func (s *session) resume(r *request, f *transport.Format, do action) bool {
	var first []transport.Queued
	if do == connect { // after a transport that failed, everything again
		first = append(first, transport.Queued{Data: initMessage(s.replay.base), Text: true})
	}
	first = s.replay.rest(first)
	if s.closing {
		if s.goodbye == nil {
			return false
		}
		first = append(first, transport.Queued{Data: s.goodbye, Text: true})
		if r.via.kind == transport.LongPoll && len(first) == 1 { // no client polls again after that
			answer := f.Poll
			answer.Body, _ = f.Join("", [][]byte{s.goodbye})
			r.x.Reply(answer)
			s.conn.Cut(nil)
			return true
		}
	}
	s.kind = r.via.kind
	s.ticks = 0
	return r.x.Resume(s.conn, s.kind, f, s.replay.base, first)
}

// hangup closes the client for a reason of our own.
func (s *session) hangup(why relay.Reason) {
	if c := s.client.Load(); c != nil {
		c.Close(why)
	} else {
		s.Close(why)
	}
}

// Send passes on a message for this client among others.
func (s *session) Send(p relay.Payload, batch uint32) error {
	for i := range p {
		if p[i].Protocol == jsonKey {
			s.out.Lock()
			defer s.out.Unlock()
			return s.write(&p[i], batch)
		}
	}
	return nil // the app has no encoding for this client
}

// Output passes on what the app says to this client alone: a message, or the
// response to an invocation. On a WebSocket a response is a message of its own
// and goes once: a client that reconnects has given its invocations up. On
// other transports it is an element of a message like any other and waits for
// a client that is away (4.3, legacy-client-protocol 5.3).
func (s *session) Output(p []byte, batch uint32) error {
	s.out.Lock()
	defer s.out.Unlock()
	if cursorIn(p) == "" {
		if s.kind == transport.WebSocket {
			if s.closing {
				return relay.ErrClosed
			}
			return s.sent(s.conn.Send(p, true, batch))
		}
		p = s.a.cursors.message(p)
	}
	return s.write(&relay.Encoding{Protocol: jsonKey, Data: p}, batch)
}

// message makes a message of one element.
func (c *cursors) message(element []byte) []byte {
	b := make([]byte, len(messageHead)+cursorSize, messageFrom+len(element)+len(messageTail))
	copy(b, messageHead)
	putCursor(b[len(messageHead):], c.last.Add(1))
	return append(append(append(b, messageMid...), element...), messageTail...)
}

// write sends a message and keeps it for a client that misses it; s.out is
// held.
func (s *session) write(m *relay.Encoding, batch uint32) error {
	if s.closing {
		return relay.ErrClosed
	}
	s.replay.add(m, s.a.o.ReplayBuffer)
	return s.sent(s.conn.Send(m.Data, true, batch))
}

// sent drops a client that does not take what it is sent.
func (s *session) sent(err error) error {
	if !errors.Is(err, transport.ErrSlow) {
		return err
	}
	s.conn.Cut(err)
	return relay.ErrSlow
}

// Moved is not called: this flavour's apps do not move their clients.
func (s *session) Moved() {}

// Close ends the session: with the reason, which stops newer clients for good,
// and the end of the transport (3.6).
func (s *session) Close(why relay.Reason) {
	s.out.Lock()
	defer s.out.Unlock()
	s.close(why)
}

// close is Close; s.out is held.
func (s *session) close(why relay.Reason) {
	if s.closing {
		return
	}
	s.closing, s.why = true, why
	s.goodbye = farewell(why)
	carried := s.conn.Carried()
	s.conn.Send(s.goodbye, true, 0)
	s.conn.Close(transport.CloseNormal, "")
	// A poll has its answer then, or the client has read it and gone. While the
	// node drains nobody who is away is waited for.
	if (carried || why.Category == relay.ServiceReload) && !s.conn.Carried() {
		s.conn.Cut(nil)
	}
}

func farewell(why relay.Reason) []byte {
	text := why.Text
	switch {
	case why.Category == relay.ServerConnectionClosed:
		text = "Server offline" // 6.4
	case why.Category == relay.ServiceReload:
		text = aspnet.ShuttingDown
	case text == "":
		text = "Connection closed by the server."
	}
	return append(appendText([]byte(farewellHead), text), '}')
}

// appendText appends a JSON string that is safe in a script, too.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ' || c == '<' || c == '>' || c == '\u2028' || c == '\u2029':
			b = append(b, '\\', 'u', hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
		default:
			b = append(b, string(c)...)
		}
	}
	return append(b, '"')
}
