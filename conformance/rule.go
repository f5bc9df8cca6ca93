package conformance

import "sync/atomic"

// A Rule allows one kind of difference: what the recorded service said is one
// right way, not the only one. A rule that was never needed is wrong itself, so
// Used counts. A Rule may serve many replays at a time, so its functions keep
// nothing of one.
type Rule struct {
	Why string // shown to the reader, with the section of the specification
	// MayLack says whether a message of the transcript may be left out.
	MayLack func(scenario string, want Step) bool
	// MayDiffer says whether got may stand for a message of the transcript,
	// whose captures are filled in. An end that stands for another message stands
	// for the end that follows, too.
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
