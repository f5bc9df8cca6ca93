// Package auth checks and issues the tokens of access keys.
//
// App servers and clients both come with a JWT that is signed with an access
// key of the service (service-protocol 1.3 to 1.9). [Keys] holds those keys:
// [Keys.Client] and [Keys.Server] check a token for one hub, [Keys.AspNetClient]
// and [Keys.AspNetServer] one for an ASP.NET application (legacy-service-protocol
// 1.3 and 2.1), and hand back what it says as a [Token]; [Keys.SignClient] and [Keys.SignServer] write tokens
// as the SDK does. A [ConnectionString] is where an app finds the service and
// its key.
//
// The package knows audiences and nothing about HTTP: where a token travels
// and how a refusal is answered is the caller's. No key and no token ever
// appears in an error, a log line or a formatted value.
package auth
