package suite_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// A hub may answer a method without a result as the published protocol says, and
// the report tells that it does.
func TestCoreVoidWithoutResult(t *testing.T) {
	t.Parallel()
	e := startCore(t)
	for name, c := range map[string]struct {
		by      string
		does    wrong
		outcome suite.Outcome
		allowed int
	}{
		"with null":              {"invoke-void-sse", wrong{}, suite.Passed, 0},
		"without":                {"invoke-void-sse", wrong{says: replaced(`,"result":null`, "")}, suite.Passed, 1},
		"without in messagepack": {"messagepack-void-websockets", wrong{says: replaced("\x07\x95\x03\x80\xa11\x03\xc0", "\x06\x94\x03\x80\xa11\x02")}, suite.Passed, 1},
		"a value that is null":   {"invoke-null", wrong{says: replaced(`,"result":null`, "")}, suite.Failed, 0},
		"an error":               {"invoke-void-sse", wrong{says: replaced(`"result":null`, `"error":"no"`)}, suite.Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.does.says == nil {
				c.does.says = replaced()
			}
			if c.does.hears == nil {
				c.does.hears = replaced()
			}
			set := suite.CoreSet()
			set.Probe = nil
			r, err := suite.Run(t.Context(), set, startWrong(t, e, c.does), suite.Options{Only: regexp.MustCompile("^" + c.by + "$")})
			if err != nil || len(r.Results) != 1 {
				t.Fatalf("%v, %d cases", err, len(r.Results))
			}
			if x := r.Results[0]; x.Outcome != c.outcome || len(x.Allowed) != c.allowed {
				t.Errorf("%s, allowed %q; want %s, %d allowed; want %s, got %s %s", x.Outcome, x.Allowed, c.outcome, c.allowed, x.Want, x.Got, x.Why)
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
