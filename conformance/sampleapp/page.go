package sampleapp

import (
	_ "embed"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
)

//go:embed page/connection.js
var connection string

// page is the demo page for clients of ASP.NET Core.
func page(sibling string) web.Page {
	return web.Page{
		Connection: connection, Sibling: sibling, SiblingText: "The same chat with ASP.NET SignalR 2",
		Transports: [][2]string{{"WebSockets", "WebSockets"}, {"ServerSentEvents", "Server-sent events"}, {"LongPolling", "Long polling"}},
	}
}
