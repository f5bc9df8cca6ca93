package suite

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A report is shown to others, and whoever has a token or a cookie that is still
// good can use it. Of a JSON Web Token only the signature is left out: what it says
// may be why a case fails.

// signature finds the signature of a JSON Web Token.
var signature = regexp.MustCompile(`(eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.)[A-Za-z0-9_-]+`)

// tokenValue finds where an access token stands in a request or an answer, and what
// it is, unless that is a name that stands for it.
var tokenValue = regexp.MustCompile(`(?i)(access_token=|Authorization: Bearer |\\?"accessToken\\?" ?: ?\\?")([^$` + behindToken + `][^` + behindToken + `]*)`)

// behindToken are the characters that end a token.
const behindToken = "…\\s&\"'\\\\<>`"

// unsigned is a JSON Web Token whose signature is left out already, and its end
// may be.
var unsigned = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+$`)

func withoutTokens(s string) string {
	s = signature.ReplaceAllString(s, "$1…")
	return tokenValue.ReplaceAllStringFunc(s, func(found string) string {
		part := tokenValue.FindStringSubmatch(found)
		if unsigned.MatchString(part[2]) {
			return found
		}
		return part[1] + "…"
	})
}

// leastSecret is how many bytes a value must have to be left out wherever it stands:
// one of a few letters is in every other word.
const leastSecret = 6

// A given is what an endpoint was given for a login, in every spelling in which it
// may say it again.
type given []string

// givenTo finds the values of the headers and the access tokens that go to e.
func givenTo(e *Endpoint) (all given) {
	add := func(value string) {
		if len(value) >= leastSecret && !unsigned.MatchString(value) {
			all = append(all, value, url.QueryEscape(value))
		}
	}
	for _, values := range e.Header {
		for _, value := range values {
			add(value)
			if _, credentials, ok := strings.Cut(value, " "); ok { // behind Bearer or Basic
				add(credentials)
			}
		}
	}
	cookies, _ := http.ParseCookie(e.Header.Get("Cookie"))
	for _, c := range cookies {
		add(c.Value)
	}
	for _, token := range e.query()["access_token"] {
		add(token)
	}
	return all
}

// without is a text without what was given and without tokens.
func (g given) without(s string) string {
	for _, value := range g {
		s = strings.ReplaceAll(s, value, "…")
	}
	return withoutTokens(s)
}
