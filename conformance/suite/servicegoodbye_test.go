package suite_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// How a service says goodbye of its own is left open; that it passes on how the hub
// does is not.
func TestGoodbyes(t *testing.T) {
	relay := startRelay(t)
	set := suite.ServiceSet()
	set.Probe = nil // what it asks is changed too
	gone := message{op: cut}
	for name, c := range map[string]struct {
		scenario string
		says     change
		outcome  suite.Outcome
		allowed  string
	}{
		"who is turned away is not told why":     {"sticky-required-elsewhere", instead(`"error"`, gone), suite.Passed, "the end of its connection will do"},
		"who is late is not told why":            {"handshake-timeout-of-the-token", instead(`"error"`, gone), suite.Passed, "the end of its connection will do"},
		"who has an error is not told":           {"error-text-of-the-app", instead(`"type":7`, gone), suite.Passed, "the end of its connection will do"},
		"other general words":                    {"error-text-of-the-app", replaced("Connection closed with an error.", "Internal server error."), suite.Passed, "general words"},
		"general words for all":                  {"error-text-of-the-app", replaced("column 7 of table users", "Internal server error."), suite.Passed, "general words"},
		"a goodbye that names no error":          {"error-text-of-the-app", replaced(`"error":"Connection closed with an error."`, `"allowReconnect":true`), suite.Passed, "general words"},
		"a word more than is told":               {"error-text-of-the-app", replaced("Connection closed with", "column 7 of table users is"), suite.Failed, ""},
		"the hub's own goodbye is not passed on": {"end-hub-abort", instead(`"type":7`, gone), suite.Failed, ""},
		"the hub's own goodbye is changed":       {"hub-refuses-in-onconnected", replaced("not you", "not me"), suite.Failed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := suite.Run(t.Context(), set, startWrong(t, relay, wrong{says: c.says}), suite.Options{Only: regexp.MustCompile("^" + c.scenario + "$")})
			if err != nil || len(r.Results) != 1 {
				t.Fatalf("%d cases, %v", len(r.Results), err)
			}
			x := r.Results[0]
			allowed := strings.Join(x.Allowed, "\n")
			if x.Outcome != c.outcome || !strings.Contains(allowed, c.allowed) {
				t.Errorf("%s, allowed %q: want %s, got %s %s", x.Outcome, allowed, x.Want, x.Got, x.Why)
			}
		})
	}
}

// Any refusal of a transport will do, but no other answer.
func TestRefusedTransports(t *testing.T) {
	relay := startRelay(t)
	set := suite.ServiceSet()
	set.Probe = nil // what it asks is changed too
	for status, outcome := range map[int]suite.Outcome{400: suite.Passed, 403: suite.Passed, 500: suite.Failed, 204: suite.Failed} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			refused := wrong{answer: func(r *http.Response) {
				if r.StatusCode == http.StatusNotFound {
					r.StatusCode, r.Status = status, ""
				}
			}}
			r, err := suite.Run(t.Context(), set, startWrong(t, relay, refused), suite.Options{Only: regexp.MustCompile("^transports-of-the-token$")})
			if err != nil || len(r.Results) != 1 {
				t.Fatalf("%d cases, %v", len(r.Results), err)
			}
			if x := r.Results[0]; x.Outcome != outcome {
				t.Errorf("%s: want %s, got %s %s", x.Outcome, x.Want, x.Got, x.Why)
			}
		})
	}
}
