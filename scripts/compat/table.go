package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

// A table is one between markers in the page. Results with the same first
// columns are one row, with their sum.
type table struct {
	name  string   // of its markers
	tests []string // whose results it shows
	by    []column
	lanes []string // in the order of their columns; those without results are left out
	apart string   // a reason of checks that are skipped in one run and done in another of the same row
}

// A column is one of those before the numbers.
type column struct {
	title string
	of    func(*peers.Result) string
}

var (
	clientColumn  = column{"client", func(x *peers.Result) string { return x.Peer }}
	versionColumn = column{"version", func(x *peers.Result) string { return x.Version }}
	serverColumn  = column{"server", func(x *peers.Result) string { return x.Against }}
	coreLanes     = []string{"WebSockets/json", "WebSockets/messagepack", "ServerSentEvents/json", "LongPolling/json", "LongPolling/messagepack"}
)

var tables = []table{{
	name:  "dotnet",
	tests: []string{"TestBatteries"},
	by:    []column{serverColumn, versionColumn},
	lanes: coreLanes,
}, {
	name:  "clients",
	tests: []string{"TestDrivers"},
	by:    []column{clientColumn, versionColumn},
	lanes: coreLanes,
}, {
	name:  "classic",
	tests: []string{"TestClassicBatteries", "TestJQuery"},
	by:    []column{clientColumn, versionColumn, serverColumn},
	lanes: []string{"webSockets", "serverSentEvents", "foreverFrame", "longPolling", "auto"},
	apart: "only with --slow",
}, {
	name: "faults",
	tests: []string{"TestIdle", "TestRestart", "TestOneOfTwoAppsGoes", "TestAppKilledInBroadcast",
		"TestLegacyAppGoes", "TestLegacyHubSets", "TestLegacyCuts"},
	by: []column{{"test", func(x *peers.Result) string { return "`" + test(x) + "`" }}, serverColumn},
}, {
	name: "sets",
	tests: []string{"TestCoreSetOnTheRelay", "TestCoreSetOnTheRealApp", "TestCoreSetOnTheRealServer", "TestPublishedHubs", "TestLegacySetOnTheRelay", "TestLegacySetOnTheRealServer",
		"TestServiceSet", "TestServiceSetOfReferenceService"},
	by:    []column{{"set", func(x *peers.Result) string { return "`" + x.Peer + "`" }}, serverColumn},
	lanes: []string{"core", "hub", "service", "service-legacy", "rest"},
}, {
	name:  "judged",
	tests: []string{"TestPublishedClients"},
	by:    []column{clientColumn, versionColumn},
}}

// test is the name of the test function.
func test(x *peers.Result) string {
	name, _, _ := strings.Cut(x.Run, "/")
	return name
}

// fill writes the tables between their markers.
func fill(text string, all []peers.Result) (string, error) {
	for _, x := range all {
		if !slices.ContainsFunc(tables, func(t table) bool { return slices.Contains(t.tests, test(&x)) }) {
			return "", fmt.Errorf("no table shows %s", x.Run)
		}
	}
	for _, t := range tables {
		begin := "<!-- begin " + t.name + ": written by go run ./scripts/compat -->\n"
		end := "<!-- end " + t.name + " -->\n"
		before, rest, ok := strings.Cut(text, begin)
		_, after, ends := strings.Cut(rest, end)
		if !ok || !ends {
			return "", fmt.Errorf("the page lacks %s or %s", strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		rows := t.rows(all)
		if len(rows) == 0 {
			return "", fmt.Errorf("no results of %s", strings.Join(t.tests, ", "))
		}
		text = before + begin + t.text(rows) + end + after
	}
	return text, nil
}

// A row is the sum of the results with the same first columns.
type row struct {
	key []string
	peers.Result
}

func (t *table) rows(all []peers.Result) (rows []*row) {
	for _, x := range all {
		if !slices.Contains(t.tests, test(&x)) {
			continue
		}
		key := make([]string, len(t.by))
		for i, c := range t.by {
			key[i] = c.of(&x)
		}
		i := slices.IndexFunc(rows, func(r *row) bool { return slices.Equal(r.key, key) })
		if i < 0 {
			i = len(rows)
			rows = append(rows, &row{key, peers.Result{Lanes: map[string]peers.Counts{}, Why: map[string]int{}}})
		}
		rows[i].add(&x, t.apart)
	}
	slices.SortFunc(rows, func(a, b *row) int { return slices.CompareFunc(a.key, b.key, naturally) })
	return rows
}

func (r *row) add(x *peers.Result, apart string) {
	r.Counts.Add(x.Counts)
	for name, counts := range x.Lanes {
		counts.Add(r.Lanes[name])
		r.Lanes[name] = counts
	}
	for why, n := range x.Why {
		if why == apart {
			r.Skipped -= n
		} else {
			r.Why[why] += n
		}
	}
}

func (t *table) text(rows []*row) string {
	lanes := slices.DeleteFunc(slices.Clone(t.lanes), func(name string) bool {
		return !slices.ContainsFunc(rows, func(r *row) bool { return r.Lanes[name] != peers.Counts{} })
	})
	known := slices.ContainsFunc(rows, func(r *row) bool { return r.Known > 0 })
	skipped := slices.ContainsFunc(rows, func(r *row) bool { return r.Skipped > 0 })
	var head []string
	for _, c := range t.by {
		head = append(head, c.title)
	}
	for _, name := range lanes {
		head = append(head, strings.ReplaceAll(name, "/", " "))
	}
	head = append(head, "passed", "failed")
	if known {
		head = append(head, "known")
	}
	if skipped {
		head = append(head, "skipped")
	}
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		cells := make([]string, 0, len(head))
		for _, k := range r.key {
			cells = append(cells, cell(k))
		}
		for _, name := range lanes {
			cells = append(cells, number(r.Lanes[name].Passed))
		}
		cells = append(cells, strconv.Itoa(r.Passed), strconv.Itoa(r.Failed))
		if known {
			cells = append(cells, r.reasons(r.Known, true))
		}
		if skipped {
			cells = append(cells, r.reasons(r.Skipped, false))
		}
		line(cells)
	}
	return b.String()
}

// reasons says why n checks were skipped or are known to fail, the commonest
// reason first.
func (r *row) reasons(n int, known bool) string {
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(r.Why)) {
		if strings.HasPrefix(why, peers.KnownPrefix) == known {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) == 0 {
		return number(n)
	}
	slices.SortStableFunc(reasons, func(a, b string) int { return r.Why[b] - r.Why[a] })
	for i, why := range reasons {
		reasons[i] = fmt.Sprintf("%d: %s", r.Why[why], cell(strings.TrimPrefix(why, peers.KnownPrefix)))
	}
	return strings.Join(reasons, "; ")
}

func number(n int) string {
	if n == 0 {
		return "–"
	}
	return strconv.Itoa(n)
}

// cell is text that can stand in a table.
func cell(s string) string {
	if s == "" {
		return "–"
	}
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(s)
}

// naturally compares texts so that greater numbers in them come first: the
// newest version is the one that readers look for.
func naturally(a, b string) int {
	for a != "" && b != "" {
		m, restA, isA := leadingNumber(a)
		n, restB, isB := leadingNumber(b)
		switch {
		case isA && isB && m != n:
			return n - m
		case isA && isB:
			a, b = restA, restB
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return len(a) - len(b)
}

func leadingNumber(s string) (n int, rest string, ok bool) {
	rest = strings.TrimLeft(s, "0123456789")
	n, err := strconv.Atoi(s[:len(s)-len(rest)])
	return n, rest, err == nil
}
