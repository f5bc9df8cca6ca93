package aspnetcore_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/nodetest"
)

// Clients that come and go, by every transport and with every kind of end,
// leave nothing behind.
func TestManyRounds(t *testing.T) {
	rounds := 10_000
	switch {
	case raceDetector:
		rounds = 600
		t.Log("600 rounds of 10,000: the race detector makes each many times slower and grows the heap by itself")
	case testing.Short():
		rounds = 1000
		t.Log("1,000 rounds of 10,000: -short")
	}
	s := serve(t, aspnetcore.Options{})
	b := &faulty{hub: s.hub()}
	b.route = s.hub().Attach(relay.Attach{Backend: b, ServerID: "app"})
	token := s.token("role", "member")
	round := func(i int) {
		switch {
		case i%10 == 8: // long polling, ended by the client
			con := s.negotiate(token)
			s.Ask("GET", path(con), token, "")
			s.Ask("POST", path(con), token, hello)
			if r := s.Ask("GET", path(con), token, ""); r.Body != "{}"+rs {
				t.Errorf("%+v", r)
			}
			s.Ask("DELETE", path(con), token, "")
		case i%10 == 9: // event stream, cut
			con := s.negotiate(token)
			e, _ := s.stream(con, token)
			s.Ask("POST", path(con), token, hello)
			if m, err := e.next(); m != "{}"+rs {
				t.Errorf("%q %v", m, err)
			}
			e.c.Close()
		default:
			c, err := ws.Dial(context.Background(), "ws://"+s.Addr+"/client/?hub=chat&access_token="+token, nil)
			if err != nil {
				t.Error(err)
				return
			}
			c.Write(ws.Text, []byte(hello))
			if _, p, err := c.Read(); string(p) != "{}"+rs {
				t.Errorf("%q %v", p, err)
			}
			if i%3 == 0 {
				c.NetConn().Close()
			} else {
				c.Close(1000, "")
			}
		}
	}
	run := func(n int) {
		var wg sync.WaitGroup
		for lane := range 4 {
			wg.Go(func() {
				for i := lane; i < n && !t.Failed(); i += 4 {
					round(i)
				}
			})
		}
		wg.Wait()
		s.HTTP.CloseIdleConnections()
		nodetest.Until(t, "all gone", func() bool { return s.Clients() == 0 && s.Server.Len() == 0 && s.hub().Len() == 0 })
	}
	run(200) // pools and maps have their size then
	goroutines, heap := left()
	run(rounds)
	// The ends of idle HTTP connections are noticed a moment later.
	nodetest.Until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+4 })
	if _, after := left(); !raceDetector {
		// Ids are remembered while their token is good; that is all.
		ids := s.Ended() * 200
		if grown := after - heap - ids; grown > 1<<20 {
			t.Errorf("%d bytes more on the heap after %d rounds", grown, rounds)
		}
		t.Logf("heap %d KiB before and %d KiB after %d rounds, %d ids remembered", heap>>10, after>>10, rounds, s.Ended())
	}
	b.route.Detach(relay.Reason{})
}

// left returns goroutines and heap, without garbage.
func left() (goroutines, heap int) {
	for range 3 { // a pool is empty after two collections
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), int(m.HeapAlloc)
}
