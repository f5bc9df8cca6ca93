package suite_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// Cases that may take long begin first, and the results stay in the order of the set.
func TestLongestCasesFirst(t *testing.T) {
	s := &suite.Set{Name: "some"}
	for name, limit := range map[string]time.Duration{"short": time.Second, "usual": 0, "long": time.Minute} {
		s.Cases = append(s.Cases, suite.Case{Name: name, Limit: limit, Level: suite.Core, About: "a question", From: "a test", Run: func(context.Context, *suite.T) {}})
	}
	var began []string
	r, err := suite.Run(t.Context(), s, nowhere, suite.Options{Each: func(x suite.Result) { began = append(began, x.Name) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"long", "usual", "short"}; !slices.Equal(began, want) {
		t.Errorf("began %v, want %v", began, want)
	}
	for i, c := range s.Cases {
		if r.Results[i].Name != c.Name {
			t.Errorf("result %d is of %s, want %s", i, r.Results[i].Name, c.Name)
		}
	}
}
