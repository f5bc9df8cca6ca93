package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

// The page in the repository shows the results that are beside it.
func TestPageFits(t *testing.T) {
	dir := filepath.Join("..", "..", "docs")
	all, err := read(filepath.Join(dir, kept))
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil {
		t.Fatal(err)
	}
	want, err := fill(string(is), all)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(is), "\n")); diff != "" {
		t.Errorf("docs/%s does not show docs/%s: run go run ./scripts/compat (-want +got):\n%s", page, kept, diff)
	}
	var lines strings.Builder
	if err := peers.WriteResults(&lines, all); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, kept)); err != nil || string(text) != lines.String() {
		t.Errorf("docs/%s is not as scripts/compat writes it: %v", kept, err)
	}
}

func result(run, peer, version string, c peers.Counts) peers.Result {
	return peers.Result{Subject: peers.Subject{Run: run, Peer: peer, Version: version, Against: "relay"}, Counts: c}
}

// whole has a result for every table.
func whole() (all []peers.Result) {
	for _, t := range tables {
		all = append(all, result(t.tests[0], "p", "1", peers.Counts{Passed: 1}))
	}
	return all
}

func empty() string {
	var b strings.Builder
	for _, t := range tables {
		b.WriteString("# " + t.name + "\n<!-- begin " + t.name + ": written by go run ./scripts/compat -->\nold\n<!-- end " + t.name + " -->\n")
	}
	return b.String()
}

func TestTableText(t *testing.T) {
	clients := table{tests: []string{"TestDrivers"}, by: []column{clientColumn, versionColumn}, lanes: coreLanes, apart: "only with --slow"}
	lanes := result("TestDrivers/b", "a|b", "2.10", peers.Counts{Passed: 2, Failed: 1, Skipped: 3, Known: 1})
	lanes.Lanes = map[string]peers.Counts{"WebSockets/json": {Passed: 2, Failed: 1}, "LongPolling/json": {Skipped: 3}}
	lanes.Why = map[string]int{"not there": 2, "only with --slow": 1, "known failing: it is old": 1}
	tests := []struct {
		name string
		all  []peers.Result
		want string
	}{
		{"one", []peers.Result{result("TestDrivers/a", "p", "", peers.Counts{Passed: 3})}, `
| client | version | passed | failed |
|---|---|---|---|
| p | – | 3 | 0 |
`},
		{"the same client twice", []peers.Result{result("TestDrivers/a", "p", "1", peers.Counts{Passed: 3}), result("TestDrivers/b", "p", "1", peers.Counts{Failed: 1})}, `
| client | version | passed | failed |
|---|---|---|---|
| p | 1 | 3 | 1 |
`},
		{"newest first", []peers.Result{result("TestDrivers/a", "p", "2.9", peers.Counts{Passed: 1}), result("TestDrivers/a", "p", "2.10", peers.Counts{Passed: 2})}, `
| client | version | passed | failed |
|---|---|---|---|
| p | 2.10 | 2 | 0 |
| p | 2.9 | 1 | 0 |
`},
		{"lanes, known, skipped", []peers.Result{lanes, result("TestDrivers/c", "c", "1", peers.Counts{Passed: 1})}, `
| client | version | WebSockets json | LongPolling json | passed | failed | known | skipped |
|---|---|---|---|---|---|---|---|
| a\|b | 2.10 | 2 | – | 2 | 1 | 1: it is old | 2: not there |
| c | 1 | – | – | 1 | 0 | – | – |
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want[1:], clients.text(clients.rows(test.all))); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFill(t *testing.T) {
	text, err := fill(empty(), whole())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "old") || !strings.HasPrefix(text, "# dotnet\n<!-- begin dotnet") || strings.Count(text, "\n|---") != len(tables) {
		t.Errorf("the page became\n%s", text)
	}
	if again, err := fill(text, whole()); err != nil || again != text {
		t.Errorf("filled again, it became\n%s\n%v", again, err)
	}
	errors := map[string]struct {
		text string
		all  []peers.Result
		want string
	}{
		"a marker is missing":      {strings.Replace(empty(), "<!-- end sets", "<!-- the end of sets", 1), whole(), "end sets"},
		"nothing for a table":      {empty(), whole()[1:], "no results of TestBatteries"},
		"a result without a table": {empty(), append(whole(), result("TestNew", "p", "1", peers.Counts{})), "no table shows TestNew"},
	}
	for name, c := range errors {
		t.Run(name, func(t *testing.T) {
			if _, err := fill(c.text, c.all); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := func(all []peers.Result) string {
		var b strings.Builder
		if err := peers.WriteResults(&b, all); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	put(page, empty())
	fresh := put("fresh", lines(whole()))
	if err := write(dir, fresh, false); err != nil { // the first results there are
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil || strings.Contains(string(text), "old") {
		t.Errorf("the page became\n%s\n%v", text, err)
	}
	put(kept, lines(append(whole(), result("TestDrivers/gone", "p", "1", peers.Counts{Passed: 1}))))
	if err := write(dir, fresh, false); err == nil || !strings.Contains(err.Error(), "lacks TestDrivers/gone") {
		t.Errorf("error %v, want one that says what is missing", err)
	}
	if err := write(dir, fresh, true); err != nil {
		t.Errorf("with less: %v", err)
	}
	if all, err := read(filepath.Join(dir, kept)); err != nil || len(all) != len(whole()) {
		t.Errorf("%d results were kept: %v", len(all), err)
	}
}
