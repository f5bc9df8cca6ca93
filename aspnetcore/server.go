package aspnetcore

import (
	"time"

	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// serveServer takes a server connection of an app (service-protocol 3.1). The
// SDK tries again for ever, whatever the status, and reads no body.
func (a *Adapter) serveServer(x *transport.Exchange) {
	hub := hubOf(x)
	if hub == "" {
		refuse(x, 400, badHub)
		return
	}
	t, err := a.o.Keys.Server(bearer(x), hub, auth.Check{Now: time.Now(), Hosts: a.o.Hosts})
	switch {
	case err != nil:
		a.log.Warn("server connection refused", "hub", hub, "peer", x.RemoteIP(), "error", err)
		refuse(x, 401, "")
		return
	case !x.IsWebSocket():
		refuse(x, 400, "A WebSocket is required.")
		return
	case a.draining.Load():
		refuse(x, 503, "The service is shutting down.")
		return
	}
	p := appserver.Peer{ServerID: x.Header("X-ASRS-Server-Id"), ID: x.Query("cid"), Target: x.Query("target"), Agent: x.Header("Asrs-User-Agent")}
	if p.ServerID == "" {
		p.ServerID = t.User
	}
	c := appserver.New(a.srv, a.relay.Hub(hub), p, &a.servers, a.serverProfile)
	x.Carry(c.Transport(), transport.WebSocket, &serverFormat)
	a.serversOpened.Add(1)
}

// serverFormat says nothing: a WebSocket has no format of its own.
var serverFormat transport.Format
