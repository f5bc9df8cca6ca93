package aspnet

import (
	"github.com/signalrelay/signalrelay/relay/appserver"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// ServerOptions returns what a flavour's server connections have in common; it
// may set their Inbound.
func (n *Node) ServerOptions() appserver.Options {
	return appserver.Options{Logger: n.Logger, Buffer: n.ServerBuffer, MaxFrame: n.MaxFrame, InstanceID: n.InstanceID, ClientsPerServer: n.ClientsPerServer}
}

// ServeServer takes a server connection of an app for the hub of that name in
// the relay, if check approves of its token (service-protocol 3.1). The SDK
// tries again for ever, whatever the status, and reads no body.
func (n *Node) ServeServer(x *transport.Exchange, hub string, o *appserver.Options, check func(token string) (*auth.Token, error)) {
	t, err := check(Bearer(x))
	switch {
	case err != nil:
		n.Logger.Warn("server connection refused", "hub", hub, "peer", x.RemoteIP(), "error", err)
		Refuse(x, 401, "")
		return
	case !x.IsWebSocket():
		Refuse(x, 400, "A WebSocket is required.")
		return
	case n.Draining():
		Refuse(x, 503, ShuttingDown)
		return
	}
	p := appserver.Peer{ServerID: x.Header("X-ASRS-Server-Id"), ID: x.Query("cid"), Target: x.Query("target"), Agent: x.Header("Asrs-User-Agent")}
	if p.ServerID == "" {
		p.ServerID = t.User
	}
	c := appserver.New(n.Server, n.Relay.Hub(hub), p, o, n.servers)
	x.Carry(c.Transport(), transport.WebSocket, &serverFormat)
	n.serversOpened.Add(1)
}

// ShuttingDown is what newcomers are told while the node drains.
const ShuttingDown = "The service is shutting down."

// serverFormat says nothing: a WebSocket has no format of its own.
var serverFormat transport.Format
