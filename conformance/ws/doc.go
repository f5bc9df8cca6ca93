// Package ws is the client side of WebSocket (RFC 6455), as lean as a load generator needs it: one process holds
// tens of thousands of connections, so an idle one costs a 512-byte buffer and its reader's goroutine.
//
// It offers no extension, so a frame with a reserved bit set is an error, and it does not check that text is UTF-8:
// what a server sent is shown to the test as it came.
package ws
