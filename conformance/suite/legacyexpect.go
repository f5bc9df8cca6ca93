package suite

import (
	"net/http"
	"regexp"
	"strings"
)

// A legacyPattern is the texts that are right: literal but for ${any} and the
// like. JSON is compared as text, for the order of members is part of it.
type legacyPattern []string

// legacyWildcards stand for what differs from server to server and run to run.
var legacyWildcards = map[string]string{
	"any":     `.*`,
	"cursor":  `[^"\\]+`,
	"token":   `[^"\\]+`,
	"groups":  `[^"\\]+`,
	"guid":    `[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`,
	"seconds": `\d+\.\d+`,
	"bool":    `(?:true|false)`,

	"seconds or null": `(?:\d+\.\d+|null)`,
}

var legacyWildcard = regexp.MustCompile(`\$\{([\w ]+)\}`)

func (p legacyPattern) match(got string) bool {
	for _, want := range p {
		var b strings.Builder
		from := 0
		for _, m := range legacyWildcard.FindAllStringSubmatchIndex(want, -1) {
			w, ok := legacyWildcards[want[m[2]:m[3]]]
			if !ok {
				continue
			}
			b.WriteString(regexp.QuoteMeta(want[from:m[0]]) + w)
			from = m[1]
		}
		b.WriteString(regexp.QuoteMeta(want[from:]))
		if regexp.MustCompile(`(?s)^` + b.String() + `$`).MatchString(got) {
			return true
		}
	}
	return false
}

func (p legacyPattern) String() string { return strings.Join(p, " or ") }

// legacyNegotiated is the answer to negotiate with all its members in their
// order, numbers with a fraction (legacy-client-protocol 2.1). What the times are
// is the server's to say, and what an id looks like is in another case.
func legacyNegotiated(path, version string) string {
	return `{"Url":"` + path + `","ConnectionToken":"${token}","ConnectionId":"${token}","KeepAliveTimeout":${seconds or null}` +
		`,"DisconnectTimeout":${seconds},"ConnectionTimeout":${seconds},"TryWebSockets":${bool},"ProtocolVersion":"` + version +
		`","TransportConnectTimeout":${seconds},"LongPollDelay":${seconds}}`
}

// legacyExpect is an answer that is right. Of a 500 nothing but the status is
// asked, for its body is the host's (legacy-client-protocol 1.2).
type legacyExpect struct {
	status  int
	kind    string // short content type; "" asks nothing but the status
	body    legacyPattern
	reason  string
	headers [][2]string // name and value; an empty value means absent
	why     string      // it is right although it is not the first
}

// legacyNoSniff is on every answer that SignalR itself made
// (legacy-client-protocol 1.2).
const legacyNoSniff = "X-Content-Type-Options"

// differs says what of an answer is not right, as what would be and what is.
func (e *legacyExpect) differs(a legacyAnswer) (want, got string) {
	if a.status != e.status {
		return (&legacyAnswer{status: e.status, header: http.Header{"Content-Type": {legacyTypes[e.kind]}}, body: e.body.String()}).String(), a.String()
	}
	if e.reason != "" && a.reason != e.reason {
		return "reason " + e.reason, "reason " + a.reason
	}
	sniffed := false
	for _, h := range e.headers {
		sniffed = sniffed || strings.EqualFold(h[0], legacyNoSniff)
		if v := a.header.Get(h[0]); v != h[1] && (h[1] != "*" || v == "") {
			return h[0] + ": " + h[1], h[0] + ": " + v
		}
	}
	if e.kind == "" {
		return "", ""
	}
	if v := a.header.Get(legacyNoSniff); !sniffed && v != "nosniff" {
		return legacyNoSniff + ": nosniff", legacyNoSniff + ": " + v
	}
	if v := a.header.Get("Content-Type"); !strings.EqualFold(v, legacyTypes[e.kind]) {
		return "Content-Type: " + legacyTypes[e.kind], "Content-Type: " + v
	}
	if !e.body.match(a.body) {
		return e.body.String(), a.body
	}
	return "", ""
}

// check fails unless the answer is one of those that are right.
func (a legacyAnswer) check(t *T, right ...legacyExpect) {
	var want, got string
	for i := len(right) - 1; i >= 0; i-- { // the first is what is shown
		if want, got = right[i].differs(a); want == "" && got == "" {
			if right[i].why != "" {
				t.Allowed(right[i].why)
			}
			return
		}
	}
	t.Fail(want, got)
}
