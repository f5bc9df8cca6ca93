package aspnetcore

import (
	"strconv"
	"time"

	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// serveNegotiate answers the second negotiate of a client, the one that the
// app's redirect sent here. It keeps nothing.
func (a *Adapter) serveNegotiate(x *transport.Exchange) {
	if x.Method != "POST" {
		refuse(x, 405, "")
		return
	}
	hub := hubOf(x)
	if hub == "" {
		refuse(x, 400, badHub)
		return
	}
	if a.draining.Load() {
		refuse(x, 503, "The service is shutting down.")
		return
	}
	now := time.Now()
	t, err := a.o.Keys.Client(bearer(x), hub, auth.Check{Now: now, Hosts: a.o.Hosts})
	if err != nil {
		a.unauthorized(x, hub, err)
		return
	}
	if a.full() {
		refuse(x, 429, "Too many connections.")
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
	c := a.tokens.make(hub, t.User, flags, now)
	x.Reply(transport.Response{Status: 200, Type: "application/json", Body: c.negotiation(t.Transports)})
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
			return a.relay.Hub(hub).AllowsStateful()
		}
	}
	return false
}

// negotiation writes the answer in the member order of .NET. Null never
// appears: Java's and .NET's clients throw on it (core-client-protocol 2.2).
func (c conToken) negotiation(mask auth.Transports) []byte {
	b := make([]byte, 0, 384)
	b = append(b, '{')
	if c.stateful() {
		b = append(b, `"useStatefulReconnect":true,`...)
	}
	if c.flags&flagVersion0 != 0 {
		b = append(b, `"negotiateVersion":0,"connectionId":"`...)
		b = append(b, c.text...)
	} else {
		b = append(b, `"negotiateVersion":1,"connectionId":"`...)
		b = append(b, c.id...)
		b = append(b, `","connectionToken":"`...)
		b = append(b, c.text...)
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
	a.log.Debug("token refused", "hub", hub, "peer", x.RemoteIP(), "error", err)
	refuse(x, 401, "Unauthorized: "+err.Error())
}

func (a *Adapter) full() bool {
	return a.o.MaxConnections > 0 && a.sessions.len() >= a.o.MaxConnections
}
