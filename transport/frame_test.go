package transport_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalrelay/signalrelay/transport"
)

func TestParse(t *testing.T) {
	type P = transport.Parsed
	for _, test := range []struct {
		name string
		in   []byte
		want []P
		open string
	}{
		{"nothing", nil, nil, ""},
		{"text", frame(text, "a"), []P{{1, "a"}}, ""},
		{"empty", frame(bin, ""), []P{{2, ""}}, ""},
		{"fragments", slices.Concat(frame(0x02, "a"), frame(0x00, "b"), frame(0x80, "c")), []P{{2, "abc"}}, ""},
		{"control within", slices.Concat(frame(0x01, "a"), frame(pong, ""), frame(shut, "12"), frame(0x80, "b")),
			[]P{{10, ""}, {8, "12"}, {1, "ab"}}, ""},
		{"open", slices.Concat(frame(0x01, "a"), frame(0x00, "bc")), nil, "abc"},
		{"part of a frame", frame(text, "abcdef")[:9], nil, "abc"},
		{"longest control", frame(ping, strings.Repeat("p", 125)), []P{{9, strings.Repeat("p", 125)}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for size := 1; size <= len(test.in)+1; size++ {
				var chunks [][]byte
				for c := range slices.Chunk(slices.Clone(test.in), size) {
					chunks = append(chunks, c)
				}
				got, open, err := transport.Parse(1<<20, chunks...)
				if d := cmp.Diff(test.want, got); d != "" || err != nil || open != test.open {
					t.Fatalf("chunks of %d: open %q, %v, %s", size, open, err, d)
				}
			}
		})
	}
}

func TestAppendHeader(t *testing.T) {
	for _, test := range []struct {
		n    int
		want []byte
	}{
		{0, []byte{0x82, 0}},
		{125, []byte{0x82, 125}},
		{126, []byte{0x82, 126, 0, 126}},
		{65535, []byte{0x82, 126, 255, 255}},
		{65536, []byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		if d := cmp.Diff(test.want, transport.AppendHeader(nil, 2, test.n)); d != "" {
			t.Errorf("%d: %s", test.n, d)
		}
	}
}

// FuzzFrames: any cutting of any bytes gives the same, and never more than
// came in.
func FuzzFrames(f *testing.F) {
	f.Add(frame(text, "hello"), uint8(1))
	f.Add(slices.Concat(frame(0x01, "a"), frame(ping, "p"), frame(0x80, "b"), frame(shut, closing(1000, "bye"))), uint8(3))
	f.Add(frame(bin, strings.Repeat("b", 300)), uint8(100))
	f.Add([]byte{text, 0, bin, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		const most = 1 << 10
		whole, open, err := transport.Parse(most, slices.Clone(in))
		var chunks [][]byte
		for c := range slices.Chunk(slices.Clone(in), int(size)+1) {
			chunks = append(chunks, c)
		}
		parts, partsOpen, partsErr := transport.Parse(most, chunks...)
		if d := cmp.Diff(whole, parts); d != "" || open != partsOpen || !errors.Is(partsErr, err) {
			t.Errorf("chunks of %d: %q and %q, %v and %v, %s", int(size)+1, open, partsOpen, err, partsErr, d)
		}
		n := len(open)
		for _, m := range whole {
			n += len(m.Data)
			if m.Op < 8 && len(m.Data) > most || m.Op >= 8 && len(m.Data) > 125 {
				t.Errorf("opcode %d has %d bytes", m.Op, len(m.Data))
			}
		}
		if n > len(in) {
			t.Errorf("%d bytes out of %d", n, len(in))
		}
	})
}
