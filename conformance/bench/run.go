package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Scenario is one thing that is measured.
type Scenario struct {
	Name  string
	About string // in one line, as the table's heading
	fresh bool   // the target is started anew for each round, because what is measured is what it grows to
	trial func(context.Context, *subject) (*trial, error)
	app   []string // more arguments for the app server
}

// trial is a target made ready for a scenario: its clients are connected.
type trial struct {
	measure func(context.Context) ([]Metric, error)
	close   func()
}

// Scenarios are all there are, in the order they run in.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "broadcast", About: "one client broadcasts, everybody receives", trial: broadcastTrial},
		{Name: "echo", About: "a tenth of the clients invokes Echo, again as soon as it is answered", trial: echoTrial},
		{Name: "connect", About: "negotiate, connect and shake hands, each on new TCP connections", trial: connectTrial},
		{Name: "idle-websockets", About: "memory of a client that does nothing", fresh: true, trial: idleTrial("WebSockets")},
		{Name: "idle-sse", About: "the same on Server-Sent Events", fresh: true, trial: idleTrial("ServerSentEvents")},
		{Name: "idle-longpolling", About: "the same as a parked poll", fresh: true, trial: idleTrial("LongPolling")},
		{Name: "growth", About: "broadcasts to more and more clients", fresh: true, trial: growthTrial},
		{Name: "large", About: "one large message to many clients", fresh: true, trial: largeTrial},
		{Name: "stalled-client", About: "one client stops reading while the others go on", fresh: true, trial: stalledTrial},
		{Name: "stalled-server", About: "one of two app servers is stopped while clients of both go on", fresh: true, trial: stalledServerTrial,
			app: []string{"--sticky", "required"}},
	}
}

// Run measures and prints a table to out as each scenario ends. A scenario that fails for a target is a line in the
// report (Report.Failed), not an error: the others still count. The error is about the options, or ctx's.
func Run(ctx context.Context, o Options, out io.Writer) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	scenarios, err := choose(o.Scenarios)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	cleanup, err := o.addReferences(ctx)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer cleanup()
	if len(o.Targets) == 0 {
		return nil, errors.New("bench: nothing to measure")
	}
	var names []string
	for _, t := range o.Targets {
		if slices.Contains(names, t.Name) {
			return nil, fmt.Errorf("bench: two targets are called %s", t.Name)
		}
		names = append(names, t.Name)
	}
	if err := raiseFiles(o.most(scenarios)); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	r := newReport(o)
	for _, s := range scenarios {
		run := measureInTurns
		if s.fresh {
			run = measureAfresh
		}
		if err := run(ctx, &o, s, r); err != nil {
			return r, err
		}
		r.finish(o.Targets)
		r.table(out, s, names)
	}
	if o.JSON != nil {
		if err := r.writeJSON(o.JSON); err != nil {
			return r, fmt.Errorf("bench: write report: %w", err)
		}
	}
	return r, nil
}

func choose(names []string) ([]Scenario, error) {
	all := Scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Scenario
	for _, s := range all {
		kind, _, _ := strings.Cut(s.Name, "-")
		if slices.Contains(names, s.Name) || slices.Contains(names, kind) {
			chosen = append(chosen, s)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(s Scenario) bool { return s.Name == n || strings.HasPrefix(s.Name, n+"-") }) {
			return nil, fmt.Errorf("no scenario is called %q", n)
		}
	}
	return chosen, nil
}

// most is how many connections are open at a time.
func (o *Options) most(scenarios []Scenario) int {
	n := 0
	for _, s := range scenarios {
		switch {
		case !s.fresh:
			n = max(n, o.Clients*len(o.Targets))
		case s.Name == "growth":
			n = max(n, o.GrowthClients[len(o.GrowthClients)-1])
		case s.Name == "large":
			n = max(n, o.LargeClients)
		default:
			n = max(n, o.IdleClients)
		}
	}
	return n
}

// addReferences makes targets of Options.Floor and Options.Kestrel.
func (o *Options) addReferences(ctx context.Context) (cleanup func(), err error) {
	cleanup = func() {}
	if o.Floor != "" {
		dir, err := os.MkdirTemp("", "signalrelay-bench-")
		if err != nil {
			return nil, err
		}
		cleanup = func() { os.RemoveAll(dir) }
		bin := filepath.Join(dir, "floor")
		build := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
		build.Dir = o.Floor
		if text, err := build.CombinedOutput(); err != nil {
			cleanup()
			return nil, fmt.Errorf("build floor: %w: %s", err, text)
		}
		o.Targets = append(o.Targets, Target{Name: "floor", URL: "http://{listen}/bench", Command: []string{bin, "{listen}"}, Limited: true})
	}
	if o.Kestrel != "" {
		o.Targets = append(o.Targets, Target{Name: "kestrel", URL: "http://{listen}/bench",
			Command: []string{o.Kestrel, "corehub", "--urls", "http://{listen}"}})
	}
	return cleanup, nil
}

// measureInTurns keeps all targets and their clients up and measures one after the other, round by round, so that
// what the machine does meanwhile hits all of them alike.
func measureInTurns(ctx context.Context, o *Options, s Scenario, r *Report) error {
	trials := make([]*trial, len(o.Targets))
	for i, t := range o.Targets {
		o.progress("%s: %s gets ready", s.Name, t.Name)
		x, err := prepare(ctx, o, s, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.fail(s.Name, t.Name, err)
			continue
		}
		defer x.close()
		trials[i] = x
	}
	for round := range o.Rounds {
		for i, t := range o.Targets {
			if trials[i] == nil {
				continue
			}
			ok := o.round(ctx, s, t, trials[i], r, round, o.Rounds)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !ok {
				trials[i] = nil // its deferred close still runs
			}
		}
	}
	return nil
}

// measureAfresh starts and stops a target for each round.
func measureAfresh(ctx context.Context, o *Options, s Scenario, r *Report) error {
	rounds := max(1, o.Rounds/3)
	broken := map[string]bool{}
	for round := range rounds {
		for _, t := range o.Targets {
			if broken[t.Name] {
				continue
			}
			o.progress("%s: %s gets ready", s.Name, t.Name)
			x, err := prepare(ctx, o, s, t)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				r.fail(s.Name, t.Name, err)
				broken[t.Name] = true
				continue
			}
			broken[t.Name] = !o.round(ctx, s, t, x, r, round, rounds)
			x.close()
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// prepare starts the target and gets the scenario ready on it; the trial's close undoes both.
func prepare(ctx context.Context, o *Options, s Scenario, t Target) (*trial, error) {
	if len(t.AppServer) > 0 {
		t.AppServer = slices.Concat(t.AppServer, s.app)
	}
	subject, err := t.start(ctx, o)
	if err != nil {
		return nil, err
	}
	x, err := s.trial(ctx, subject)
	if err != nil {
		subject.stop()
		return nil, err
	}
	closeTrial := x.close
	x.close = func() {
		if closeTrial != nil {
			closeTrial()
		}
		subject.stop()
	}
	return x, nil
}

// round takes one measurement into the report and reports whether it came about.
func (o *Options) round(ctx context.Context, s Scenario, t Target, x *trial, r *Report, i, n int) bool {
	start := time.Now()
	m, err := x.measure(ctx)
	if err != nil {
		r.fail(s.Name, t.Name, err)
		o.progress("%s %d/%d: %s: %v", s.Name, i+1, n, t.Name, err)
		return false
	}
	r.add(s.Name, t.Name, m)
	o.progress("%s %d/%d: %s: %s %s %s (%.1f s)", s.Name, i+1, n, t.Name, m[0].Name, short(m[0].Value), m[0].Unit, time.Since(start).Seconds())
	return true
}

func (o *Options) progress(format string, args ...any) { fmt.Fprintf(o.Progress, format+"\n", args...) }
