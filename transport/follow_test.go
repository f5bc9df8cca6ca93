package transport_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// silence is what KeepAlive says.
const silence = "-"

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
