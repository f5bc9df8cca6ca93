package record

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// notKept are headers that say nothing about the conversation, or that the
// replay makes itself. Cookies and where the client came from are nobody's business,
// nor is what proxies before the Recorder tell of the client's machine.
var notKept = regexp.MustCompile(`(?i)^(connection|content-length|transfer-encoding|te|keep-alive|upgrade|host|sec-.*|accept-encoding|accept-language|cache-control|pragma|referer|dnt|priority|cookie|from|forwarded|x-forwarded-.*|via|` +
	`.*client-?ip|x-real-ip|cf-.*|x-arr-.*|x-azure-.*|x-amzn-.*|x-envoy-.*|x-b3-.*|traceparent|tracestate|baggage|(x-)?(request|correlation)-id)$`)

// secretWord is in the names of what opens a door, wherever there are names.
const secretWord = `token|secret|passw|passphrase|pwd|signature|credential|assertion|authorization|jwt|bearer|(?:api|access|account|subscription|private)[-_]?key`

// Names of headers, and of parts of a query or a form, whose values open a door.
var (
	secretHeader = regexp.MustCompile(`(?i)(auth|key|pass|session|principal|cert|csrf|ticket|` + secretWord + `|(^|-)(otp|pin|sid)$)`)
	secretPart   = regexp.MustCompile(`(?i)(` + secretWord + `|^(sig|code|key|auth|session|sid|ticket|otp|pin)$)`)
)

// header is what is kept of a request's header, and the token in place of one
// that the access key signs. It takes what the query must not tell out of the
// target. The caller holds mu.
func (x *exchange) header(req *http.Request, target *string) (kept []conformance.Field, token *conformance.Token) {
	names := &x.r.names
	sign := func(text string) bool {
		if t := signedWith(x.r.o.AccessKey, text); t != nil && !names.knows(text) {
			token = t
			return true
		}
		return false
	}
	*target = eachPair(*target, func(name, value string) (string, bool) {
		is := (name == "access_token" || name == "connectionToken") && sign(value)
		return "jwt", is
	})
	*target = x.withSecrets(*target)
	for _, c := range req.Cookies() {
		names.cookie(c)
		x.r.cookies = true
	}
	for _, name := range sortedNames(req.Header) {
		if notKept.MatchString(name) {
			continue
		}
		for _, value := range req.Header[name] {
			scheme, secret, ok := strings.Cut(value, " ")
			if !ok || name != "Authorization" {
				scheme, secret = "", value
			}
			switch {
			case !fitsLine(name, value):
				continue
			case name == "Authorization" && sign(secret):
				continue
			case secretHeader.MatchString(name):
				secret = "${" + names.secret(secret) + "}"
			default:
				secret = string(quote([]byte(secret)))
			}
			kept = append(kept, conformance.Field{Name: name, Value: strings.TrimSpace(scheme + " " + secret)})
		}
	}
	if strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		kept = append(kept, conformance.Field{Name: "Upgrade", Value: "websocket"})
	}
	return kept, token
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// withSecrets puts captures in the place of what a query or a form must not tell,
// and of the token of a client that connected before the recording began. The
// caller holds mu.
func (x *exchange) withSecrets(query string) string {
	return eachPair(query, func(name, value string) (string, bool) {
		if value == "" || strings.HasPrefix(value, "${") || !secretPart.MatchString(name) && (name != "id" || !x.hub) {
			return "", false
		}
		return x.r.names.secret(value), true
	})
}
