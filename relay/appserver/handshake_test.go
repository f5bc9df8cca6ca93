package appserver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// frame puts a length before a body of up to 127 bytes.
func frame(body ...byte) []byte { return append([]byte{byte(len(body))}, body...) }

func TestHandshakeShapes(t *testing.T) {
	for _, c := range []struct {
		name     string
		body     []byte
		weak     bool
		stateful bool
	}{
		{"2 elements", []byte{0x92, 1, 1}, false, false},
		{"3, on demand", []byte{0x93, 1, 1, 1}, false, false},
		{"3, weak", []byte{0x93, 1, 1, 2}, true, false},
		{"4", []byte{0x94, 1, 1, 0, 0xa0}, false, false},
		{"4, no target", []byte{0x94, 1, 1, 0, 0xc0}, false, false},
		{"5", []byte{0x95, 1, 1, 0, 0xa0, 1}, false, false},
		{"6", []byte{0x96, 1, 1, 0, 0xa0, 1, 0x80}, false, false},
		{"7", []byte{0x97, 1, 1, 0, 0xa0, 0, 0x80, 0xc3}, false, true},
		{"7, not stateful", []byte{0x97, 1, 1, 0, 0xa0, 0, 0x80, 0xc2}, false, false},
		{"8, of a time to come", []byte{0x98, 1, 1, 0, 0xa0, 0, 0x80, 0xc3, 0xa1, 'x'}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, appserver.Options{})
			a := s.dial("a")
			a.Raw(frame(c.body...))
			want := &serviceproto.HandshakeResponse{ConnectionID: "cid-a"}
			if d := cmp.Diff(want, nodetest.Expect[*serviceproto.HandshakeResponse](a.Link)); d != "" {
				t.Fatal(d)
			}
			a.Settle()
			if s.hub.AllowsStateful() != c.stateful {
				t.Error("stateful", !c.stateful)
			}
			_, err := s.hub.Connect(t.Context(), relay.Connect{ID: "x", ServerID: "a", Sticky: relay.Required}, newClient(t))
			if c.weak != errors.Is(err, relay.ErrNoServer) {
				t.Errorf("a client: %v", err)
			}
		})
	}
}

func TestHandshakeRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		send   []byte
		answer string // error text of the response, empty for none
		how    func(error) bool
	}{
		{"version 2", frame(0x92, 1, 2), "Version mismatch.", normal},
		{"version 0", frame(0x92, 1, 0), "Version mismatch.", normal},
		{"a ping first", frame(0x91, 3), "", cut},
		{"an ack first", frame(0x93, 20, 1, 1), "", cut},
		{"garbage first", frame(0xff, 0xff), "", cut},
		{"no length", []byte{0xff, 0xff, 0xff, 0xff, 0xff}, "", cut},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, appserver.Options{})
			other := s.attach("other", serviceproto.HandshakeRequest{})
			a := s.dial("a")
			a.Raw(c.send)
			if c.answer != "" {
				if got := nodetest.Expect[*serviceproto.HandshakeResponse](a.Link); got.Error != c.answer {
					t.Errorf("%+v", got)
				}
			}
			if err := a.End(); !c.how(err) {
				t.Errorf("ended with %v", err)
			}
			if n := s.hub.Routes(); n != 1 {
				t.Errorf("%d servers", n)
			}
			other.alive()
		})
	}
}

func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name  string
		shook bool
		after time.Duration
		ends  bool
	}{
		{"before the handshake, not yet", false, 14 * time.Second, false},
		{"before the handshake", false, 16 * time.Second, true},
		{"not yet", true, 29 * time.Second, false},
		{"too long", true, 31 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, appserver.Options{})
			var a *app
			if c.shook {
				a = s.attach("a", serviceproto.HandshakeRequest{})
			} else {
				a = s.dial("a")
			}
			a.conn.Tick(time.Now().Add(c.after))
			if c.ends {
				if err := a.End(); !cut(err) {
					t.Errorf("ended with %v", err)
				}
				return
			}
			if !c.shook {
				a.Shake(serviceproto.HandshakeRequest{})
			}
			a.alive()
		})
	}
}

// The SDK gives up thirty seconds after our last byte, so a ping goes out every
// five, whatever else is sent.
func TestKeepAlive(t *testing.T) {
	s := serve(t, appserver.Options{})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	base := time.Now()
	var at []int
	for second := 1; second <= 25; second++ {
		a.conn.Tick(base.Add(time.Duration(second) * time.Second))
		a.Send(&serviceproto.CheckUserExistenceWithAck{AckID: second})
		for {
			var d serviceproto.Decoder
			m, err := d.Decode(<-a.Frames)
			if err != nil {
				t.Fatal(err)
			}
			if _, ack := m.(*serviceproto.Ack); ack {
				break
			}
			if p, ok := m.(*serviceproto.Ping); !ok || len(p.Words) != 0 {
				t.Fatalf("%+v", m)
			}
			at = append(at, second)
		}
	}
	if d := cmp.Diff([]int{5, 10, 15, 20, 25}, at); d != "" {
		t.Error(d)
	}
}
