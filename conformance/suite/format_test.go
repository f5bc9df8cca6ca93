package suite_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

var update = flag.Bool("update", false, "write the golden files of the formats and docs/conformance-mutations.md anew")

// token has a signature, which must not be shown.
const token = "eyJhbGciOiJIUzI1NiJ9.eyJuYW1laWQiOiJhbGljZSJ9.c2lnbmF0dXJl"

// disagreeing is a report with every outcome, and texts that are made to break
// a format.
func disagreeing() *suite.Report {
	const from = "core-client-protocol 3.4"
	return &suite.Report{
		Set: "core", Endpoint: "http://127.0.0.1:5000/hub", Took: 12340 * time.Millisecond,
		Stale: []string{"poll-empty: passed", "nobody: no such case"},
		Results: []suite.Result{{
			Name: "negotiate-v1", Level: suite.Core, About: "A negotiate of version 1.", From: from, Outcome: suite.Passed, Took: 8 * time.Millisecond,
		}, {
			Name: "negotiate-get", Level: suite.Core, About: "GET is not allowed.", From: from, Outcome: suite.Failed, Took: 4 * time.Millisecond,
			Want: "status 405", Got: "status 200",
			Log: []suite.Line{{Who: "client", Conn: "h1", Said: "GET /hub/negotiate\n  Authorization: Bearer " + token}},
		}, {
			Name: "handshake-unknown-protocol", Level: suite.Core, About: "A protocol that is not known # is *refused* | with a text.",
			From: "recorded from ASP.NET Core SignalR 10.0", Outcome: suite.Failed, Took: 31 * time.Millisecond,
			Want: "text `{\"error\":\"The protocol 'x' is not supported.\"}\x1e`", Got: "text `{\"error\":\"no\"}\x1e\x1b[31m\xff`",
			Why: "  map[string]any{\n-\t\"error\": string(\"The protocol 'x' is not supported.\"),\n+\t\"error\": string(\"no\"),\n  }\n",
			Log: []suite.Line{
				{Who: "client", Conn: "c1", Said: "text `{\"protocol\":\"x\",\"version\":1}\x1e`"},
				{Who: "note", Said: "```\n]]> & <b>"},
			},
		}, {
			Name: "poll-silent", Level: suite.Core, About: "A poll is answered.", From: from, Outcome: suite.Failed, Took: 5 * time.Second,
			Want: "status 200",
		}, {
			Name: "poll-mute", Level: suite.Core, About: "A poll is answered in time.", From: from, Outcome: suite.Failed, Took: 5 * time.Second,
			Want: "status 200",
		}, {
			Name: "poll-empty", Level: suite.Core, About: "A poll ends empty.", From: from, Outcome: suite.Passed, Known: "once", Took: time.Millisecond,
			Allowed: []string{"a preflight may name only one method"},
		}, {
			Name: "close-1000", Level: suite.Core, About: "A close is answered.", From: from, Outcome: suite.KnownFailed, Known: "it cuts the connection (issue 7)",
			Want: "close 1000", Took: 20 * time.Millisecond,
		}, {
			Name: "own-fault", Level: suite.Core, About: "We break.", From: from, Outcome: suite.Broken, Why: "panic: nil map", Took: time.Millisecond,
		}, {
			Name: "echo-a", Level: suite.Hub, About: "Echo.", From: from, Outcome: suite.Skipped, Why: "the hub has no method Echo",
		}, {
			Name: "echo-b", Level: suite.Hub, About: "Echo.", From: from, Outcome: suite.Skipped, Why: "the hub has no method Echo",
		}},
	}
}

// stopped is a report of a run that did not end.
func stopped() *suite.Report {
	r := disagreeing()
	r.Stale, r.Results = nil, append(r.Results[:2], r.Results[8])
	r.Stopped, r.Results[2].Why = "interrupted", "interrupted"
	return r
}

func agreeing() *suite.Report {
	r := disagreeing()
	r.Results, r.Stale = r.Results[:1], nil
	return r
}

// The formats are what scripts and CI systems read: they change on purpose only.
func TestFormats(t *testing.T) {
	for name, r := range map[string]*suite.Report{"disagrees": disagreeing(), "agrees": agreeing(), "stopped": stopped(), "nothing": {Set: "core", Endpoint: "http://127.0.0.1/hub"}} {
		for format, ending := range map[suite.Format]string{suite.Text: "txt", suite.TAP: "tap", suite.JUnit: "xml", suite.JSON: "json", suite.Markdown: "md"} {
			t.Run(name+"/"+string(format), func(t *testing.T) {
				var b bytes.Buffer
				if err := r.Write(&b, format); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join("testdata", "formats", name+"."+ending)
				if *update {
					if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), b.String()); d != "" {
					t.Errorf("- %s + written\n%s", file, d)
				}
				if strings.Contains(b.String(), token) {
					t.Error("a token is shown with its signature")
				}
				if strings.ContainsAny(b.String(), "\x1b\x1e") || !utf8.Valid(b.Bytes()) {
					t.Error("what the endpoint said reaches the terminal")
				}
			})
		}
	}
}

func TestFormatsAreWellFormed(t *testing.T) {
	var b bytes.Buffer
	if err := disagreeing().Write(&b, suite.JSON); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Totals  map[string]map[string]int
		Results []struct{ Got string }
	}
	if err := json.Unmarshal(b.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if n := read.Totals["core"]["failed"]; n != 4 || len(read.Results) != 10 || !strings.Contains(read.Results[2].Got, "\x1e") {
		t.Errorf("read back: %+v", read)
	}
	b.Reset()
	if err := disagreeing().Write(&b, suite.JUnit); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	if err := xml.Unmarshal(b.Bytes(), &suites); err != nil || suites.Tests != 12 || suites.Failures != 6 {
		t.Errorf("read back: %+v, %v", suites, err)
	}
}

// Whatever an endpoint says, or a transcript or a list that somebody wrote, a
// report can be read by those that it is for.
func FuzzFormats(f *testing.F) {
	f.Add("text `{}\x1e`", "binary x\"00\"", "- a\n+ b\n", "a list: # | <b> ]]>")
	f.Add("\x7f", "\u009b31m", "\u0085", "\x7f")
	f.Add("\xff\x1b[31m", "\u2028\ufffe\ufeff", "...\n---\n", "`````\r\n  ---")
	f.Add(`{"type":3,"result":"x"}`, `{"type":3,"result":"y"}`, "", "1..9\nok 1")
	f.Fuzz(func(t *testing.T, want, got, why, other string) {
		x := suite.Result{
			Name: "a", Level: suite.Core, About: other, From: other, Outcome: suite.Failed, Want: want, Got: got, Why: why,
			Log: []suite.Line{{Who: "client", Conn: "c1", Said: got}},
		}
		known, skipped := x, x
		known.Outcome, known.Known, skipped.Outcome = suite.KnownFailed, other, suite.Skipped
		r := &suite.Report{Set: "core", Endpoint: other, Results: []suite.Result{x, x, known, skipped}, Stale: []string{other}, Stopped: other}
		for _, format := range []suite.Format{suite.Text, suite.TAP, suite.JUnit, suite.JSON, suite.Markdown} {
			var b bytes.Buffer
			if err := r.Write(&b, format); err != nil {
				t.Fatal(err)
			}
			if i := strings.IndexFunc(b.String(), func(c rune) bool { return c != '\n' && unicode.IsControl(c) }); i >= 0 || !utf8.Valid(b.Bytes()) {
				t.Errorf("%s reaches a terminal at %d:\n%q", format, i, &b)
			}
			switch format {
			case suite.JSON:
				var read struct{ Results []struct{ Got string } }
				if err := json.Unmarshal(b.Bytes(), &read); err != nil || utf8.ValidString(got) && read.Results[0].Got != got {
					t.Errorf("%v: %q, want %q", err, read.Results[0].Got, got)
				}
			case suite.JUnit:
				var read struct {
					Tests int `xml:"tests,attr"`
				}
				if err := xml.Unmarshal(b.Bytes(), &read); err != nil || read.Tests < 5 {
					t.Errorf("%v: %+v in\n%s", err, read, &b)
				}
			case suite.TAP:
				for line := range strings.Lines(b.String()) {
					if !tapLine.MatchString(line) {
						t.Errorf("not of TAP: %q", line)
					}
				}
			}
		}
	})
}

// tapLine is a line of TAP: a test, a comment, the end, or YAML about a test.
var tapLine = regexp.MustCompile(`^(TAP version 14|1\.\.5|(not )?ok [1-5] - .*|# .*|Bail out!.*|  (---|\.\.\.|[a-z]+: \|2)|    .*|)\n$`)

// Failures have the same cause when they differ in nothing but values, ids and
// times.
func TestCauses(t *testing.T) {
	failed := func(name, want, got, why string) suite.Result {
		return suite.Result{Name: name, Level: suite.Core, Outcome: suite.Failed, Want: want, Got: got, Why: why}
	}
	for name, c := range map[string]struct {
		a, b suite.Result
		want string // empty: not the same
	}{
		"speaker and connection": {
			failed("a", "server c1> text `{}\x1e`", "server c1> binary `{}\x1e`", "- text\n+ binary\n"), failed("b", "relay c2-2> text `{}\x1e`", "relay c2-2> binary `{}\x1e`", ""),
			"want text `{}␞`, got binary `{}␞`",
		},
		"values": {
			failed("a", `text {"type":3,"invocationId":"1","result":[1,"x",null]}`, "", ""), failed("b", `text {"type":3,"invocationId":"a \"b\"","result":[2.5e3,"",true]}`, "", ""),
			`want text {"type":3,"invocationId":…,"result":[…,…,…]}, got nothing`,
		},
		"kinds of messages": {failed("a", `text {"type":3}`, "", ""), failed("b", `text {"type":2}`, "", ""), ""},
		"names of members":  {failed("a", `{"R":1}`, `{"E":1}`, ""), failed("b", `{"R":1}`, `{"H":1}`, ""), ""},
		"what follows the first line": {
			failed("a", "server h1> 200\n  body `a`", "server h1> 404\n  Date: now", "- 200\n"), failed("b", "server h2> 200", "server h2> 404\n  body `b`", ""),
			"want 200, got 404",
		},
		"statuses": {failed("a", "status 200", "status 404", ""), failed("b", "status 200", "status 500", ""), ""},
		"only a value differs": {
			failed("a", `{"result":"0vLW4Z-vh3CC-8bYqJ-5aA"}`, `{"result":"x"}`, "  {\n-\t\"result\": \"${c1}\",\n+\t\"result\": \"x\",\n  }\n"),
			failed("b", `{"result":"a"}`, `{"result":"b"}`, "\u00a0 {\n-\u00a0\t\"result\": \"${c2}\",\n+\t\"result\": \"x\",\n  }\n"),
			`- "result": "…", + "result": "x"`,
		},
		"other values differ": {
			failed("a", `{"result":"a"}`, `{"result":"b"}`, "- a\n+ b\n"), failed("b", `{"result":"a"}`, `{"result":"c"}`, "- a\n+ c\n"), "",
		},
		"a value in what is long": {
			failed("a", `{"Url":"/signalr","ConnectionToken":"AQAAANCMnd8BFdERjHoAwE","KeepAliveTimeout":20.0,"ProtocolVersion":"2.0","LongPollDelay":0.0}`,
				`{"Url":"/signalr","ConnectionToken":"Bjdwmpse0sSvH4nKxIt6fg","KeepAliveTimeout":20.0,"ProtocolVersion":"2.1","LongPollDelay":0.0}`, ""),
			failed("b", `{"Url":"/signalr","ConnectionToken":"AQAAANCMnd8BFdERjHoAwX","KeepAliveTimeout":20.0,"ProtocolVersion":"2.0","LongPollDelay":0.0}`,
				`{"Url":"/signalr","ConnectionToken":"Bjdwmpse0sSvH4nKxIt6fX","KeepAliveTimeout":20.0,"ProtocolVersion":"2.1","LongPollDelay":0.0}`, ""),
			`want "ProtocolVersion":"2.0", got "ProtocolVersion":"2.1"`,
		},
		"ports and times": {
			failed("a", "", "", "read tcp 127.0.0.1:40312->127.0.0.1:5000: connection reset after 1.13s"), failed("b", "", "", "read tcp 127.0.0.1:40330->127.0.0.1:5000: connection reset after 2ms"),
			"read tcp 127.0.0.1->127.0.0.1: connection reset after …",
		},
	} {
		t.Run(name, func(t *testing.T) {
			alone := failed("alone", "status 1", "status 2", "")
			causes := causesOf(t, &suite.Report{Results: []suite.Result{alone, c.a, c.b}})
			want := []cause(nil)
			if c.want != "" {
				want = []cause{{c.want, []string{"a", "b"}}}
			}
			if d := cmp.Diff(want, causes); d != "" {
				t.Errorf("- want + got\n%s", d)
			}
		})
	}
}

func TestCausesMostFrequentFirst(t *testing.T) {
	r := &suite.Report{}
	for _, status := range []string{"404", "500", "404", "302", "500", "404", "200"} {
		x := suite.Result{Name: status, Outcome: suite.Failed, Want: "200", Got: status}
		if status == "200" {
			x.Outcome = suite.Passed
		}
		r.Results = append(r.Results, x)
	}
	want := []cause{{"want 200, got 404", []string{"404", "404", "404"}}, {"want 200, got 500", []string{"500", "500"}}}
	if d := cmp.Diff(want, causesOf(t, r)); d != "" {
		t.Errorf("- want + got\n%s", d)
	}
}

// A cause is one of those that a report in JSON ends with.
type cause struct {
	Cause string
	Cases []string
}

func causesOf(t *testing.T, r *suite.Report) []cause {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, suite.JSON); err != nil {
		t.Fatal(err)
	}
	var read struct{ Causes []cause }
	if err := json.Unmarshal(b.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	return read.Causes
}

// Columns that a name is too long for do not run together.
func TestLongNames(t *testing.T) {
	x := suite.Result{Name: "x", Outcome: suite.Failed, Log: []suite.Line{{Who: "service", Conn: "c1-negotiate200", Said: "close 1000"}}}
	var page strings.Builder
	if err := (&suite.Report{Results: []suite.Result{x}}).Write(&page, suite.Text); err != nil {
		t.Fatal(err)
	}
	if want := " service c1-negotiate200 close 1000\n"; !strings.Contains(page.String(), want) {
		t.Errorf("no %q in\n%s", want, &page)
	}
}

func TestWriteUnknownFormat(t *testing.T) {
	if err := agreeing().Write(&bytes.Buffer{}, "html"); err == nil {
		t.Error("wrote html")
	}
}

func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		live bool
		want string
	}{
		"terminal": {true, "\r\x1b[K1 of 3, 0 failed\r\x1b[Kfailed negotiate-get\n2 of 3, 1 failed\r\x1b[K"},
		"file":     {false, "failed negotiate-get\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			p := suite.Progress{W: &b, Total: 3, Live: c.live}
			for _, i := range []int{0, 1, 8} {
				p.Each(disagreeing().Results[i])
			}
			if b.String() != c.want {
				t.Errorf("%q, want %q", b.String(), c.want)
			}
		})
	}
}
