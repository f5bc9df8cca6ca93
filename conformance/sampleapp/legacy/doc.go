// Package legacy is an app server of ASP.NET SignalR 2.x: it does what an app
// does that leaves its clients to an Azure SignalR service through the package
// Microsoft.Azure.SignalR.AspNet (legacy-service-protocol).
//
// It keeps one set of server connections for the application and one for each
// hub. A client belongs to the link that its OpenConnection came on; what its
// hub methods send leaves on the links of the application (connections and
// groups) or of the hub (broadcasts and users):
//
//	client ── GET /signalr/negotiate ──► Handler          "go to the service"
//	client ══ persistent connection ═══► service
//	                                     ║ server connections (serverlink)
//	                            container ── client ── call ──► chatHub, otherHub …
//
// A link's reader runs hub methods that cannot block itself; only what waits for
// somebody gets a goroutine, so the completions of one client may overtake each
// other, as they do with the SDK (3.5).
//
// Numbers in comments are sections of legacy-service-protocol.
package legacy
