package aspnetlegacy_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
)

func TestReplaySeen(t *testing.T) {
	cursor := aspnetlegacy.Cursor
	const roomy = 1 << 20
	for _, tt := range []struct {
		name  string
		limit int
		marks []string // what the client says, one after the other, with five messages kept
		lost  bool     // the last of them
		rest  int      // messages that are kept then
	}{
		{"nothing yet", roomy, []string{"0"}, false, 5},
		{"some", roomy, []string{cursor(2)}, false, 3},
		{"all", roomy, []string{cursor(5)}, false, 0},
		{"all, twice", roomy, []string{cursor(5), cursor(5)}, false, 0},
		{"more each time", roomy, []string{cursor(1), cursor(3)}, false, 2},
		{"overtaken", roomy, []string{cursor(3), cursor(1)}, false, 2},
		{"overtaken by far", roomy, []string{cursor(5), "0"}, false, 0},
		{"foreign", roomy, []string{"d-12,A|B"}, false, 0},
		{"none", roomy, []string{""}, false, 0},
		{"none, then what it was told", roomy, []string{"", cursor(5)}, false, 0},
		{"fell out", 60, []string{cursor(2)}, true, 0},
		{"fell out from the start", 60, []string{"0"}, true, 0},
		{"the last that fell out", 60, []string{cursor(3)}, false, 2},
		{"kept, then what fell out", 60, []string{cursor(4), cursor(1)}, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n aspnetlegacy.Numbering
			r := aspnetlegacy.NewReplay()
			for range 5 {
				r.Add(n.Message("12345678"), tt.limit) // of 30 bytes
			}
			var ok bool
			for _, m := range tt.marks {
				ok = r.Seen(m)
			}
			if ok == tt.lost || len(r.Rest()) != tt.rest || r.Size() != 30*tt.rest {
				t.Errorf("lost %t, %d messages of %d bytes are kept; want %t, %d", !ok, len(r.Rest()), r.Size(), tt.lost, tt.rest)
			}
		})
	}
}

// A client that reads some of what it is sent, says so, and comes back hears
// everything once and in order, or is told that it has lost something.
func TestReplayRandom(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var n aspnetlegacy.Numbering
		var sent []string
		keep, limit := aspnetlegacy.NewReplay(), 100+r.IntN(2000)
		mark, heard := "0", 0
		for range 200 {
			switch r.IntN(4) {
			case 0, 1:
				m := n.Message(`"` + string(make([]byte, r.IntN(50))) + `"`)
				sent = append(sent, string(m))
				keep.Add(m, limit)
			case 2:
				if r.IntN(10) == 0 {
					keep.Expire(r.Uint64N(uint64(len(sent)) + 1))
				}
			case 3:
				gone := len(sent) - len(keep.Rest())
				ok := keep.Seen(mark)
				rest := keep.Rest()
				if ok != (gone <= heard) {
					t.Fatalf("seed %d: whole is %t where %d of %d are gone and %d were heard", seed, ok, gone, len(sent), heard)
				}
				if !ok {
					heard = len(sent)
				} else if !slices.Equal(rest, sent[heard:]) {
					t.Fatalf("seed %d: %d messages come back after %d of %d", seed, len(rest), heard, len(sent))
				}
				if k := len(rest); k > 0 {
					heard += r.IntN(k + 1)
				}
				if heard > 0 {
					mark = aspnetlegacy.CursorIn([]byte(sent[heard-1]))
				}
			}
			size := 0
			for _, m := range keep.Rest() {
				size += len(m)
			}
			if size != keep.Size() || size > limit && len(keep.Rest()) > 1 {
				t.Fatalf("seed %d: %d bytes are kept, counted as %d, with a limit of %d", seed, size, keep.Size(), limit)
			}
		}
	}
}
