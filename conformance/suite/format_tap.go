package suite

import "strings"

// writeTAP writes TAP version 14 (testanything.org). A case that is known to
// fail is a TODO; an entry of the list of what is known that is wrong is a test
// that fails. Failures of the same cause are a comment, and a run that did not
// end bails out, so that nobody takes it for one that agrees.
func writeTAP(p *page, r *Report) {
	p.printf("TAP version 14\n1..%d\n", len(r.Results)+len(r.Stale))
	for i, x := range r.Results {
		name := tapText(x.Name)
		switch x.Outcome {
		case Passed:
			p.printf("ok %d - %s\n", i+1, name)
		case Skipped:
			p.printf("ok %d - %s # SKIP %s\n", i+1, name, tapText(x.Why))
		case KnownFailed:
			p.printf("not ok %d - %s # TODO %s\n", i+1, name, tapText(x.Known))
		default:
			p.printf("not ok %d - %s\n", i+1, name)
		}
		if x.Outcome != Passed && x.Outcome != Skipped {
			p.printf("  ---\n")
			x.tapMember(p, "level", string(x.Level))
			x.tapMember(p, "about", x.About)
			x.tapMember(p, "from", x.From)
			x.tapMember(p, "want", x.Want)
			x.tapMember(p, "got", x.Got)
			x.tapMember(p, "why", x.Why)
			p.printf("  ...\n")
		}
	}
	for i, s := range r.Stale {
		p.printf("not ok %d - the list of what is known: %s\n", len(r.Results)+i+1, tapText(s))
	}
	for _, g := range r.causes() {
		p.printf("# %d failures: %s: %s\n", len(g.names), g.why, g.some())
	}
	if r.Stopped != "" {
		p.printf("Bail out! %s\n", tapText(r.Stopped))
	}
}

// tapMember writes one member of a YAML block as a block scalar, which needs no
// quotes.
func (x *Result) tapMember(p *page, name, text string) {
	if text == "" {
		return
	}
	p.printf("  %s: |2\n", name)
	p.below("    ", shown(text))
}

// tapText is a text on a line of TAP, where # starts a directive.
func tapText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`, "\n", " ").Replace(shown(s))
}
