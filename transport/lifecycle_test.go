package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalrelay/signalrelay/transport"
	"github.com/valyala/fasthttp/fasthttputil"
)

// A Conn with a grace outlives a lost WebSocket: what is sent meanwhile waits,
// and the next carrier brings it.
func TestGrace(t *testing.T) {
	t.Parallel()
	t.Run("what waits goes on", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 0)
		p.SetGrace(time.Minute)
		for i := range 5 {
			c.Close()
			until(t, "loss", func() bool { return !p.Carried() })
			p.send(fmt.Sprint("while away ", i))
			p.more("more")
			c, _ = r.connect(transport.WebSocket, "a", 0)
			c.wantFrame(text, fmt.Sprint("while away ", i))
			c.wantFrame(text, "more")
			until(t, "empty queue", func() bool { return p.Queued() == 0 })
			c.send(frame(text, "hello"))
			if got := wait(t, "message", p.got); got != "hello" {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("bytes lost with a socket are not counted for ever", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 64<<10)
		p.SetGrace(time.Minute)
		p.send(strings.Repeat("m", 16<<20)) // part of it stays here
		if p.Queued() == 0 {
			t.Fatal("the socket took it all")
		}
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
		until(t, "loss", func() bool { return !p.Carried() })
		if n := p.Queued(); n != 0 {
			t.Errorf("%d bytes are queued", n)
		}
		c, _ = r.connect(transport.WebSocket, "a", 0)
		if err := p.send("next"); err != nil {
			t.Fatal(err)
		}
		c.wantFrame(text, "next")
	})
	t.Run("ends", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 0)
		p.SetGrace(time.Millisecond)
		c.Close()
		if err := wait(t, "end", p.closed); !errors.Is(err, transport.ErrTimeout) {
			t.Errorf("Closed(%v)", err)
		}
	})
	t.Run("Close without a carrier", func(t *testing.T) {
		r := newRig(t).start(transport.Options{})
		c, p := r.connect(transport.WebSocket, "a", 0)
		p.SetGrace(time.Minute)
		c.Close()
		until(t, "loss", func() bool { return !p.Carried() })
		p.Close(1000, "")
		if err := wait(t, "end", p.closed); err != nil {
			t.Errorf("Closed(%v)", err)
		}
	})
}

// Restart ends the carrier and gives the next one exactly these messages.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.profile.HighWater = 10
	r.start(transport.Options{WriteTimeout: time.Hour})
	c, p := r.connect(transport.WebSocket, "a", 64<<10)
	p.SetGrace(time.Minute)
	p.send(strings.Repeat("m", 16<<20)) // the writer is at work
	p.send("dropped")
	free := make(chan error, 1)
	go func() { free <- p.Wait(t.Context()) }()
	p.Restart([]transport.Queued{{Data: []byte("one"), Text: true}, {Data: []byte("two")}})
	if err := wait(t, "room", free); err != nil {
		t.Errorf("wait: %v", err)
	}
	if n := p.Queued(); n != 6 {
		t.Errorf("%d bytes are queued, want 6", n)
	}
	if !c.ended() {
		t.Error("the old socket is open")
	}
	p.send("three")
	next, _ := r.connect(transport.WebSocket, "a", 0)
	next.wantFrame(text, "one")
	next.wantFrame(bin, "two")
	next.wantFrame(text, "three")
	next.send(frame(text, "hello"))
	if got := wait(t, "message", p.got); got != "hello" {
		t.Errorf("got %q", got)
	}
	until(t, "empty queue", func() bool { return p.Queued() == 0 })
	p.Restart(nil)
	p.Cut(nil)
	p.Restart(nil) // of an ended Conn: nothing
	wait(t, "end", p.closed)
}

// What arrives by the old carrier after a Restart is nobody's.
func TestRestartWhileMessageIsAtWork(t *testing.T) {
	r := newRig(t)
	in, out := make(chan string), make(chan struct{})
	r.message = func(_ *peer, b []byte, _ transport.Frame) error {
		in <- string(b)
		<-out
		return nil
	}
	r.start(transport.Options{})
	c, p := r.connect(transport.WebSocket, "a", 0)
	p.SetGrace(time.Minute)
	c.send(append(frame(text, "first"), frame(text, "of the old one")...))
	wait(t, "message", in)
	p.Restart(nil)
	c, _ = r.connect(transport.WebSocket, "a", 0)
	c.send(frame(text, "second"))
	close(out)
	if got := wait(t, "message", in); got != "second" {
		t.Errorf("got %q", got)
	}
}

// Seconds of the sweeper, in a bubble where they cost nothing: sockets are
// pipes there.
func TestSweeper(t *testing.T) {
	warmUp(t)
	for _, test := range []struct {
		name string
		want time.Duration
		err  error
		do   func(r *rig, p *peer)
	}{
		{"Await", 15 * time.Second, transport.ErrTimeout, func(r *rig, p *peer) {}},
		{"PollGap after Touch", 15 * time.Second, transport.ErrTimeout, func(r *rig, p *peer) {
			p.Bind(transport.LongPoll)
			p.Touch()
		}},
		{"Touch again and again", 65 * time.Second, transport.ErrTimeout, func(r *rig, p *peer) {
			p.Bind(transport.LongPoll)
			for range 5 {
				time.Sleep(10 * time.Second)
				p.Touch()
			}
		}},
		{"Close before any carrier", 0, nil, func(r *rig, p *peer) { p.Close(1000, "") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				l := fasthttputil.NewInmemoryListener()
				r.startOn(transport.Options{}, l)
				begin := time.Now()
				p := r.peer("a")
				test.do(r, p)
				err := <-p.closed
				if !errors.Is(err, test.err) {
					t.Errorf("Closed(%v), want %v", err, test.err)
				}
				if took := time.Since(begin); took < test.want || took > test.want+2*time.Second {
					t.Errorf("ended after %v, want %v", took, test.want)
				}
				r.stop()
				time.Sleep(time.Minute) // fasthttp has a goroutine that looks up each 10 s
			})
		})
	}
	t.Run("Tick", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.startOn(transport.Options{}, fasthttputil.NewInmemoryListener())
			p := counter{make(chan error, 1), new(atomic.Int64)}
			c := r.srv.NewConn(p, &r.profile)
			time.Sleep(10*time.Second + time.Millisecond)
			if n := p.ticks.Load(); n != 10 {
				t.Errorf("%d ticks in 10 s", n)
			}
			c.Cut(nil)
			<-p.closed
			time.Sleep(10 * time.Second)
			if n := p.ticks.Load(); n != 10 {
				t.Errorf("%d ticks, some after the end", n)
			}
			r.stop()
			time.Sleep(time.Minute)
		})
	})
}

type counter struct {
	closed chan error
	ticks  *atomic.Int64
}

func (c counter) Message([]byte, transport.Frame) error { return nil }
func (c counter) Closed(err error)                      { c.closed <- err }
func (c counter) Tick(time.Time)                        { c.ticks.Add(1) }

// warmUp starts what fasthttp starts once for a process, outside of a bubble.
func warmUp(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	c := r.dial(0)
	c.send([]byte("GET / HTTP/1.1\r\nHost: relay\r\n\r\n"))
	c.respond()
}

// An idle owner folds onto a new goroutine after a second or two; nothing of
// that may show.
func TestIdleOwnersFold(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds[:2] {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start(transport.Options{CloseTimeout: 50 * time.Millisecond})
			c, p := r.connect(kind, "a", 0)
			half, q := r.connect(kind, "half", 0)
			whole := frame(text, "in two parts")
			if kind == transport.WebSocket {
				half.send(whole[:7])
			}
			lost, gone := r.connect(kind, "lost", 0)
			ticked := counter{make(chan error, 1), new(atomic.Int64)}
			s := r.srv.NewConn(ticked, &r.profile)
			until(t, "four seconds", func() bool { return ticked.ticks.Load() >= 4 })
			s.Cut(nil)
			p.send("still here")
			if got, err := (stream{c, kind, "a"}).read(); got != "still here" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			if kind == transport.WebSocket {
				c.send(frame(text, "hello"))
				if got := wait(t, "message", p.got); got != "hello" {
					t.Errorf("got %q", got)
				}
				half.send(whole[7:])
				if got := wait(t, "message", q.got); got != "in two parts" {
					t.Errorf("got %q", got)
				}
			}
			lost.Close()
			if err := wait(t, "end", gone.closed); err == nil {
				t.Error("Closed(nil) for a lost peer")
			}
			p.Close(1000, "")
			if err := wait(t, "end", p.closed); err != nil {
				t.Errorf("Closed(%v)", err)
			}
			if !c.ended() {
				t.Error("the socket is open")
			}
		})
	}
}

// Thousands of clients come and go, in every way, and leave nothing.
func TestChurnLeavesNothing(t *testing.T) {
	rounds := 10000
	if testing.Short() || raceEnabled {
		rounds = 600
		t.Logf("%d rounds instead of 10,000 under -short or -race, which is 10 times slower", rounds)
	}
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			r := newRig(t)
			r.churns = true
			served := 0
			r.start(transport.Options{CloseTimeout: 10 * time.Millisecond})
			churn := func(n int) {
				for range n {
					served++
					id := fmt.Sprint(served)
					c, p := r.connect(kind, id, 0)
					switch served % 4 {
					case 0:
						c.Close()
						p.Close(0, "")
						if kind == transport.LongPoll {
							p.Cut(nil)
						}
					case 1:
						p.send("m")
						p.Cut(nil)
					case 2:
						p.more("m")
						p.more("n")
						p.Close(1000, "")
						if kind == transport.LongPoll {
							c.respond() // m
							c.poll(id)  // n
							c.poll(id)  // the end
						}
					case 3:
						if kind == transport.WebSocket {
							c.send(frame(shut, closing(1000, "")))
						} else {
							c.Close()
							p.Cut(nil)
						}
					}
					wait(t, "end", p.closed)
					c.Close()
					r.mu.Lock()
					delete(r.peers, id)
					r.mu.Unlock()
				}
			}
			var m runtime.MemStats
			churn(100)
			settle := func() (goroutines int, heap int64) {
				until(t, "no carriers", func() bool { return r.srv.Stats().Carriers[kind].Load() == 0 && r.srv.Len() == 0 })
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return len(ours()), int64(m.HeapAlloc)
			}
			before, heap := settle()
			churn(rounds)
			until(t, "end of the goroutines", func() bool { return len(ours()) <= before })
			if _, now := settle(); now-heap > 2<<20 {
				t.Errorf("%d bytes of heap are left of %d rounds", now-heap, rounds)
			}
		})
	}
}

// Shutdown leaves no goroutine, also when it must cut.
func TestShutdown(t *testing.T) {
	if all := ours(); len(all) != 0 {
		t.Fatalf("other tests have left %d goroutines, one of them: %s", len(all), all[0])
	}
	for name, start := range starts {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " cut ", cut), func(t *testing.T) {
				r := start(newRig(t), transport.Options{CloseTimeout: time.Hour})
				var clients []*client
				var ended []*peer
				for i := range 30 {
					c, p := r.connect(kinds[i%3], fmt.Sprint(i), 0)
					if i%2 == 0 {
						p.send("m") // leaves polls answered and their sockets idle
					}
					clients, ended = append(clients, c), append(ended, p)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if cut {
					cancel()
				} else {
					for _, p := range ended {
						p.Close(1001, "")
						if p.Kind() == transport.LongPoll {
							p.Cut(nil)
						}
					}
				}
				down := make(chan error, 1)
				go func() { down <- r.srv.Shutdown(ctx) }()
				if err := wait(t, "end of Shutdown", down); !cut && err != nil {
					t.Error(err)
				}
				for _, p := range ended {
					wait(t, "end", p.closed)
				}
				for i, c := range clients {
					if !c.ended() {
						t.Errorf("socket %d is open", i)
					}
				}
				if n := r.srv.Len(); n != 0 {
					t.Errorf("%d Conns are left", n)
				}
			})
		}
	}
	if all := ours(); len(all) != 0 {
		t.Errorf("%d goroutines are left, one of them: %s", len(all), all[0])
	}
}

// Shutdown that waits for a Receiver does so quietly, and ends after it.
func TestShutdownWaitsForMessage(t *testing.T) {
	r := newRig(t)
	in, out := make(chan struct{}), make(chan struct{})
	r.message = func(*peer, []byte, transport.Frame) error { in <- struct{}{}; <-out; return io.EOF }
	r.start(transport.Options{})
	c, p := r.connect(transport.WebSocket, "a", 0)
	c.send(frame(text, "x"))
	wait(t, "message", in)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	down := make(chan error, 1)
	go func() { down <- r.srv.Shutdown(ctx) }()
	if !c.ended() {
		t.Error("the socket is open")
	}
	select {
	case <-down:
		t.Error("Shutdown did not wait for Message")
	default:
	}
	close(out)
	wait(t, "end of Shutdown", down)
	wait(t, "end", p.closed)
}

// Serve and Shutdown may meet in any order.
func TestServeMeetsShutdown(t *testing.T) {
	for range 100 {
		s := transport.NewServer(func(*transport.Exchange) {}, transport.Options{})
		served, l := make(chan error, 1), listen(t)
		go func() { served <- s.Serve(l) }()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := wait(t, "end of Serve", served); err != nil {
			t.Errorf("serve: %v", err)
		}
	}
}
