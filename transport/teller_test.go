package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// A teller is a Receiver whose messages are numbered and kept, so that a peer
// that comes back goes on where it was: what an adapter does for its clients.
// A peer says in its request how many it has seen.
type teller struct {
	rig    *rig
	heard  chan string
	closed chan error

	mu sync.Mutex
	*transport.Conn
	told []transport.Queued
}

var patient = transport.Profile{
	Buffer: 64 << 20, MaxMessage: 1 << 20, ReadBuffer: 4 << 10,
	Await: time.Minute, PollTimeout: time.Minute, PollGap: time.Minute, Grace: time.Minute,
}

// atOnce is how many messages go into one answer to a poll.
const atOnce = 3

var numberedFormat = transport.Format{
	Preamble: "begin", EventHead: "<", EventTail: ">",
	Poll: transport.Response{Status: 200, Type: "text/plain"}, Blank: " ",
	Join: func(mark string, messages [][]byte) ([]byte, int) {
		n := min(len(messages), atOnce)
		return []byte(mark + "|" + string(bytes.Join(messages[:n], []byte{';'}))), n
	},
}

func newTeller(t testing.TB, start func(*rig, transport.Options) *rig, p transport.Profile, o transport.Options) *teller {
	r := newRig(t)
	s := &teller{rig: r, heard: make(chan string, 64), closed: make(chan error, 1)}
	r.churns, r.format, r.other = true, numberedFormat, s.serve
	start(r, o)
	s.mu.Lock()
	s.Conn = r.srv.NewConn(s, &p)
	s.mu.Unlock()
	t.Cleanup(func() { s.Cut(nil) })
	return s
}

func (s *teller) Message(p []byte, f transport.Frame) error {
	s.heard <- string(p)
	return nil
}

func (s *teller) Closed(err error) { s.closed <- err }

func (s *teller) serve(x *transport.Exchange) {
	seen, err := strconv.Atoi(x.Query("seen"))
	if err != nil {
		x.Reply(transport.Response{Status: 400})
		return
	}
	kind := transport.LongPoll
	switch {
	case x.IsWebSocket():
		kind = transport.WebSocket
	case x.Accepts("text/event-stream"):
		kind = transport.EventStream
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.Resume(s.Conn, kind, &s.rig.format, x.Query("seen"), slices.Clone(s.told[seen:])) {
		x.Reply(transport.Response{Status: 410})
	}
}

// tell sends one more message.
func (s *teller) tell(m string, batch uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, transport.Queued{Data: []byte(m), Text: true})
	return s.Send([]byte(m), true, batch)
}

// closing sends a last message and closes, as one step.
func (s *teller) closing(m string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, transport.Queued{Data: []byte(m), Text: true})
	s.Send([]byte(m), true, 0)
	s.Close(transport.CloseNormal, "")
}

// A line is a carrier as its client sees it.
type line struct {
	*client
	kind transport.Kind
}

// resume asks for a carrier on a new socket and does not look at the answer.
func (s *teller) resume(kind transport.Kind, seen, rcv int) *line {
	l := &line{s.rig.dial(rcv), kind}
	l.ask(seen)
	return l
}

func (l *line) ask(seen int) {
	l.t.Helper()
	l.send([]byte(strings.Replace(request(l.kind, ""), "/c?id=", "/resumed?seen="+fmt.Sprint(seen), 1)))
}

var errRefused = errors.New("the Conn has ended")

// accepted reads the head of the answer, where it comes before the messages.
func (l *line) accepted() error {
	if l.kind == transport.LongPoll {
		return nil
	}
	res, err := http.ReadResponse(l.r, nil)
	if err != nil {
		return err
	}
	if res.StatusCode == 410 {
		return errRefused
	}
	if l.kind == transport.EventStream {
		begin, err := l.event()
		if err == nil && begin != numberedFormat.Preamble {
			err = fmt.Errorf("the stream begins with %q", begin)
		}
		return err
	}
	return nil
}

// carried is accepted for those who know that it will be.
func (l *line) carried(s *teller) *line {
	l.t.Helper()
	if err := l.accepted(); err != nil {
		l.t.Fatalf("%v: %v", l.kind, err)
	}
	until(l.t, "carrier", s.Carried)
	return l
}

// event reads a chunk of an event stream.
func (l *line) event() (string, error) {
	size, err := l.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(size, "\r\n"), 16, 31)
	if err != nil {
		return "", err
	}
	b := make([]byte, n+2)
	_, err = io.ReadFull(l.r, b)
	return string(b[:n]), err
}

// A document is the answer to a poll.
type document struct{ blanks, mark, messages string }

func (l *line) document() (d document, err error) {
	res, err := http.ReadResponse(l.r, nil)
	if err != nil {
		return d, err
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return d, err
	}
	if res.StatusCode == 410 {
		return d, errRefused
	}
	text := strings.TrimLeft(string(b), " ")
	d.blanks = string(b[:len(b)-len(text)])
	var ok bool
	if d.mark, d.messages, ok = strings.Cut(text, "|"); !ok || res.StatusCode != 200 {
		return d, fmt.Errorf("%s with %.40q", res.Status, b)
	}
	return d, nil
}

// read returns the next messages. At the carrier's proper end it returns
// io.EOF; to a poll that is a document of none.
func (l *line) read() ([]string, error) {
	switch l.kind {
	case transport.WebSocket:
		op, p, err := l.readFrame()
		switch {
		case err != nil:
			return nil, fmt.Errorf("socket without an end: %w", err)
		case op == shut && string(p) == closing(transport.CloseNormal, ""):
			return nil, io.EOF
		case op != text:
			return nil, fmt.Errorf("frame %#x %.40q", op, p)
		}
		return []string{string(p)}, nil
	case transport.EventStream:
		e, err := l.event()
		switch {
		case err != nil:
			return nil, fmt.Errorf("stream without an end: %w", err)
		case e == "":
			return nil, io.EOF
		case e[0] != '<' || e[len(e)-1] != '>':
			return nil, fmt.Errorf("event %.40q", e)
		}
		return []string{e[1 : len(e)-1]}, nil
	}
	d, err := l.document()
	if err == nil && d.messages == "" {
		err = io.EOF
	}
	if err != nil {
		return nil, err
	}
	return strings.Split(d.messages, ";"), nil
}

// wants reads the next messages and compares them; polls poll on.
func (l *line) wants(seen int, want ...string) (now int) {
	l.t.Helper()
	for len(want) > 0 {
		got, err := l.read()
		if err != nil {
			l.t.Fatalf("%v: %v, want %.40q", l.kind, err, want)
		}
		for _, m := range got {
			if len(want) == 0 || m != want[0] {
				l.t.Fatalf("%v: got %.40q, want %.40q", l.kind, m, want)
			}
			want = want[1:]
		}
		if seen += len(got); l.kind == transport.LongPoll {
			l.ask(seen)
		}
	}
	return seen
}

// wantsEnd reads the end of the carrier and, but for a poll's, of its socket.
func (l *line) wantsEnd() {
	l.t.Helper()
	if got, err := l.read(); err != io.EOF {
		l.t.Errorf("%v: got %.40q, %v, want its end", l.kind, got, err)
	}
	if l.kind == transport.WebSocket {
		l.send(frame(shut, closing(transport.CloseNormal, "")))
	}
	if l.kind != transport.LongPoll && !l.ended() {
		l.t.Errorf("%v: the socket is open", l.kind)
	}
}

// reset ends the socket as a network does.
func (l *line) reset() {
	c := l.Conn
	if s, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = s.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// each runs a test of a teller on plain TCP and on TLS.
func each(t *testing.T, p transport.Profile, f func(t *testing.T, s *teller)) {
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			f(t, newTeller(t, start, p, transport.Options{CloseTimeout: 50 * time.Millisecond}))
		})
	}
}
