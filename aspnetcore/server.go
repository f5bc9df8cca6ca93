package aspnetcore

import (
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

// serveServer takes a server connection of an app (service-protocol 3.1).
func (a *Adapter) serveServer(x *transport.Exchange) {
	hub := hubOf(x)
	if hub == "" {
		aspnet.Refuse(x, 400, badHub)
		return
	}
	a.ServeServer(x, hub, &a.servers, func(token string) (*auth.Token, error) {
		return a.Keys.Server(token, hub, auth.Check{Now: time.Now(), Hosts: a.Hosts})
	})
}
