package suite

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     junitTime    `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     junitTime   `xml:"time,attr"` // of all cases, some of which ran at the same time
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Time    junitTime    `xml:"time,attr"`
	Failure *junitReason `xml:"failure"`
	Error   *junitReason `xml:"error"`
	Skipped *junitReason `xml:"skipped"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"` // the outcome; not of what is skipped
	Text    string `xml:",chardata"`
}

// A junitTime is written in seconds.
type junitTime time.Duration

// MarshalText implements encoding.TextMarshaler.
func (t junitTime) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(t).Seconds()), nil
}

// writeJUnit writes one testsuite a level. JUnit does not know failures that are
// expected: they are skipped. Wrong entries of the list of what is known are
// failures of a testsuite of their own, and that a run did not end is an error
// of one.
func writeJUnit(p *page, r *Report) {
	all := junitSuites{Time: junitTime(r.Took)}
	for _, l := range r.levels() {
		s := junitSuite{Name: r.Set + "." + string(l)}
		for _, x := range r.Results {
			if x.Level == l {
				s.add(x.junit(s.Name))
			}
		}
		all.add(s)
	}
	if len(r.Stale) > 0 {
		s := junitSuite{Name: r.Set + ".known"}
		for _, stale := range r.Stale {
			s.add(junitCase{Class: s.Name, Name: shown(stale), Failure: &junitReason{Message: "the list of what is known is wrong", Type: "stale"}})
		}
		all.add(s)
	}
	if r.Stopped != "" {
		s := junitSuite{Name: r.Set + ".run"}
		s.add(junitCase{Class: s.Name, Name: "every case is asked", Error: &junitReason{Message: shown(r.Stopped), Type: "stopped"}})
		all.add(s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	p.err = err
	p.printf("%s%s\n", xml.Header, text)
}

func (x *Result) junit(class string) junitCase {
	c := junitCase{Class: class, Name: x.Name, Time: junitTime(x.Took)}
	switch x.Outcome {
	case Failed:
		c.Failure = x.reason()
	case Broken:
		c.Error = x.reason()
	case Skipped:
		c.Skipped = &junitReason{Message: shown(x.Why)}
	case KnownFailed:
		c.Skipped = &junitReason{Message: "known: " + shown(x.Known)}
	}
	return c
}

func (x *Result) reason() *junitReason {
	first, _, _ := strings.Cut(shown(x.Why), "\n")
	if x.Want != "" || x.Got != "" {
		first = "want " + line(x.Want) + ", got " + line(orNothing(x.Got))
	}
	var p page
	p.printf("\n%s\nfrom: %s\n\n", shown(x.About), shown(x.From))
	x.conversation(&p, "")
	return &junitReason{Message: first, Type: string(x.Outcome), Text: p.String()}
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	s.Time += c.Time
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func (all *junitSuites) add(s junitSuite) {
	all.Suites = append(all.Suites, s)
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Skipped += s.Skipped
}
