package aspnetlegacy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	goldenDir      = "../testdata/aspnetlegacy"
	recordingsFile = goldenDir + "/recordings.json"
)

// A recording is what a client once asked of a real server, and its answer. It
// is reduced to what is compared; one that nothing is asked of us for has a
// name only.
type recording struct {
	Name    string
	Method  string            `json:",omitempty"`
	URL     string            `json:",omitempty"` // with placeholders for what we give out
	Headers map[string]string `json:",omitempty"`
	Body    string            `json:",omitempty"`
	JSONP   bool              `json:",omitempty"` // of a server that had it enabled
	Upgrade bool              `json:",omitempty"`
	answer
	App []string `json:",omitempty"` // what the hubs saw
}

// An answer is a recorded one or ours.
type answer struct {
	Status  int      `json:",omitempty"`
	Reason  string   `json:",omitempty"`
	Type    string   `json:",omitempty"` // Content-Type
	NoSniff bool     `json:",omitempty"`
	CORS    []string `json:",omitempty"`
	Text    string   `json:",omitempty"` // the body, where it is no stream
	Events  []string `json:",omitempty"` // of a stream; of a WebSocket with their direction
	End     string   `json:",omitempty"`
}

// Ends of answers.
const (
	complete  = "complete"
	stillOpen = "still open when recorded"
)

// TestGolden asks us what real clients asked a real server. An answer is the
// same but for ids, tokens and cursors, or it is listed with what differs and
// why.
func TestGolden(t *testing.T) {
	g := &goldenRun{t: t, recordings: map[string]*recording{}, verdicts: map[string]string{}}
	g.read()
	t.Run("play", func(t *testing.T) { // returns when the parallel ones are done
		for _, f := range flows {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.play(g.player(t, f.o))
			})
		}
		t.Run("requests", func(t *testing.T) {
			t.Parallel()
			playRequests(g, t)
		})
	})
	if t.Failed() {
		return
	}
	differing, notOurs := readList(t, "differing.txt", 3), readList(t, "not-ours.txt", 2)
	var agree, differ, not int
	for _, r := range g.names {
		verdict, played := g.verdicts[r]
		d, n := differing.find(r), notOurs.find(r)
		switch {
		case n != nil && (played || d != nil):
			t.Errorf("%s: is played, or listed as differing, and as not ours", r)
		case n != nil:
			not++
		case !played:
			t.Errorf("%s: is neither played nor listed", r)
		case d != nil && verdict == "":
			t.Errorf("%s: is listed as differing and agrees", r)
		case d != nil && verdict != d.columns[1]:
			t.Errorf("%s: differs in another way than listed\nlisted %s\nfound  %s", r, d.columns[1], verdict)
		case d != nil:
			differ++
		case verdict != "":
			t.Errorf("%s: %s", r, verdict)
		default:
			agree++
		}
	}
	for _, l := range []*list{differing, notOurs} {
		for _, line := range l.lines {
			if !line.used {
				t.Errorf("%s: no recording is called %s", l.name, line.columns[0])
			}
		}
	}
	t.Logf("%d recordings agree, %d differ for a reason, %d are not the service's business", agree, differ, not)
}

// A goldenRun collects verdicts.
type goldenRun struct {
	t          *testing.T
	recordings map[string]*recording
	names      []string

	mu       sync.Mutex
	verdicts map[string]string // what differs, by name; empty if nothing does
}

func (g *goldenRun) judge(r *recording, got answer) {
	g.verdict(r.Name, difference(r.answer, got))
}

func (g *goldenRun) verdict(name, difference string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, twice := g.verdicts[name]; twice {
		g.t.Errorf("%s: was played twice, with %q and %q", name, old, difference)
	}
	g.verdicts[name] = difference
}

// difference says what of ours is not as it was recorded, in one line.
func difference(want, got answer) string {
	var all []string
	if got.Status != want.Status {
		all = append(all, fmt.Sprintf("status %d", got.Status))
	} else if got.Reason != want.Reason {
		all = append(all, "reason "+got.Reason)
	}
	if got.NoSniff != want.NoSniff {
		all = append(all, map[bool]string{true: "nosniff", false: "no nosniff"}[got.NoSniff])
	}
	if got.Type != want.Type {
		all = append(all, fmt.Sprintf("type %q", got.Type))
	}
	if want.CORS != nil && !slices.Equal(got.CORS, want.CORS) {
		all = append(all, strings.Join(got.CORS, ", "))
	}
	if got.Text != want.Text {
		all = append(all, fmt.Sprintf("body %q", short(got.Text)))
	}
	for i := range max(len(want.Events), len(got.Events)) {
		switch {
		case i >= len(got.Events) || got.Events[i] == "":
			all = append(all, fmt.Sprintf("no event %d", i+1))
		case i >= len(want.Events) || got.Events[i] != want.Events[i]:
			all = append(all, fmt.Sprintf("event %d is %q", i+1, short(got.Events[i])))
		}
	}
	switch {
	case got.End != complete && want.End == complete:
		all = append(all, "no end")
	case got.End == complete && want.End != complete:
		all = append(all, "ends")
	}
	return strings.Join(all, "; ")
}

// short keeps the beginning of a text.
func short(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// captures stand for what is another's own: tokens, ids, cursors.
var captures = []struct {
	value *regexp.Regexp
	name  string
}{
	{regexp.MustCompile(`"ConnectionToken":"[^"]+"`), `"ConnectionToken":"{connectionToken}"`},
	{regexp.MustCompile(`"ConnectionId":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`), `"ConnectionId":"{connectionId}"`},
	{regexp.MustCompile(`"C":"[^"]+"`), `"C":"{cursor}"`},
	{regexp.MustCompile(`"G":"[^"]+"`), `"G":"{groupsToken}"`},
	// A forever frame begins with a script that says the same in other words.
	{regexp.MustCompile(`(?s)^<!DOCTYPE html>.*\("(\d+)"\).*<body>\r\n$`), "{forever-frame head for frameId $1}\r\n"},
}

func captured(text string) string {
	for _, c := range captures {
		text = c.value.ReplaceAllString(text, c.name)
	}
	return text
}

func (g *goldenRun) read() {
	for _, line := range readLines(g.t, recordingsFile) {
		r := &recording{}
		if err := json.Unmarshal([]byte(line), r); err != nil {
			g.t.Fatal(err)
		}
		g.names = append(g.names, r.Name)
		g.recordings[r.Name] = r
	}
}

func readLines(t *testing.T, file string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines
}

// A list has columns with tabs between them, a name first and a reason last. A
// name that ends in '*' stands for all that begin so.
type list struct {
	name  string
	lines []*listed
}

type listed struct {
	columns []string
	used    bool
}

func readList(t *testing.T, name string, columns int) *list {
	t.Helper()
	l := &list{name: name}
	for i, line := range readLines(t, filepath.Join(goldenDir, name)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := strings.Split(line, "\t")
		if len(c) != columns || slices.Contains(c, "") {
			t.Fatalf("%s: line %d does not have %d columns", name, i+1, columns)
		}
		l.lines = append(l.lines, &listed{columns: c})
	}
	return l
}

// find returns the first line for a name, or nil.
func (l *list) find(name string) *listed {
	for _, line := range l.lines {
		head, open := strings.CutSuffix(line.columns[0], "*")
		if name == line.columns[0] || open && strings.HasPrefix(name, head) {
			line.used = true
			return line
		}
	}
	return nil
}
