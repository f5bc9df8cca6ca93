package relay_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/signalrelay/signalrelay/relay"
)

// A server is a Backend that notes what it is told.
type server struct {
	route *relay.Route

	mu     sync.Mutex
	events map[string][]string // by connection id
	calls  []string            // of Caller
	opened func(*relay.Client) // called by Open
	data   func(context.Context, *relay.Client)
	err    error // of Open
}

var _ relay.Caller = (*server)(nil)

func attach(h *relay.Hub, a relay.Attach) *server {
	s := &server{events: map[string][]string{}}
	a.Backend = s
	s.route = h.Attach(a)
	return s
}

func (s *server) note(id, format string, args ...any) {
	s.mu.Lock()
	s.events[id] = append(s.events[id], fmt.Sprintf(format, args...))
	s.mu.Unlock()
}

// of returns what the server was told of a client.
func (s *server) of(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.events[id]...)
}

// told returns the calls of Caller and forgets them.
func (s *server) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls
	s.calls = nil
	return c
}

func (s *server) Open(c *relay.Client, o *relay.Opening) error {
	if s.opened != nil {
		s.opened(c)
	}
	s.note(c.ID, "open from=%q", o.MovedFrom)
	return s.err
}

func (s *server) Data(ctx context.Context, c *relay.Client, p []byte, partial bool) error {
	if s.data != nil {
		s.data(ctx, c)
	}
	s.note(c.ID, "data %s", p)
	return nil
}

func (s *server) Close(c *relay.Client, text, movedTo string) {
	s.note(c.ID, "close %q to=%q", text, movedTo)
}

func (s *server) call(format string, args ...any) {
	s.mu.Lock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
	s.mu.Unlock()
}

func (s *server) Answer(a *relay.Answer) {
	s.call("answer %s of %s for %s: %s%s", a.ID, a.Connection, a.Caller, a.Data, a.Error)
}
func (s *server) Expect(m *relay.Invoke) { s.call("expect %s of %s", m.ID, m.Connection) }
func (s *server) Mapped(m *relay.Invoke) { s.call("mapped %s of %s", m.ID, m.Connection) }

// A sink notes what a client is sent.
type sink struct {
	protocol string

	mu     sync.Mutex
	got    []string
	closed []relay.Reason
	moved  int
}

var _ relay.Sink = (*sink)(nil)

func (s *sink) Output(p []byte, _ uint32) error {
	s.mu.Lock()
	s.got = append(s.got, string(p))
	s.mu.Unlock()
	return nil
}

func (s *sink) Send(p relay.Payload, batch uint32) error { return s.Output(p.For(s.protocol), batch) }

func (s *sink) Close(r relay.Reason) {
	s.mu.Lock()
	s.closed = append(s.closed, r)
	s.mu.Unlock()
}

func (s *sink) Moved() {
	s.mu.Lock()
	s.moved++
	s.mu.Unlock()
}

// take returns what has come and forgets it.
func (s *sink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.got
	s.got = nil
	return g
}

func (s *sink) reasons() []relay.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]relay.Reason(nil), s.closed...)
}

// member is a connected client and its sink.
type member struct {
	*relay.Client
	*sink
}

func opening(early string) relay.Opening {
	return relay.Opening{Handshake: []byte("hello"), Early: []byte(early)}
}

func connect(t testing.TB, h *relay.Hub, w relay.Connect) member {
	t.Helper()
	s := &sink{protocol: "json"}
	w.Protocol = "json"
	if w.Opening.Early == nil {
		w.Opening = opening("hello")
	}
	c, err := h.Connect(t.Context(), w, s)
	if err != nil {
		t.Fatalf("connect %s: %v", w.ID, err)
	}
	return member{c, s}
}

// join connects a client of a user; an empty user is none.
func join(t testing.TB, h *relay.Hub, id, user string) member {
	t.Helper()
	return connect(t, h, relay.Connect{ID: id, User: user, HasUser: user != ""})
}

func do(t testing.TB, h *relay.Hub, from *relay.Route, m relay.Message) relay.Result {
	t.Helper()
	r, err := h.Handle(t.Context(), from, m)
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	return r
}

func payload(s string) relay.Payload { return relay.Payload{{Protocol: "json", Data: []byte(s)}} }

// consistent fails a test whose hub does not fit together.
func consistent(t testing.TB, h *relay.Hub) {
	t.Helper()
	if err := h.Check(); err != nil {
		t.Error(err)
	}
}

// empty fails a test whose hub still holds something.
func empty(t testing.TB, h *relay.Hub) {
	t.Helper()
	consistent(t, h)
	if left := h.Left(); left != "" {
		t.Error("left in the hub: " + left)
	}
}
