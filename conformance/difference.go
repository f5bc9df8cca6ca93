package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// A Difference is the first message of a relay that is not as recorded.
type Difference struct {
	Scenario string
	Line     int // of the transcript
	Conn     string
	Want     string   // as the transcript has it
	Got      string   // what came, empty when nothing did
	Diff     string   // the members that differ, - wanted, + got
	Before   []Step   // the last few steps of the connection
	Waiting  []string // the first of what else came there and was not looked for yet
}

// Error shows the difference with the steps before it.
func (d *Difference) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: line %d: %s differs\n", d.Scenario, d.Line, d.Conn)
	for _, s := range d.Before {
		fmt.Fprintf(&b, "      %s\n", indent(short(s.String())))
	}
	fmt.Fprintf(&b, "want  %s\n", indent(short(d.Want)))
	got := d.Got
	if got == "" {
		got = "nothing"
	}
	fmt.Fprintf(&b, "got   %s\n", indent(short(got)))
	if d.Diff != "" {
		b.WriteString(d.Diff)
	}
	for _, s := range d.Waiting {
		fmt.Fprintf(&b, "also  %s\n", indent(short(s)))
	}
	return b.String()
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n      ") }

// longestShown is how much of a message an error shows, in bytes.
const longestShown = 2000

func short(s string) string {
	if len(s) > longestShown {
		return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:longestShown], ""), len(s))
	}
	return s
}

// differs makes the Difference of what came from what was wanted, unless a rule
// allows it.
func (p *player) differs(at int, s Step, wanted, got Saying, diff string) error {
	s.Said = wanted
	if r := p.mayDiffer(s, got); r != nil {
		r.used.Add(1)
		return nil
	}
	d := p.differ(at, s.Conn, s.String(), got)
	d.Diff = diff
	return d
}

// around is how much of a connection is shown before and after a difference.
const around = 4

// differ makes the Difference at a step, which is behind the last one for what is
// left over. Got is nil when nothing came.
func (p *player) differ(at int, conn, want string, got Saying) *Difference {
	d := &Difference{Scenario: p.t.Name, Conn: conn, Want: want}
	who := Relay
	if slices.ContainsFunc(p.t.Steps, func(s Step) bool { return s.Who == Server }) {
		who = Server
	}
	if at < len(p.t.Steps) {
		d.Line = p.t.Steps[at].Line
	}
	if got != nil {
		d.Got = Step{Who: who, Conn: conn, Said: got}.String()
	}
	for i := at - 1; i >= 0 && len(d.Before) < around; i-- {
		if p.t.Steps[i].Conn == conn {
			d.Before = append(d.Before, p.t.Steps[i])
		}
	}
	slices.Reverse(d.Before)
	for _, s := range p.inbox.rest(conn) {
		if !p.passedOver(conn, s) && len(d.Waiting) < around {
			d.Waiting = append(d.Waiting, Step{Who: who, Conn: conn, Said: s}.String())
		}
	}
	return d
}
