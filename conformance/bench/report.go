package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is everything one run measured.
type Report struct {
	Started  time.Time
	CPUs     int
	Go       string
	Clients  int     // of broadcast, echo and connect
	Size     int     // payload in bytes
	Duration float64 // of a round in seconds
	Results  []*Result
}

// Result is one metric of one target in one scenario. Error says why there are no Values; "not supported" is no
// failure.
type Result struct {
	Scenario, Target string
	Metric, Unit     string     `json:",omitempty"`
	Cost             bool       `json:",omitempty"`
	Values           []float64  `json:",omitempty"` // one a round
	Stat             *Stat      `json:",omitempty"`
	Against          []*Against `json:",omitempty"` // only on costs of targets under test
	Error            string     `json:",omitempty"`
}

// Against is the cost of a target under test divided by another's, round by round.
type Against struct {
	Target string
	Stat
}

// against is nil when the two were not compared.
func (x *Result) against(target string) *Against {
	if x == nil {
		return nil
	}
	for _, a := range x.Against {
		if a.Target == target {
			return a
		}
	}
	return nil
}

// Stat is what a few rounds come to.
type Stat struct{ Min, Median, Max float64 }

func statOf(values []float64) Stat {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return Stat{}
	}
	mid := len(v) / 2
	s := Stat{Min: v[0], Median: v[mid], Max: v[len(v)-1]}
	if len(v)%2 == 0 {
		s.Median = (v[mid-1] + v[mid]) / 2
	}
	return s
}

// percentile is the smallest value that p percent of all do not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

// add takes in one round's metrics.
func (r *Report) add(scenario, target string, metrics []Metric) {
	for _, m := range metrics {
		x := r.find(scenario, target, m.Name)
		if x == nil {
			x = &Result{Scenario: scenario, Target: target, Metric: m.Name, Unit: m.Unit, Cost: m.Cost}
			r.Results = append(r.Results, x)
		}
		x.Values = append(x.Values, m.Value)
	}
}

func (r *Report) fail(scenario, target string, err error) {
	r.Results = append(r.Results, &Result{Scenario: scenario, Target: target, Error: err.Error()})
}

func (r *Report) find(scenario, target, metric string) *Result {
	for _, x := range r.Results {
		if x.Scenario == scenario && x.Target == target && x.Metric == metric {
			return x
		}
	}
	return nil
}

// Failed reports whether a scenario could not be measured for another reason than that the target does not have it.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Results, func(x *Result) bool { return x.Error != "" && x.Error != errUnsupported.Error() })
}

// finish computes what Values come to.
func (r *Report) finish(targets []Target) {
	for _, x := range r.Results {
		if len(x.Values) == 0 {
			continue
		}
		s := statOf(x.Values)
		x.Stat = &s
		x.Against = nil
		if !x.Cost {
			continue
		}
		for _, t := range references(targets, x.Target) {
			y := r.find(x.Scenario, t, x.Metric)
			if y == nil {
				continue
			}
			var ratios []float64
			for i := range min(len(x.Values), len(y.Values)) {
				if y.Values[i] > 0 {
					ratios = append(ratios, x.Values[i]/y.Values[i])
				}
			}
			if len(ratios) > 0 {
				x.Against = append(x.Against, &Against{t, statOf(ratios)})
			}
		}
	}
}

// references are what a target is compared with: the targets under test that stand before it, and all that are not
// under test. A target that is not under test is compared with none.
func references(targets []Target, name string) (names []string) {
	before := true
	for i, t := range targets {
		tested := i == 0 || t.Tested
		switch {
		case t.Name == name && !tested:
			return nil
		case t.Name == name:
			before = false
		case before || !tested:
			names = append(names, t.Name)
		}
	}
	return names
}

// table prints one scenario: a line a metric, a column a target, the median and in brackets least and most.
func (r *Report) table(out io.Writer, s Scenario, targets []string) {
	fmt.Fprintf(out, "\n%s: %s\n", s.Name, s.About)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(targets, "\t"))
	var seen []string
	for _, x := range r.Results {
		if x.Scenario != s.Name || x.Metric == "" || slices.Contains(seen, x.Metric) {
			continue
		}
		seen = append(seen, x.Metric)
		fmt.Fprintf(w, "%s (%s)\t", x.Metric, x.Unit)
		for _, t := range targets {
			cell := "-"
			if y := r.find(s.Name, t, x.Metric); y != nil && y.Stat != nil {
				cell = y.Stat.String()
			}
			fmt.Fprintf(w, "%s\t", cell)
		}
		fmt.Fprintln(w)
		r.ratios(w, x, targets)
	}
	w.Flush()
	for _, x := range r.Results {
		if x.Scenario == s.Name && x.Error != "" {
			fmt.Fprintf(out, "%s: %s\n", x.Target, x.Error)
		}
	}
}

// ratios prints a line for each target that others are compared with by the metric of x, as far as there is
// something to print.
func (r *Report) ratios(w io.Writer, x *Result, targets []string) {
	for _, reference := range targets {
		var cells []string // up to the last that is not empty
		for i, t := range targets {
			if a := r.find(x.Scenario, t, x.Metric).against(reference); a != nil {
				cells = append(append(cells, make([]string, i-len(cells))...), a.Stat.String())
			}
		}
		if cells != nil {
			fmt.Fprintf(w, "× %s\t%s\t\n", reference, strings.Join(cells, "\t"))
		}
	}
}

// String is the median, and the extremes in brackets where they differ.
func (s Stat) String() string {
	if s.Min == s.Max {
		return short(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", short(s.Median), short(s.Min), short(s.Max))
}

// short keeps three digits that matter.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *Report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func newReport(o Options) *Report {
	return &Report{Started: time.Now(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Clients: o.Clients, Size: o.Size, Duration: o.Duration.Seconds()}
}
