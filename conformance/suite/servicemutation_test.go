package suite_test

import (
	"net/url"
	"regexp"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// mutant is an endpoint that says everything that another says, but with new for
// old.
func mutant(t *testing.T, of *suite.Endpoint, old, new string) *suite.Endpoint {
	t.Helper()
	own := *of
	own.URL = &url.URL{Scheme: "http", Host: relaytest.StartMutant(t, of.URL.Host, old, new)}
	return &own
}

// serviceMutations are what a service says for something else, each with the case
// that finds it.
var serviceMutations = map[string]struct{ old, new, by string }{
	"version of the negotiate answer":   {`"negotiateVersion":1`, `"negotiateVersion":0`, "connect-websockets-json"},
	"a transport that is not offered":   {`"ServerSentEvents"`, `"ServerSentEventz"`, "connect-sse-json"},
	"type of the negotiate answer":      {"application/json", "application/jsom", "connect-longpolling-json"},
	"type of an event stream":           {"text/event-stream", "text/event-strean", "connect-sse-json"},
	"another id of the handshake":       {"cid1", "cid2", "startup-1-connection"},
	"query of a client":                 {"asrs.op=", "asrs.oq=", "connect-websockets-json"},
	"a claim":                           {"favourite", "favouritd", "connect-websockets-json"},
	"a long name of a claim":            {"claims/nameidentifier", "claims/nameidentifieR", "connect-websockets-json"},
	"a header of a client":              {"X-Test", "X-Tesd", "connect-websockets-json"},
	"protocol of a client":              {"\x03\xa4json", "\x03\xa4jsom", "connect-websockets-json"},
	"data of a client":                  {`"target":"Add"`, `"target":"Adx"`, "connect-websockets-json"},
	"data to a client":                  {`"result":42`, `"result":43`, "connect-websockets-json"},
	"an event to a client":              {`"result":42`, `"result":43`, "connect-sse-json"},
	"an answer to a poll":               {`"result":42`, `"result":43`, "connect-longpolling-json"},
	"status of an ack":                  {"\x95\x14\x01\x01", "\x95\x14\x01\x02", "group-join-send-leave"},
	"id of an ack":                      {"\x95\x14\x01\x01", "\x95\x14\x02\x01", "group-join-send-leave"},
	"status of an ack about a group":    {"\x95\x14\x03\x02", "\x95\x14\x03\x01", "user-groups"},
	"close code of a client":            {"\x88\x02\x03\xe8", "\x88\x02\x03\xe9", "client-close-answered"},
	"status of a refusal":               {"HTTP/1.1 401", "HTTP/1.1 403", "refused-tokens"},
	"credentials of another origin":     {"Access-Control-Allow-Credentials: true", "Access-Control-Allow-Credentials: no!!", "chromium-lp-cors-token"},
	"answer to a shutdown":              {"\xa6finack", "\xa6finacc", "shutdown-no-new-clients"},
	"first frame of ASP.NET":            {`"S":1`, `"S":2`, "legacy-open-anonymous"},
	"answer to start of ASP.NET":        {"started", "startet", "legacy-open-anonymous"},
	"mount in the negotiate of ASP.NET": {`"Url":"/aspnetclient"`, `"Url":"/aspnetclienz"`, "legacy-open-anonymous"},
	"version of ASP.NET":                {`"ProtocolVersion":"2.0"`, `"ProtocolVersion":"2.1"`, "legacy-open-anonymous"},
	"result of ASP.NET":                 {`{"R":3,`, `{"R":4,`, "legacy-invoke"},
	"error of ASP.NET":                  {"told you so", "told you sp", "legacy-invoke"},
	"a message of ASP.NET":              {`"A":["b1"]`, `"A":["bx"]`, "legacy-backend-sends"},
	"a hub of ASP.NET":                  {`"H":"news"`, `"H":"chat"`, "legacy-sends"},
	"preamble of an event stream":       {"initialized", "initialised", "legacy-sse"},
	"reconnect of ASP.NET":              {"asrs:reconnect", "asrs:reconnecT", "legacy-reconnect-websocket"},
	"a client that is not known":        {"HTTP/1.1 404", "HTTP/1.1 410", "legacy-reconnect-websocket"},
	"a header that is said twice":       {"X-Multi", "X-Multj", "legacy-open-claims-long"},
}

// A service that is wrong in one thing is found out by the case for it.
func TestServiceMutations(t *testing.T) {
	relay := startRelay(t)
	set := suite.ServiceSet()
	set.Probe = nil // the mutation may be in what it asks
	ask := func(t *testing.T, e *suite.Endpoint, name string) suite.Result {
		t.Helper()
		r, err := suite.Run(t.Context(), set, e, suite.Options{Only: regexp.MustCompile("^" + name + "$")})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Results) != 1 {
			t.Fatalf("no case %s", name)
		}
		return r.Results[0]
	}
	for name, c := range serviceMutations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if x := ask(t, mutant(t, relay, c.old, c.old), c.by); x.Outcome != suite.Passed {
				t.Fatalf("%s is %s without the mutation: %s", c.by, x.Outcome, x.Why)
			}
			if x := ask(t, mutant(t, relay, c.old, c.new), c.by); x.Outcome != suite.Failed {
				t.Errorf("%s is %s: %s", c.by, x.Outcome, x.Why)
			}
		})
	}
}
