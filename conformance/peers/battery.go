package peers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// A Check is one line of a battery's output.
type Check struct {
	Name    string
	Outcome Outcome
	Why     string // of a check that failed or was skipped
}

// Outcome is how a check ended.
type Outcome string

// Outcomes, as batteries write them at the beginning of a line.
const (
	Passed  Outcome = "ok"
	Failed  Outcome = "FAIL"
	Skipped Outcome = "skip"
)

// A Tally counts checks by Outcome.
type Tally map[Outcome]int

// String is the last line of a battery.
func (t Tally) String() string {
	s := fmt.Sprintf("%d passed, %d failed", t[Passed], t[Failed])
	if t[Skipped] > 0 {
		s += fmt.Sprintf(", %d skipped", t[Skipped])
	}
	return s
}

// ErrMissing says that a battery found nothing to run with on this machine.
var ErrMissing = errors.New("battery cannot run here")

const missing = 77 // exit status that says so

// lastLine is how a battery ends; without it, it did not run to its end.
var lastLine = regexp.MustCompile(`^\d+ passed, \d+ failed`)

// parseCheck reads one line; ok is false for one that is no check. A name may
// hold a colon, so the reason begins at the first colon with a space.
func parseCheck(line string) (c Check, ok bool) {
	word, rest, _ := strings.Cut(line, " ")
	c.Outcome = Outcome(word)
	switch c.Outcome {
	case Passed:
		c.Name = strings.TrimSpace(rest)
	case Failed, Skipped:
		c.Name, c.Why, _ = strings.Cut(strings.TrimSpace(rest), ": ")
	default:
		return Check{}, false
	}
	return c, c.Name != ""
}

// RunBattery runs a battery to its end and calls each with every check as it
// ends. The Tally is counted from the checks; the error says that the battery
// did not come to its end, counted otherwise, or that its exit status does not
// fit.
func RunBattery(ctx context.Context, each func(Check), command ...string) (Tally, error) {
	tally, last := Tally{}, ""
	p, err := Start("battery", func(line string) {
		if c, ok := parseCheck(line); ok {
			tally[c.Outcome]++
			each(c)
		} else if lastLine.MatchString(line) {
			last = line
		}
	}, command...)
	if err != nil {
		return nil, err
	}
	defer p.Kill() // when ctx ends first
	var exit *exec.ExitError
	err = p.Wait(ctx)
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == missing:
		return tally, fmt.Errorf("%w: %s", ErrMissing, p.Tail())
	case err != nil && (tally[Failed] == 0 || ctx.Err() != nil):
		return tally, err
	}
	want := fmt.Sprintf("%d passed, %d failed", tally[Passed], tally[Failed])
	if !strings.HasPrefix(last, want) {
		return tally, fmt.Errorf("battery ended with %q after %s: %s", last, want, p.Tail())
	}
	return tally, nil
}

// AskAgain asks once more, alone, for each check that failed: on a busy machine a
// client may be away for longer than it is allowed to. ask runs a battery with the
// one check of that name. What it finds takes the place of the failure in checks,
// unless it failed again or was not found; those replaced are returned.
func AskAgain(checks []Check, ask func(name string) []Check) (flaky []Check) {
	for i, first := range checks {
		if first.Outcome != Failed {
			continue
		}
		alone := ask(first.Name)
		if j := slices.IndexFunc(alone, func(c Check) bool { return c.Name == first.Name }); j >= 0 && alone[j].Outcome != Failed {
			checks[i] = alone[j]
			flaky = append(flaky, first)
		}
	}
	return flaky
}

// CoreClient is the command of the battery with Microsoft's .NET client.
func CoreClient(peers, variant string, a *App, options ...string) []string {
	return append(append(dotnet(peers, variant), "coreclient", a.URL+"/chat"), options...)
}
