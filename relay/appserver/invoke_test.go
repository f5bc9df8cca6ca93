package appserver_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

func TestClientResults(t *testing.T) {
	s := serve(t, appserver.Options{})
	a, b := s.attach("a", serviceproto.HandshakeRequest{}), s.attach("b", serviceproto.HandshakeRequest{})
	x := s.at(a, "x", "")
	n := 0
	ask := func(from *app, connection string) string {
		n++
		id := fmt.Sprint("call-", n)
		from.Send(&serviceproto.ClientInvocation{InvocationID: id, ConnectionID: connection, CallerServerID: from.conn.Peer.ServerID, Payload: payload(id)})
		return id
	}
	// reply is what the router says once the client has answered: its own
	// server id stands where the caller's ought to (service-protocol 10, 5).
	reply := func(id, data string) *serviceproto.ClientCompletion {
		return &serviceproto.ClientCompletion{InvocationID: id, ConnectionID: "x", CallerServerID: "a", Protocol: "json", Data: []byte(data)}
	}

	t.Run("another server asks", func(t *testing.T) {
		id := ask(b, "x")
		if m := nodetest.Expect[*serviceproto.ClientInvocation](a.Link); m.InvocationID != id || m.ConnectionID != "x" || m.CallerServerID != "b" {
			t.Errorf("%+v", m)
		}
		if d := cmp.Diff(&serviceproto.ServiceMapping{InvocationID: id, ConnectionID: "x", InstanceID: "node-1"}, nodetest.Expect[*serviceproto.ServiceMapping](b.Link)); d != "" {
			t.Error(d)
		}
		if got := x.next(); got != id {
			t.Error(got)
		}
		a.Send(reply(id, "5"))
		want := &serviceproto.ClientCompletion{InvocationID: id, ConnectionID: "x", CallerServerID: "b", Protocol: "json", Data: []byte("5")}
		if d := cmp.Diff(want, nodetest.Expect[*serviceproto.ClientCompletion](b.Link)); d != "" {
			t.Error(d)
		}
		a.Send(reply(id, "again"))
		a.Settle()
		b.Settle()
	})
	t.Run("its own server asks", func(t *testing.T) {
		id := ask(a, "x")
		if got := x.next(); got != id {
			t.Error(got)
		}
		a.Send(reply(id, ""))
		a.Settle()
		b.Settle()
	})
	t.Run("unknown client", func(t *testing.T) {
		id := ask(b, "zz")
		want := &serviceproto.ErrorCompletion{InvocationID: id, ConnectionID: "zz", CallerServerID: "b", Error: "Connection 'zz' does not exist."}
		if d := cmp.Diff(want, nodetest.Expect[*serviceproto.ErrorCompletion](b.Link)); d != "" {
			t.Error(d)
		}
	})
	t.Run("not asked before the SDK can take the answer", func(t *testing.T) {
		began := time.Now()
		ask(a, "x")
		x.next()
		if d := time.Since(began); d < 30*time.Millisecond {
			t.Errorf("asked after %s", d)
		}
	})
	t.Run("later calls wait less", func(t *testing.T) {
		for range 16 {
			ask(a, "x")
		}
		for range 16 {
			x.next()
		}
		least := time.Hour
		for range 5 { // the least of five, for a machine that is busy
			began := time.Now()
			ask(a, "x")
			x.next()
			least = min(least, time.Since(began))
		}
		if least < 5*time.Millisecond || least > 25*time.Millisecond {
			t.Errorf("asked after %s", least)
		}
	})
	t.Run("the client leaves", func(t *testing.T) {
		id := ask(b, "x")
		nodetest.Expect[*serviceproto.ClientInvocation](a.Link)
		nodetest.Expect[*serviceproto.ServiceMapping](b.Link)
		x.next()
		x.End("")
		want := &serviceproto.ErrorCompletion{InvocationID: id, ConnectionID: "x", CallerServerID: "b", Error: "Connection 'x' is disconnected."}
		if d := cmp.Diff(want, nodetest.Expect[*serviceproto.ErrorCompletion](b.Link)); d != "" {
			t.Error(d)
		}
	})
	t.Run("the caller leaves before its call is made", func(t *testing.T) {
		y := s.at(b, "y", "")
		c := s.attach("c", serviceproto.HandshakeRequest{})
		ask(c, "y")
		c.Settle()
		c.NetConn().Close()
		nodetest.Until(t, "two servers", func() bool { return s.hub.Routes() == 2 })
		ask(b, "y") // made after the other would have been
		y.next()
		y.quiet()
	})
}
