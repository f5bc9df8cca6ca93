package aspnetcore

import (
	"encoding/base64"

	"github.com/signalrelay/signalrelay/aspnet"
)

// Flags of a connection token.
const (
	flagStateful = 1 << iota // stateful reconnect was granted
	flagVersion0             // the client knows one id only: the token is it (core-client-protocol 2.2)
)

// idOf returns the connection id that a token names.
func idOf(t aspnet.Token) string {
	if t.Flags&flagVersion0 != 0 {
		return t.Text
	}
	return base64.RawURLEncoding.EncodeToString(t.ID[:])
}
