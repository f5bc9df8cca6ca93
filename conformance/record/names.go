package record

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// names are what stands for what a server or the app's login made up: c1 and
// c1token for a client, service1 for where it was sent, access1 for the token
// it was sent there with, request1 for the id of its sending, groups1 for a
// groups token, ask1 for the id of a server's question, cookie1 for a cookie, and
// secret1 for what else came with the client and is not the server's.
type names struct {
	of      map[string]string // by what they stand for
	cursors map[string]string // latest name of a cursor, by connection token and cursor
	asks    map[string]string // name of a question, by client and id
	counts  map[string]int    // by kind
}

func newNames() names {
	return names{of: map[string]string{}, cursors: map[string]string{}, asks: map[string]string{}, counts: map[string]int{}}
}

// shortest is the least that a name stands for wherever it is found, in bytes: a
// shorter text would be found everywhere.
const shortest = 6

func (n *names) add(value, name string) {
	if len(value) >= shortest && n.of[value] == "" {
		n.of[value] = name
	}
}

// numbered is the next name of a kind.
func (n *names) numbered(kind string) string {
	n.counts[kind]++
	return fmt.Sprint(kind, n.counts[kind])
}

func (n *names) knows(value string) bool { return n.of[value] != "" }

// secret takes a value that came with the client and returns its name.
func (n *names) secret(value string) string {
	if !n.knows(value) {
		n.of[value] = n.numbered("secret")
	}
	return n.of[value]
}

// cookie takes the value of a cookie, which nothing else may tell either.
func (n *names) cookie(c *http.Cookie) {
	if !n.knows(c.Value) {
		n.add(c.Value, n.numbered("cookie"))
	}
}

// requestID finds the id that an app gives each redirect (service-protocol 2.3,
// legacy-service-protocol 1.2), as it stands in the query.
var requestID = regexp.MustCompile(`[?&]asrs_request_id=([^&]*)`)

// redirect takes what differs from one redirect to the next and returns the name of
// the token in it. Tokens of one second may be the same and be others the next time.
func (n *names) redirect(to negotiation) (access string) {
	if to.access != "" {
		access = n.numbered("access")
		n.add(to.access, access)
	}
	found := requestID.FindStringSubmatch(to.url)
	if found == nil || n.knows(found[1]) {
		return access
	}
	name := n.numbered("request")
	n.add(found[1], name)
	if plain, err := url.QueryUnescape(found[1]); err == nil {
		n.add(plain, name)
	}
	return access
}

// eachPair puts a capture in the place of the values of a query, with or without
// a path before it, that f names one for.
func eachPair(query string, f func(name, value string) (string, bool)) string {
	path, rest, ok := strings.Cut(query, "?")
	if !ok {
		path, rest = "", query
	}
	pairs := strings.Split(rest, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		if capture, is := f(name, plain); is {
			pairs[i] = name + "=${" + capture + "}"
		}
	}
	if rest = strings.Join(pairs, "&"); ok {
		return path + "?" + rest
	}
	return rest
}

// captureLike finds what conformance would take for a capture.
var captureLike = regexp.MustCompile(`\$\{[^{}"` + "`" + `]{1,64}\}`)

// quote makes text that looks like a capture stand for itself.
func quote(data []byte) []byte {
	if !captureLike.Match(data) {
		return data
	}
	return bytes.ReplaceAll(data, []byte("${"), []byte("${1*$}{"))
}
