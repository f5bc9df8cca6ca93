package suite_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// mutationDocs is the page that this test writes.
const mutationDocs = "../../docs/conformance-mutations.md"

// A mutationTable is what is wrong at one kind of endpoint, each with the case
// that finds it.
type mutationTable struct {
	title, about string
	cases        []suite.Case
	rows         [][2]string
}

func mutationTables(t *testing.T) []mutationTable {
	t.Helper()
	core := mutationTable{
		title: "Servers of ASP.NET Core SignalR", cases: suite.CoreSet().Cases, rows: rowsOf(slices.Concat(coreMutations, wireMutations, hubMutations)),
		about: "`conform core`; a proxy before the sample app and the relay changes answers, WebSocket frames, events and polls. `TestCoreMutations`",
	}
	legacy := mutationTable{
		title: "Servers of ASP.NET SignalR 2", cases: suite.LegacySet().Cases, rows: rowsOf(legacyMutations),
		about: "`conform legacy`; the same proxy. `TestLegacyMutations`",
	}
	service := mutationTable{
		title: "Services", cases: suite.ServiceSet().Cases,
		about: "`conform service`; all bytes that the relay says, to app servers and clients, with one text for another (`TestServiceMutations`),\n" +
			"or what is said to it, changed before it hears it: its token above all (`TestServiceFaults`)",
	}
	for _, name := range slices.Sorted(maps.Keys(serviceMutations)) {
		service.rows = append(service.rows, [2]string{name, serviceMutations[name].by})
	}
	for _, f := range serviceFaults {
		service.rows = append(service.rows, [2]string{f.name, f.by})
	}
	rest := mutationTable{
		title: "Services with a REST API", cases: restSet().Cases,
		about: "`conform service`; what is asked of a REST API before the relay, or what that answers, is changed. `TestRESTMutations`",
	}
	for _, m := range restMutations {
		rest.rows = append(rest.rows, [2]string{m.name, m.by})
	}
	j, err := suite.NewClientJudge(suite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	client := mutationTable{
		title: "Clients", about: "`conform client`; a client that is right but for this. `TestWrongClients`",
	}
	for _, r := range j.Report().Results {
		client.cases = append(client.cases, suite.Case{Name: r.Name})
	}
	for _, m := range wrongClients {
		client.rows = append(client.rows, [2]string{m.fault, m.scenario})
	}
	return []mutationTable{core, legacy, service, rest, client}
}

func rowsOf(all []mutation) (rows [][2]string) {
	for _, m := range all {
		rows = append(rows, [2]string{m.name, m.by})
	}
	return rows
}

// The page lists what the tests do, and every case in it is one.
func TestMutationDocs(t *testing.T) {
	tables, n := mutationTables(t), 0
	for _, table := range tables {
		n += len(table.rows)
	}
	var page strings.Builder
	fmt.Fprintf(&page, "# What the suite finds\n\n"+
		"<!-- Written by go test ./conformance/suite -run TestMutationDocs -update -->\n\n"+
		"A conformance suite that finds nothing wrong may be one that does not look. So there are %d endpoints that are wrong\n"+
		"on purpose, each in one thing, and for each of them the case that fails then. The test that does it runs with all others: the case has\n"+
		"to pass at the same endpoint when nothing is wrong, and to fail when this is.\n", n)
	for _, table := range tables {
		fmt.Fprintf(&page, "\n## %s: %d\n\n%s.\n\n| what is wrong | found by |\n|---|---|\n", table.title, len(table.rows), table.about)
		for _, row := range table.rows {
			if !slices.ContainsFunc(table.cases, func(c suite.Case) bool { return c.Name == row[1] }) {
				t.Errorf("%s: no case is called %s", row[0], row[1])
			}
			fmt.Fprintf(&page, "| %s | %s |\n", row[0], row[1])
		}
	}
	if *update {
		if err := os.WriteFile(mutationDocs, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(mutationDocs)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(is), page.String()); d != "" {
		t.Errorf("run go test ./conformance/suite -run TestMutationDocs -update:\n%s", d)
	}
}
