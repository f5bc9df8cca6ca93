package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
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

// silence is what KeepAlive says.
const silence = "-"

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

// Any carrier takes the place of any other, which ends as by Close where no
// writer is at work, and at once where one is.
func TestResume(t *testing.T) {
	for _, from := range kinds {
		for _, to := range kinds {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				each(t, patient, func(t *testing.T, s *teller) {
					old := s.resume(from, 0, 0).carried(s)
					s.tell("a", 0)
					seen := old.wants(0, "a")
					until(t, "carrier", s.Carried)
					next := s.resume(to, seen, 0)
					if s.rig.tls == nil || from == transport.LongPoll {
						old.wantsEnd()
					} else if !old.ended() { // the writer, which TLS needs, may still be there
						t.Error("the old socket is open")
					}
					if err := next.accepted(); err != nil {
						t.Fatal(err)
					}
					until(t, "carrier", s.Carried)
					if s.Kind() != to {
						t.Errorf("kind is %v", s.Kind())
					}
					s.tell("b", 0)
					seen = next.wants(seen, "b")
					s.tell("c", 1)
					s.tell("d", 1)
					seen = next.wants(seen, "c", "d")
					if from == transport.LongPoll { // its connection serves on
						until(t, "carrier", s.Carried)
						old.ask(seen)
						if to == transport.LongPoll {
							next.wantsEnd()
						} else if !next.ended() { // the writer of a batch, too
							t.Error("the old socket is open")
						}
						s.tell("e", 0)
						old.wants(seen, "e")
					}
				})
			})
		}
	}
}

// However a carrier ends, the Conn goes on, and what it is sent meanwhile is
// the Receiver's to bring.
func TestAway(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave func(l *line)
	}{
		{"the socket ends", func(l *line) { l.Conn.Close() }},
		{"the network fails", (*line).reset},
		{"a close frame", func(l *line) {
			if l.kind != transport.WebSocket {
				l.Conn.Close()
				return
			}
			l.send(frame(shut, closing(transport.CloseGoingAway, "")))
			l.wantsEnd()
		}},
		{"a broken frame", func(l *line) { l.send([]byte{0xff, 0xff, 0xff}) }},
		{"a message too large", func(l *line) { l.send(frame(bin, strings.Repeat("m", 1<<20+1))[:14]) }},
	} {
		for _, kind := range kinds {
			if kind != transport.WebSocket && strings.HasPrefix(test.name, "a ") {
				continue // those are of RFC 6455
			}
			t.Run(fmt.Sprint(kind, ", ", test.name), func(t *testing.T) {
				each(t, patient, func(t *testing.T, s *teller) {
					l := s.resume(kind, 0, 0).carried(s)
					test.leave(l)
					until(t, "loss", func() bool { return !s.Carried() })
					for _, m := range []string{"a", "b", "c", "d"} {
						if err := s.tell(m, 0); err != nil {
							t.Fatal(err)
						}
					}
					if n := s.Queued(); n != 0 {
						t.Errorf("%d bytes wait for nobody", n)
					}
					for _, next := range kinds {
						l := s.resume(next, 1, 0)
						if err := l.accepted(); err != nil {
							t.Fatal(err)
						}
						l.wants(1, "b", "c", "d")
					}
				})
			})
		}
	}
}

// A Conn whose peer is away takes everything, however much waited when it went.
func TestAwayIsNeverSlow(t *testing.T) {
	p := patient
	p.Buffer = 1 << 20
	for _, kind := range kinds[:2] {
		t.Run(kind.String(), func(t *testing.T) {
			each(t, p, func(t *testing.T, s *teller) {
				l := s.resume(kind, 0, 4<<10).carried(s)
				for s.tell(strings.Repeat("m", 200<<10), 0) == nil {
				}
				l.reset()
				until(t, "loss", func() bool { return !s.Carried() })
				if err := s.tell("next", 0); err != nil {
					t.Error(err)
				}
				if n := s.Queued(); n != 0 {
					t.Errorf("%d bytes wait for nobody", n)
				}
			})
		})
	}
}

// A writer that is stuck in a socket gives it up for the next carrier, which
// brings every message once.
func TestResumeOfStalledPeer(t *testing.T) {
	for _, from := range kinds[:2] {
		for _, to := range kinds {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				for name, start := range starts {
					t.Run(name, func(t *testing.T) {
						s := newTeller(t, start, patient, transport.Options{WriteTimeout: time.Hour})
						old := s.resume(from, 0, 64<<10).carried(s)
						large := strings.Repeat("l", 8<<20)
						s.tell(large, 0)
						s.tell("behind", 0)
						next := s.resume(to, 0, 0)
						if err := next.accepted(); err != nil {
							t.Fatal(err)
						}
						s.tell("new", 0)
						next.wants(0, large, "behind", "new")
						if !old.ended() {
							t.Error("the old socket is open")
						}
						until(t, "empty queue", func() bool { return s.Queued() == 0 })
					})
				}
			})
		}
	}
}

// Of two requests at once one stays; whatever either gets is in order.
func TestTwoResumesAtOnce(t *testing.T) {
	rounds := 60
	if raceEnabled {
		rounds = 10
		t.Log("10 rounds instead of 60 under -race")
	}
	for _, one := range kinds {
		for _, two := range kinds {
			t.Run(fmt.Sprint(one, " and ", two), func(t *testing.T) {
				each(t, patient, func(t *testing.T, s *teller) {
					s.tell("a", 0)
					s.tell("b", 0)
					for range rounds {
						lines := []*line{{s.rig.dial(0), one}, {s.rig.dial(0), two}}
						got := make([]chan string, 2)
						for _, l := range lines {
							l.ask(0) // neither waits for its answer
						}
						for i, l := range lines {
							got[i] = make(chan string, 16)
							go func() { // ends with the carrier
								defer close(got[i])
								for err := l.accepted(); err == nil; {
									var all []string
									if all, err = l.read(); err != nil {
										break
									}
									for _, m := range all {
										got[i] <- m
									}
									if l.kind == transport.LongPoll {
										break // one answer shows enough
									}
								}
							}()
						}
						whole := 0
						for i := range got {
							all := ""
							for len(all) < 2 {
								m, ok := <-got[i]
								if !ok {
									break
								}
								all += m
							}
							if !strings.HasPrefix("ab", all) {
								t.Errorf("%v got %q", lines[i].kind, all)
							}
							if all == "ab" {
								whole++
							}
						}
						if whole == 0 {
							t.Error("neither got everything")
						}
						for _, l := range lines {
							l.Conn.Close()
						}
					}
				})
			})
		}
	}
}

// What a Conn is closed with waits for a peer that is away.
func TestResumeHearsGoodbye(t *testing.T) {
	for _, from := range kinds {
		for _, to := range kinds {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				each(t, patient, func(t *testing.T, s *teller) {
					s.resume(from, 0, 0).carried(s).Conn.Close()
					until(t, "loss", func() bool { return !s.Carried() })
					s.closing("bye")
					select {
					case err := <-s.closed:
						t.Fatalf("Closed(%v) before the peer came", err)
					default:
					}
					if err := s.Send([]byte("late"), true, 0); err != transport.ErrClosed {
						t.Errorf("Send after Close: %v", err)
					}
					l := s.resume(to, 0, 0)
					if err := l.accepted(); err != nil {
						t.Fatal(err)
					}
					l.wants(0, "bye")
					if to != transport.LongPoll { // whose end the answer was
						l.wantsEnd()
					}
					if err := wait(t, "end", s.closed); err != nil {
						t.Errorf("Closed(%v)", err)
					}
					again := s.resume(to, 1, 0)
					err := again.accepted()
					if to == transport.LongPoll {
						_, err = again.document()
					}
					if err != errRefused {
						t.Errorf("Resume of an ended Conn: %v", err)
					}
				})
			})
		}
	}
}

// A peer that comes back while the Conn is being closed hears all of it, or
// that there is no such Conn any more.
func TestResumeMeetsClose(t *testing.T) {
	rounds := 100
	if raceEnabled {
		rounds = 15
		t.Log("15 rounds instead of 100 under -race")
	}
	for _, to := range kinds {
		t.Run(to.String(), func(t *testing.T) {
			heard, refused := 0, 0
			for i := range rounds {
				s := newTeller(t, (*rig).start, patient, transport.Options{CloseTimeout: time.Millisecond})
				old := s.resume(kinds[i%2], 0, 0).carried(s)
				l := &line{s.rig.dial(0), to}
				var closes sync.WaitGroup
				closes.Go(func() { s.closing("bye") })
				l.ask(0)
				closes.Wait()
				err := l.accepted()
				var got []string
				if err == nil {
					got, err = l.read()
				}
				switch {
				case err == errRefused:
					refused++
				case err != nil || !slices.Equal(got, []string{"bye"}):
					t.Fatalf("got %q, %v", got, err)
				default:
					heard++
				}
				old.Conn.Close()
				l.Conn.Close()
				s.Cut(nil)
				s.rig.stop()
			}
			t.Logf("%d times heard, %d times too late", heard, refused)
		})
	}
}

// A peer that does not come back ends the Conn.
func TestGraceExpires(t *testing.T) {
	t.Parallel()
	p := patient
	p.Grace, p.PollGap = time.Millisecond, time.Millisecond
	for _, kind := range kinds {
		for _, closed := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, ", closed ", closed), func(t *testing.T) {
				t.Parallel()
				s := newTeller(t, (*rig).start, p, transport.Options{})
				s.resume(kind, 0, 0).carried(s).Conn.Close()
				until(t, "loss", func() bool { return !s.Carried() })
				if closed {
					s.closing("bye")
				}
				if err := wait(t, "end", s.closed); errors.Is(err, transport.ErrTimeout) == closed || closed && err != nil {
					t.Errorf("Closed(%v)", err)
				}
			})
		}
	}
}

// What a client still says on a carrier that was replaced is nobody's.
func TestResumeEndsInbound(t *testing.T) {
	s := newTeller(t, (*rig).start, patient, transport.Options{CloseTimeout: time.Hour})
	old := s.resume(transport.WebSocket, 0, 0).carried(s)
	old.send(frame(text, "one"))
	if got := wait(t, "message", s.heard); got != "one" {
		t.Errorf("got %q", got)
	}
	next := s.resume(transport.WebSocket, 0, 0)
	if _, err := old.read(); err != io.EOF {
		t.Fatal(err)
	}
	old.send(frame(text, "late"))
	old.send(frame(ping, "late"))
	next.carried(s).send(frame(text, "two"))
	if got := wait(t, "message", s.heard); got != "two" {
		t.Errorf("got %q", got)
	}
	old.send(frame(shut, closing(transport.CloseNormal, "")))
	if !old.ended() {
		t.Error("the socket is open")
	}
}

// numbered is a message that shows where it was cut or mixed with another.
func numbered(n int) string {
	size := n % 7
	if n%50 == 49 {
		size = 100 << 10
	}
	return fmt.Sprint(n, " ") + strings.Repeat(string(rune('a'+n%26)), size)
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("descriptors cannot be counted here: ", err)
	}
	return len(all)
}

// A client follows a sender through hundreds of carriers of all kinds, which
// end in every way, and gets each message once and in order.
func TestFollow(t *testing.T) {
	rounds := 600
	if testing.Short() || raceEnabled {
		rounds = 40
		t.Log("40 rounds instead of 600 under -short or -race")
	}
	for name, start := range starts {
		for _, batch := range []uint32{0, 1} {
			t.Run(fmt.Sprint(name, " batch ", batch), func(t *testing.T) {
				s := newTeller(t, start, patient, transport.Options{CloseTimeout: 10 * time.Millisecond})
				warm := s.rig.dial(0) // the server is at work from now on
				warm.send([]byte("GET /resumed HTTP/1.1\r\nHost: relay\r\n\r\n"))
				warm.respond()
				goroutines, open := len(ours()), descriptors(t)
				warm.Conn.Close()
				seed := rand.Uint64()
				t.Log("seed ", seed)
				follow(t, s, batch, rounds, rand.New(rand.NewPCG(seed, 0)))
				until(t, "end of the goroutines", func() bool { return len(ours()) <= goroutines })
				until(t, "end of the sockets", func() bool { return descriptors(t) <= open })
			})
		}
	}
}

func follow(t *testing.T, s *teller, batch uint32, rounds int, rnd *rand.Rand) {
	ahead := make(chan struct{}, 60) // a message that the client has not seen takes a place
	stop, total := make(chan struct{}), make(chan int, 1)
	go func() { // ends with stop
		for n := 0; ; n++ {
			select {
			case ahead <- struct{}{}:
			case <-stop:
				total <- n
				return
			}
			if err := s.tell(numbered(n), batch); err != nil {
				t.Errorf("message %d: %v", n, err)
			}
			if n%5 == 0 {
				s.KeepAlive([]byte(silence))
			}
		}
	}()
	seen := 0
	read := func(l *line) error {
		all, err := l.read()
		for _, m := range all {
			if m == silence && l.kind != transport.LongPoll {
				continue
			}
			if m != numbered(seen) {
				t.Fatalf("%v: got %.40q, want message %d", l.kind, m, seen)
			}
			seen++
			<-ahead
		}
		return err
	}
	var left *line // replaced by the next carrier, with messages unread
	for range rounds {
		kind := kinds[rnd.IntN(len(kinds))]
		l := s.resume(kind, seen, 0)
		if left != nil && rnd.IntN(2) == 0 {
			left.Conn.Close()
			left = nil
		}
		if err := l.accepted(); err != nil {
			t.Fatal(err)
		}
		n := rnd.IntN(8)
		if kind == transport.LongPoll {
			n = max(1, n) // a poll without an answer may yet have to be served
		}
		for i := range n {
			if i > 0 && kind == transport.LongPoll {
				l.ask(seen)
			}
			if err := read(l); err != nil {
				t.Fatalf("%v: %v", kind, err)
			}
		}
		if left != nil && left.kind != transport.LongPoll && !left.ended() {
			t.Fatalf("%v is open after %v", left.kind, kind)
		}
		if left != nil {
			left.Conn.Close()
			left = nil
		}
		switch how := rnd.IntN(4); {
		case how == 0:
			l.reset()
		case how == 1:
			l.Conn.Close()
		case how == 2 && kind == transport.WebSocket:
			l.send(frame(shut, closing(transport.CloseNormal, "")))
			left = l
		default:
			left = l
		}
	}
	close(stop)
	n := wait(t, "end of the sender", total)
	l := s.resume(transport.WebSocket, seen, 0).carried(s)
	if left != nil {
		left.Conn.Close()
	}
	for seen < n {
		if err := read(l); err != nil {
			t.Fatalf("message %d of %d: %v", seen, n, err)
		}
	}
	s.Close(transport.CloseNormal, "")
	l.wantsEnd()
	l.Conn.Close()
	if err := wait(t, "end", s.closed); err != nil {
		t.Errorf("Closed(%v)", err)
	}
	t.Logf("%d messages", n)
}

// What differs between flavours of a transport is in its Format.
func TestFormat(t *testing.T) {
	start := func(r *rig, o transport.Options) *rig {
		r.format.StreamType = "text/html"
		r.format.StreamHeader = [][2]string{{"X-Stream", "yes"}}
		r.format.UpgradeHeader = [][2]string{{"X-Socket", "yes"}, {"X-More", "too"}}
		r.format.Poll.Reason = "Fine"
		r.format.Escape = func(m []byte) []byte { return bytes.ReplaceAll(m, []byte("<"), []byte("(")) }
		return r.start(o)
	}
	s := newTeller(t, start, patient, transport.Options{})
	socket := s.resume(transport.WebSocket, 0, 0)
	if h := socket.head().Header; h.Get("X-Socket") != "yes" || h.Get("X-More") != "too" {
		t.Errorf("upgrade: %v", h)
	}
	s.tell("<a>", 0)
	socket.wants(0, "<a>") // nothing stands around it
	events := s.resume(transport.EventStream, 0, 0)
	if res := events.head(); res.Header.Get("X-Stream") != "yes" || res.Header.Get("Content-Type") != "text/html" {
		t.Errorf("stream: %v", res.Header)
	}
	if begin, err := events.event(); err != nil || begin != "begin" {
		t.Errorf("preamble %q, %v", begin, err)
	}
	events.wants(0, "(a>")
	s.tell("<"+strings.Repeat("b", 20<<10), 0) // by another way to the socket
	events.wants(1, "("+strings.Repeat("b", 20<<10))
	poll := s.resume(transport.LongPoll, 0, 0)
	res, body := poll.respond()
	if res.Status != "200 Fine" || !strings.HasPrefix(body, "0|<a>;<b") {
		t.Errorf("poll: %s %.20q", res.Status, body)
	}
}

// An answer may have its own words, and the next on its connection not.
func TestReplyReason(t *testing.T) {
	r := newRig(t)
	r.other = func(x *transport.Exchange) {
		x.Reply(transport.Response{Status: 200, Reason: x.Query("reason")})
	}
	r.start(transport.Options{})
	c := r.dial(0)
	for _, want := range []string{"Because", "OK", "Otherwise", "OK"} {
		reason := want
		if reason == "OK" {
			reason = ""
		}
		c.send([]byte("GET /?reason=" + reason + " HTTP/1.1\r\nHost: relay\r\n\r\n"))
		if res, _ := c.respond(); res.Status != "200 "+want {
			t.Errorf("status %q, want %q", res.Status, want)
		}
	}
}

// Between two polls a peer is away like any other.
func TestAwayBetweenPolls(t *testing.T) {
	each(t, patient, func(t *testing.T, s *teller) {
		l := s.resume(transport.LongPoll, 0, 0)
		for i, m := range []string{"a", "c", "e"} {
			until(t, "poll", s.Carried)
			s.tell(m, 0)
			if d, err := l.document(); err != nil || !strings.HasPrefix(d.messages, m) {
				t.Fatalf("%q, %v", d, err)
			}
			if err := s.Send([]byte("between"), true, 0); err != nil || s.Queued() != 0 {
				t.Errorf("%v, %d bytes wait for nobody", err, s.Queued())
			}
			l.ask(i + 1)
		}
	})
}
