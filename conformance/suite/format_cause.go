package suite

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// causes are the failures whose first difference is the same but for what differs
// from case to case, most frequent first. One mistake of an endpoint can fail a
// hundred cases; a failure that is like no other is not among them.
func (r *Report) causes() []group {
	all := slices.DeleteFunc(r.grouped(cause), func(g group) bool { return len(g.names) < 2 })
	slices.SortStableFunc(all, func(a, b group) int { return cmp.Compare(len(b.names), len(a.names)) })
	return all
}

// cause is what a failure has in common with others of the same cause: what was
// wanted and what came, each in its first line and without values; where that
// says the same of both, what differs.
func cause(x Result) []string {
	if x.Outcome != Failed && x.Outcome != Broken {
		return nil
	}
	if x.Want == "" && x.Got == "" {
		return []string{line(anonymous(firstLine(x.Why)))}
	}
	want, got := firstLine(x.Want), firstLine(orNothing(x.Got))
	switch {
	case valueless(want) != valueless(got):
		want, got = valueless(want), valueless(got)
	case changes(x.Why) != "":
		return []string{line(anonymous(changes(x.Why)))}
	default:
		want, got = anonymous(want), anonymous(got)
	}
	if len(want) > maxAlike && len(got) > maxAlike {
		want, got = apart(want, got)
	}
	return []string{"want " + line(want) + ", got " + line(got)}
}

// speaker begins a line of a transcript.
var speaker = regexp.MustCompile(`^(app|client|relay|server) [a-z0-9-]+> `)

// firstLine is the first line of a text without who says it where.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimLeft(s, "\n"), "\n")
	return speaker.ReplaceAllString(s, "")
}

// changes are the lines of a difference that were wanted and that came.
func changes(diff string) string {
	var all []string
	for l := range strings.Lines(diff) {
		if strings.HasPrefix(l, "-") || strings.HasPrefix(l, "+") {
			all = append(all, strings.TrimSuffix(strings.TrimSpace(l), ","))
		}
	}
	return strings.Join(all, ", ")
}

// maxAlike is how many bytes of what both have in common are worth reading.
const maxAlike = 80

// apart are two texts without what both begin and end with, up to a comma,
// unless nothing is left of one then.
func apart(a, b string) (string, string) {
	x, y := strings.Split(a, ","), strings.Split(b, ",")
	begin, end := 0, 0
	for begin < min(len(x), len(y)) && x[begin] == y[begin] {
		begin++
	}
	for end < min(len(x), len(y))-begin && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	if begin+end == min(len(x), len(y)) {
		return a, b
	}
	return strings.Join(x[begin:len(x)-end], ","), strings.Join(y[begin:len(y)-end], ",")
}

// What no two runs have the same of: captures, ids and tokens, the ports of
// connections, and times.
var (
	capture  = regexp.MustCompile(`\$\{[^}]*\}`)
	longWord = regexp.MustCompile(`[A-Za-z0-9_+/=%-]{20,}`)
	port     = regexp.MustCompile(`(\d|\]|localhost):\d{2,5}\b`)
	duration = regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|ms|s)\b`)
)

// anonymous is a text without what differs in every run.
func anonymous(s string) string {
	s = capture.ReplaceAllString(s, "…")
	s = longWord.ReplaceAllStringFunc(s, func(word string) string {
		if strings.ContainsAny(word, "0123456789") {
			return "…"
		}
		return word
	})
	s = port.ReplaceAllString(s, "$1")
	return duration.ReplaceAllString(s, "…")
}

// The values of JSON: a text, which is the name of a member where a colon follows,
// and the others with what is before them.
var (
	texts   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(\s*:)?`)
	scalars = regexp.MustCompile(`("type")?[:,\[](-?\d[\d.eE+-]*|true|false|null)`)
)

// valueless is a text without what differs from case to case. The number that
// says which kind a hub message is stays.
func valueless(s string) string {
	s = anonymous(s)
	s = scalars.ReplaceAllStringFunc(s, func(value string) string {
		if value[0] == '"' {
			return value
		}
		return value[:1] + "…"
	})
	return texts.ReplaceAllStringFunc(s, func(text string) string {
		if strings.HasSuffix(text, ":") {
			return text
		}
		return "…"
	})
}
