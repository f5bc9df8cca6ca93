// Command tally reads what go test -json writes and prints what a reader needs:
// every failure with its output, how many were skipped for which reason, one line
// for each package, and last "N passed, N failed, N skipped". A test with subtests counts
// by these; the seeds of a fuzz target count as one. The status is 1 when
// anything failed.
//
//	go test -json ./... | go run ./scripts/tally
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of go test -json, as `go doc test2json` has it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds

	ImportPath string // of build-output
}

type testID struct{ pkg, name string }

// tally is what was seen so far.
type tally struct {
	out    io.Writer
	output map[testID][]string // of tests that run yet
	parent map[testID]bool     // has subtests

	skips map[string]int // by reason, of the package at hand
	order []string       // the reasons as they came

	passed, failed, skipped int
}

func main() {
	t := &tally{out: os.Stdout, output: map[testID][]string{}, parent: map[testID]bool{}, skips: map[string]int{}}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		os.Exit(1)
	}
}

func (t *tally) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(t.out, "%s", line) // go itself, before any test
			} else {
				t.take(&e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) take(e *event) {
	k := testID{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "run":
		if up := strings.LastIndexByte(k.name, '/'); up > 0 {
			t.parent[testID{k.pkg, k.name[:up]}] = true
		}
	case "output":
		t.output[k] = append(t.output[k], e.Output)
	case "pass", "fail", "skip":
		if k.name == "" {
			t.pkg(k, e)
		} else {
			t.test(k, e)
		}
		delete(t.output, k)
	}
}

func (t *tally) test(k testID, e *event) {
	leaf := !t.parent[k]
	counts := leaf && !(strings.HasPrefix(k.name, "Fuzz") && strings.Contains(k.name, "/")) || !leaf && strings.HasPrefix(k.name, "Fuzz")
	switch e.Action {
	case "pass":
		if counts {
			t.passed++
		}
		for _, line := range t.output[k] {
			if strings.Contains(line, "tally: ") {
				fmt.Fprintf(t.out, "     %s: %s (%.0f s)\n", k.name, line[strings.Index(line, "tally: ")+len("tally: "):len(line)-1], e.Elapsed)
			}
		}
	case "skip":
		if counts {
			t.skipped++
		}
		why := reason(t.output[k])
		if t.skips[why]++; t.skips[why] == 1 {
			t.order = append(t.order, why)
		}
	case "fail":
		// A test that fails beside its subtests, in its own words, counts too.
		said := strings.Join(words(t.output[k]), "")
		if counts || said != "" {
			t.failed++
			fmt.Fprintf(t.out, "FAIL %s %s\n%s", k.pkg, k.name, said)
		}
	}
}

func (t *tally) pkg(k testID, e *event) {
	for _, why := range t.order {
		fmt.Fprintf(t.out, "skip %d × %s\n", t.skips[why], why)
	}
	clear(t.skips)
	t.order = nil
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok   %s (%.1f s)\n", k.pkg, e.Elapsed)
	case "fail":
		cut := t.cut(k.pkg)
		said := strings.Join(words(t.output[k]), "")
		fmt.Fprintf(t.out, "FAIL %s (%.1f s)\n%s", k.pkg, e.Elapsed, said)
		if !cut && (said != "" || t.failed == 0) { // it did not build, or TestMain failed
			t.failed++
		}
	}
}

// cut counts the tests that a panic or a timeout left without an end; whoever
// has subtests or nothing to say waited for them.
func (t *tally) cut(pkg string) (any bool) {
	for k, lines := range t.output {
		if k.pkg != pkg || k.name == "" {
			continue
		}
		if said := words(lines); len(said) > 0 || !t.parent[k] {
			any = true
			t.failed++
			fmt.Fprintf(t.out, "FAIL %s %s: did not end\n%s", pkg, k.name, strings.Join(said, ""))
		}
		delete(t.output, k)
	}
	return any
}

// words is output without the frame that the test runner puts around it.
func words(lines []string) (said []string) {
	for _, line := range lines {
		switch s := strings.TrimSpace(line); {
		case s == "", s == "FAIL", s == "PASS", strings.HasPrefix(s, "=== "), strings.HasPrefix(s, "--- "),
			strings.HasPrefix(s, "FAIL\t"), strings.HasPrefix(s, "coverage:"), strings.HasPrefix(s, "exit status"):
		default:
			said = append(said, line)
		}
	}
	return said
}

// reason is why a test was skipped, without the place that says so.
func reason(lines []string) string {
	var all []string
	for _, line := range words(lines) {
		line = strings.TrimSpace(line)
		if file, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(file, ".go:") {
			line = rest
		}
		all = append(all, line)
	}
	return strings.Join(all, " ")
}
