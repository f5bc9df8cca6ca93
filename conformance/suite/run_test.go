package suite_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

var nowhere = &suite.Endpoint{URL: &url.URL{Scheme: "http", Host: "nowhere.example", User: url.UserPassword("a", "secret")}}

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
		"no password":        {r.Endpoint, "http://a:xxxxx@nowhere.example"},
		"error of the whole": {r.Err().Error(), "outcomes: 4 of 12 cases failed"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
	if r.Agrees() || r.Count(suite.Core, suite.Failed) != 4 || r.Count("", suite.Skipped) != 2 {
		t.Errorf("agrees %v, %d failed, %d skipped", r.Agrees(), r.Count(suite.Core, suite.Failed), r.Count("", suite.Skipped))
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

func TestRunProbeFails(t *testing.T) {
	s := outcomes()
	s.Probe = func(context.Context, *suite.Endpoint) (map[suite.Level]string, error) {
		return nil, errors.New("nobody there")
	}
	if _, err := suite.Run(t.Context(), s, nowhere, suite.Options{}); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "nobody there") {
		t.Errorf("%v", err)
	}
}
