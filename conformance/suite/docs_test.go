package suite_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// The examples of docs/conformance.md are cases: what readers copy works.
func TestDocumentedCases(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[suite.Level]int{}
	for i, block := range strings.Split(string(page), "\n```") {
		text, ok := strings.CutPrefix(block, "\n# name: ")
		if i%2 == 0 || !ok {
			continue
		}
		text = "# name: " + text + "\n"
		cases, err := suite.Transcripts([]byte(text), nil)
		if err != nil || len(cases) != 1 {
			t.Errorf("%d cases, %v in\n%s", len(cases), err, text)
			continue
		}
		c := cases[0]
		found[c.Level]++
		tr, err := conformance.Load([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(tr.Text(), []byte(text)) {
			t.Errorf("%s is not as it would be written:\n%s", c.Name, tr.Text())
		}
		if c.Level != suite.Service {
			continue
		}
		r, err := suite.Run(t.Context(), &suite.Set{Cases: []suite.Case{c}}, startRelay(t), suite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Errorf("%v: %+v", err, r.Results)
		}
	}
	if found[suite.Service] != 1 || found[suite.Hub] != 1 {
		t.Errorf("examples by level: %v", found)
	}
}
