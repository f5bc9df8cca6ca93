// Package hubproto reads and writes the messages of the ASP.NET Core SignalR
// hub protocols json and messagepack, at either end of a connection.
//
// Bytes come in through a Framer, which cuts them into messages whatever their
// chunks were, and a Protocol parses each message. Arguments, items and results
// stay in the encoding of their protocol (Raw) until Bind asks for a Go value,
// so a value can be passed on without being understood. What is written has the
// shapes of the .NET writer, since every client reads those; every shape that a
// known client writes is read (core-client-protocol 5.2 and 5.3).
package hubproto
