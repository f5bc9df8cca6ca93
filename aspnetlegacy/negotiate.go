package aspnetlegacy

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// serveNegotiate answers the second negotiate of a client, the one that the
// app's redirect sent here. It keeps nothing.
func (a *Adapter) serveNegotiate(r *request) {
	switch {
	case !r.fresh():
		a.unauthorized(r, auth.ErrExpired)
		return
	case a.Draining():
		a.turnAway(r, 503, aspnet.ShuttingDown)
		return
	case a.Full():
		a.turnAway(r, 429, tooMany)
		return
	}
	if err := a.appOf(r.token).Ready(a.Context); err != nil {
		r.refuse(503, noServer)
		return
	}
	c := a.Tokens.Make(tokenScope, userOf(r.token), 0, time.Now())
	r.json(a.negotiation(c, r.x.Path, r.query.get("clientProtocol")))
}

// noServer is what the service used to say (1.5).
const (
	noServer = "No server available"
	tooMany  = "Too many connections."
)

// turnAway sends a new client to another relay, where there is one and the
// client follows; tells it why not, where it shows that to its developer; or
// refuses (1.5).
func (a *Adapter) turnAway(r *request, status int, text string) {
	const older, newer = `{"ProtocolVersion":"2.0",`, "2.1"
	asked := r.query.get("clientProtocol")
	b := []byte(older)
	switch to := a.o.RedirectTo; {
	case versionOf(asked) != "2.0":
		r.refuse(status, text)
		return
	case to != "":
		to = strings.TrimSuffix(to, "/") + clientPath
		if strings.HasPrefix(asked, newer) { // what a client of 2.0 does not know is part of the address to it
			to += aspnet.Query(r.x.RawQuery, isNegotiation)
		}
		b = appendText(append(b, `"RedirectUrl":`...), to)
		b = appendText(append(b, `,"AccessToken":`...), r.login)
		b = append(b, `,"TryWebSockets":true}`...)
	default:
		b = append(appendText(append(b, `"Error":`...), text), '}')
	}
	r.json(string(b))
}

// isNegotiation says whether a query parameter is of this request only and
// will be on the next one anew.
func isNegotiation(name string) bool {
	switch strings.ToLower(name) {
	case "clientprotocol", "connectiontoken", "connectiondata", "access_token", "_":
		return true
	}
	return false
}

// negotiation writes the answer in the member order of the real server; each
// member is needed by some client (1.5, legacy-client-protocol 2.1).
func (a *Adapter) negotiation(c aspnet.Token, path, clientProtocol string) string {
	b := make([]byte, 0, 384)
	b = append(b, `{"Url":`...)
	b = strconv.AppendQuote(b, strings.TrimSuffix(path, string(negotiate)))
	b = append(b, `,"ConnectionToken":"`...)
	b = append(b, c.Text...)
	b = append(b, `","ConnectionId":"`...)
	b = append(b, idOf(c)...)
	b = append(b, `","KeepAliveTimeout":`...)
	b = appendSeconds(b, 2*a.o.KeepAlive)
	b = append(b, `,"DisconnectTimeout":`...)
	b = appendSeconds(b, a.o.DisconnectTimeout)
	b = append(b, `,"ConnectionTimeout":`...)
	b = appendSeconds(b, a.o.PollTimeout)
	b = append(b, `,"TryWebSockets":true,"ProtocolVersion":"`...)
	b = append(b, versionOf(clientProtocol)...)
	b = append(b, `","TransportConnectTimeout":`...)
	b = appendSeconds(b, transportTimeout)
	return string(append(b, `,"LongPollDelay":0.0}`...))
}

// appendSeconds writes a number as the real server does, always with a
// fraction.
func appendSeconds(b []byte, d time.Duration) []byte {
	n := len(b)
	b = strconv.AppendFloat(b, d.Seconds(), 'f', -1, 64)
	if strings.IndexByte(string(b[n:]), '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// versionOf returns the protocol version to answer a client with: its own,
// within what there is, and the oldest for one that says none
// (legacy-client-protocol 2.2).
func versionOf(clientProtocol string) string {
	const oldest, newest = "1.2", "2.0"
	parts := strings.Split(clientProtocol, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return oldest
	}
	var v [4]int64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil || strings.HasPrefix(p, "+") {
			return oldest
		}
		v[i] = int64(n)
	}
	switch {
	case v[0] < 1, v[0] == 1 && v[1] < 2:
		return oldest
	case v[0] > 2, v[0] == 2 && (v[1] > 0 || len(parts) > 2):
		return newest
	}
	for i := range parts {
		parts[i] = strconv.FormatInt(v[i], 10)
	}
	return strings.Join(parts, ".")
}

// tokenScope keeps connection tokens of this flavour apart from others'.
const tokenScope = "aspnet"

// userOf is whom a connection token is bound to: a user of an application,
// without case (legacy-client-protocol 3).
func userOf(t *auth.Token) string {
	return strings.ToLower(t.Application) + "\x00" + strings.ToLower(t.User)
}

// idOf returns the connection id that a token names, in the form of the real
// server's. It has no dot, where the SDK would cut it (1.5).
func idOf(t aspnet.Token) string {
	var b [36]byte
	at := 0
	for _, part := range [...][]byte{t.ID[:4], t.ID[4:6], t.ID[6:8], t.ID[8:10], t.ID[10:]} {
		if at > 0 {
			b[at] = '-'
			at++
		}
		at += hex.Encode(b[at:], part)
	}
	return string(b[:])
}
