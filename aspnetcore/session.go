package aspnetcore

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// A session is one client connection. The transport sees a Receiver, the core
// a Sink, and nobody else knows both.
type session struct {
	// What a broadcast touches comes first: it visits every session, and the
	// cache lines it misses there are most of what we add to the system call.
	conn     *transport.Conn // static
	protocol string          // of the hub; set before the client joins its hub, not changed then

	// Guarded by out.
	out      sync.Mutex
	stateful *stateful
	framing  framing
	asText   bool // WebSocket frames to the client are text
	answered bool // the hub has answered the handshake
	closing  bool
	goodbye  bool         // a hub Close, or a refused handshake, has gone to the client
	held     [][]byte     // messages of others, until the handshake is answered
	heldSize int          // bytes of held
	partial  []byte       // the beginning of a hub message that the app cut
	why      relay.Reason // set with closing
	ticks    uint8        // since the last ping of pingSwift

	// Static after construction.
	a          *Adapter
	hub        *relay.Hub
	id         string
	made       int64 // Unix seconds of the connection token
	closeAt    int64 // Unix seconds of the end of the client's login, 0 for never
	transports auth.Transports
	detailed   bool // the client may see error texts of the app
	swift      bool // see pingSwift

	// Owned by Message, and by whoever holds in.
	in     sync.Mutex
	start  *starting // until the hub handshake is over
	client atomic.Pointer[relay.Client]
	border border // where the client's stream stands
	begun  bool   // the handshake is known to be answered
	quiet  uint8  // ticks without a piece
	seen   uint32 // pieces at the last tick

	pieces atomic.Uint32 // of the client's own stream, both ways
}

var (
	_ transport.Receiver = (*session)(nil)
	_ transport.Ticker   = (*session)(nil)
	_ relay.Sink         = (*session)(nil)
)

// starting is what a session needs until its hub handshake is over.
type starting struct {
	token    *auth.Token
	headers  []relay.Header
	query    string
	deadline time.Time
	early    []byte
	stateful bool // granted in the negotiate
}

func newSession(a *Adapter, x *transport.Exchange, hub string, t *auth.Token, con aspnet.Token) *session {
	s := &session{
		a: a, hub: a.Relay.Hub(hub), id: idOf(con), made: con.Made.Unix(),
		transports: t.Transports, detailed: t.DetailedErrors,
		swift: strings.HasPrefix(x.Header("User-Agent"), "Microsoft SignalR Client/Swift"),
	}
	if !t.CloseAt.IsZero() {
		s.closeAt = t.CloseAt.Unix()
	}
	timeout := t.HandshakeTimeout
	if timeout == 0 {
		timeout = a.o.HandshakeTimeout
	}
	s.start = &starting{token: t, deadline: time.Now().Add(timeout), stateful: con.Flags&flagStateful != 0}
	s.start.headers = a.Headers(x, t)
	s.start.query = aspnet.Query(x.RawQuery, func(name string) bool { return name == "id" || name == "access_token" })
	return s
}

// ---- from the client ----

// Message takes the next bytes of the client.
func (s *session) Message(p []byte, f transport.Frame) error {
	if len(p) == 0 {
		return nil // the end of a fragmented message, or an empty POST
	}
	s.in.Lock()
	defer s.in.Unlock()
	c := s.client.Load()
	switch {
	case c == nil:
		return s.shake(p, f)
	case s.stateful != nil:
		return s.takeCounted(c, p, f.First)
	}
	atBorder := s.mayMove()
	s.border.pass(s.framing, p)
	return s.pass(c, p, atBorder)
}

// mayMove says whether the client's stream stands where another app server
// could go on with it; s.in is held.
func (s *session) mayMove() bool {
	if !s.begun {
		s.out.Lock()
		s.begun = s.answered
		s.out.Unlock()
	}
	return s.begun && s.border.at()
}

// pass gives bytes to the app. Where that can no longer be done, the close of
// this session is on its way already, and says more than a cut would.
func (s *session) pass(c *relay.Client, p []byte, atBorder bool) error {
	s.pieces.Add(1)
	if err := c.Data(s.a.Context, p, atBorder, false); !errors.Is(err, relay.ErrClosed) {
		return err
	}
	return nil
}

// Tick looks after what takes too long.
func (s *session) Tick(now time.Time) {
	if s.closeAt != 0 && now.Unix() >= s.closeAt { // service-protocol 8.8
		s.hangup(relay.Reason{Category: relay.Normal, AllowReconnect: true})
		return
	}
	c := s.client.Load()
	if c == nil {
		if s.in.TryLock() { // else the handshake is just being read
			if s.start != nil && now.After(s.start.deadline) {
				s.refuse("Handshake was canceled.", relay.HandshakeError)
			}
			s.in.Unlock()
		}
		return
	}
	s.tickStateful(now)
	s.moveIfQuiet(c)
	s.pingSwift()
}

// quietTicks is for how many ticks, a second each, a client whose app server
// asked to have it moved must say and hear nothing until it is moved without
// a word of its own. One that only listens would else go down with its server.
const quietTicks = 3

func (s *session) moveIfQuiet(c *relay.Client) {
	if !c.Moving() || !s.in.TryLock() {
		return
	}
	defer s.in.Unlock()
	if n := s.pieces.Load(); n != s.seen {
		s.seen, s.quiet = n, 0
		return
	}
	if s.quiet++; s.quiet >= quietTicks && s.mayMove() {
		s.quiet = 0
		c.Move(s.a.Context)
	}
}

// pingSwift sends a hub ping to a Swift client on long polling, where no hub
// sends any: it counts 30 s there too, and would leave (core-client-protocol
// 3.5).
func (s *session) pingSwift() {
	if !s.swift {
		return
	}
	s.out.Lock()
	defer s.out.Unlock()
	if s.ticks++; s.ticks < keepAlive {
		return
	}
	s.ticks = 0
	if m := s.framing.ping(); m != nil && s.answered && !s.closing && s.conn.Kind() == transport.LongPoll {
		s.send(m, 0)
	}
}

const keepAlive = 15 // ticks, a second each, as a hub does it on other transports

// hangup closes the client for a reason of our own.
func (s *session) hangup(why relay.Reason) {
	if c := s.client.Load(); c != nil {
		c.Close(why)
	} else {
		s.Close(why)
	}
}

// leave ends the client at its own wish.
func (s *session) leave() {
	if c := s.client.Load(); c != nil {
		c.End("")
	}
	s.Close(relay.Reason{Category: relay.Normal, Detail: true})
	if !s.conn.Carried() { // no poll is there to be answered, and none will come
		s.conn.Cut(nil)
	}
	s.retire()
}

// isClosing says whether the client has been told, or will be, that it ends.
func (s *session) isClosing() bool {
	s.out.Lock()
	defer s.out.Unlock()
	return s.closing
}

// Closed is the end of every session.
func (s *session) Closed(err error) {
	s.retire()
	c := s.client.Load()
	if c != nil {
		c.End("")
	}
	s.out.Lock()
	if !s.closing {
		s.closing = true
		s.why.Category = category(err)
	}
	s.held, s.partial = nil, nil
	why := s.why
	s.out.Unlock()
	if c == nil && err != nil && errors.Is(err, transport.ErrTimeout) {
		return // negotiated, perhaps polled once, never spoke: nobody's connection
	}
	s.a.CountClose(why.Category)
	args := []any{"hub", s.hub.Name, "connection", s.id, "transport", s.conn.Kind().String(), "category", string(why.Category)}
	if why.Text != "" {
		args = append(args, "text", why.Text)
	}
	if err != nil {
		args = append(args, "error", err)
	}
	s.a.Logger.Info("client disconnected", args...)
}

func category(err error) relay.Category {
	switch {
	case errors.Is(err, errUnacked):
		return relay.SlowClient
	case errors.Is(err, errFraming):
		return relay.BadRequest
	}
	return aspnet.CategoryOf(err)
}

// retire makes the session's token answer 404 from now on.
func (s *session) retire() { s.a.sessions.Retire(s.id, s, time.Unix(s.made, 0)) }

// ---- to the client ----

// Send passes on a message for this client among others. Before the hub has
// answered the handshake it waits (service-protocol 7.4).
func (s *session) Send(p relay.Payload, batch uint32) error {
	m := p.For(s.protocol)
	if m == nil {
		return nil // no encoding for this client: the app does not know its protocol
	}
	s.out.Lock()
	defer s.out.Unlock()
	if s.closing {
		return relay.ErrClosed
	}
	if !s.answered {
		// As in the outbox, one message of any size fits.
		if s.heldSize > s.a.o.ClientBuffer {
			return s.lost(transport.ErrSlow)
		}
		s.held = append(s.held, m)
		s.heldSize += len(m)
		return nil
	}
	return s.write(m, batch)
}

// Output passes on bytes of the client's own hub. The first message answers
// the handshake.
func (s *session) Output(p []byte, batch uint32) error {
	s.out.Lock()
	defer s.out.Unlock()
	if s.closing {
		return relay.ErrClosed
	}
	s.pieces.Add(1)
	if len(s.partial) > 0 {
		p = append(s.partial, p...)
		s.partial = nil
	}
	if !s.answered {
		n, _ := text.first(p)
		if n == 0 {
			s.partial = append([]byte(nil), p...)
			return nil
		}
		s.answered = true
		s.goodbye = n > len("{}\x1e") // an error: the transport ends next
		err := s.send(p[:n:n], batch)
		for _, m := range s.held {
			err = errors.Join(err, s.write(m, batch))
		}
		s.held = nil
		if p = p[n:]; len(p) == 0 || err != nil {
			return err
		}
	}
	return s.cut(p, batch)
}

// cut sends whole hub messages and keeps what is left of one: clients in
// JavaScript and Java cannot put a message together (core-client-protocol
// 3.7), and older SDKs cut where they like.
func (s *session) cut(p []byte, batch uint32) error {
	if s.stateful == nil && s.framing.whole(p) { // what newer SDKs always send
		if !s.goodbye && s.framing.isClose(p) {
			s.goodbye = true
		}
		return s.send(p, batch)
	}
	for len(p) > 0 {
		n, err := s.framing.first(p)
		if err != nil {
			return s.lost(err)
		}
		if n == 0 {
			s.partial = append([]byte(nil), p...)
			return nil
		}
		m := p[:n:n]
		p = p[n:]
		if s.framing.isClose(m) {
			s.goodbye = true
		}
		if err := s.write(m, batch); err != nil {
			return err
		}
	}
	return nil
}

// write sends one message and counts it where counting was agreed on; s.out
// is held.
func (s *session) write(m []byte, batch uint32) error {
	if s.stateful != nil {
		if err := s.stateful.sent(s.framing, m); err != nil {
			return s.lost(err)
		}
	}
	return s.send(m, batch)
}

func (s *session) send(m []byte, batch uint32) error {
	err := s.conn.Send(m, s.asText, batch)
	if errors.Is(err, transport.ErrSlow) {
		return s.lost(err)
	}
	return err
}

// lost drops a client that does not take what it is sent; s.out is held.
func (s *session) lost(err error) error {
	s.conn.Cut(err)
	return relay.ErrSlow
}

// Moved says that another app server goes on with the stream.
func (s *session) Moved() {
	s.out.Lock()
	s.partial = nil
	s.out.Unlock()
}

// Close ends the session: with a hub Close unless one has gone out already,
// and always with the end of the transport, since Swift ignores the former
// (core-client-protocol 7.3).
func (s *session) Close(why relay.Reason) {
	s.out.Lock()
	defer s.out.Unlock()
	if s.closing {
		return
	}
	s.closing, s.why = true, why
	if !s.goodbye {
		if last := s.lastMessage(why); last != nil {
			s.conn.Send(last, s.asText || !s.answered, 0)
		}
	}
	if s.conn.Kind() != transport.LongPoll { // a poll has to fetch its end yet
		s.retire()
	}
	s.conn.Close(transport.CloseNormal, "")
}

func (s *session) lastMessage(why relay.Reason) []byte {
	said := why.Text
	if why.Detail { // the app's CloseConnection (service-protocol 8.3)
		if said == "" {
			return nil
		}
		if !s.detailed {
			said = "Connection closed with an error."
		}
	}
	if s.answered {
		return s.framing.closeMessage(said, why.AllowReconnect)
	}
	if said == "" {
		said = "Connection closed."
	}
	return handshakeError(said)
}
