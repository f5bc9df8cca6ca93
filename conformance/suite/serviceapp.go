package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A serviceApp is an app server with one connection, on a hub of its own, for
// cases of a service that are code. It belongs to the goroutine of its case.
type serviceApp struct {
	ctx  context.Context // of the case
	t    *T
	at   auth.ConnectionString
	keys *auth.Keys
	hub  string

	conn    *ws.Conn
	cut     serviceproto.Splitter
	came    []serviceproto.Message // and was not looked at yet
	clients int                    // so far
	acks    int                    // asked for so far
	open    []*ws.Conn             // conn, and those of clients
}

// asServiceApp makes a case of what an app server does that is connected.
func asServiceApp(play func(a *serviceApp)) func(context.Context, *T) {
	return func(ctx context.Context, t *T) {
		a := &serviceApp{ctx: ctx, t: t, hub: "chat" + strings.ToLower(rand.Text()[:8])}
		defer a.close()
		a.connect()
		play(a)
	}
}

// connect opens the server connection and shakes hands.
func (a *serviceApp) connect() {
	t := a.t
	var err error
	if a.at, err = auth.ParseConnectionString("Endpoint=" + t.Endpoint.URL.String() + ";AccessKey=" + t.Endpoint.AccessKey); err != nil {
		t.Broken(err)
	}
	if a.keys, err = auth.NewKeys(t.Endpoint.AccessKey); err != nil {
		t.Broken(err)
	}
	token := a.signed(a.keys.SignServer(a.at.ServerAudience(a.hub), "server1", auth.Sign{Lifetime: time.Hour}))
	a.conn = a.dial("s1", a.at.ServerURL(a.hub, "cid1"), http.Header{"Authorization": {token}, "X-Asrs-Server-Id": {"server1"}})
	a.say(&serviceproto.HandshakeRequest{Version: 1})
	if r := hear[*serviceproto.HandshakeResponse](a, "an answer to the handshake", nil); r.Error != "" {
		t.Failf("the handshake of a server connection is refused: %s", r.Error)
	}
}

// close ends all connections.
func (a *serviceApp) close() {
	for _, c := range a.open {
		c.NetConn().Close()
	}
}

// signed is what goes with a request that has a token.
func (a *serviceApp) signed(token string, err error) (authorization string) {
	if err != nil {
		a.t.Broken(err)
	}
	return "Bearer " + token
}

// dial opens a WebSocket.
func (a *serviceApp) dial(conn, address string, h http.Header) *ws.Conn {
	c, err := a.t.calls().Dial(a.ctx, address, h)
	if err != nil {
		a.t.Failf("%s is not connected: %v", conn, err)
	}
	if d, ok := a.ctx.Deadline(); ok {
		c.NetConn().SetDeadline(d)
	}
	a.open = append(a.open, c)
	return c
}

// client connects a client of a user, or of nobody where that is empty, and
// returns its connection id.
func (a *serviceApp) client(user string) (id string) {
	var claims []relay.Claim
	if user != "" {
		claims = append(claims, relay.Claim{Type: "nameid", Value: user})
	}
	a.clients++
	name := fmt.Sprintf("c%d", a.clients)
	token := a.signed(a.keys.SignClient(a.at.ClientAudience(a.hub), claims, auth.Sign{Lifetime: time.Hour}))
	c := a.dial(name, a.at.ClientURL(a.hub, "", ""), http.Header{"Authorization": {token}})
	const handshake = `{"protocol":"json","version":1}` + "\x1e"
	a.t.Said("client", name, "text `{\"protocol\":\"json\",\"version\":1}␞`")
	if err := c.Write(ws.Text, []byte(handshake)); err != nil {
		a.t.Failf("the connection of %s has ended: %v", name, err)
	}
	opened := hear[*serviceproto.OpenConnection](a, "OpenConnection", nil)
	a.say(&serviceproto.ConnectionData{ConnectionID: opened.ConnectionID, Data: []byte("{}\x1e")})
	return opened.ConnectionID
}

// ask says a message that wants an ack, which it makes with the id of that.
func (a *serviceApp) ask(question func(id int) serviceproto.Message) *serviceproto.Ack {
	a.acks++
	id := a.acks
	a.say(question(id))
	return hear(a, fmt.Sprintf("Ack AckID=%d", id), func(m *serviceproto.Ack) bool { return m.AckID == id })
}

func (a *serviceApp) say(m serviceproto.Message) {
	a.note(conformance.App, m)
	if err := a.conn.Write(ws.Binary, serviceproto.Append(nil, m)); err != nil {
		a.t.Failf("the service ends the server connection: %v", err)
	}
}

func (a *serviceApp) note(who conformance.Speaker, m serviceproto.Message) {
	step := conformance.Step{Who: who, Conn: "s1", Said: conformance.Frame{Message: m}}
	a.t.Said(string(who), "s1", "%s", said(step.String()))
}

// answerTime is how long a service has for what it answers at once.
const answerTime = 5 * time.Second

// hear waits for a message of a kind and, where that is not nil, one that fits;
// it passes over others. What says to the reader what is waited for.
func hear[M serviceproto.Message](a *serviceApp, what string, fits func(M) bool) M {
	until := time.Now().Add(answerTime)
	if d, ok := a.ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	a.conn.NetConn().SetReadDeadline(until)
	for {
		for len(a.came) > 0 {
			next := a.came[0]
			a.came = a.came[1:]
			if m, ok := next.(M); ok && (fits == nil || fits(m)) {
				a.note(conformance.Relay, m)
				return m
			}
		}
		if err := a.read(); err != nil {
			a.t.Fail("relay s1> "+what, err.Error())
		}
	}
}

// read takes what comes next.
func (a *serviceApp) read() error {
	_, chunk, err := a.conn.Read()
	if err != nil {
		return err
	}
	return a.cut.Feed(chunk, func(body []byte, _ bool) error {
		m, err := new(serviceproto.Decoder).Decode(bytes.Clone(body)) // it keeps what is borrowed
		if err != nil {
			return errors.New("a message that cannot be read")
		}
		a.came = append(a.came, m)
		return nil
	})
}
