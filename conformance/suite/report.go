package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotAsked is in the error of a report in which nothing disagrees, but
// something could not be asked.
var ErrNotAsked = errors.New("could not be asked")

// Err is nil when the endpoint agrees, and says in one line how far it does not
// otherwise.
func (r *Report) Err() error {
	failed, broken := r.Count("", Failed), r.Count("", Broken)
	switch {
	case r.Stopped != "":
		return fmt.Errorf("%s: %d of %s %w: %s; %d failed", r.Set, r.left(r.Stopped), r.asked(), ErrNotAsked, r.Stopped, failed)
	case failed > 0:
		return fmt.Errorf("%s: %d of %s failed", r.Set, failed, r.asked())
	case len(r.Stale) > 0:
		return fmt.Errorf("%s: the list of what is known is wrong: %s", r.Set, strings.Join(r.Stale, "; "))
	case broken > 0:
		return fmt.Errorf("%s: %d of %s %w", r.Set, broken, r.asked(), ErrNotAsked)
	case r.Count("", Passed)+r.Count("", KnownFailed) == 0:
		return fmt.Errorf("%s: %s, all of which %w", r.Set, r.asked(), ErrNotAsked)
	}
	return nil
}

// left is how many cases were not asked to their end because the run was stopped.
func (r *Report) left(why string) (n int) {
	for _, x := range r.Results {
		if x.Outcome == Skipped && x.Why == why {
			n++
		}
	}
	return n
}

// withoutSecrets is the report as it may be shown. What clients were given by a judge
// is no secret, and the question is whether they brought it.
func (r *Report) withoutSecrets() *Report {
	cut := func(s *string) {
		if r.Set != string(Client) {
			*s = r.given.without(*s)
		}
	}
	own := *r
	cut(&own.Endpoint)
	own.Results = slices.Clone(r.Results)
	for i := range own.Results {
		x := &own.Results[i]
		cut(&x.Want)
		cut(&x.Got)
		cut(&x.Why)
		x.Log = slices.Clone(x.Log)
		for j := range x.Log {
			cut(&x.Log[j].Said)
		}
	}
	return &own
}
