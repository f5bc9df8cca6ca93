package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Subject is what a run was about.
type Subject struct {
	Run     string `json:"run"`               // the test, as go test -run has it
	Peer    string `json:"peer"`              // the program that was run, or a set of the suite
	Version string `json:"version,omitempty"` // of the peer
	Against string `json:"against"`           // the server that it talked to
}

// Counts says how checks ended. What is known to fail, with a reason in a list,
// is not counted as failed.
type Counts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped,omitempty"`
	Known   int `json:"known,omitempty"`
}

// Add adds what others counted.
func (c *Counts) Add(d Counts) {
	c.Passed += d.Passed
	c.Failed += d.Failed
	c.Skipped += d.Skipped
	c.Known += d.Known
}

// A Result is what came of a run, and one line of a file of results. A run with
// several versions of a peer has a Result for each.
type Result struct {
	Subject
	Counts
	Lanes map[string]Counts `json:"lanes,omitempty"` // by transport and hub protocol, or by level
	Why   map[string]int    `json:"why,omitempty"`   // how many were skipped, or are known to fail, for which reason
}

// KnownPrefix begins the reason of a check that is skipped because it is known
// to fail; what was seen this time comes after it in parentheses.
const KnownPrefix = "known failing: "

// lane is the word of a check's name that says the transport; what is before it
// says the client, if the battery has several.
var lane = regexp.MustCompile(`(?:^| )((?:WebSockets|ServerSentEvents|LongPolling)/(?:json|messagepack)|webSockets|serverSentEvents|foreverFrame|longPolling|auto) `)

// Results counts the checks of one run. It is not safe for concurrent use;
// RunBattery calls it with one check at a time.
type Results struct {
	subject Subject
	all     []*Result // one for each client, in the order of their first checks
}

// NewResults begins to count. A Subject without a peer or a version takes these
// from the names of the checks, where "signalrcore 1.0.2 WebSockets/json echo"
// has both.
func NewResults(s Subject) *Results { return &Results{subject: s} }

// Count adds a check that ended.
func (r *Results) Count(c Check) {
	of, on := r.subject, ""
	if at := lane.FindStringSubmatchIndex(c.Name); at != nil {
		on = c.Name[at[2]:at[3]]
		of = of.named(strings.Fields(c.Name[:at[2]]))
	}
	var one Counts
	known := strings.HasPrefix(c.Why, KnownPrefix)
	switch {
	case c.Outcome == Passed:
		one.Passed = 1
	case c.Outcome == Failed:
		one.Failed = 1
	case known:
		one.Known = 1
	default:
		one.Skipped = 1
	}
	x := r.of(of)
	x.Add(one)
	if on != "" {
		sum := x.Lanes[on]
		sum.Add(one)
		x.Lanes[on] = sum
	}
	if c.Outcome == Skipped {
		why := c.Why
		if known {
			why, _, _ = strings.Cut(why, " (")
		}
		x.Why[why]++
	}
}

func (r *Results) of(s Subject) *Result {
	for _, x := range r.all {
		if x.Subject == s {
			return x
		}
	}
	x := &Result{Subject: s, Lanes: map[string]Counts{}, Why: map[string]int{}}
	r.all = append(r.all, x)
	return x
}

// named takes what a Subject lacks from the words before the transport: a name
// and, from the first digit on, a version.
func (s Subject) named(words []string) Subject {
	from := slices.IndexFunc(words, func(w string) bool { return w[0] >= '0' && w[0] <= '9' })
	if from < 0 {
		return s
	}
	if s.Peer == "" {
		s.Peer = strings.Join(words[:from], " ")
	}
	if s.Version == "" {
		s.Version = strings.Join(words[from:], " ")
	}
	return s
}

// All returns what was counted, one Result for each client.
func (r *Results) All() []Result {
	var all []Result
	for _, x := range r.all {
		all = append(all, *x)
	}
	return all
}

// AppendResults adds lines to a file of results, which is made if it is not
// there. Each line is one write, so that the tests of several packages may share
// the file. The path must be absolute, since each of them has a directory of its
// own.
func AppendResults(path string, all ...Result) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("append results: %s is not an absolute path", path)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("append results: %w", err)
	}
	err = WriteResults(f, all)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("append results: %w", err)
	}
	return nil
}

// WriteResults writes one line for each.
func WriteResults(w io.Writer, all []Result) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for i := range all {
		if err := lines.Encode(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

// ReadResults reads what AppendResults wrote. Of two lines for one Subject the
// later one counts: a test was run again. The results are in the order of their
// subjects.
func ReadResults(r io.Reader) ([]Result, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	last := map[Subject]Result{}
	for n := 1; lines.Scan(); n++ {
		var x Result
		d := json.NewDecoder(strings.NewReader(lines.Text()))
		d.DisallowUnknownFields()
		if err := d.Decode(&x); err != nil {
			return nil, fmt.Errorf("read results: line %d: %w", n, err)
		}
		if x.Run == "" || x.Peer == "" || x.Against == "" {
			return nil, fmt.Errorf("read results: line %d lacks run, peer or against", n)
		}
		last[x.Subject] = x
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	all := make([]Result, 0, len(last))
	for _, x := range last {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Result) int { return a.compare(b.Subject) })
	return all, nil
}

func (s Subject) compare(t Subject) int {
	return slices.Compare([]string{s.Run, s.Against, s.Peer, s.Version}, []string{t.Run, t.Against, t.Peer, t.Version})
}
