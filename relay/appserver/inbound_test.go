package appserver_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// Inbound decides what becomes of a message: nothing, something else, several.
func TestInbound(t *testing.T) {
	s := serve(t, appserver.Options{Inbound: func(m serviceproto.Message, handle func(serviceproto.Message) error) error {
		d, ok := m.(*serviceproto.ConnectionData)
		if !ok {
			return handle(m)
		}
		switch text := string(d.Data); text {
		case "nothing":
			return nil
		case "error":
			return errors.New("not to my taste")
		case "half":
			d.Data = []byte("half of it")
			handle(d)
			return errors.New("the other half is missing")
		default:
			for part := range strings.SplitSeq(text, ",") {
				d.Data = []byte(part)
				if err := handle(d); err != nil {
					return err
				}
			}
			return nil
		}
	}})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	x := s.at(a, "x", "ann")
	for _, c := range []struct {
		name, send string
		want       []string
	}{
		{"as it is", "one", []string{"one"}},
		{"in parts", "two,three,four", []string{"two", "three", "four"}},
		{"dropped", "nothing", nil},
		{"refused", "error", nil},
		{"refused when a part is out", "half", []string{"half of it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.Send(&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte(c.send)})
			a.Settle() // the connection answers as before
			for _, want := range c.want {
				if got := x.next(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			x.quiet()
		})
	}
}

// An error of Inbound costs its message only, even among many in one piece,
// and their order stays.
func TestInboundKeepsOrder(t *testing.T) {
	s := serve(t, appserver.Options{Inbound: func(m serviceproto.Message, handle func(serviceproto.Message) error) error {
		if d, ok := m.(*serviceproto.ConnectionData); ok && string(d.Data) == "bad" {
			return errors.New("bad")
		}
		return handle(m)
	}})
	a := s.attach("a", serviceproto.HandshakeRequest{})
	x := s.at(a, "x", "")
	var all []serviceproto.Message
	for _, m := range []string{"1", "bad", "2", "bad", "bad", "3"} {
		all = append(all, &serviceproto.ConnectionData{ConnectionID: "x", Data: []byte(m)})
	}
	a.Send(all...)
	a.Settle()
	for _, want := range []string{"1", "2", "3"} {
		if got := x.next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	x.quiet()
}

// The handshake is none of the flavour's business, and an app server that
// skips it does not get past it.
func TestInboundSeesNoHandshake(t *testing.T) {
	var seen atomic.Int64
	s := serve(t, appserver.Options{Inbound: func(m serviceproto.Message, handle func(serviceproto.Message) error) error {
		seen.Add(1)
		return handle(m)
	}})
	early := s.dial("early")
	early.Send(&serviceproto.ConnectionData{ConnectionID: "x", Data: []byte("m")})
	if err := early.End(); !cut(err) {
		t.Errorf("ended with %v", err)
	}
	a := s.dial("a")
	a.Shake(serviceproto.HandshakeRequest{})
	if n := seen.Load(); n != 0 {
		t.Errorf("Inbound saw %d messages", n)
	}
	a.Settle()
	if n := seen.Load(); n != 1 {
		t.Errorf("Inbound saw %d messages, want the one", n)
	}
}
