package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
)

// A Rule allows one kind of difference: what the recorded service said is one
// right way, not the only one. A rule that was never needed is wrong itself, so
// Used counts. A Rule may serve many replays at a time.
type Rule struct {
	Why string // shown to the reader, with the section of the specification
	// MayLack says whether a message of the transcript may be left out.
	MayLack func(scenario string, want Step) bool
	// MayDiffer says whether got may stand for a message of the transcript,
	// whose captures are filled in.
	MayDiffer func(scenario string, want Step, got Saying) bool

	used atomic.Int64
}

// Used returns how many differences the rule allowed so far.
func (r *Rule) Used() int { return int(r.used.Load()) }

// mayLack is the rule that lets a step be left out, nil when it must come.
func (p *player) mayLack(s Step) *Rule {
	for _, r := range p.o.Rules {
		if r.MayLack != nil && r.MayLack(p.t.Name, s) {
			return r
		}
	}
	return nil
}

// mayDiffer is the rule that lets got stand for a step, or nil.
func (p *player) mayDiffer(s Step, got Saying) *Rule {
	for _, r := range p.o.Rules {
		if r.MayDiffer != nil && r.MayDiffer(p.t.Name, s, got) {
			return r
		}
	}
	return nil
}

// Known reads a list of scenarios with a reason each: "name: reason" a line,
// lines that start with # are for the reader.
func Known(text []byte) (map[string]string, error) {
	known := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			return nil, fmt.Errorf("read known differences: line %d: no reason", n)
		}
		if known[name] != "" {
			return nil, fmt.Errorf("read known differences: line %d: %s again", n, name)
		}
		known[name] = reason
	}
	return known, lines.Err()
}
