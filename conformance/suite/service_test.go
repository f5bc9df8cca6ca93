package suite_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

const accessKey = "an access key of the relay under test, long enough"

// startRelay serves a relay of our own until the test ends.
func startRelay(t *testing.T) *suite.Endpoint {
	t.Helper()
	return &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: relaytest.StartRelay(t, accessKey)}, AccessKey: accessKey}
}

// The relay agrees with every case but those listed; and every rule that says
// what else is right is needed, or it is wrong itself.
func TestServiceSet(t *testing.T) {
	r, err := suite.Run(t.Context(), suite.ServiceSet(), startRelay(t), suite.Options{Parallel: 16, Known: listed(t, "service/known-relay.txt"), Limit: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	recordReport(t, r, bareRelay)
	var allowed []string
	for _, x := range r.Results {
		allowed = append(allowed, x.Allowed...)
		switch {
		case x.Outcome == suite.Skipped && x.Level == suite.REST: // TestRESTSet asks them
		case x.Outcome == suite.Failed, x.Outcome == suite.Broken, x.Outcome == suite.Skipped:
			t.Errorf("%s: %s\n%s\nwant %s\ngot  %s\n%v", x.Name, x.Outcome, x.Why, x.Want, x.Got, x.Log)
		}
	}
	for _, s := range r.Stale {
		t.Errorf("cases/service/known-relay.txt: %s", s)
	}
	t.Logf("%d cases in %v", len(r.Results), r.Took.Round(time.Millisecond))
	for _, why := range suite.ServiceRules() {
		if !slices.Contains(allowed, why) && !t.Failed() {
			t.Errorf("not needed any more: %s", why)
		}
	}
}

func TestServiceProbe(t *testing.T) {
	e := startRelay(t)
	set := suite.ServiceSet()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, c := range map[string]struct {
		e    *suite.Endpoint
		want string
	}{
		"right":       {e, ""},
		"another key": {&suite.Endpoint{URL: e.URL, AccessKey: "another key that is long enough for it"}, "the access key is not the service's"},
		"not there":   {&suite.Endpoint{URL: &url.URL{Scheme: "http", Host: gone.Addr().String()}, AccessKey: accessKey}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			lacks, err := set.Probe(t.Context(), c.e)
			switch {
			case err == nil && (len(lacks) != 1 || lacks[suite.REST] != "it has no REST API: it answers 404 to POST /api/hubs/{hub}/:send"):
				t.Errorf("lacks %v", lacks)
			case (err == nil) != (c.want == ""), err != nil && !strings.Contains(err.Error(), c.want):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A service need not have both flavours; one that has it and is broken lacks nothing.
func TestServiceFlavours(t *testing.T) {
	relay := startRelay(t)
	for name, c := range map[string]struct {
		path   string
		status int
		lacks  suite.Level
	}{
		"no ASP.NET Core":       {"/server/", http.StatusNotFound, suite.Service},
		"no ASP.NET":            {"/aspnetserver/", http.StatusNotFound, suite.ServiceLegacy},
		"a broken ASP.NET Core": {"/server/", http.StatusInternalServerError, ""},
		"a broken ASP.NET":      {"/aspnetserver/", http.StatusInternalServerError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			through := httputil.NewSingleHostReverseProxy(relay.URL)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == c.path {
					w.WriteHeader(c.status)
					return
				}
				through.ServeHTTP(w, r)
			}))
			defer s.Close()
			at, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			lacks, err := suite.ServiceSet().Probe(t.Context(), &suite.Endpoint{URL: at, AccessKey: accessKey})
			delete(lacks, suite.REST) // which the relay has not
			if err != nil || (lacks[c.lacks] != "") != (c.lacks != "") || c.lacks == "" && len(lacks) > 0 {
				t.Errorf("lacks %v, %v; want %q", lacks, err, c.lacks)
			}
		})
	}
}

// A transcript is played where the endpoint is, with tokens for it: an audience has
// the host without the port (service-protocol 1.3).
func TestRelocate(t *testing.T) {
	text := func(hub, host, origin, quote string) string {
		return `client h1> GET /client/?hub=` + hub + `
  Host: ` + host + `
  token HS256 {"aud":"` + origin + `/client/?hub=` + hub + `"}
relay s1> OpenConnection ConnectionID=c1
  claim aud ` + quote + origin + `/client/?hub=` + hub + quote + `
  header Host ` + quote + host + quote + "\n"
	}
	for name, c := range map[string]struct{ endpoint, host, origin, quote string }{
		"a name":               {"http://relay.example", "relay.example", "http://relay.example", ""},
		"a name with a port":   {"https://relay.example:8443", "relay.example:8443", "https://relay.example", ""},
		"IPv4":                 {"http://192.0.2.1:8888", "192.0.2.1:8888", "http://192.0.2.1", ""},
		"IPv6":                 {"http://[::1]", "[::1]", "http://[::1]", "`"},
		"IPv6 with a port":     {"http://[::1]:8888", "[::1]:8888", "http://[::1]", "`"},
		"a port that is empty": {"http://[::1]:", "[::1]:", "http://[::1]", "`"},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := url.Parse(c.endpoint)
			if err != nil {
				t.Fatal(err)
			}
			got := string(suite.Relocate([]byte(text("chat", "127.0.0.1:8888", "http://127.0.0.1", "")), &suite.Endpoint{URL: at}, "own"))
			want := text("chatown", c.host, c.origin, c.quote)
			if got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}

// The scenarios without a case have a reason, and no case.
func TestNotServiceCases(t *testing.T) {
	not, err := suite.NotServiceCases()
	if err != nil {
		t.Fatal(err)
	}
	if len(not) == 0 {
		t.Fatal("none")
	}
	names := map[string]bool{}
	for _, c := range suite.ServiceSet().Cases {
		if names[c.Name] {
			t.Errorf("%s twice", c.Name)
		}
		names[c.Name] = true
		if c.About == "" || c.From == "" {
			t.Errorf("%s does not say what it is about or where it is from", c.Name)
		}
		if not[c.Name] != "" {
			t.Errorf("%s is a case and listed as none", c.Name)
		}
	}
}
