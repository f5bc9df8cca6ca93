// Package aspnetcore speaks the ASP.NET Core flavour of SignalR: what its
// clients say before their bytes flow, and how those bytes are cut.
//
// A request arrives as a [transport.Exchange] at [Adapter.Serve], which
// routes it (routes.go). A negotiate is answered without keeping anything
// (negotiate.go): the connection token it hands out is signed and carries all
// that the connect needs to know (contoken.go). A connect (connect.go) makes a
// session, which is the one object that knows both sides: it is the
// [transport.Receiver] of a connection and the [relay.Sink] of a client
// (session.go). It reads the hub handshake but never answers it (handshake.go),
// cuts the app's bytes into whole hub messages (hubproto.go) and does all of
// stateful reconnect (stateful.go). Server connections of apps come in through
// the same listener (server.go) and live in relay/appserver.
package aspnetcore
