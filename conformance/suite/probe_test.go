package suite_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// What the two SignalRs answer to negotiate (core-client-protocol 2.2,
// legacy-client-protocol 2.2).
const (
	coreAnswer   = `{"negotiateVersion":1,"connectionId":"a","connectionToken":"b","availableTransports":[]}`
	legacyAnswer = `{"Url":"/signalr","ConnectionToken":"a","ConnectionId":"b","ProtocolVersion":"2.0"}`
	moved        = `{"ProtocolVersion":"2.0","RedirectUrl":"http://127.0.0.1:1/aspnetclient","AccessToken":"a"}`
)

// What is no endpoint of the set is told in one line, with what came in place of one.
func TestProbeOfNoEndpoint(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const butCore, butLegacy = " but a hub of ASP.NET Core SignalR: conform core asks those", " but an endpoint of ASP.NET SignalR 2: conform legacy asks those"
	for name, c := range map[string]struct {
		set    *suite.Set
		method string // of what is answered so; all others are 405
		body   string // SELF is the server
		want   string
	}{
		"a page":                     {suite.CoreSet(), "POST", "<!DOCTYPE html>\n<p>hello", "no hub: negotiate answers 200 OK, text/html; charset=utf-8: <!DOCTYPE html>\n<p>hello"},
		"a long page":                {suite.CoreSet(), "POST", strings.Repeat("x", 2<<20), "no hub: negotiate answers 200 OK, text/plain; charset=utf-8: " + strings.Repeat("x", 80) + "… (1048576 bytes)"},
		"nothing":                    {suite.CoreSet(), "POST", "", "no hub: negotiate answers 200 OK and nothing"},
		"an array":                   {suite.CoreSet(), "POST", "[1]", "no hub: negotiate answers 200 OK, text/plain; charset=utf-8: [1]"},
		"an object":                  {suite.CoreSet(), "POST", "{}", "no hub: negotiate answers 200 OK, text/plain; charset=utf-8: {}"},
		"an error":                   {suite.CoreSet(), "POST", `{"error":"tired"}`, `no hub: negotiate answers with the error "tired"`},
		"a status":                   {suite.CoreSet(), "GET", "", "no hub: negotiate answers 405 Method Not Allowed and nothing"},
		"the other SignalR":          {suite.CoreSet(), "POST", legacyAnswer, "no hub of ASP.NET Core SignalR" + butLegacy},
		"the other, with a service":  {suite.CoreSet(), "POST", moved, "no hub of ASP.NET Core SignalR" + butLegacy},
		"a redirect without an end":  {suite.CoreSet(), "POST", `{"url":"SELF/again?n=1","availableTransports":[]}`, "no hub at SELF/again, where negotiate leads: more than 100 redirects"},
		"a redirect to nobody":       {suite.CoreSet(), "POST", `{"url":"http://` + closed.Addr().String() + `/x?secret=1","accessToken":"a"}`, "no hub at http://" + closed.Addr().String() + "/x, where negotiate leads: dial tcp "},
		"a redirect to no URL":       {suite.CoreSet(), "POST", `{"url":"/x"}`, `no hub: negotiate leads to "/x", which is no URL`},
		"legacy: a page":             {suite.LegacySet(), "GET", "<p>", "no endpoint of ASP.NET SignalR 2: negotiate answers 200 text/html; charset=utf-8 <p>"},
		"legacy: an error":           {suite.LegacySet(), "GET", `{"error":"tired"}`, `no endpoint of ASP.NET SignalR 2: negotiate answers 200 text/plain; charset=utf-8 {"error":"tired"}`},
		"legacy: the other SignalR":  {suite.LegacySet(), "POST", coreAnswer, "no endpoint of ASP.NET SignalR 2" + butCore},
		"legacy: which minds no GET": {suite.LegacySet(), "", coreAnswer, "no endpoint of ASP.NET SignalR 2" + butCore},
		"legacy: without an end":     {suite.LegacySet(), "GET", `{"RedirectUrl":"SELF","ProtocolVersion":"2.0"}`, "no endpoint of ASP.NET SignalR 2: negotiate redirects more than 100 times"},
		"legacy: to nobody":          {suite.LegacySet(), "GET", `{"RedirectUrl":"http://` + closed.Addr().String() + `","ProtocolVersion":"2.0"}`, "no endpoint of ASP.NET SignalR 2: dial tcp "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.method != "" && r.Method != c.method {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				io.WriteString(w, strings.ReplaceAll(c.body, "SELF", "http://"+r.Host))
			}))
			defer s.Close()
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.want, "SELF", s.URL)
			if _, err := c.set.Probe(t.Context(), &suite.Endpoint{URL: u}); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

// One that takes connections and says nothing is late, for either.
func TestProbeOfSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, set := range []*suite.Set{suite.CoreSet(), suite.LegacySet()} {
		t.Run(set.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := set.Probe(ctx, &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: l.Addr().String()}})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want %v", err, context.DeadlineExceeded)
			}
		})
	}
}
