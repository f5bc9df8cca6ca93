package nodetest

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// mostFrame is above what any test sends in a frame, in bytes.
const mostFrame = 64 << 20

// A Link is an app server's end of a server connection. Its methods fail T. One
// goroutine may hear at a time, and any may send.
type Link struct {
	*ws.Conn
	T testing.TB
	// Frames are the bodies of what has come since Listen, keep-alives too. It
	// is closed with the connection, and has room for all that a test lets come.
	Frames chan []byte

	id    string
	ended chan error
	acks  int
}

// Dial opens a server connection as a process of an id. The target is a ws: URL
// that has a query, an empty token is none. A refusal is a *ws.StatusError. The
// socket is cut when the test ends.
func Dial(t testing.TB, target, serverID, token string) (*Link, error) {
	t.Helper()
	h := http.Header{"X-Asrs-Server-Id": {serverID}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	id := "cid-" + serverID
	c, err := ws.Dial(t.Context(), target+"&cid="+id, h)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.NetConn().Close() })
	return &Link{Conn: c, T: t, Frames: make(chan []byte, 1<<16), id: id, ended: make(chan error, 1)}, nil
}

// Listen starts to take what comes; without it the app server stalls.
func (l *Link) Listen() {
	go func() { // ends with the socket
		defer close(l.Frames)
		split := serviceproto.Splitter{Max: mostFrame}
		for {
			_, p, err := l.Read()
			if err == nil {
				err = split.Feed(p, func(body []byte, _ bool) error {
					l.Frames <- slices.Clone(body)
					return nil
				})
			}
			if err != nil {
				l.ended <- err
				return
			}
		}
	}()
}

// Shake sends a handshake request, in which it sets Version, and expects to be
// taken.
func (l *Link) Shake(h serviceproto.HandshakeRequest) {
	l.T.Helper()
	h.Version = 1
	l.Send(&h)
	if r := Expect[*serviceproto.HandshakeResponse](l); r.Error != "" || r.ConnectionID != l.id {
		l.T.Fatalf("handshake: %+v", r)
	}
}

// Send sends messages in one piece.
func (l *Link) Send(all ...serviceproto.Message) {
	l.T.Helper()
	var b []byte
	for _, m := range all {
		b = serviceproto.Append(b, m)
	}
	l.Raw(b)
}

// Raw sends bytes, which need not be frames.
func (l *Link) Raw(b []byte) {
	l.T.Helper()
	if err := l.Write(ws.Binary, b); err != nil {
		l.T.Fatal(err)
	}
}

// Next returns the next message that is no keep-alive.
func (l *Link) Next() serviceproto.Message {
	l.T.Helper()
	late := time.After(Patience)
	for {
		select {
		case body, ok := <-l.Frames:
			if !ok {
				l.T.Fatal("the server connection has ended")
			}
			var d serviceproto.Decoder
			m, err := d.Decode(body)
			if err != nil {
				l.T.Fatal(err)
			}
			if p, ok := m.(*serviceproto.Ping); ok && len(p.Words) == 0 {
				continue
			}
			return m
		case <-late:
			l.T.Fatal("the app hears nothing")
		}
	}
}

// Expect returns the next message that is no keep-alive, which must be an M.
func Expect[M serviceproto.Message](l *Link) M {
	l.T.Helper()
	m := l.Next()
	x, ok := m.(M)
	if !ok {
		l.T.Fatalf("the app got %T %+v", m, m)
	}
	return x
}

// AckID returns a fresh id for a message that asks for an ack.
func (l *Link) AckID() int {
	l.acks++
	return l.acks
}

// Ack sends a message that asks for an ack, and returns that.
func (l *Link) Ack(m serviceproto.Message) *serviceproto.Ack {
	l.T.Helper()
	l.Send(m)
	return Expect[*serviceproto.Ack](l)
}

// Settle returns once everything sent so far has been handled; nothing else may
// have come meanwhile.
func (l *Link) Settle() {
	l.T.Helper()
	id := l.AckID()
	a := l.Ack(&serviceproto.LeaveGroupWithAck{ConnectionID: "nobody", Group: "none", AckID: id})
	if a.AckID != id || a.Status != serviceproto.StatusNotFound {
		l.T.Fatalf("leaving without being there: %+v", a)
	}
}

// Left expects the end of a client.
func (l *Link) Left(id string) *serviceproto.CloseConnection {
	l.T.Helper()
	m := Expect[*serviceproto.CloseConnection](l)
	if m.ConnectionID != id {
		l.T.Fatalf("%s left, want %s", m.ConnectionID, id)
	}
	return m
}

// Leave says that the process shuts down, in a mode like fin:1, and expects the
// answer.
func (l *Link) Leave(mode string) {
	l.T.Helper()
	l.Send(&serviceproto.Ping{Words: []string{"shutdown", mode}})
	if got := Expect[*serviceproto.Ping](l).Words; !slices.Equal(got, []string{"shutdown", "finack"}) {
		l.T.Errorf("the answer to %s is %q", mode, got)
	}
}

// End waits for the end of a connection that listens and returns its reason.
func (l *Link) End() error {
	l.T.Helper()
	return Wait(l.T, "end of the server connection", l.ended)
}
