package appserver_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const buffer = 256 << 10

// stall attaches a server that reads nothing any more and fills it until its
// clients wait. It returns the result of the Data that is stuck.
func stall(t *testing.T, s *service) (a *app, mine *client, stuck chan error, sent *int) {
	t.Helper()
	a = s.stalled("a")
	a.Send(&serviceproto.HandshakeRequest{Version: 1})
	nodetest.Until(t, "attached", func() bool { return s.hub.Routes() > 0 })
	mine = s.connect(relay.Connect{ID: "x", ServerID: "a", Sticky: relay.Required})
	stuck, sent = make(chan error, 1), new(int)
	piece := bytes.Repeat([]byte("x"), 16<<10)
	started := make(chan struct{}, 1<<20)
	go func() { // ends with the error
		for {
			select {
			case started <- struct{}{}:
			default:
			}
			if err := mine.Data(t.Context(), piece, true, false); err != nil {
				stuck <- err
				return
			}
		}
	}()
	// It waits once nothing has begun for a while and the outbox is over its mark.
	nodetest.Until(t, "clients wait", func() bool {
		for {
			select {
			case <-started:
				*sent++
				continue
			case <-time.After(200 * time.Millisecond):
			}
			return a.conn.Transport().Queued() > buffer/2
		}
	})
	return a, mine, stuck, sent
}

func TestStalledAppServer(t *testing.T) {
	s := serve(t, appserver.Options{Buffer: buffer})
	a, mine, stuck, sent := stall(t, s)
	if n := a.conn.Transport().Queued(); n > buffer {
		t.Errorf("%d bytes wait, more than the %d allowed", n, buffer)
	}
	// Nobody else waits, neither clients of other servers nor sends to the one that does.
	b := s.attach("b", serviceproto.HandshakeRequest{})
	other := s.at(b, "y", "")
	for i := range 100 {
		if err := other.Data(t.Context(), fmt.Append(nil, i), true, false); err != nil {
			t.Fatal(err)
		}
		if m := nodetest.Expect[*serviceproto.ConnectionData](b.Link); string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("%+v", m)
		}
	}
	b.Send(&serviceproto.BroadcastData{Payload: payload("all")})
	if mine.next() != "all" || other.next() != "all" {
		t.Error("broadcast")
	}
	select {
	case err := <-stuck:
		t.Fatalf("gave up: %v", err)
	default:
	}
	// Once it reads, all comes, whole.
	a.Listen()
	nodetest.Expect[*serviceproto.HandshakeResponse](a.Link)
	nodetest.Expect[*serviceproto.OpenConnection](a.Link)
	nodetest.Expect[*serviceproto.ConnectionData](a.Link)
	for range *sent + 10 {
		if m := nodetest.Expect[*serviceproto.ConnectionData](a.Link); len(m.Data) != 16<<10 {
			t.Fatalf("%d bytes", len(m.Data))
		}
	}
	a.NetConn().Close()
	if err := nodetest.Wait(t, "end of the stuck Data", stuck); !errors.Is(err, relay.ErrClosed) {
		t.Error(err)
	}
}

func TestStalledAppServerDies(t *testing.T) {
	s := serve(t, appserver.Options{Buffer: buffer})
	a, mine, stuck, _ := stall(t, s)
	a.NetConn().Close()
	if got := mine.reason(); got.Category != relay.ServerConnectionClosed || !got.AllowReconnect {
		t.Errorf("%+v", got)
	}
	if err := nodetest.Wait(t, "end of the stuck Data", stuck); !errors.Is(err, relay.ErrClosed) {
		t.Error(err)
	}
}

// What cannot wait fills the buffer too, here answers to an app that asks and
// does not listen. Full, the connection ends: the alternative were a server
// that misses the end of a client.
func TestStalledAppServerOverflows(t *testing.T) {
	s := serve(t, appserver.Options{Buffer: buffer})
	a, mine, stuck, _ := stall(t, s)
	b := s.attach("b", serviceproto.HandshakeRequest{})
	ask := serviceproto.Append(nil, &serviceproto.Ping{Words: []string{"servers", ""}})
	for range 20 {
		if a.Write(ws.Binary, bytes.Repeat(ask, 1000)) != nil {
			break // cut meanwhile
		}
	}
	if got := mine.reason(); got.Category != relay.ServerConnectionClosed || !got.AllowReconnect {
		t.Errorf("%+v", got)
	}
	if err := nodetest.Wait(t, "end of the stuck Data", stuck); !errors.Is(err, relay.ErrClosed) {
		t.Error(err)
	}
	b.alive()
}
