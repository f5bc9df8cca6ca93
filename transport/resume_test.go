package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

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
