package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
)

// The header of a caller goes to its endpoint, and is left there.
func TestCallerHeader(t *testing.T) {
	seen := make(chan string, 10)
	var here, there *httptest.Server
	see := func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Login") + r.Header.Get("Accept")
		switch r.URL.Path {
		case "/to-there":
			http.Redirect(w, r, there.URL, http.StatusTemporaryRedirect)
		case "/to-here":
			http.Redirect(w, r, here.URL, http.StatusTemporaryRedirect)
		}
	}
	here, there = httptest.NewServer(http.HandlerFunc(see)), httptest.NewServer(http.HandlerFunc(see))
	defer here.Close()
	defer there.Close()
	at, err := url.Parse(here.URL + "/hub?x=y")
	if err != nil {
		t.Fatal(err)
	}
	caller := &conformance.Caller{At: at, Header: http.Header{"X-Login": {"in"}, "Accept": {"any"}}}
	const asks = "Access-Control-Request-Method"
	for name, c := range map[string]struct {
		method, url string
		own         http.Header
		want        []string // what each hop sees
	}{
		"the endpoint":              {http.MethodGet, here.URL + "/hub", nil, []string{"inany"}},
		"beside it":                 {http.MethodPost, here.URL + "/", nil, []string{"inany"}},
		"a field of its own":        {http.MethodGet, here.URL, http.Header{"Accept": {"text"}}, []string{"intext"}},
		"another host":              {http.MethodGet, there.URL + "/hub", nil, []string{""}},
		"a redirect to the same":    {http.MethodGet, here.URL + "/to-here", nil, []string{"inany", "inany"}},
		"a redirect to another":     {http.MethodGet, here.URL + "/to-there", nil, []string{"inany", ""}},
		"a redirect back":           {http.MethodGet, there.URL + "/to-here", nil, []string{"", "inany"}},
		"a preflight":               {http.MethodOptions, here.URL, http.Header{asks: {"POST"}}, []string{""}},
		"OPTIONS, but no preflight": {http.MethodOptions, here.URL, nil, []string{"inany"}},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.own != nil {
				req.Header = c.own
			}
			resp, err := caller.Client(http.DefaultTransport).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if req.Header.Get("X-Login") != "" {
				t.Error("the request was changed")
			}
			for _, want := range c.want {
				if got := <-seen; got != want {
					t.Errorf("saw %q, want %q", got, want)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		url, want string
		own       http.Header
	}{
		"a WebSocket":                    {here.URL, "inany", nil},
		"a WebSocket with its own field": {here.URL, "intext", http.Header{"Accept": {"text"}}},
		"a WebSocket elsewhere":          {there.URL, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := caller.Dial(t.Context(), c.url, c.own); err == nil {
				t.Error("a WebSocket was opened")
			}
			if got := <-seen; got != c.want {
				t.Errorf("saw %q, want %q", got, c.want)
			}
		})
	}
}

// Which addresses are the endpoint's, however they are written.
func TestCallerOrigin(t *testing.T) {
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, c := range []struct {
		at, to string
		same   bool
	}{
		{"http://host/hub", "http://HOST:80/other?x=y", true},
		{"https://host:443/hub", "https://host", true},
		{"http://user:pass@host/hub", "http://host/", true},
		{"http://host/hub", "https://host/hub", false},
		{"http://host/hub", "http://host:8080/hub", false},
		{"http://host/hub", "http://host.example/hub", false},
		{"https://host:80/hub", "https://host/hub", false},
	} {
		caller := &conformance.Caller{At: parse(c.at), Header: http.Header{"X-Login": {"in"}}}
		if got := len(caller.Fields(http.MethodGet, parse(c.to), nil)) > 0; got != c.same {
			t.Errorf("%s is at %s: %v", c.to, c.at, got)
		}
	}
}
