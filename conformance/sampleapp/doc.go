// Package sampleapp is an app server: it does what an ASP.NET Core app does
// that leaves its clients to an Azure SignalR service through Microsoft's SDK.
//
// For each hub it keeps server connections to the service, on which it speaks
// the service protocol as the SDK does, and it serves the app's own negotiate,
// which sends clients to the service:
//
//	client ── POST /chat/negotiate ──► Handler          "go to the service"
//	client ══════ hub protocol ══════► service
//	                                   ║ server connections (serverlink), 5 a hub
//	                                  hub ── client ── call ──► ChatHub, BenchHub
//
// A link's reader takes the service's frames and runs hub methods that cannot
// block itself, so an echo costs no goroutine; only what waits for somebody
// (acks, streams, client results) gets one. What it writes is collected and
// leaves in one WebSocket message when the frames at hand are done.
//
// The package is the counterpart in tests and measurements of a service, and
// serves the demo page. It talks to the service by TCP alone. Package legacy is
// its sibling for ASP.NET SignalR 2; room and web are what the two share.
package sampleapp
