package transport_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// A peer that is being carried hears a keep-alive, and nothing of it is kept.
func TestKeepAlive(t *testing.T) {
	for _, kind := range kinds[:2] {
		t.Run(kind.String(), func(t *testing.T) {
			each(t, patient, func(t *testing.T, s *teller) {
				s.KeepAlive([]byte("before any carrier"))
				l := s.resume(kind, 0, 0).carried(s)
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() { // ends with stop
					defer close(stopped)
					tick := time.NewTicker(time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-tick.C:
							s.KeepAlive([]byte(silence))
						case <-stop:
							return
						}
					}
				}()
				l.wants(0, silence, silence, silence)
				close(stop)
				<-stopped
				s.tell("a", 0)
				for m := silence; m != "a"; {
					all, err := l.read()
					if m = strings.Join(all, ""); err != nil || m != silence && m != "a" {
						t.Fatalf("%q, %v", all, err)
					}
				}
				seen := 1
				l.Conn.Close()
				until(t, "loss", func() bool { return !s.Carried() })
				s.KeepAlive([]byte("while away"))
				l = s.resume(kind, seen, 0).carried(s)
				s.closing("bye")
				s.KeepAlive([]byte("after Close"))
				l.wants(seen, "bye")
				l.wantsEnd()
			})
		})
	}
}

// A peer that has more to read than it takes needs no sign of life.
func TestKeepAliveOfStalledPeer(t *testing.T) {
	for _, kind := range kinds[:2] {
		t.Run(kind.String(), func(t *testing.T) {
			each(t, patient, func(t *testing.T, s *teller) {
				l := s.resume(kind, 0, 64<<10).carried(s)
				large := strings.Repeat("l", 16<<20)
				s.tell(large, 0)
				before := s.Queued()
				if before == 0 {
					t.Fatal("the socket took it all")
				}
				for range 100 {
					s.KeepAlive([]byte(silence))
				}
				if n := s.Queued(); n > before {
					t.Errorf("%d bytes wait after keep-alives, %d before", n, before)
				}
				s.tell("last", 0)
				l.wants(0, large, "last")
			})
		})
	}
}

// Blanks come ahead of whatever a poll is answered in the end, and its
// connection serves the next one.
func TestKeepAliveOfPoll(t *testing.T) {
	each(t, patient, func(t *testing.T, s *teller) {
		l := s.resume(transport.LongPoll, 0, 0)
		seen := 0
		for _, size := range []int{0, 5, 100 << 10, 1 << 20, 0, 5} {
			for _, blanks := range []int{0, 1, 3} {
				until(t, "poll", s.Carried)
				for range blanks {
					s.KeepAlive([]byte("not of this form"))
				}
				want := document{blanks: strings.Repeat(" ", blanks), mark: fmt.Sprint(seen)}
				if s.rig.tls != nil {
					want.blanks = "" // they would have to be written by a goroutine
				}
				if size > 0 {
					want.messages = strings.Repeat("m", size)
					s.tell(want.messages, 0)
					seen++
				}
				var other *line
				if size == 0 { // another takes its place
					other = s.resume(transport.LongPoll, seen, 0)
				}
				got, err := l.document()
				if err != nil || got != want {
					t.Fatalf("%d bytes after %d blanks: %.40q, %v", size, blanks, got, err)
				}
				if size == 0 {
					until(t, "other poll", s.Carried)
					other.Conn.Close()
					until(t, "loss", func() bool { return !s.Carried() })
				}
				l.ask(seen)
			}
		}
	})
}

// When a poll's time is over or its Conn is closed, blanks or not, it is
// answered by a document without messages.
func TestPollEndsAfterBlanks(t *testing.T) {
	for _, blanks := range []int{0, 2} {
		t.Run(fmt.Sprint(blanks, " blanks"), func(t *testing.T) {
			p := patient
			p.PollTimeout = 500 * time.Millisecond
			s := newTeller(t, (*rig).start, p, transport.Options{})
			l := s.resume(transport.LongPoll, 0, 0)
			until(t, "poll", s.Carried)
			for range blanks {
				s.KeepAlive(nil)
			}
			want := document{blanks: strings.Repeat(" ", blanks), mark: "0"}
			if got, err := l.document(); err != nil || got != want {
				t.Errorf("PollTimeout: %q, %v", got, err)
			}
			l.ask(0)
			until(t, "poll", s.Carried)
			for range blanks {
				s.KeepAlive(nil)
			}
			s.Close(transport.CloseNormal, "")
			if got, err := l.document(); err != nil || got != want {
				t.Errorf("Close: %q, %v", got, err)
			}
			if err := wait(t, "end", s.closed); err != nil {
				t.Errorf("Closed(%v)", err)
			}
		})
	}
}

// A peer of HTTP/1.0 knows no chunks: it gets no blanks, and an end.
func TestOldHTTP(t *testing.T) {
	for _, size := range []int{0, 5, 1 << 20} {
		t.Run(fmt.Sprint("poll of ", size, " bytes"), func(t *testing.T) {
			s := newTeller(t, (*rig).start, patient, transport.Options{})
			l := &line{s.rig.dial(0), transport.LongPoll}
			l.send([]byte("GET /resumed?seen=0 HTTP/1.0\r\nHost: relay\r\n\r\n"))
			until(t, "poll", s.Carried)
			s.KeepAlive(nil)
			m := strings.Repeat("m", size)
			if size > 0 {
				s.tell(m, 0)
			} else {
				s.resume(transport.LongPoll, 0, 0)
			}
			res, body := l.respond()
			if body != "0|"+m || res.ContentLength != int64(size+2) || len(res.TransferEncoding) > 0 {
				t.Errorf("%.40q of %d, %v", body, res.ContentLength, res.TransferEncoding)
			}
			if !l.ended() {
				t.Error("the socket is open")
			}
		})
	}
	t.Run("event stream", func(t *testing.T) {
		s := newTeller(t, (*rig).start, patient, transport.Options{})
		l := &line{s.rig.dial(0), transport.EventStream}
		l.send([]byte("GET /resumed?seen=0 HTTP/1.0\r\nHost: relay\r\nAccept: text/event-stream\r\n\r\n"))
		res := l.head()
		until(t, "stream", s.Carried)
		s.KeepAlive([]byte(silence))
		s.tell("a", 0)
		s.resume(transport.EventStream, 1, 0).carried(s) // ends the first
		body, err := io.ReadAll(l.r)
		if err != nil || string(body) != "begin<-><a>" || len(res.TransferEncoding) > 0 {
			t.Errorf("%q, %v, %v", body, res.TransferEncoding, err)
		}
	})
}

// A format without a Blank leaves polls alone.
func TestKeepAliveWithoutBlank(t *testing.T) {
	start := func(r *rig, o transport.Options) *rig {
		r.format.Blank = ""
		return r.start(o)
	}
	s := newTeller(t, start, patient, transport.Options{})
	l := s.resume(transport.LongPoll, 0, 0)
	until(t, "poll", s.Carried)
	s.KeepAlive([]byte("{}"))
	s.tell("a", 0)
	if res, body := l.respond(); body != "0|a" || res.ContentLength != 3 {
		t.Errorf("%q of %d bytes", body, res.ContentLength)
	}
}

// Blanks find out that a poll's peer has gone, and a message that such a poll
// was given is brought by the next.
func TestKeepAliveOfVanishedPoll(t *testing.T) {
	for _, blanks := range []int{0, 1, 5} {
		t.Run(fmt.Sprint(blanks, " blanks"), func(t *testing.T) {
			s := newTeller(t, (*rig).start, patient, transport.Options{})
			for i := range 20 {
				l := s.resume(transport.LongPoll, i, 0)
				until(t, "poll", s.Carried)
				l.reset()
				for range blanks {
					s.KeepAlive(nil)
				}
				m := fmt.Sprint("m", i)
				if err := s.tell(m, 0); err != nil {
					t.Fatal(err)
				}
				if n := s.Queued(); n != 0 {
					t.Errorf("%d bytes wait for nobody", n)
				}
				next := s.resume(transport.LongPoll, i, 0)
				got, err := next.document()
				if want := (document{mark: fmt.Sprint(i), messages: m}); err != nil || got != want {
					t.Fatalf("%q, %v, want %q", got, err, want)
				}
				next.Conn.Close()
			}
		})
	}
}
