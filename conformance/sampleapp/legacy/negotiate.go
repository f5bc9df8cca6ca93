package legacy

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// sdkVersion is the version of the SDK whose behaviour this app has.
const sdkVersion = "1.25.1.0"

// login is who makes a request, to the app.
type login struct {
	authType string
	name     string // the user's name, which is the user id too
	claims   []relay.Claim
}

// queryLogin makes ?user=alice the login of alice, in the role tester.
func queryLogin(r *http.Request) *login {
	user := r.URL.Query().Get("user")
	if user == "" {
		return nil
	}
	return &login{authType: "query", name: user, claims: []relay.Claim{
		{Type: principal.ClaimNameID, Value: user}, {Type: principal.ClaimName, Value: user}, {Type: principal.ClaimRole, Value: "tester"},
	}}
}

// signalr serves what the SDK leaves of SignalR's own endpoint: negotiate and the
// proxy script (1.1).
func (a *App) signalr(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	trimmed := strings.TrimRight(path, "/")
	switch {
	case strings.HasSuffix(strings.ToLower(path), "/negotiate"):
		a.negotiate(w, r)
	case strings.HasSuffix(trimmed, "/hubs"), strings.HasSuffix(trimmed, "/js"):
		a.serveScript(w, trimmed[:strings.LastIndexByte(trimmed, '/')])
	default:
		web.Plain(w, http.StatusNotFound, "NotFound")
	}
}

// negotiate sends a client to the service. The checks are in the SDK's order
// (1.1).
func (a *App) negotiate(w http.ResponseWriter, r *http.Request) {
	who := a.login(r)
	hubs, err := a.hubsOf(r.URL.RawQuery)
	if err != nil {
		web.Plain(w, http.StatusInternalServerError, "")
		return
	}
	if who == nil && len(hubs) > 0 && !slices.ContainsFunc(hubs, func(h *hub) bool { return !h.protected }) {
		web.Plain(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if !a.application().pool.Online() {
		web.Plain(w, http.StatusInternalServerError, "Azure SignalR Service is not connected yet, please try again later.")
		return
	}
	token, err := a.keys.SignClient(a.service.AspNetClientAudience(), a.claims(who), auth.Sign{NoIssuer: true, Algorithm: a.o.Algorithm})
	switch {
	case errors.Is(err, auth.ErrTooLong):
		web.Plain(w, http.StatusRequestEntityTooLarge, "AccessToken must not be longer than 4K.")
		return
	case err != nil:
		a.log.Error("token", "cause", err)
		web.Plain(w, http.StatusInternalServerError, "")
		return
	case principal.QueryValue(r.URL.RawQuery, "callback") != nil:
		web.Plain(w, http.StatusBadRequest, "JSONP is no longer supported.")
		return
	}
	b := appendText([]byte(`{"ProtocolVersion":"2.0","RedirectUrl":`), a.redirectURL(r.URL.Path, r.URL.RawQuery, requestID()))
	b = append(appendText(append(b, `,"AccessToken":`...), token), `,"TryWebSockets":true}`...)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Write(b)
}

// claims are those of the client token: system claims in the SDK's order, then
// the user's (1.3).
func (a *App) claims(who *login) (all []relay.Claim) {
	add := func(kind, value string) { all = append(all, relay.Claim{Type: kind, Value: value}) }
	add(auth.ClaimApplication, a.o.ApplicationName)
	add(auth.ClaimSDKVersion, sdkVersion)
	if who != nil {
		add(auth.ClaimUser, who.name)
	}
	if a.sticky != "" {
		add(auth.ClaimServer, a.o.ServerID)
		add(auth.ClaimSticky, a.sticky)
	}
	if a.o.Diagnostic {
		add(auth.ClaimDiagnostic, "true")
	}
	if who != nil && who.authType != "" && who.authType != "Bearer" {
		add("asrs.s.aut", who.authType)
	}
	if a.o.DetailedErrors {
		add(auth.ClaimDetailedErrors, "True")
	}
	if a.o.MaxPollInterval > 0 {
		add(auth.ClaimPollGap, strconv.Itoa(a.o.MaxPollInterval))
	}
	if who != nil {
		all = append(all, who.claims...)
	}
	return all
}

// redirectURL is where a client is sent that asked path with query. Clients older
// than protocol 2.1 get no query (1.2).
func (a *App) redirectURL(path, query, id string) string {
	var kept []relay.Header // names and values, repeats merged
	version := ""
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescaped(name), unescaped(value)
		switch name {
		case "":
			continue
		case "clientProtocol":
			version = value
			continue
		case "connectionToken", "connectionData":
			continue
		}
		i := slices.IndexFunc(kept, func(h relay.Header) bool { return strings.EqualFold(h.Name, name) })
		if i < 0 {
			i, kept = len(kept), append(kept, relay.Header{Name: name})
		}
		kept[i].Values = append(kept[i].Values, value)
	}
	if !atLeast21(version) {
		return a.service.AspNetClientURL("", "")
	}
	var b strings.Builder
	for _, h := range kept {
		b.WriteString(escaped(h.Name) + "=" + escaped(strings.Join(h.Values, ",")) + "&")
	}
	b.WriteString("asrs_request_id=" + escaped(id))
	op, ok := strings.CutSuffix(path, "/negotiate")
	if !ok {
		op = "" // another spelling: the SDK does not find it
	}
	return a.service.AspNetClientURL(op, b.String())
}

// unescaped undoes the encoding of a query; what has none stays as it is.
func unescaped(s string) string {
	if v, err := url.QueryUnescape(s); err == nil {
		return v
	}
	return s
}

// escaped encodes everything but the unreserved characters of RFC 3986.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// atLeast21 reports whether text is a .NET version of 2.1 or later: two to four
// numbers.
func atLeast21(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return false
	}
	var numbers []int
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return false
		}
		numbers = append(numbers, int(n))
	}
	return slices.Compare(numbers, []int{2, 1}) >= 0
}

// requestID is a request id in the form of the SDK's: eight bytes in base64.
func requestID() string {
	b := make([]byte, 8)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}
