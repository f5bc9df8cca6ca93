package suite_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A hub may do what the protocol leaves to it otherwise than Microsoft's does, and
// the report tells that it does; what the protocol does not leave to it, or an
// exact-… case wants, it may not.
func TestCoreRules(t *testing.T) {
	t.Parallel()
	e := startCore(t)
	asBytes := wrong{says: inBytes()}
	for name, c := range map[string]struct {
		by      string
		does    wrong
		outcome suite.Outcome
		allowed int
	}{
		"void with null":              {"invoke-void-sse", wrong{}, suite.Passed, 0},
		"void without":                {"invoke-void-sse", wrong{says: replaced(`,"result":null`, "")}, suite.Passed, 1},
		"void without in messagepack": {"messagepack-void-websockets", wrong{says: replaced("\x07\x95\x03\x80\xa11\x03\xc0", "\x06\x94\x03\x80\xa11\x02")}, suite.Passed, 1},
		"void in wider numbers":       {"messagepack-void-websockets", wrong{says: replaced("\x07\x95\x03\x80\xa11\x03\xc0", "\x07\x94\x03\x80\xa11\xd0\x02")}, suite.Passed, 1},
		"void with a value":           {"messagepack-void-websockets", wrong{says: replaced("\x07\x95\x03\x80\xa11\x03\xc0", "\x07\x95\x03\x80\xa11\x03\xc2")}, suite.Failed, 0},
		"a value that is null":        {"invoke-null", wrong{says: replaced(`,"result":null`, "")}, suite.Failed, 0},
		"an error for void":           {"invoke-void-sse", wrong{says: replaced(`"result":null`, `"error":"no"`)}, suite.Failed, 0},

		"an error in other words":        {"handshake-unknown-protocol-sse", wrong{says: replaced("is not supported", "is unsupported")}, suite.Passed, 1},
		"an error without words":         {"handshake-unknown-protocol-sse", wrong{says: replaced("The protocol 'xml' is not supported.", "")}, suite.Failed, 0},
		"what a HubException tells":      {"invoke-hub-exception-sse", wrong{says: replaced("An unexpected error occurred invoking 'Fail' on the server. HubException: ", "Sorry, ")}, suite.Passed, 1},
		"a secret":                       {"invoke-other-exception", wrong{says: replaced("An unexpected error", "A secret")}, suite.Failed, 0},
		"an error of messagepack":        {"messagepack-error", wrong{says: replaced("An unexpected error", "AN UNEXPECTED ERROR")}, suite.Passed, 1},
		"a negotiate error":              {"negotiate-version-too-small", wrong{answer: negotiated("does not support this version", "is newer")}, suite.Passed, 1},
		"a negotiate error of more":      {"negotiate-version-too-small", wrong{answer: negotiated(`{"error"`, `{"url":"x","error"`)}, suite.Failed, 0},
		"a method that means nothing":    {"put", wrong{answer: status(405, 400)}, suite.Passed, 1},
		"a preflight with 200":           {"cors-preflight", wrong{answer: onMethod(http.MethodOptions, status(204, 200))}, suite.Passed, 1},
		"a preflight that allows nobody": {"cors-preflight", wrong{answer: onMethod(http.MethodOptions, func(r *http.Response) { status(204, 200)(r); r.Header.Del("Access-Control-Allow-Origin") })}, suite.Failed, 0},

		"json in bytes":              {"client-result-websockets", asBytes, suite.Passed, 1},
		"another answer in bytes":    {"invoke-websockets", wrong{says: instead(answered, message{op: ws.Binary, data: `{"type":3,"invocationId":"1","result":"hi"}` + "\x1e"})}, suite.Failed, 0},
		"json in bytes for the case": {"handshake-binary-frame", asBytes, suite.Failed, 0},
		"no Close after garbage":     {"message-garbage-websockets", wrong{says: instead(`"type":7`)}, suite.Passed, 1},
		"no word to no handshake":    {"handshake-garbage-websockets", wrong{says: instead(`"error"`)}, suite.Passed, 1},
		"no word to a handshake":     {"handshake-unknown-protocol-websockets", wrong{says: instead(`"error"`)}, suite.Failed, 0},
		"a code after garbage":       {"message-garbage-websockets", wrong{says: onOp(opClose, message{op: opClose, data: "\x03\xf3"})}, suite.Passed, 1},
		"a reason":                   {"abort-websockets", wrong{says: onOp(opClose, message{op: opClose, data: "\x03\xe8bye"})}, suite.Passed, 1},
		"no Close for a Close":       {"close-of-client-websockets", wrong{says: instead(`"type":7`)}, suite.Passed, 1},
		"no Close for one in bytes":  {"message-split-messagepack", wrong{says: instead("\x04\x93\x07\xc0\xc2")}, suite.Passed, 1},
		"no Close for an abort":      {"abort-websockets", wrong{says: instead(`"type":7`)}, suite.Failed, 0},
		"no end after a Close":       {"close-of-client-websockets", wrong{says: onOp(opClose, message{op: stay})}, suite.Failed, 0},
		"a socket cut after garbage": {"message-garbage-websockets", wrong{says: onOp(opClose, message{op: cut})}, suite.Failed, 0},
		"garbage is passed over":     {"message-garbage-websockets", wrong{hears: instead("not json")}, suite.Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := askWrong(t, e, c.does, c.by)
			if x.Outcome != c.outcome || c.outcome == suite.Passed && len(x.Allowed) != c.allowed {
				t.Errorf("%s, allowed %q; want %s, %d allowed; want %s, got %s %s", x.Outcome, x.Allowed, c.outcome, c.allowed, x.Want, x.Got, x.Why)
			}
		})
	}
}

// askWrong asks one case of an endpoint that is wrong in something.
func askWrong(t *testing.T, e *suite.Endpoint, does wrong, name string) suite.Result {
	t.Helper()
	if does.says == nil {
		does.says = replaced()
	}
	if does.hears == nil {
		does.hears = replaced()
	}
	set := suite.CoreSet()
	set.Probe = nil
	return askOne(t, set, startWrong(t, e, does), name)
}

// askOne asks one case of a set.
func askOne(t *testing.T, set *suite.Set, e *suite.Endpoint, name string) suite.Result {
	t.Helper()
	r, err := suite.Run(t.Context(), set, e, suite.Options{Only: regexp.MustCompile("^" + name + "$")})
	if err != nil || len(r.Results) != 1 {
		t.Fatalf("%v, %d cases", err, len(r.Results))
	}
	return r.Results[0]
}

// What an endpoint need not offer is skipped where it does not.
func TestCoreNeeds(t *testing.T) {
	t.Parallel()
	e := startCore(t)
	noPolls := wrong{answer: negotiated(`,{"transport":"LongPolling","transferFormats":["Text","Binary"]}`, "")}
	noResume := wrong{answer: negotiated(`"useStatefulReconnect":true`, `"useStatefulReconnect":false`)}
	noPacked := wrong{says: replaced(), hears: replaced(`"messagepack"`, `"carrier pigeon"`)}
	for name, c := range map[string]struct {
		by      string
		does    wrong
		outcome suite.Outcome
		why     string
	}{
		"a transport":              {"invoke-longpolling", noPolls, suite.Skipped, "does not offer LongPolling"},
		"a request of a transport": {"poll-first", noPolls, suite.Skipped, "does not offer LongPolling"},
		"a request of its client":  {"poll-handshake-first", noPolls, suite.Skipped, "does not offer LongPolling"},
		"DELETE":                   {"no-id-delete", noPolls, suite.Skipped, "does not offer LongPolling"},
		"a request of all":         {"no-id-send", noPolls, suite.Passed, ""},
		"the list of transports":   {"negotiate-transports", noPolls, suite.Passed, ""},
		"resuming":                 {"stateful-ack", noResume, suite.Skipped, "does not offer stateful reconnect"},
		"asking to resume":         {"stateful-negotiate", noResume, suite.Failed, ""},
		"messagepack":              {"messagepack-invoke-websockets", noPacked, suite.Skipped, "no messagepack"},
		"messagepack by polls":     {"messagepack-invoke-longpolling", noPacked, suite.Skipped, "no messagepack"},
		"its handshake":            {"handshake-messagepack-websockets", noPacked, suite.Skipped, "no messagepack"},
		"its handshake, exactly":   {"exact-handshake-messagepack-sse", noPacked, suite.Skipped, "no messagepack"},
		"its handshake on events":  {"handshake-messagepack-sse", noPacked, suite.Passed, ""},
		"its client results":       {"messagepack-client-result", noPacked, suite.Skipped, "no messagepack"},
		"its whole messages":       {"poll-whole-messages-messagepack", noPacked, suite.Skipped, "no messagepack"},
		"json beside it":           {"invoke-websockets", noPacked, suite.Passed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if x := askWrong(t, e, c.does, c.by); x.Outcome != c.outcome || c.why != "" && !strings.Contains(x.Why, c.why) {
				t.Errorf("%s: %s, want %s: %s", x.Outcome, x.Why, c.outcome, c.why)
			}
		})
	}
}

// A transport that does not open fails its own cases only.
func TestCoreShutDoor(t *testing.T) {
	t.Parallel()
	e := startWrong(t, startCore(t), wrong{says: replaced(), hears: replaced(), answer: onMethod(http.MethodGet, status(200, 202))})
	for name, want := range map[string]suite.Outcome{
		"handshake-longpolling": suite.Failed, "poll-first": suite.Failed,
		"invoke-longpolling": suite.Skipped, "poll-answer": suite.Skipped, "poll-handshake-first": suite.Skipped,
		"handshake-sse": suite.Failed, "invoke-sse": suite.Skipped, "invoke-websockets": suite.Passed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if x := askOne(t, suite.CoreSet(), e, name); x.Outcome != want {
				t.Errorf("%s: %s %s %s, want %s", x.Outcome, x.Want, x.Got, x.Why, want)
			}
		})
	}
}

// A test hub that lacks a method, or a back end that lacks a request, is not
// asked for it.
func TestCoreIncompleteContract(t *testing.T) {
	t.Parallel()
	few := startCore(t)
	few.URL.Path = "/bench" // has Echo
	part := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/backend/stats" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(part.Close)
	halved := startCore(t)
	halved.BackEnd = part.URL
	for name, c := range map[string]struct {
		at      *suite.Endpoint
		by      string
		outcome suite.Outcome
		why     string
	}{
		"a method":             {few, "invoke-numbers", suite.Skipped, "no method Add"},
		"a method in bytes":    {few, "messagepack-object-websockets", suite.Skipped, "no method Mirror"},
		"the method there is":  {few, "invoke-websockets", suite.Passed, ""},
		"a request":            {halved, "backend-user", suite.Skipped, "no back end for POST /backend/user/"},
		"no request at all":    {halved, "send-user", suite.Passed, ""},
		"what clients results": {few, "messagepack-client-result", suite.Skipped, "no method Ask"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if x := askOne(t, suite.CoreSet(), c.at, c.by); x.Outcome != c.outcome || !strings.Contains(x.Why, c.why) {
				t.Errorf("%s: %s %s %s, want %s: %s", x.Outcome, x.Want, x.Got, x.Why, c.outcome, c.why)
			}
		})
	}
}

// A hub that anyone offers need not have a back end.
func TestCoreWithoutBackEnd(t *testing.T) {
	t.Parallel()
	none := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(none.Close)
	e := startCore(t)
	e.BackEnd = none.URL
	r, err := suite.Run(t.Context(), suite.CoreSet(), e, suite.Options{Parallel: 8, Only: regexp.MustCompile("^(backend-|abort-)")})
	if err != nil {
		t.Fatal(err)
	}
	if passed, skipped := r.Count("", suite.Passed), r.Count("", suite.Skipped); passed == 0 || skipped == 0 || passed+skipped != len(r.Results) {
		t.Errorf("%d passed, %d skipped of %d", passed, skipped, len(r.Results))
	}
}
