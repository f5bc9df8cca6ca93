// Package transcripts holds the conversations that the conformance suite plays
// against a service; README.md says where they are from.
package transcripts

import "embed"

// Files are the transcripts, one scenario a file, in the folders aspnetcore,
// aspnet, coreclient, service and rest, with the lists beside them.
//
//go:embed */*.txt
var Files embed.FS
