package suite_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// A serviceFault is one thing that a service makes of what it hears, or says, that
// it should not.
type serviceFault struct {
	name  string
	by    string // the case that finds it
	got   string // what came instead, or a part of it; "" when nothing came
	door  layer  // around the requests to the relay; nil changes nothing
	wrong        // what goes over WebSockets, if door is nil
}

var serviceFaults = []serviceFault{
	// Who may come in.
	{name: "a client's token without a signature is taken", by: "unsigned-tokens", got: "200", door: taken("none", "/client/")},
	{name: "an app server's token without a signature is taken", by: "unsigned-tokens", got: "101", door: taken("none", "/server/")},
	{name: "who signs a client's token with HS512 is not looked at", by: "forged-tokens", got: "200", door: taken("HS512", "/client/")},
	{name: "who signs an app server's token with HS512 is not looked at", by: "forged-tokens", got: "101", door: taken("HS512", "/server/")},
	{name: "a token without a signature is taken of clients of ASP.NET", by: "legacy-unsigned-tokens", got: "200", door: taken("none", "/aspnetclient")},
	{name: "a token without a signature is taken of app servers of ASP.NET", by: "legacy-unsigned-tokens", got: "101", door: taken("none", "/aspnetserver/")},
	{name: "who signs with HS512 is not looked at where clients of ASP.NET connect", by: "legacy-forged-tokens", got: "101", door: taken("HS512", "/aspnetclient/connect")},
	{name: "a client of ASP.NET connects with a token that has expired", by: "legacy-forged-tokens", got: "101", door: on("", "/aspnetclient/connect", withClaim("exp", soon))},
	{name: "tokens are looked at in negotiate alone", by: "refused-tokens-connecting", got: "101", door: on(http.MethodGet, "/client/", resigned(func(r *http.Request, _ string, _ bool, claims jwt.MapClaims) bool {
		claims["exp"], claims["aud"] = soon(nil), "http://127.0.0.1/client/?hub="+r.URL.Query().Get("hub")
		return true
	}))},
	{name: "a client connects with a token that has expired", by: "refused-tokens-connecting", got: "101", door: on(http.MethodGet, "/client/", withClaim("exp", func(exp any) any {
		if exp != nil {
			exp = soon(nil)
		}
		return exp
	}))},
	{name: "what is sent with a token that has expired is refused", by: "token-expires-while-polling", got: "", door: where(func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Query().Has("id") && claimOf(r, "exp") < float64(time.Now().Unix())
	}, replies(http.StatusUnauthorized))},
	{name: "a poll with a token that has expired is refused", by: "token-expires-while-polling", got: "401", door: where(func(r *http.Request) bool {
		return r.Method == http.MethodGet && r.URL.Query().Has("id") && claimOf(r, "exp") < float64(time.Now().Unix())
	}, replies(http.StatusUnauthorized))},
	{name: "what is sent to a connection that is open needs no signature", by: "token-expires-while-polling", got: "200", door: where(func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Query().Has("id")
	}, taken("HS256", "/client/"))},
	{name: "a token that begins later is refused", by: "token-of-a-fast-clock", got: "401", door: where(func(r *http.Request) bool {
		return claimOf(r, "nbf") > float64(time.Now().Unix())
	}, replies(http.StatusUnauthorized))},
	{name: "names of hubs are compared with case", by: "hub-in-any-case", got: "401", door: where(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "hub=C") }, replies(http.StatusUnauthorized))},
	{name: "of two hubs the first counts", by: "two-hubs-in-a-query", got: "200", door: asking(func(_ *http.Request, q url.Values) { q["hub"] = q["hub"][:1] })},

	// What a token says besides.
	{name: "another app server will do for the required one", by: "sticky-required-elsewhere", got: "", door: withClaim("asrs.s.ssticky", always("Preferred"))},
	{name: "all transports are offered", by: "transports-of-the-token", got: "WebSockets", door: on(http.MethodPost, "/client/negotiate", withClaim("asrs.s.htt", always("7")))},
	{name: "a transport that is not offered is taken", by: "transports-of-the-token", got: "101", door: on(http.MethodGet, "/client/", withClaim("asrs.s.htt", always("7")))},
	{name: "the handshake timeout of a token does not count", by: "handshake-timeout-of-the-token", got: "", door: withClaim("asrs.s.cht", always("30"))},
	{name: "errors of the app are told to all", by: "error-text-of-the-app", got: "column 7", door: withClaim("asrs.s.derror", always("True"))},

	// What app servers say.
	{name: "excluded users hear what is sent to a group", by: "group-except-users", got: `"one"`, wrong: wrong{hears: replaced("\xa5alice", "\xa5alicf")}},
	{name: "a user who joins for no time joins for ever", by: "user-group-ttl-0", got: `"one"`, wrong: wrong{hears: replaced("\x81\x02\x00", "\x81\x02\x7f")}},
	{name: "an app server is not told that another has ended its client", by: "close-client-of-another-server", got: "", wrong: wrong{says: instead("\x95\x05")}},
	{name: "the user of a member is another", by: "group-members", got: "alicf", wrong: wrong{says: replaced("\xa5alice", "\xa5alicf")}},
	{name: "pages of members are of any length", by: "group-members-pages", got: "3 members in a page", wrong: wrong{hears: replaced("\xc0\xc0\x02", "\xc0\xc0\x7f")}},
	{name: "more members come than were asked for", by: "group-members-pages", got: "3 members", wrong: wrong{hears: replaced("\x02\xc0\xc0", "\x7f\xc0\xc0")}},
}

// A service that is wrong in one thing is found out by the case for it.
func TestServiceFaults(t *testing.T) {
	t.Parallel() // most of it is waiting for what does not come
	relay := startRelay(t)
	set := suite.ServiceSet()
	set.Probe = nil // the fault may be in what it asks
	ask := func(at *suite.Endpoint, name string) chan suite.Result {
		result := make(chan suite.Result, 1)
		go func() { // ends with the case
			r, err := suite.Run(t.Context(), set, at, suite.Options{Only: regexp.MustCompile("^" + name + "$")})
			if err != nil || len(r.Results) != 1 {
				result <- suite.Result{Outcome: suite.Broken, Why: "no such case"}
				return
			}
			result <- r.Results[0]
		}()
		return result
	}
	nothing := wrong{says: replaced(), hears: replaced()}
	found, right := map[string]chan suite.Result{}, map[string][]chan suite.Result{}
	for _, f := range serviceFaults {
		if found[f.name] != nil {
			t.Fatalf("two are called %s", f.name)
		}
		if f.door != nil {
			found[f.name] = ask(startDoor(t, relay, f.door), f.by)
		} else {
			found[f.name] = ask(startWrong(t, relay, f.wrong), f.by)
		}
		if right[f.by] == nil {
			right[f.by] = []chan suite.Result{ask(startDoor(t, relay, nil), f.by), ask(startWrong(t, relay, nothing), f.by)}
		}
	}
	for name, results := range right {
		for _, result := range results {
			if x := <-result; x.Outcome != suite.Passed {
				t.Errorf("%s is %s when nothing is wrong: want %s, got %s %s", name, x.Outcome, x.Want, x.Got, x.Why)
			}
		}
	}
	for _, f := range serviceFaults {
		t.Run(f.name, func(t *testing.T) {
			x := <-found[f.name]
			if x.Outcome != suite.Failed || !strings.Contains(x.Got, f.got) || (f.got == "") != (x.Got == "") {
				t.Errorf("%s is %s: want %s, got %q %s; it should have got %q", f.by, x.Outcome, x.Want, x.Got, x.Why, f.got)
			}
		})
	}
}

// startDoor puts a door before a service until the test ends.
func startDoor(t *testing.T, service *suite.Endpoint, door layer) *suite.Endpoint {
	t.Helper()
	past := httputil.NewSingleHostReverseProxy(service.URL)
	past.ErrorLog = log.New(io.Discard, "", 0) // connections end in the middle
	past.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	past.FlushInterval = -1
	var h http.Handler = past
	if door != nil {
		h = door(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &suite.Endpoint{URL: at, AccessKey: service.AccessKey}
}

// taken signs tokens of an algorithm that are not signed well, for paths that begin
// so.
func taken(algorithm, path string) layer {
	return on("", path, resigned(func(_ *http.Request, is string, signed bool, _ jwt.MapClaims) bool { return is == algorithm && !signed }))
}

// withClaim has another value for a claim of tokens that are signed well; nil is
// none.
func withClaim(name string, f func(value any) any) layer {
	return resigned(func(_ *http.Request, _ string, signed bool, claims jwt.MapClaims) bool {
		if v := f(claims[name]); v != nil {
			claims[name] = v
		}
		return signed
	})
}

func always(v any) func(any) any { return func(any) any { return v } }

// soon is a time at which no test runs any more.
func soon(any) any { return time.Now().Add(time.Hour).Unix() }

// claimOf is a number in the token of a request, 0 where there is none.
func claimOf(r *http.Request, name string) float64 {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), claims); err != nil {
		return 0
	}
	n, _ := claims[name].(float64)
	return n
}
