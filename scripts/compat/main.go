// Command compat writes the tables of docs/compatibility.md from the results of
// the last whole run against real servers and clients. It is run in the
// directory of go.mod.
//
//	SIGNALRELAY_RESULTS=/tmp/results make e2e
//	go run ./scripts/compat /tmp/results
//
// The results become docs/compatibility.jsonl. Without a file, the tables are
// written again from the results that are there. A run that was there before and
// is missing now was skipped, or did not come to its end: that is an error,
// unless -less says that it is no run any more.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance/peers"
)

const (
	kept = "compatibility.jsonl" // in docs
	page = "compatibility.md"
)

func main() {
	less := flag.Bool("less", false, "accept results that lack runs which were there before")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: compat [-less] [FILE]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := write("docs", flag.Arg(0), *less); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

// write replaces the results in dir, if there are new ones, and the tables.
// Nothing is written before everything has been found to be right.
func write(dir, results string, less bool) error {
	all, err := read(filepath.Join(dir, kept))
	if err != nil && !(results != "" && errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	if results != "" {
		fresh, err := read(results)
		if err != nil {
			return err
		}
		if gone := lacking(all, fresh); len(gone) > 0 && !less {
			return fmt.Errorf("%s is not from a whole run, it lacks %s", results, strings.Join(gone, ", "))
		}
		all = fresh
	}
	text, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil {
		return err
	}
	filled, err := fill(string(text), all)
	if err != nil {
		return err
	}
	var lines strings.Builder
	if err := peers.WriteResults(&lines, all); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, kept), []byte(lines.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, page), []byte(filled), 0o644)
}

func read(path string) ([]peers.Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return peers.ReadResults(f)
}

// lacking are the runs that are in old only.
func lacking(old, fresh []peers.Result) (runs []string) {
	for _, x := range old {
		there := slices.ContainsFunc(fresh, func(y peers.Result) bool { return y.Run == x.Run })
		if !there && !slices.Contains(runs, x.Run) {
			runs = append(runs, x.Run)
		}
	}
	return runs
}
