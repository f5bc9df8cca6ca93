package suite_test

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// What the front wants to see, and what comes of it.
const loginField, loginValue = "X-Login", "0123456789"

// loginCounts are how many requests came to a front with and without a login.
type loginCounts struct{ with, without atomic.Int64 }

// startFront has a front before a hub, until the test ends, that answers 401 to
// everybody who has not logged in, and lets preflights pass as those who do CORS
// do. Where the hub sends its clients elsewhere on its host, they are sent to the
// front, unless apart says that their place is not the front's.
func startFront(t *testing.T, hub *suite.Endpoint, apart bool) (e *suite.Endpoint, seen *loginCounts) {
	t.Helper()
	seen = &loginCounts{}
	var front *httptest.Server
	between := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", hub.URL.Host, hub.URL.Host
			r.Out.Header.Del(loginField)
		},
		ModifyResponse: func(r *http.Response) error {
			if !apart && strings.HasSuffix(r.Request.URL.Path, "/negotiate") {
				setBody(r, func(b []byte) []byte {
					return bytes.ReplaceAll(b, []byte("//"+hub.URL.Host), []byte(strings.TrimPrefix(front.URL, "http:")))
				})
			}
			return nil
		},
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // clients go when they like
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
		switch in := r.Header.Get(loginField) == loginValue; {
		case preflight && in:
			t.Errorf("a preflight with a login: %s", r.URL)
		case !preflight && !in:
			seen.without.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		seen.with.Add(1)
		w.Header()["Content-Type"] = nil // an answer without one keeps none
		between.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	at, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.Path = hub.URL.Path
	return &suite.Endpoint{URL: at, Header: http.Header{loginField: {loginValue}}}, seen
}

// spoilt are cases about what httputil.ReverseProxy does not pass on as it came: the
// reason of a status, a semicolon in a query.
var spoilt = regexp.MustCompile("-jsonp-disabled$|^query-semicolon$")

// A hub that wants a login is asked everything with it, and nothing without. Who
// is elsewhere does not learn of it.
func TestHeader(t *testing.T) {
	for name, c := range map[string]struct {
		set   *suite.Set
		start func(*testing.T) *suite.Endpoint
		known string
		some  string // the cases that are asked where clients are sent elsewhere
	}{
		"core":   {suite.CoreSet(), startCore, "core/known-relay.txt", "^(handshake|poll-first|redirect-answer|cors-preflight|sse-head|echo)"},
		"legacy": {suite.LegacySet(), startLegacy, "legacy/known-relay.txt", "^(negotiate|connect|start|call-echo|cors)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var leaks atomic.Int64
			hub := startWrong(t, c.start(t), wrong{answer: func(r *http.Response) {
				if r.Request.Header.Get(loginField) != "" {
					leaks.Add(1)
				}
			}})
			agrees := func(t *testing.T, e *suite.Endpoint, seen *loginCounts, only string, least int64) {
				r, err := suite.Run(t.Context(), c.set, e, suite.Options{Parallel: 8, Known: listed(t, c.known), Only: regexp.MustCompile(only), Limit: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range r.Results {
					if (x.Outcome == suite.Failed || x.Outcome == suite.Broken) && !spoilt.MatchString(x.Name) {
						t.Errorf("%s: want %s, got %s %s", x.Name, x.Want, x.Got, x.Why)
					}
				}
				if n := r.Count("", suite.Passed); n < len(r.Results)/2 {
					t.Errorf("only %d of %d cases passed", n, len(r.Results))
				}
				if with, without := seen.with.Load(), seen.without.Load(); with < least || without > 0 {
					t.Errorf("%d requests had a login, want %d or more; %d had none", with, least, without)
				}
				var text bytes.Buffer
				for _, format := range []suite.Format{"text", "tap", "junit", "json", "markdown"} {
					if err := r.Write(&text, format); err != nil {
						t.Error(err)
					}
				}
				if strings.Contains(text.String(), loginValue) {
					t.Error("the report tells the login")
				}
			}
			t.Run("all of it behind the front", func(t *testing.T) {
				t.Parallel()
				e, seen := startFront(t, hub, false)
				agrees(t, e, seen, "", 5*int64(len(c.set.Cases))) // not negotiates alone
			})
			t.Run("clients are sent elsewhere", func(t *testing.T) {
				t.Parallel()
				e, seen := startFront(t, hub, true)
				agrees(t, e, seen, c.some, 1)
				if n := leaks.Load(); n > 0 {
					t.Errorf("%d requests elsewhere had the login", n)
				}
			})
			t.Run("without", func(t *testing.T) {
				e, _ := startFront(t, hub, false)
				e.Header = nil
				const want = `negotiate answers 401 Unauthorized: a token can be given as --query access_token=…, or a login as --header "NAME: VALUE"`
				if _, err := suite.Run(t.Context(), c.set, e, suite.Options{}); err == nil || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("%v, want %s", err, want)
				}
			})
		})
	}
}
