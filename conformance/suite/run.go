package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// An Outcome is how a case ended.
type Outcome string

// The outcomes. A case that is listed as known to fail is KnownFailed when it
// does, and Passed, which is reported, when it does not.
const (
	Passed      Outcome = "passed"
	Failed      Outcome = "failed"
	KnownFailed Outcome = "known"
	Skipped     Outcome = "skipped"
	Broken      Outcome = "broken" // the suite could not ask
)

// A Result is what became of one case.
type Result struct {
	Name    string
	Level   Level
	About   string
	From    string
	Outcome Outcome
	Want    string // of a failure: what would have been right
	Got     string // and what came instead
	Why     string // of everything but Passed: the reason, or the whole difference
	Log     []Line // of a failure: what was said before
	Took    time.Duration
	Known   string // the reason for which it is listed, if it is
	// Allowed are differences that are right too, each with its reason.
	Allowed []string
}

// A Report is what became of a set.
type Report struct {
	Set      string
	Endpoint string
	Results  []Result // in the order of the set
	// Stale are listed cases that passed, or are no case: the list is wrong.
	Stale []string
	// Stopped is why the run ended before every case was asked, empty if it did
	// not. The cases that were not asked to their end are Skipped.
	Stopped string
	Took    time.Duration

	given given
}

// Options say which cases are asked and how. The zero value asks all of them,
// one after the other.
type Options struct {
	Only     *regexp.Regexp // names that are asked; nil asks all
	Parallel int            // cases at a time; below 1 means 1
	// Known are cases that fail for a reason that is known, by name.
	Known map[string]string
	// Limit is how long a case may take; 0 leaves that to the case.
	Limit time.Duration
	// Each, if not nil, is called with every result as it comes, one at a time.
	Each func(Result)
}

// limit is how long a case may take that says nothing about it.
const limit = 10 * time.Second

// Run asks the cases of a set. The error says that none could be asked. A run
// that ctx ends, or that the endpoint does not live to see the end of, has a
// report of what was asked until then.
func Run(ctx context.Context, s *Set, e *Endpoint, o Options) (*Report, error) {
	began := time.Now()
	var lacks map[Level]string
	var there bool // at the address itself, not behind a proxy
	if s.Probe != nil {
		var err error
		if lacks, err = s.Probe(ctx, e); err != nil {
			return nil, errors.New(givenTo(e).without(unaskable(ctx, e, err).Error()))
		}
		there = listens(ctx, e.URL) == nil
	}
	var cases []Case
	for _, c := range s.Cases {
		if o.Only == nil || o.Only.MatchString(c.Name) {
			cases = append(cases, c)
		}
	}
	r := &Report{Set: s.Name, Endpoint: e.URL.Redacted(), Results: make([]Result, len(cases)), given: givenTo(e)}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	var one sync.Mutex // of Each
	for range max(1, o.Parallel) {
		workers.Go(func() { // ends with next
			for i := range next {
				x := ask(ctx, cases[i], e, lacks[cases[i].Level], o.Limit)
				x.judge(o.Known)
				r.Results[i] = x
				if o.Each != nil {
					one.Lock()
					o.Each(x)
					one.Unlock()
				}
				if there && (x.Outcome == Failed || x.Outcome == Broken) {
					if err := gone(ctx, e.URL); err != nil {
						stop(err)
					}
				}
			}
		})
	}
	for _, i := range longestFirst(cases) {
		next <- i
	}
	close(next)
	workers.Wait()
	if why := interruption(ctx); ctx.Err() != nil && r.left(why) > 0 {
		r.Stopped = why
	}
	r.stale(s, o)
	r.Took = time.Since(began)
	return r, nil
}

// longestFirst is the order in which cases begin. One that takes long and began last
// would run alone in the end.
func longestFirst(cases []Case) []int {
	order := make([]int, len(cases))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(cmp.Or(cases[b].Limit, limit), cmp.Or(cases[a].Limit, limit))
	})
	return order
}

// A verdict ends a case, as a panic.
type verdict struct {
	outcome        Outcome
	want, got, why string
}

// try returns the verdict that f ends with, if it does.
func try(f func()) (v *verdict) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *verdict:
			v = p
		default:
			panic(p)
		}
	}()
	f()
	return nil
}

// ask runs one case.
func ask(ctx context.Context, c Case, e *Endpoint, lacks string, within time.Duration) (r Result) {
	r = Result{Name: c.Name, Level: c.Level, About: c.About, From: c.From, Outcome: Passed}
	if lacks != "" {
		r.Outcome, r.Why = Skipped, lacks
		return r
	}
	if ctx.Err() != nil {
		r.Outcome, r.Why = Skipped, interruption(ctx)
		return r
	}
	if within == 0 {
		within = cmp.Or(c.Limit, limit)
	}
	run := ctx
	ctx, cancel := context.WithTimeout(run, within)
	defer cancel()
	t := &T{Endpoint: e}
	began := time.Now()
	defer func() {
		r.Took, r.Allowed = time.Since(began), t.allowed
		switch p := recover().(type) {
		case nil:
		case *verdict:
			r.Outcome, r.Want, r.Got, r.Why = p.outcome, cutTo(maxKept, p.want), cutTo(maxKept, p.got), cutTo(maxKept, p.why)
		default:
			r.Outcome, r.Why = Broken, fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
		// What a case says that was stopped in the middle means nothing.
		if run.Err() != nil && (r.Outcome == Failed || r.Outcome == Broken) {
			r.Outcome, r.Want, r.Got, r.Why = Skipped, "", "", interruption(run)
			return
		}
		if r.Outcome == Failed || r.Outcome == Broken {
			r.Log = t.log.last()
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && r.Outcome == Broken {
			r.Outcome, r.Why = Failed, fmt.Sprintf("not within %v: %s", within, r.Why)
		}
	}()
	c.Run(ctx, t)
	return r
}

// maxKept is how many bytes are kept of each text of a result, more than are shown:
// an endpoint may answer a hundred cases at length.
const maxKept = 64 << 10

// judge looks a result up in the list of what is known.
func (r *Result) judge(known map[string]string) {
	r.Known = known[r.Name]
	if r.Known != "" && r.Outcome == Failed {
		r.Outcome = KnownFailed
	}
}

// stale finds what is listed and should not be.
func (r *Report) stale(s *Set, o Options) {
	cases := map[string]bool{}
	for _, c := range s.Cases {
		cases[c.Name] = true
	}
	for name := range o.Known {
		if !cases[name] {
			r.Stale = append(r.Stale, name+": no such case")
		}
	}
	for _, x := range r.Results {
		if x.Known != "" && x.Outcome == Passed {
			r.Stale = append(r.Stale, x.Name+": passed")
		}
	}
}

// Count returns how many results of a level, or of all for "", had an outcome.
func (r *Report) Count(l Level, o Outcome) (n int) {
	for _, x := range r.Results {
		if (l == "" || x.Level == l) && x.Outcome == o {
			n++
		}
	}
	return n
}

// log keeps the last lines of a case.
type log struct {
	mu    sync.Mutex
	lines []Line
}

// lastLines is how many lines a failure shows.
const lastLines = 12

func (l *log) add(x Line) {
	x.Said = cutTo(maxKept, x.Said)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, x)
	if len(l.lines) > 4*lastLines {
		l.lines = append([]Line(nil), l.lines[len(l.lines)-lastLines:]...)
	}
}

func (l *log) last() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Line(nil), l.lines[max(0, len(l.lines)-lastLines):]...)
}
