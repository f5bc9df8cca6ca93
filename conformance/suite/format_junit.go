package suite

import (
	"encoding/xml"
	"fmt"
	"strings"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Time    string       `xml:"time,attr"`
	Failure *junitReason `xml:"failure"`
	Error   *junitReason `xml:"error"`
	Skipped *junitReason `xml:"skipped"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes one testsuite a level. JUnit does not know failures that are
// expected: they are skipped. Wrong entries of the list of what is known are
// failures of a testsuite of their own.
func writeJUnit(p *page, r *Report) {
	all := junitSuites{Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
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
			s.add(junitCase{Class: s.Name, Name: stale, Time: "0.000", Failure: &junitReason{Message: "the list of what is known is wrong"}})
		}
		all.add(s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	p.err = err
	p.printf("%s%s\n", xml.Header, text)
}

func (x *Result) junit(class string) junitCase {
	c := junitCase{Class: class, Name: x.Name, Time: fmt.Sprintf("%.3f", x.Took.Seconds())}
	switch x.Outcome {
	case Failed:
		c.Failure = x.reason()
	case Broken:
		c.Error = x.reason()
	case Skipped:
		c.Skipped = &junitReason{Message: shown(x.Why)}
	case KnownFailed:
		c.Skipped = &junitReason{Message: "known: " + x.Known}
	}
	return c
}

func (x *Result) reason() *junitReason {
	first, _, _ := strings.Cut(shown(x.Why), "\n")
	if x.Want != "" || x.Got != "" {
		first = "want " + shown(x.Want) + ", got " + shown(orNothing(x.Got))
	}
	var p page
	p.printf("\n%s\nfrom: %s\n\n", x.About, x.From)
	x.conversation(&p, "")
	return &junitReason{Message: first, Text: p.String()}
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
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
