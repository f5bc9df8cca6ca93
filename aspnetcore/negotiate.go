package aspnetcore

import (
	"strconv"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// serveNegotiate answers the second negotiate of a client, the one that the
// app's redirect sent here. It keeps nothing.
func (a *Adapter) serveNegotiate(x *transport.Exchange) {
	if x.Method != "POST" {
		aspnet.Refuse(x, 405, "")
		return
	}
	hub := hubOf(x)
	if hub == "" {
		aspnet.Refuse(x, 400, badHub)
		return
	}
	if a.Draining() {
		aspnet.Refuse(x, 503, aspnet.ShuttingDown)
		return
	}
	now := time.Now()
	t, err := a.Keys.Client(aspnet.Bearer(x), hub, auth.Check{Now: now, Hosts: a.Hosts})
	if err != nil {
		a.unauthorized(x, hub, err)
		return
	}
	if a.Full() {
		aspnet.Refuse(x, 429, "Too many connections.")
		return
	}
	version, text := negotiateVersion(x)
	if text != "" { // an error of a version is told in a 200 (core-client-protocol 2.1)
		b := append(append([]byte(`{"error":`), quote(text)...), '}')
		x.Reply(transport.Response{Status: 200, Type: "application/json", Body: b})
		return
	}
	var flags byte
	if version == 0 {
		flags |= flagVersion0
	} else if a.grantsStateful(x, hub) {
		flags |= flagStateful
	}
	c := a.Tokens.Make(hub, t.User, flags, now)
	x.Reply(transport.Response{Status: 200, Type: "application/json", Body: negotiation(c, t.Transports)})
}

func negotiateVersion(x *transport.Exchange) (version int, text string) {
	v := x.Query("negotiateVersion")
	if v == "" {
		return 0, ""
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, "The client requested a non-integer protocol version."
	}
	if n < 0 {
		return 0, "The client requested version '" + strconv.Itoa(n) + "', but the server does not support this version."
	}
	return min(n, 1), ""
}

// grantsStateful says whether stateful reconnect is granted: the client asks
// for it, .NET even twice (core-client-protocol 2.1), and an app server of the
// hub allows it (service-protocol 11.1).
func (a *Adapter) grantsStateful(x *transport.Exchange, hub string) bool {
	if a.o.NoStatefulReconnect {
		return false
	}
	for _, v := range x.QueryAll("useStatefulReconnect") {
		if v == "true" || v == "True" {
			return a.Relay.Hub(hub).AllowsStateful()
		}
	}
	return false
}

// negotiation writes the answer in the member order of .NET. Null never
// appears: Java's and .NET's clients throw on it (core-client-protocol 2.2).
func negotiation(c aspnet.Token, mask auth.Transports) []byte {
	b := make([]byte, 0, 384)
	b = append(b, '{')
	if c.Flags&flagStateful != 0 {
		b = append(b, `"useStatefulReconnect":true,`...)
	}
	if c.Flags&flagVersion0 != 0 {
		b = append(b, `"negotiateVersion":0,"connectionId":"`...)
		b = append(b, c.Text...)
	} else {
		b = append(b, `"negotiateVersion":1,"connectionId":"`...)
		b = append(b, idOf(c)...)
		b = append(b, `","connectionToken":"`...)
		b = append(b, c.Text...)
	}
	b = append(b, `","availableTransports":[`...)
	for _, t := range [...]struct {
		bit  auth.Transports
		json string
	}{
		{auth.WebSockets, `{"transport":"WebSockets","transferFormats":["Text","Binary"]},`},
		{auth.ServerSentEvents, `{"transport":"ServerSentEvents","transferFormats":["Text"]},`},
		{auth.LongPolling, `{"transport":"LongPolling","transferFormats":["Text","Binary"]},`},
	} {
		if mask&t.bit != 0 {
			b = append(b, t.json...)
		}
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, `]}`...)
}

func (a *Adapter) unauthorized(x *transport.Exchange, hub string, err error) {
	a.Logger.Debug("token refused", "hub", hub, "peer", x.RemoteIP(), "error", err)
	aspnet.Refuse(x, 401, "Unauthorized: "+err.Error())
}
