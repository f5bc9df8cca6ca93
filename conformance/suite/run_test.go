package suite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

var nowhere = &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1", User: url.UserPassword("a", "secret")}}

func asks(run func(ctx context.Context, t *suite.T)) suite.Case {
	return suite.Case{Level: suite.Core, About: "a question", From: "a test", Run: run}
}

// outcomes are the cases of a set that shows every way to end.
func outcomes() *suite.Set {
	s := &suite.Set{Name: "outcomes"}
	for name, c := range map[string]suite.Case{
		"passes":     asks(func(context.Context, *suite.T) {}),
		"fails":      asks(func(_ context.Context, t *suite.T) { t.Said("client", "c1", "hello %d", 1); t.Fail("a", "b") }),
		"unequal":    asks(func(_ context.Context, t *suite.T) { suite.Equal(t, "status", 200, 404) }),
		"lacks":      asks(func(_ context.Context, t *suite.T) { suite.Contains(t, "body", "yes", "no") }),
		"says-why":   asks(func(_ context.Context, t *suite.T) { t.Failf("%d too many", 3) }),
		"skips":      asks(func(_ context.Context, t *suite.T) { t.Skip("no such thing") }),
		"breaks":     asks(func(_ context.Context, t *suite.T) { t.Broken(errors.New("own fault")) }),
		"panics":     asks(func(context.Context, *suite.T) { panic("oops") }),
		"hub":        {Level: suite.Hub, Run: func(context.Context, *suite.T) { panic("asked though it is lacking") }},
		"is-allowed": asks(func(_ context.Context, t *suite.T) { t.Allowed("another way") }),
		"known":      asks(func(_ context.Context, t *suite.T) { t.Fail("a", "b") }),
		"mended":     asks(func(context.Context, *suite.T) {}),
	} {
		c.Name = name
		s.Cases = append(s.Cases, c)
	}
	slices.SortFunc(s.Cases, func(a, b suite.Case) int { return strings.Compare(a.Name, b.Name) })
	s.Probe = func(context.Context, *suite.Endpoint) (map[suite.Level]string, error) {
		return map[suite.Level]string{suite.Hub: "no test hub"}, nil
	}
	return s
}

func TestRun(t *testing.T) {
	each := map[string]suite.Outcome{}
	r, err := suite.Run(t.Context(), outcomes(), nowhere, suite.Options{
		Parallel: 4,
		Known:    map[string]string{"known": "a reason", "mended": "another", "nobody": "a third"},
		Each:     func(x suite.Result) { each[x.Name] = x.Outcome },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]suite.Outcome{
		"passes": suite.Passed, "fails": suite.Failed, "unequal": suite.Failed, "lacks": suite.Failed, "says-why": suite.Failed,
		"skips": suite.Skipped, "breaks": suite.Broken, "panics": suite.Broken, "hub": suite.Skipped, "is-allowed": suite.Passed,
		"known": suite.KnownFailed, "mended": suite.Passed,
	}
	if d := cmp.Diff(want, each); d != "" {
		t.Errorf("each:\n%s", d)
	}
	got := map[string]suite.Result{}
	for i, x := range r.Results {
		if x.Name != outcomes().Cases[i].Name {
			t.Errorf("result %d is of %s", i, x.Name)
		}
		got[x.Name] = x
	}
	for name, c := range map[string]struct{ got, want string }{
		"want and got":       {got["fails"].Want + got["fails"].Got, "ab"},
		"what was said":      {got["fails"].Log[0].Said, "hello 1"},
		"unequal":            {got["unequal"].Want + ", " + got["unequal"].Got, "status 200, status 404"},
		"lacks":              {got["lacks"].Want + ", " + got["lacks"].Got, "body with yes, no"},
		"why":                {got["says-why"].Why, "3 too many"},
		"skipped":            {got["hub"].Why, "no test hub"},
		"allowed":            {strings.Join(got["is-allowed"].Allowed, ""), "another way"},
		"known":              {got["known"].Known, "a reason"},
		"first line of why":  {strings.SplitN(got["panics"].Why, "\n", 2)[0], "panic: oops"},
		"stale":              {strings.Join(r.Stale, ", "), "nobody: no such case, mended: passed"},
		"no password":        {r.Endpoint, "http://a:xxxxx@127.0.0.1:1"},
		"error of the whole": {r.Err().Error(), "outcomes: 4 of 12 cases failed"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
	if r.Count(suite.Core, suite.Failed) != 4 || r.Count("", suite.Skipped) != 2 {
		t.Errorf("%d failed, %d skipped", r.Count(suite.Core, suite.Failed), r.Count("", suite.Skipped))
	}
}

// What an endpoint says at great length is not kept, and its length is told once.
func TestRunLongTexts(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	c := asks(func(_ context.Context, t *suite.T) { t.Said("server", "c1", "%s", long); t.Fail("short", long) })
	r, err := suite.Run(t.Context(), &suite.Set{Cases: []suite.Case{c}}, nowhere, suite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := r.Results[0]
	for name, s := range map[string]string{"got": x.Got, "log": x.Log[0].Said} {
		if len(s) > 1<<17 || !utf8.ValidString(s) {
			t.Errorf("%s: %d bytes", name, len(s))
		}
	}
	var text bytes.Buffer
	if err := r.Write(&text, suite.Text); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(text.String(), "é… (2097152 bytes)\n"); got != 2 || text.Len() > 1<<14 {
		t.Errorf("said %d times, in %d bytes", got, text.Len())
	}
}

func TestRunErr(t *testing.T) {
	for name, c := range map[string]struct {
		only string
		want string
		not  bool // it could not be asked
	}{
		"agrees":      {"^(passes|is-allowed|skips|known)$", "", false},
		"disagrees":   {"^(passes|fails|breaks)$", "1 of 3 cases failed", false},
		"breaks":      {"^(passes|breaks)$", "1 of 2 cases could not be asked", true},
		"only skips":  {"^(skips|hub)$", "2 cases, all of which could not be asked", true},
		"stale":       {"^mended$", "mended: passed", false},
		"known fails": {"^known$", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := suite.Run(t.Context(), outcomes(), nowhere, suite.Options{Only: regexp.MustCompile(c.only), Known: map[string]string{"known": "x", "mended": "y"}})
			if err != nil {
				t.Fatal(err)
			}
			err = r.Err()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, suite.ErrNotAsked) != c.not {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestRunLimit(t *testing.T) {
	waits := asks(func(ctx context.Context, t *suite.T) {
		<-ctx.Done()
		t.Broken(ctx.Err())
	})
	waits.Name = "waits"
	long := waits
	long.Limit = time.Minute
	for name, c := range map[string]struct {
		c     suite.Case
		limit time.Duration
		want  time.Duration
	}{
		"that of all":      {waits, 0, 10 * time.Second},
		"its own":          {long, 0, time.Minute},
		"that of the user": {long, time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := suite.Run(t.Context(), &suite.Set{Cases: []suite.Case{c.c}}, nowhere, suite.Options{Limit: c.limit})
				if err != nil {
					t.Fatal(err)
				}
				if x := r.Results[0]; x.Took != c.want || x.Outcome != suite.Failed || !strings.HasPrefix(x.Why, "not within "+c.want.String()) {
					t.Errorf("%s after %v: %s", x.Outcome, x.Took, x.Why)
				}
			})
		})
	}
}

func TestRunParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		c := asks(func(context.Context, *suite.T) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			now.Add(-1)
		})
		s := &suite.Set{}
		for range 9 {
			s.Cases = append(s.Cases, c)
		}
		r, err := suite.Run(t.Context(), s, nowhere, suite.Options{Parallel: 3})
		if err != nil {
			t.Fatal(err)
		}
		if r.Took != 3*time.Second || most.Load() != 3 {
			t.Errorf("%d at a time, %v", most.Load(), r.Took)
		}
	})
}

// A run that somebody ends has a report of what was asked until then.
func TestRunInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := &suite.Set{Name: "core"}
	for _, run := range []func(context.Context, *suite.T){
		func(_ context.Context, t *suite.T) { t.Fail("a", "b") },
		func(ctx context.Context, t *suite.T) { stop(); <-ctx.Done(); t.Broken(ctx.Err()) },
		func(context.Context, *suite.T) { panic("asked after the end") },
	} {
		s.Cases = append(s.Cases, asks(run))
	}
	each := 0
	r, err := suite.Run(ctx, s, nowhere, suite.Options{Each: func(suite.Result) { each++ }})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); !errors.Is(err, suite.ErrNotAsked) || err.Error() != "core: 2 of 3 cases could not be asked: interrupted; 1 failed" {
		t.Error(err)
	}
	if r.Stopped != "interrupted" || r.Count("", suite.Skipped) != 2 || each != 3 {
		t.Errorf("stopped %q, %d skipped, each %d", r.Stopped, r.Count("", suite.Skipped), each)
	}
}

// Nothing is asked of an endpoint that is there no more.
func TestRunEndpointGoes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &suite.Set{Name: "core", Probe: func(context.Context, *suite.Endpoint) (map[suite.Level]string, error) { return nil, nil }}
	for _, run := range []func(context.Context, *suite.T){
		func(_ context.Context, t *suite.T) { t.Failf("no matter, it is there") },
		func(_ context.Context, t *suite.T) { l.Close(); t.Failf("it ended the connection") },
		func(context.Context, *suite.T) { panic("asked of nobody") },
	} {
		s.Cases = append(s.Cases, asks(run))
	}
	r, err := suite.Run(t.Context(), s, &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: l.Addr().String()}}, suite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); !errors.Is(err, suite.ErrNotAsked) || !strings.HasPrefix(err.Error(), "core: 1 of 3 cases could not be asked: the endpoint is gone: dial tcp ") || !strings.HasSuffix(err.Error(), "; 2 failed") {
		t.Error(err)
	}
}

func TestRunProbeFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/locked/negotiate":
			if r.Header.Get("X-Login") == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		case "/forbidden/negotiate":
			w.WriteHeader(http.StatusForbidden)
		case "/moved/negotiate":
			http.Redirect(w, r, "/login?secret=1", http.StatusFound)
		}
	}))
	defer server.Close()
	at := func(path string) *suite.Endpoint {
		u, err := url.Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		return &suite.Endpoint{URL: u}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	const login = `a token can be given as --query access_token=…, or a login as --header "NAME: VALUE"`
	in := at("/locked")
	in.Header = http.Header{"X-Login": {"yes"}}
	said := errors.New("no hub:\n  it says \x1b[31mno")
	for name, c := range map[string]struct {
		ctx  context.Context
		e    *suite.Endpoint
		err  error
		want string // behind the address
	}{
		"on one line, and harmless": {t.Context(), at("/hub"), said, `/hub: no hub: it says \x1b[31mno`},
		"no answer":                 {t.Context(), at("/hub"), &url.Error{Op: "Post", URL: "http://x/?access_token=secret", Err: errors.New("refused")}, "/hub: no answer: refused"},
		"late":                      {t.Context(), at("/hub"), fmt.Errorf("negotiate: %w", context.DeadlineExceeded), "/hub: no answer in time"},
		"unauthorized":              {t.Context(), at("/locked"), said, "/locked: negotiate answers 401 Unauthorized: " + login},
		"with a login":              {t.Context(), in, said, `/locked: no hub: it says \x1b[31mno`},
		"forbidden":                 {t.Context(), at("/forbidden"), said, "/forbidden: negotiate answers 403 Forbidden: " + login},
		"elsewhere":                 {t.Context(), at("/moved"), said, "/moved: negotiate answers 302 Found and leads to " + server.URL + "/login: if that is a login, " + login},
		"interrupted":               {ended, at("/hub"), said, "/hub: interrupted before the first case"},
		"a token in the address":    {t.Context(), at("/hub?access_token=" + token), said, "/hub?access_token=" + strings.TrimSuffix(token, "c2lnbmF0dXJl") + `…: no hub: it says \x1b[31mno`},
	} {
		t.Run(name, func(t *testing.T) {
			s := outcomes()
			s.Probe = func(context.Context, *suite.Endpoint) (map[suite.Level]string, error) { return nil, c.err }
			if _, err := suite.Run(c.ctx, s, c.e, suite.Options{}); err == nil || err.Error() != server.URL+c.want {
				t.Errorf("%v, want %s", err, server.URL+c.want)
			}
		})
	}
	s := outcomes()
	s.Probe = func(context.Context, *suite.Endpoint) (map[suite.Level]string, error) { return nil, said }
	if _, err := suite.Run(t.Context(), s, nowhere, suite.Options{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a password is shown: %v", err)
	}
}
