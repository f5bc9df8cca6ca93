package suite

import (
	"fmt"
	"strings"
)

func writeMarkdown(p *page, r *Report) {
	p.printf("# %s: %s %s\n\n", cell(r.Set), cell(r.Endpoint), r.verdict())
	if r.Stopped != "" {
		p.printf("The run ended early: %s.\n\n", cell(r.Stopped))
	}
	p.printf("| level |")
	for _, o := range outcomes {
		p.printf(" %s |", o)
	}
	p.printf("\n|---|%s\n", strings.Repeat("---:|", len(outcomes)))
	for _, l := range r.levels() {
		p.printf("| %s |", l)
		for _, o := range outcomes {
			p.printf(" %d |", r.Count(l, o))
		}
		p.printf("\n")
	}
	for _, x := range r.Results {
		if x.Outcome != Failed && x.Outcome != Broken {
			continue
		}
		p.printf("\n## %s: %s\n\n%s\n\nFrom: %s\n\n", x.Name, x.Outcome, cell(x.About), cell(x.From))
		var said page
		x.conversation(&said, "")
		fence := "```"
		for strings.Contains(said.String(), fence) {
			fence += "`"
		}
		p.printf("%stext\n%s%s\n", fence, said.String(), fence)
	}
	p.groups("Failures by cause", "failures", "the same in all", r.causes())
	var rows [][2]string
	for _, x := range r.Results {
		if x.Outcome == KnownFailed {
			rows = append(rows, [2]string{x.Name, x.Known})
		}
	}
	p.table("Known differences", "case", "reason", rows)
	p.groups("Skipped", "cases", "reason", r.grouped(skippedWhy))
	p.groups("Differences that are right too", "cases", "reason", r.grouped(allowedWhy))
	if len(r.Stale) > 0 {
		p.printf("\n## Wrong entries of the list of what is known\n\n")
		for _, s := range r.Stale {
			p.printf("* %s\n", cell(s))
		}
	}
}

func (p *page) groups(title, left, right string, all []group) {
	var rows [][2]string
	for _, g := range all {
		rows = append(rows, [2]string{fmt.Sprintf("%d: %s", len(g.names), g.some()), g.why})
	}
	p.table(title, left, right, rows)
}

func (p *page) table(title, left, right string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	p.printf("\n## %s\n\n| %s | %s |\n|---|---|\n", title, left, right)
	for _, r := range rows {
		p.printf("| %s | %s |\n", cell(r[0]), cell(r[1]))
	}
}

// cell is a text on one line of Markdown that means nothing but itself.
func cell(s string) string {
	return strings.NewReplacer("\n", " ", "|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`).Replace(shown(s))
}
