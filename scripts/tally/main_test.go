package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTally(t *testing.T) {
	const run = `{"Action":"run","Package":"p","Test":"`
	const pass = `{"Action":"pass","Package":"p","Test":"`
	const fail = `{"Action":"fail","Package":"p","Test":"`
	tests := []struct {
		name    string
		in      []string
		want    [3]int // passed, failed, skipped
		printed []string
	}{
		{"subtests count, their parent does not", []string{run + `T"}`, run + `T/a"}`, run + `T/b"}`, pass + `T/a"}`, pass + `T/b"}`, pass + `T"}`}, [3]int{2, 0, 0}, nil},
		{"seeds of a fuzz target count as one", []string{run + `FuzzX"}`, run + `FuzzX/seed#0"}`, run + `FuzzX/seed#1"}`, pass + `FuzzX/seed#0"}`, pass + `FuzzX/seed#1"}`, pass + `FuzzX"}`}, [3]int{1, 0, 0}, nil},
		{"a parent that fails with its subtest is not counted twice", []string{run + `T"}`, run + `T/a"}`,
			`{"Action":"output","Package":"p","Test":"T/a","Output":"    x_test.go:1: why\n"}`, fail + `T/a"}`,
			`{"Action":"output","Package":"p","Test":"T","Output":"--- FAIL: T\n"}`, fail + `T"}`, `{"Action":"fail","Package":"p"}`}, [3]int{0, 1, 0}, []string{"FAIL p T/a", "x_test.go:1: why"}},
		{"a parent that fails by itself counts", []string{run + `T"}`, run + `T/a"}`, pass + `T/a"}`,
			`{"Action":"output","Package":"p","Test":"T","Output":"    x_test.go:9: tally\n"}`, fail + `T"}`}, [3]int{1, 1, 0}, []string{"x_test.go:9"}},
		{"reasons of skips are counted", []string{run + `A"}`, run + `B"}`,
			`{"Action":"output","Package":"p","Test":"A","Output":"    x_test.go:1: no peers\n"}`, `{"Action":"skip","Package":"p","Test":"A"}`,
			`{"Action":"output","Package":"p","Test":"B","Output":"    x_test.go:2: no peers\n"}`, `{"Action":"skip","Package":"p","Test":"B"}`, `{"Action":"pass","Package":"p"}`}, [3]int{0, 0, 2}, []string{"skip 2 × no peers"}},
		{"a package that does not build", []string{`{"ImportPath":"p","Action":"build-output","Output":"p/x.go:1: bad\n"}`, `{"Action":"fail","Package":"p","FailedBuild":"p"}`}, [3]int{0, 1, 0}, []string{"p/x.go:1: bad", "FAIL p"}},
		{"a test that a panic cut off", []string{run + `T"}`, `{"Action":"output","Package":"p","Test":"T","Output":"=== RUN   T\n"}`,
			`{"Action":"output","Package":"p","Test":"T","Output":"panic: test timed out\n"}`, `{"Action":"fail","Package":"p"}`}, [3]int{0, 1, 0}, []string{"FAIL p T: did not end", "timed out"}},
		{"words of the go command itself", []string{"no required module"}, [3]int{}, []string{"no required module"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			y := &tally{out: &out, output: map[testID][]string{}, parent: map[testID]bool{}, skips: map[string]int{}}
			if err := y.read(strings.NewReader(strings.Join(test.in, "\n") + "\n")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, [3]int{y.passed, y.failed, y.skipped}); diff != "" {
				t.Errorf("passed, failed, skipped (-want +got):\n%s", diff)
			}
			for _, part := range test.printed {
				if !strings.Contains(out.String(), part) {
					t.Errorf("%q was not printed in %q", part, out.String())
				}
			}
		})
	}
}
