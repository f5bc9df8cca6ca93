package suite

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// besides is how wide want and got may be to stand side by side.
const besides = 36

func writeText(p *page, r *Report) {
	for _, x := range r.Results {
		if x.Outcome == Failed || x.Outcome == Broken {
			x.explain(p)
		}
	}
	for _, x := range r.Results {
		if x.Outcome == KnownFailed {
			p.printf("known    %s: %s\n", x.Name, shown(x.Known))
		}
	}
	for _, g := range r.grouped(skippedWhy) {
		p.printf("skipped  %s: %s\n", g.some(), shown(g.why))
	}
	for _, g := range r.grouped(allowedWhy) {
		p.printf("allowed  %s: %s\n", g.some(), g.why)
	}
	for _, s := range r.Stale {
		p.printf("stale    in the list of what is known, %s\n", shown(s))
	}
	for _, g := range r.causes() {
		p.printf("cause    %d failures: %s: %s\n", len(g.names), g.why, g.some())
	}
	if p.Len() > 0 && !strings.HasSuffix(p.String(), "\n\n") {
		p.printf("\n")
	}
	p.printf("%-14s", "")
	for _, o := range outcomes {
		p.printf("%9s", o)
	}
	p.printf("\n")
	for _, l := range r.levels() {
		p.printf("%-14s", l)
		for _, o := range outcomes {
			p.printf("%9d", r.Count(l, o))
		}
		p.printf("\n")
	}
	p.printf("\n%s %s: %s in %s", shown(r.Endpoint), r.verdict(), r.asked(), seconds(r.Took))
	if r.Stopped != "" {
		p.printf(", %s", shown(r.Stopped))
	}
	p.printf("\n")
}

// explain writes a failure: where the expectation is from, what was said before
// it, what was wanted and what came.
func (x *Result) explain(p *page) {
	p.printf("%-8s %s (%s)\n", strings.ToUpper(string(x.Outcome)), x.Name, x.Level)
	p.below("         ", shown(x.About))
	p.below("         ", "from: "+shown(x.From))
	p.printf("\n")
	x.conversation(p, "         ")
	p.printf("\n")
}

// conversation writes the last lines of a failure, and the difference.
func (x *Result) conversation(p *page, indent string) {
	inner := indent + "             "
	for _, l := range x.Log {
		text := strings.Split(shown(l.Said), "\n")
		p.printf("%s%-6s %-5s %s\n", indent, l.Who, l.Conn, text[0])
		for _, more := range text[1:] {
			p.below(inner, more)
		}
	}
	want, got := shown(x.Want), shown(orNothing(x.Got))
	switch {
	case x.Want == "" && x.Got == "":
	case short(want) && short(got):
		p.printf("%swant  %-*s  got  %s\n", indent, besides, want, got)
	default:
		p.below(indent, "want  "+strings.ReplaceAll(want, "\n", "\n      "))
		p.below(indent, "got   "+strings.ReplaceAll(got, "\n", "\n      "))
	}
	if x.Why != "" {
		p.below(indent, shown(x.Why))
	}
}

func short(s string) bool {
	return !strings.Contains(s, "\n") && utf8.RuneCountInString(s) <= besides
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// Progress shows how a run comes along. Its Each is for [Options].
type Progress struct {
	W     io.Writer
	Total int  // cases that are asked
	Live  bool // W is a terminal, on which a line can be written over

	done, failed int
}

// Each shows a result: a failure on a line of its own at once, everything else
// as a count, where that can be written over.
func (p *Progress) Each(x Result) {
	p.done++
	if p.Live {
		fmt.Fprint(p.W, "\r\x1b[K")
	}
	if x.Outcome == Failed || x.Outcome == Broken {
		p.failed++
		fmt.Fprintf(p.W, "%s %s\n", x.Outcome, x.Name)
	}
	switch {
	case !p.Live:
	case p.done == p.Total:
	default:
		fmt.Fprintf(p.W, "%d of %d, %d failed", p.done, p.Total, p.failed)
	}
}
