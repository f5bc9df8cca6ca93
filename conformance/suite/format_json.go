package suite

import (
	"encoding/json"
	"strings"
)

// A jsonReport is a Report as it is written for programs. Members are added to
// it, never renamed. Times are in milliseconds.
type jsonReport struct {
	Set      string                    `json:"set"`
	Endpoint string                    `json:"endpoint"`
	Verdict  string                    `json:"verdict"`
	Took     int64                     `json:"ms"`
	Totals   map[Level]map[Outcome]int `json:"totals"`
	Results  []jsonResult              `json:"results"`
	Causes   []jsonCause               `json:"causes,omitempty"`
	Stale    []string                  `json:"stale,omitempty"`
	Stopped  string                    `json:"stopped,omitempty"`
}

type jsonCause struct {
	Cause string   `json:"cause"`
	Cases []string `json:"cases"`
}

type jsonResult struct {
	Name    string     `json:"name"`
	Level   Level      `json:"level"`
	About   string     `json:"about"`
	From    string     `json:"from"`
	Outcome Outcome    `json:"outcome"`
	Took    int64      `json:"ms"`
	Want    string     `json:"want,omitempty"`
	Got     string     `json:"got,omitempty"`
	Why     string     `json:"why,omitempty"`
	Known   string     `json:"known,omitempty"`
	Allowed []string   `json:"allowed,omitempty"`
	Log     []jsonLine `json:"log,omitempty"`
}

type jsonLine struct {
	Who  string `json:"who"`
	Conn string `json:"conn,omitempty"`
	Said string `json:"said"`
}

func writeJSON(p *page, r *Report) {
	out := jsonReport{
		Set: r.Set, Endpoint: r.Endpoint, Verdict: r.verdict(), Took: r.Took.Milliseconds(),
		Totals: map[Level]map[Outcome]int{}, Results: []jsonResult{}, Stale: r.Stale, Stopped: r.Stopped,
	}
	for _, l := range r.levels() {
		out.Totals[l] = map[Outcome]int{}
		for _, o := range outcomes {
			out.Totals[l][o] = r.Count(l, o)
		}
	}
	for _, x := range r.Results {
		j := jsonResult{
			Name: x.Name, Level: x.Level, About: x.About, From: x.From, Outcome: x.Outcome, Took: x.Took.Milliseconds(),
			Want: x.Want, Got: x.Got, Why: x.Why, Known: x.Known, Allowed: x.Allowed,
		}
		for _, l := range x.Log {
			j.Log = append(j.Log, jsonLine(l))
		}
		out.Results = append(out.Results, j)
	}
	for _, g := range r.causes() {
		out.Causes = append(out.Causes, jsonCause{g.why, g.names})
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	p.err = e.Encode(out)
	// JSON leaves these as they are, terminals do not.
	for _, c := range b.String() {
		if c >= 0x7f && c < 0xa0 {
			p.printf(`\u%04x`, c)
		} else {
			p.WriteRune(c)
		}
	}
}
