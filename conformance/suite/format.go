package suite

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Format is a way to write a Report.
type Format string

// The formats.
const (
	Text     Format = "text"     // for a terminal
	TAP      Format = "tap"      // Test Anything Protocol, version 14
	JUnit    Format = "junit"    // XML as CI systems read it
	JSON     Format = "json"     // everything
	Markdown Format = "markdown" // for an issue or a page
)

// Write writes the report. What an endpoint said is written so that it cannot
// steer a terminal, and without tokens and what else was given for a login.
func (r *Report) Write(w io.Writer, f Format) error {
	write, ok := map[Format]func(*page, *Report){
		Text: writeText, TAP: writeTAP, JUnit: writeJUnit, JSON: writeJSON, Markdown: writeMarkdown,
	}[f]
	if !ok {
		return fmt.Errorf("no format %q", f)
	}
	p := &page{}
	write(p, r.withoutSecrets())
	if p.err != nil {
		return p.err
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// A page is a report as it is written.
type page struct {
	strings.Builder
	err error
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.Builder, format, args...) }

// below writes a text indented under what stands there, without empty lines at
// its end.
func (p *page) below(indent, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.WriteString(strings.TrimRight(indent+line, " ") + "\n")
	}
}

// outcomes is the order in which outcomes are counted.
var outcomes = []Outcome{Passed, Failed, KnownFailed, Skipped, Broken}

// levels are those that the report has results of, in the order of the set.
func (r *Report) levels() (all []Level) {
	for _, x := range r.Results {
		if !slices.Contains(all, x.Level) {
			all = append(all, x.Level)
		}
	}
	return all
}

// verdict is the report in a few words.
func (r *Report) verdict() string {
	n := func(o Outcome) int { return r.Count("", o) }
	switch {
	case r.Stopped != "":
		return "was not asked everything"
	case n(Failed) > 0:
		return "disagrees"
	case len(r.Stale) > 0:
		return "is not as the list of what is known says"
	case n(Broken) > 0:
		return "could not be asked everything"
	case n(Passed)+n(KnownFailed) == 0:
		return "was asked nothing"
	}
	return "agrees"
}

// asked is how many cases there were.
func (r *Report) asked() string {
	if len(r.Results) == 1 {
		return "1 case"
	}
	return fmt.Sprintf("%d cases", len(r.Results))
}

// A group is results that say the same.
type group struct {
	why   string
	names []string
}

// grouped puts results together by what why says of them, in order; those of
// which it says nothing are left out.
func (r *Report) grouped(why func(Result) []string) (all []group) {
	for _, x := range r.Results {
		for _, w := range why(x) {
			i := slices.IndexFunc(all, func(g group) bool { return g.why == w })
			if i < 0 {
				i, all = len(all), append(all, group{why: w})
			}
			all[i].names = append(all[i].names, x.Name)
		}
	}
	return all
}

func skippedWhy(x Result) []string {
	if x.Outcome != Skipped {
		return nil
	}
	return []string{x.Why}
}

func allowedWhy(x Result) []string { return x.Allowed }

// some are the first few of a list of names.
func (g group) some() string {
	const few = 4
	if len(g.names) <= few {
		return strings.Join(g.names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(g.names[:few], ", "), len(g.names)-few)
}

// maxShown is how many bytes of one text are shown.
const maxShown = 2000

// shown is a text as a reader can take it: control characters are escaped, the
// separator of hub messages is ␞, and what is long is cut.
func shown(s string) string {
	var b strings.Builder
	s = cutTo(maxShown, s)
	for i, c := range s {
		switch {
		case c == 0x1e:
			b.WriteRune('␞')
		case c == utf8.RuneError && strings.IndexByte("\xef", s[i]) < 0:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case c == '\n', unicode.IsPrint(c):
			b.WriteRune(c)
		case c == '\t':
			b.WriteString("  ")
		case c == '\u00a0': // which cmp.Diff writes now and then
			b.WriteByte(' ')
		default:
			b.WriteString(strings.Trim(fmt.Sprintf("%+q", c), "'"))
		}
	}
	return b.String()
}

// wasCut ends a text that is cut.
var wasCut = regexp.MustCompile(`… \(\d+ bytes\)$`)

// cutTo is a text that is cut where it has more bytes than most, and says then how
// many there were at first.
func cutTo(most int, s string) string {
	n := most
	if len(s) <= n {
		return s
	}
	end := wasCut.FindString(s[max(0, len(s)-40):])
	if len(s) <= n+len(end) {
		return s
	}
	if end == "" {
		end = fmt.Sprintf("… (%d bytes)", len(s))
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + end
}

// line is a text on one line, which is not long.
func line(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(shown(s)), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

// orNothing is what came, which may be nothing.
func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
