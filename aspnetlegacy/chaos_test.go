package aspnetlegacy_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// TestChaos has clients come, cut, return, leave, vanish and be closed, all at
// once, while their app loses its server connection. The app hears of each
// client once, of its end once, and of nothing else before or after; and in the
// end nothing is left.
func TestChaos(t *testing.T) {
	s := serve(t, aspnetlegacy.Options{})
	s.SetGrace(50 * time.Millisecond)
	first, second := s.app("server-1", "chat"), s.app("server-2", "chat")
	watched := make(chan error, 2)
	var open [2]atomic.Int64
	for i, l := range []*link{first.link, second.link} {
		go func() { watched <- watch(l, &open[i]) }() // ends with the server connection
	}
	t.Run("clients", func(t *testing.T) {
		for i := range 6 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				own := *s
				own.T = t
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for range 12 {
					own.rush(r)
				}
			})
		}
		t.Run("server", func(t *testing.T) {
			t.Parallel()
			nodetest.Until(t, "some clients", func() bool { return s.Relay.Stats().Opened.Load() > 20 })
			first.NetConn().Close()
		})
	})
	s.nothingKept()
	nodetest.Until(t, "the app hears of every end", func() bool { return open[1].Load() == 0 })
	s.Adapter.Close()
	for range cap(watched) {
		if err := <-watched; err != nil {
			t.Error(err)
		}
	}
}

// rush is one client's short and hasty life.
func (s *service) rush(r *rand.Rand) {
	c := s.negotiate([]string{"chat"})
	via := transports[r.IntN(len(transports))]
	if c.open("connect", via) != nil {
		return
	}
	for range r.IntN(6) {
		switch r.IntN(4) {
		case 0:
			if _, poll := c.channel.(*polls); !poll { // which would wait
				c.elements()
			}
		case 1:
			c.cut()
			via = transports[r.IntN(len(transports))]
			if c.open("reconnect", via) != nil {
				return // closed meanwhile
			}
		case 2:
			c.post(longPolling, "hello")
		case 3:
			c.post(longPolling, "close")
		}
	}
	if r.IntN(2) == 0 {
		s.Ask("POST", c.target("abort", via), c.login, "")
	}
	c.cut()
}

// watch is an app that answers whatever it hears and closes who asks for it.
// It counts the clients that it has and returns what it should not have heard.
func watch(l *link, count *atomic.Int64) error {
	const open, over = 1, 2
	clients := map[string]int{}
	var d serviceproto.Decoder
	for body := range l.Frames {
		m, err := d.Decode(body)
		if err != nil {
			return err
		}
		var reply serviceproto.Message
		switch m := m.(type) {
		case *serviceproto.OpenConnection:
			if clients[m.ConnectionID] != 0 {
				return fmt.Errorf("%s is opened again", m.ConnectionID)
			}
			clients[m.ConnectionID] = open
			count.Add(1)
		case *serviceproto.ConnectionData:
			switch at := clients[m.ConnectionID]; {
			case at == 0:
				return fmt.Errorf("%s says %q before it is opened", m.ConnectionID, m.Data)
			case at == open && string(m.Data) == "close":
				clients[m.ConnectionID] = over
				count.Add(-1)
				reply = &serviceproto.CloseConnection{ConnectionID: m.ConnectionID, Error: "as you wish"}
			case at == open:
				reply = &serviceproto.ConnectionData{ConnectionID: m.ConnectionID, Data: framed(`"x"`)}
			}
		case *serviceproto.CloseConnection:
			switch clients[m.ConnectionID] {
			case 0:
				return fmt.Errorf("%s leaves before it is opened", m.ConnectionID)
			case open:
				clients[m.ConnectionID] = over
				count.Add(-1)
			}
		}
		if reply != nil && l.Write(2, serviceproto.Append(nil, reply)) != nil {
			return nil // lost, and its clients with it
		}
	}
	return nil
}
