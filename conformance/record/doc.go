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
// becomes a capture, so the transcript plays against another instance, and
// nothing in it opens a door. Keep-alives are left out: they come by the clock.
package record
