package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// starts are the listeners that every transport must work on.
var starts = map[string]func(*rig, transport.Options) *rig{"plain": (*rig).start, "TLS": (*rig).startTLS}

func everyWay(t *testing.T, f func(t *testing.T, kind transport.Kind, start func(*rig, transport.Options) *rig)) {
	for _, kind := range kinds {
		for name, start := range starts {
			t.Run(kind.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				f(t, kind, start)
			})
		}
	}
}

// Each sender's messages arrive in its order and whole, whether they come
// alone or in bursts, on every transport.
func TestOrderUnderConcurrentSenders(t *testing.T) {
	const senders, each = 4, 100
	everyWay(t, func(t *testing.T, kind transport.Kind, start func(*rig, transport.Options) *rig) {
		r := newRig(t)
		r.profile.Buffer = 64 << 20
		r = start(r, transport.Options{})
		c, p := r.connect(kind, "a", 0)
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := range each {
					pad := strings.Repeat("x", i*i%5000)
					if err := p.Send(fmt.Appendf(nil, "%d %d %s;", s, i, pad), true, uint32(s*(i/10%2))); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var next [senders]int
		var open string
		for n := 0; n < senders*each; {
			b, err := (stream{c, kind, "a"}).read()
			if err != nil {
				t.Fatal(err)
			}
			open += b
			for {
				m, rest, whole := strings.Cut(open, ";")
				if !whole {
					break
				}
				var s, i int
				var pad string
				fmt.Sscanf(m, "%d %d %s", &s, &i, &pad)
				if i != next[s] || len(pad) != i*i%5000 {
					t.Fatalf("sender %d: message %d with %d bytes, want %d", s, i, len(pad), next[s])
				}
				next[s]++
				n++
				open = rest
			}
		}
		wg.Wait()
		if n := p.Queued(); n != 0 {
			t.Errorf("%d bytes are queued after all has arrived", n)
		}
	})
}

// A socket that takes messages in part goes on exactly where it stopped.
func TestPartialWritesResume(t *testing.T) {
	sizes := []int{1, 100 << 10, 1 << 20, 0, 5000, 70 << 10, 3, 4096, 4097, 1 << 20, 8192, 16 << 10, 200 << 10}
	everyWay(t, func(t *testing.T, kind transport.Kind, start func(*rig, transport.Options) *rig) {
		r := newRig(t)
		r.profile.Buffer = 64 << 20
		r = start(r, transport.Options{})
		c, p := r.connect(kind, "a", 64<<10)
		var want strings.Builder
		for round := range 2 {
			for i, n := range sizes {
				m := strings.Repeat(fmt.Sprintf("%d.%d\n", round, i), n/4+1)[:n]
				want.WriteString(m)
				var err error
				if (i+round)%3 == 0 {
					err = p.more(m)
				} else {
					err = p.send(m)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		var got strings.Builder
		for got.Len() < want.Len() {
			b, err := (stream{c, kind, "a"}).read()
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(b)
		}
		if g, w := got.String(), want.String(); g != w {
			at := 0
			for at < min(len(g), len(w)) && g[at] == w[at] {
				at++
			}
			t.Errorf("%d bytes differ from %d wanted at %d", len(g), len(w), at)
		}
		until(t, "empty queue", func() bool { return p.Queued() == 0 })
	})
}

// Messages of a batch share writes.
func TestBatchesCoalesce(t *testing.T) {
	const n = 100
	r := newRig(t).start(transport.Options{})
	c, p := r.connect(transport.WebSocket, "a", 0)
	for i := range n {
		p.more(fmt.Sprintf("%03d", i))
	}
	for i := range n {
		c.wantFrame(text, fmt.Sprintf("%03d", i))
	}
	s := r.srv.Stats()
	if inline, deferred := s.Inline.Load(), s.Deferred.Load(); inline != 1 || deferred != n-1 {
		t.Errorf("%d messages written inline and %d deferred, want 1 and %d", inline, deferred, n-1)
	}
	// A poll shows how many messages share an answer: all that waited for it.
	l, q := r.connect(transport.LongPoll, "b", 0)
	q.send("first")
	if _, body := l.respond(); body != "first" {
		t.Fatal(body)
	}
	var want string
	for i := range n {
		q.more(fmt.Sprint(i))
		want += fmt.Sprint(i)
	}
	l.send([]byte(request(transport.LongPoll, "b")))
	if _, body := l.respond(); body != want {
		t.Errorf("poll brought %.40q, want %.40q", body, want)
	}
}

// A peer that takes nothing costs its buffer and no more, and the sender
// hears of it.
func TestSlowPeerIsBounded(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t)
			r.profile.Buffer = 100 << 10
			r.start(transport.Options{WriteTimeout: time.Minute})
			c, p := r.connect(kind, "a", 64<<10)
			m := strings.Repeat("m", 10<<10)
			var err error
			taken := 0
			for err == nil {
				if err = p.send(m); err == nil {
					taken++
				}
				if q := p.Queued(); q > r.profile.Buffer+2*len(m)+100 { // it, the largest, and the one that found room; heads
					t.Fatalf("%d bytes are queued", q)
				}
				if taken > 4000 {
					t.Fatal("40 MB were taken")
				}
			}
			if !errors.Is(err, transport.ErrSlow) || r.srv.Stats().Slow.Load() != 1 {
				t.Errorf("send: %v, counted %d", err, r.srv.Stats().Slow.Load())
			}
			p.Cut(err) // what the caller does then
			if err := wait(t, "end", p.closed); !errors.Is(err, transport.ErrSlow) {
				t.Errorf("Closed(%v)", err)
			}
			if p.Queued() != 0 {
				t.Error("bytes are queued after the end")
			}
			c.Close()
		})
	}
	t.Run("one message of any size", func(t *testing.T) {
		r := newRig(t)
		r.profile.Buffer = 10
		r.start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 0)
		m := strings.Repeat("m", 8<<20)
		if err := p.send(m); err != nil {
			t.Fatal(err)
		}
		next := 0
		err := p.send("next") // there is room for it as if nothing large were waiting
		for ; err == nil && next < 10; next++ {
			err = p.send("next")
		}
		if next == 0 || !errors.Is(err, transport.ErrSlow) {
			t.Errorf("%d sends behind it: %v", next, err)
		}
		c.wantFrame(text, m)
	})
}

// A stalled socket is lost after the write timeout; one that moves is not,
// however slowly.
func TestWriteTimeout(t *testing.T) {
	for _, kind := range kinds {
		t.Run("stalled "+kind.String(), func(t *testing.T) {
			r := newRig(t)
			r.profile.WriteTimeout = 50 * time.Millisecond
			r.profile.Buffer = 64 << 20
			r.start(transport.Options{})
			c, p := r.connect(kind, "a", 64<<10)
			p.send(strings.Repeat("m", 16<<20))
			until(t, "failed write", func() bool { return r.srv.Stats().WriteFail.Load() == 1 })
			if kind != transport.LongPoll {
				wait(t, "end", p.closed)
			}
			// The response is cut off.
			if n, err := io.Copy(io.Discard, c.r); n >= 16<<20 {
				t.Errorf("the peer got all of it, %v", err)
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		const timeout = 400 * time.Millisecond
		r := newRig(t)
		r.profile.WriteTimeout = timeout
		r.profile.Buffer = 64 << 20
		r.start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 64<<10)
		full := 0
		for p.Queued() == 0 { // until the kernel's buffers are full
			p.send(strings.Repeat("m", 64<<10))
			full++
		}
		p.send(strings.Repeat("n", 64<<10))
		// Each tick lets less through than one write of ours, for several
		// timeouts: time is what this is about.
		tick := time.NewTicker(timeout / 8)
		defer tick.Stop()
		begin := time.Now()
		var b [16 << 10]byte
		total := 0
		for time.Since(begin) < 3*timeout {
			<-tick.C
			n, err := io.ReadFull(c.Conn, b[:])
			if err != nil {
				t.Fatalf("after %v and %d bytes: %v", time.Since(begin), total, err)
			}
			total += n
		}
		rest, err := io.CopyN(io.Discard, c.Conn, int64((full+1)*(64<<10+10)-total))
		if err != nil {
			t.Errorf("after %d more bytes: %v", rest, err)
		}
	})
}

// An app server's outbox: parts are copied at once, all that waits is one
// message, and Wait holds the senders back.
func TestStream(t *testing.T) {
	for name, start := range starts {
		t.Run("borrowed parts "+name, func(t *testing.T) {
			r := newRig(t)
			r.profile.Stream = true
			r.profile.ReadBuffer = 64 << 10
			r = start(r, transport.Options{})
			c, p := r.connect(transport.WebSocket, "a", 0)
			var want string
			part := make([]byte, 3)
			for i := range 500 {
				copy(part, fmt.Sprintf("%03d", i))
				if err := p.SendCopy(part[:1], part[1:2], part[2:]); err != nil {
					t.Fatal(err)
				}
				want += string(part)
			}
			copy(part, "???")
			var got string
			for len(got) < len(want) {
				f, b, err := c.readFrame()
				if err != nil || f != bin {
					t.Fatalf("frame %#x, %v", f, err)
				}
				got += string(b)
			}
			if got != want {
				t.Errorf("got %.60q, want %.60q", got, want)
			}
			// What the server sends back may be large.
			m := strings.Repeat("b", 1<<20)
			c.send(frame(bin, m))
			if got := wait(t, "message", p.got); got != m {
				t.Errorf("got %d bytes", len(got))
			}
		})
	}
	t.Run("back-pressure", func(t *testing.T) {
		r := newRig(t)
		r.profile.Stream = true
		r.start(transport.Options{WriteTimeout: time.Minute})
		c, p := r.connect(transport.WebSocket, "a", 0)
		m := []byte(strings.Repeat("m", 50<<10))
		total := 0
		for p.Queued() <= r.profile.HighWater {
			if err := p.SendCopy(nil, m, nil); err != nil {
				t.Fatal(err)
			}
			total += len(m)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Wait(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("wait: %v", err)
		}
		free := make(chan error, 2)
		for range 2 {
			go func() { free <- p.Wait(t.Context()) }()
		}
		for got := 0; got < total; {
			_, b, err := c.readFrame()
			if err != nil {
				t.Fatal(err)
			}
			got += len(b)
		}
		for range 2 {
			if err := wait(t, "release", free); err != nil {
				t.Errorf("wait: %v", err)
			}
		}
	})
	for name, end := range map[string]func(p *peer){
		"Close": func(p *peer) { p.Close(1000, "") },
		"Cut":   func(p *peer) { p.Cut(io.ErrNoProgress) },
	} {
		t.Run(name+" releases who waits", func(t *testing.T) {
			r := newRig(t)
			r.profile.Stream = true
			r.start(transport.Options{WriteTimeout: time.Minute})
			p := r.peer("a") // no carrier: nothing moves
			p.SendCopy(nil, make([]byte, r.profile.HighWater+1), nil)
			free := make(chan error, 1)
			go func() { free <- p.Wait(t.Context()) }()
			end(p)
			if err := wait(t, "release", free); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("wait: %v", err)
			}
		})
	}
	t.Run("Close of a stalled peer releases who waits", func(t *testing.T) {
		r := newRig(t)
		r.profile.Stream = true
		r.profile.Buffer = 64 << 20
		r.start(transport.Options{WriteTimeout: time.Minute})
		_, p := r.connect(transport.WebSocket, "a", 64<<10)
		p.SendCopy(nil, make([]byte, 16<<20), nil)
		free := make(chan error, 1)
		go func() { free <- p.Wait(t.Context()) }()
		p.Close(1000, "")
		if err := wait(t, "release", free); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("wait: %v", err)
		}
		p.Cut(nil)
	})
}

// Close lets out what waits, also behind a full socket.
func TestCloseFlushes(t *testing.T) {
	everyWay(t, func(t *testing.T, kind transport.Kind, start func(*rig, transport.Options) *rig) {
		r := start(newRig(t), transport.Options{})
		c, p := r.connect(kind, "a", 64<<10)
		m := strings.Repeat("m", 900<<10)
		var want string
		for p.send(m) == nil && len(want) < 8*len(m) {
			want += m
		}
		p.Close(1000, "")
		var got strings.Builder
		for got.Len() < len(want) {
			b, err := (stream{c, kind, "a"}).read()
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(b)
		}
		if got.String() != want {
			t.Error("the bytes differ")
		}
		switch kind {
		case transport.WebSocket:
			c.wantFrame(shut, closing(1000, ""))
		case transport.EventStream:
			if s := c.chunk(); s != "" {
				t.Errorf("chunk %q, want the last", s)
			}
		case transport.LongPoll:
			if res, _ := c.respond(); res.StatusCode != 204 || res.Header.Get("X-Poll") != "ended" {
				t.Errorf("last poll: %s", res.Status)
			}
		}
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v), want nil", err)
		}
	})
}

// Cut drops the socket now, whatever waits for it.
func TestCutOfStalledSocket(t *testing.T) {
	for _, kind := range kinds[:2] {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).start(transport.Options{WriteTimeout: time.Hour})
			c, p := r.connect(kind, "a", 64<<10)
			p.send(strings.Repeat("m", 16<<20))
			p.Close(1000, "") // would wait for the peer
			p.Cut(io.ErrNoProgress)
			if err := wait(t, "end", p.closed); err != io.ErrNoProgress {
				t.Errorf("Closed(%v)", err)
			}
			if err := p.send("late"); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("send: %v", err)
			}
			if !c.ended() {
				t.Error("the socket is open")
			}
		})
	}
}

// A failed inline write ends the Conn like any other loss.
func TestSendToLostSocket(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	in, out := make(chan struct{}), make(chan struct{})
	r.message = func(*peer, []byte, transport.Frame) error { in <- struct{}{}; <-out; return nil }
	c, p := r.connect(transport.WebSocket, "a", 0)
	c.send(frame(text, "x"))
	wait(t, "message", in) // the owner reads nothing now
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	until(t, "failed send", func() bool { return p.send("m") != nil })
	close(out)
	if err := wait(t, "end", p.closed); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Closed(%v)", err)
	}
}
