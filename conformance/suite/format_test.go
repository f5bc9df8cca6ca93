package suite_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

func agreeing() *suite.Report {
	r := disagreeing()
	r.Results, r.Stale = r.Results[:1], nil
	return r
}

// The formats are what scripts and CI systems read: they change on purpose only.
func TestFormats(t *testing.T) {
	for name, r := range map[string]*suite.Report{"disagrees": disagreeing(), "agrees": agreeing(), "nothing": {Set: "core", Endpoint: "http://127.0.0.1/hub"}} {
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
	if n := read.Totals["core"]["failed"]; n != 3 || len(read.Results) != 9 || !strings.Contains(read.Results[2].Got, "\x1e") {
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
	if err := xml.Unmarshal(b.Bytes(), &suites); err != nil || suites.Tests != 11 || suites.Failures != 5 {
		t.Errorf("read back: %+v, %v", suites, err)
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
			for _, i := range []int{0, 1, 7} {
				p.Each(disagreeing().Results[i])
			}
			if b.String() != c.want {
				t.Errorf("%q, want %q", b.String(), c.want)
			}
		})
	}
}
