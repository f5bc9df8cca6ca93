package suite_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// abrupt answers requests without a type, and ends each WebSocket, when its
// first frame comes, without a close frame.
func abrupt(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		w.Header().Set("X-Kind", "plain")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Methods", "GET")
		if r.URL.Path == "/talkative" {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "hello")
		}
		return
	}
	conn, both, err := openSocket(w, r)
	if err != nil {
		return
	}
	defer conn.Close()
	both.ReadByte()
}

// openSocket answers the handshake of a WebSocket (RFC 6455 section 4.2).
func openSocket(w http.ResponseWriter, r *http.Request) (net.Conn, *bufio.ReadWriter, error) {
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, both, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(accept[:])+"\r\n\r\n")
	}
	return conn, both, err
}

// One fault of a service does not fail every case that passes by it, only the
// one that asks for it.
func TestLenientRules(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(abrupt))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	const connect = "client c1> GET /\n  Upgrade: websocket\nrelay c1> 101\n"
	for name, c := range map[string]struct {
		text    string
		outcome suite.Outcome
		allowed string
	}{
		"a close that is not answered":     {connect + "client c1> close 1000\nrelay c1> close 1000\n", suite.Passed, "client-close-answered"},
		"in the case that asks for it":     {"# name: client-close-answered\n\n" + connect + "client c1> close 1000\nrelay c1> close 1000\n", suite.Failed, ""},
		"a close of the service's own":     {connect + "client c1> text `x`\nrelay c1> close 1000\n", suite.Failed, ""},
		"an empty answer without a type":   {"client h1> POST /\nrelay h1> 200\n  Content-Type: text/plain\n  X-Kind: plain\n", suite.Passed, "needs no type"},
		"a preflight with 200":             {"client h1> OPTIONS /\nrelay h1> 204\n  Access-Control-Allow-Origin: *\n", suite.Passed, "Fetch standard"},
		"a preflight for another":          {"client h1> OPTIONS /\nrelay h1> 204\n  Access-Control-Allow-Origin: http://x\n", suite.Failed, ""},
		"no preflight":                     {"client h1> POST /\nrelay h1> 204\n", suite.Failed, ""},
		"another status":                   {"client h1> POST /\nrelay h1> 202\n  Content-Type: text/plain\n", suite.Failed, ""},
		"another header":                   {"client h1> POST /\nrelay h1> 200\n  Content-Type: text/plain\n  X-Kind: other\n", suite.Failed, ""},
		"an answer with a body, no type":   {"client h1> POST /talkative\nrelay h1> 200\n  Content-Type: text/plain\n  body `hello`\n", suite.Failed, ""},
		"no answer where one has a body":   {"client h1> POST /\nrelay h1> 200\n  Content-Type: text/plain\n  body `hello`\n", suite.Failed, ""},
		"a method that was not asked for":  {"client h1> OPTIONS /\n  Access-Control-Request-Method: POST\nrelay h1> 200\n  Access-Control-Allow-Methods: POST, GET\n", suite.Failed, ""},
		"the method that was asked for":    {"client h1> OPTIONS /\n  Access-Control-Request-Method: GET\nrelay h1> 200\n  Access-Control-Allow-Methods: POST, GET\n", suite.Passed, "only the method"},
		"what needs nothing to be allowed": {"client h1> POST /\nrelay h1> 200\n", suite.Passed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := suite.ServiceScript([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			comesOut(t, x, at, c.outcome, c.allowed)
		})
	}
}

// A service that is elsewhere, or behind a proxy, sees another address of a client.
func TestAddressOfClient(t *testing.T) {
	relay := startRelay(t)
	set := suite.ServiceSet()
	set.Probe = nil // what it asks is changed too
	for name, c := range map[string]struct {
		address string
		outcome suite.Outcome
	}{
		"another":        {"10.20.3.4", suite.Passed},
		"of IPv6":        {"2001:db::", suite.Passed},
		"with a proxy":   {"::1, ::2,", suite.Passed},
		"not an address": {"localhost", suite.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := suite.Run(t.Context(), set, mutant(t, relay, "\xa9127.0.0.1", "\xa9"+c.address), suite.Options{Only: regexp.MustCompile("^connect-websockets-json$")})
			if err != nil || len(r.Results) != 1 {
				t.Fatalf("%d cases, %v", len(r.Results), err)
			}
			x := r.Results[0]
			if allowed := strings.Contains(strings.Join(x.Allowed, ""), "the address of a client"); x.Outcome != c.outcome || allowed != (c.outcome == suite.Passed) {
				t.Errorf("%s, allowed %q: want %s, got %s %s", x.Outcome, x.Allowed, x.Want, x.Got, x.Why)
			}
		})
	}
}

// comesOut asks one case of a service, and fails unless that is the outcome and
// that is allowed, or nothing.
func comesOut(t *testing.T, x suite.Case, at *url.URL, outcome suite.Outcome, allows string) {
	t.Helper()
	r, err := suite.Run(t.Context(), &suite.Set{Cases: []suite.Case{x}}, &suite.Endpoint{URL: at, AccessKey: accessKey}, suite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := r.Results[0]
	allowed := strings.Join(got.Allowed, "")
	if got.Outcome != outcome || !strings.Contains(allowed, allows) || allows == "" && allowed != "" {
		t.Errorf("%s, allowed %q: want %s %s, got %s", got.Outcome, allowed, got.Want, got.Why, got.Got)
	}
}
