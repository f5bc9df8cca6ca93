// Package record makes a transcript of what clients and a SignalR server say to
// each other: a [Recorder] is a reverse proxy between them that passes
// everything on at once and unchanged and notes it in the language of package
// conformance.
//
//	client ──► Recorder ──► hub            negotiate, or all there is
//	client ──► Recorder ──► service        when the negotiate answer sends it there
//	              └─► Transcript ──► conformance.ReplayRecording
//
// It notes WebSockets, event streams, long polls and any other HTTP of both
// flavours. What a server makes up for one connection (ids, tokens, cursors)
// becomes a capture, so the transcript plays against another instance. Cookies are
// left out, and so is what proxies tell of the client's machine. Secrets that came
// with the client are captures too, whose values the replay has to be given: what is
// known as one by the name of its header, of its part of a query or form or of its
// member of JSON, or by how it looks. Of a secret that has no such name, such as the
// argument of a call, or that is in a map of messagepack, nobody can know, so a
// transcript has to be read before it is handed on.
//
// Keep-alives are left out too, and a server's acks of a stateful connection: they
// come by the clock. What has more than 64 MiB is passed on and left out, and a note
// says so.
//
// What an app tells of its state, such as how many clients it has had, is noted as
// it was. A replay against an app whose state is another finds that; (any) in its
// place says that it does not count.
package record
