package serviceproto_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// split feeds the chunks and returns copies of the bodies.
func split(s *serviceproto.Splitter, chunks ...[]byte) (bodies [][]byte, more []bool, err error) {
	for _, chunk := range chunks {
		err = s.Feed(chunk, func(body []byte, m bool) error {
			bodies, more = append(bodies, bytes.Clone(body)), append(more, m)
			return nil
		})
		if err != nil {
			break
		}
	}
	return bodies, more, err
}

func TestFraming(t *testing.T) {
	for _, line := range readLines(t, "framing.txt", 4) {
		kind, name, stream := line[0], line[1], mustUnhex(t, line[2])
		t.Run(kind+" "+name, func(t *testing.T) {
			s := serviceproto.Splitter{Max: 1<<31 - 1}
			switch kind {
			case "length":
				testLength(t, name, stream)
			case "error":
				if _, _, err := split(&s, stream); !errors.Is(err, serviceproto.ErrLength) {
					t.Errorf("Feed: %v, want ErrLength", err)
				}
			case "wait":
				if bodies, _, err := split(&s, stream); err != nil || bodies != nil {
					t.Errorf("Feed: %x, %v, want nothing yet", bodies, err)
				}
			case "stream":
				testStream(t, stream, strings.Split(line[3], ","))
			default:
				t.Errorf("unknown kind")
			}
		})
	}
}

// testLength looks for the length before a ConnectionData of that size, and
// that the Splitter takes exactly those bytes for it.
func testLength(t *testing.T, name string, length []byte) {
	size, err := strconv.Atoi(name)
	if err != nil {
		t.Fatal(err)
	}
	s := serviceproto.Splitter{Max: max(size-1, 1)}
	_, _, err = split(&s, length)
	if large := errors.Is(err, serviceproto.ErrFrameTooLarge); large != (size > s.Max) {
		t.Errorf("Feed with Max %d: %v", s.Max, err)
	}
	if size > 1<<22 || size < 16 {
		return
	}
	s = serviceproto.Splitter{}
	bodies, _, err := split(&s, length, make([]byte, size), []byte{0})
	if err != nil || len(bodies) != 2 || len(bodies[0]) != size || len(bodies[1]) != 0 {
		t.Errorf("Feed: %d frames, %v, want one of %d bytes and an empty one", len(bodies), err, size)
	}
	// The smallest frame around a payload has 6 bytes, up to 9 for large ones.
	for n := max(size-9, 0); n < size; n++ {
		head := serviceproto.AppendConnectionDataHead(nil, "", n)
		if bytes.HasPrefix(head, append(slices.Clone(length), 0x94)) {
			return
		}
	}
	t.Errorf("no ConnectionData begins with the length % x", length)
}

// testStream feeds the stream whole, by the byte, and cut in two at each byte
// (of its ends when it is long).
func testStream(t *testing.T, stream []byte, frames []string) {
	var want [][]byte
	for _, f := range frames {
		want = append(want, body(t, mustUnhex(t, f)))
	}
	check := func(how string, chunks ...[]byte) {
		t.Helper()
		got, _, err := split(new(serviceproto.Splitter), chunks...)
		if err != nil || !slices.EqualFunc(want, got, bytes.Equal) {
			t.Errorf("%s: %v (-want +got)\n%s", how, err, cmp.Diff(want, got))
		}
	}
	check("whole", stream)
	check("by the byte", slices.Collect(slices.Chunk(stream, 1))...)
	for i := range stream {
		if i < 32 || i > len(stream)-32 {
			check("cut at "+strconv.Itoa(i), stream[:i], stream[i:])
		}
	}
}

func TestSplitterMore(t *testing.T) {
	ping := []byte{0x02, 0x91, 0x03}
	tests := []struct {
		name   string
		chunks [][]byte
		want   []bool
		err    error
	}{
		{"one", [][]byte{ping}, []bool{false}, nil},
		{"three in one chunk", [][]byte{bytes.Repeat(ping, 3)}, []bool{true, true, false}, nil},
		{"one and a part", [][]byte{{0x02, 0x91, 0x03, 0x02, 0x91}}, []bool{false}, nil},
		{"completed, then another", [][]byte{{0x02, 0x91}, {0x03, 0x02, 0x91, 0x03}}, []bool{true, false}, nil},
		{"completed at the end", [][]byte{{0x02}, {0x91}, {0x03}}, []bool{false}, nil},
		{"empty frame follows", [][]byte{{0x02, 0x91, 0x03, 0x00}}, []bool{true, false}, nil},
		{"impossible length follows", [][]byte{{0x02, 0x91, 0x03, 0xff, 0xff, 0xff, 0xff, 0xff}}, []bool{false}, serviceproto.ErrLength},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, got, err := split(new(serviceproto.Splitter), test.chunks...)
			if !errors.Is(err, test.err) {
				t.Errorf("Feed: %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("more (-want +got)\n%s", diff)
			}
		})
	}
}

func TestSplitterEndsAtError(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	err := new(serviceproto.Splitter).Feed(bytes.Repeat([]byte{0x02, 0x91, 0x03}, 3), func([]byte, bool) error {
		calls++
		return stop
	})
	if err != stop || calls != 1 {
		t.Errorf("Feed: %v after %d calls, want the error of the first", err, calls)
	}
}

func TestSplitterLimit(t *testing.T) {
	tests := []struct {
		name   string
		max    int
		chunks [][]byte
		want   error
	}{
		{"at Max", 2, [][]byte{{0x02, 0x91, 0x03}}, nil},
		{"above Max", 1, [][]byte{{0x02, 0x91, 0x03}}, serviceproto.ErrFrameTooLarge},
		{"above Max, length alone", 127, [][]byte{{0x80, 0x01}}, serviceproto.ErrFrameTooLarge},
		{"above Max, by the byte", 127, [][]byte{{0x80}, {0x01}}, serviceproto.ErrFrameTooLarge},
		{"64 MiB without Max", 0, [][]byte{{0x80, 0x80, 0x80, 0x20}}, nil},
		{"above 64 MiB without Max", 0, [][]byte{{0x81, 0x80, 0x80, 0x20}}, serviceproto.ErrFrameTooLarge},
		{"fifth byte, by the byte", 0, [][]byte{{0xff}, {0xff}, {0xff}, {0xff}, {0x08}}, serviceproto.ErrLength},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := split(&serviceproto.Splitter{Max: test.max}, test.chunks...); !errors.Is(err, test.want) {
				t.Errorf("Feed: %v, want %v", err, test.want)
			}
		})
	}
}

// TestSplitterBorrows looks for the body inside the chunk.
func TestSplitterBorrows(t *testing.T) {
	chunk := []byte{0x02, 0x91, 0x03}
	err := new(serviceproto.Splitter).Feed(chunk, func(body []byte, _ bool) error {
		if &body[0] != &chunk[1] || cap(body) != 2 {
			t.Error("the body is a copy, or can grow over the next frame")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSplitterAllocatesWhatArrives announces 60 MiB and sends little.
func TestSplitterAllocatesWhatArrives(t *testing.T) {
	s := new(serviceproto.Splitter)
	got := allocated(func() {
		if _, _, err := split(s, []byte{0x80, 0x80, 0x80, 0x1e, 0x91}, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
	})
	if got > 64<<10 {
		t.Errorf("1005 bytes of a frame of 60 MiB cost %d bytes", got)
	}
}

// allocated returns the bytes that f allocates, and whoever runs beside it.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzSplitter(f *testing.F) {
	for _, line := range readLines(f, "framing.txt", 4) {
		if stream := mustUnhex(f, line[2]); len(stream) < 1<<10 {
			f.Add(stream, []byte{1, 2, 3})
		}
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		const limit = 1 << 16
		want, _, wantErr := split(&serviceproto.Splitter{Max: limit}, stream)
		var chunks [][]byte
		for rest, i := stream, 0; len(rest) > 0; i++ {
			n := 1
			if len(sizes) > 0 {
				n = min(int(sizes[i%len(sizes)])+1, len(rest))
			}
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		got, _, err := split(&serviceproto.Splitter{Max: limit}, chunks...)
		if !slices.EqualFunc(want, got, bytes.Equal) {
			t.Errorf("frames (-whole +cut)\n%s", cmp.Diff(want, got))
		}
		for _, kind := range []error{serviceproto.ErrLength, serviceproto.ErrFrameTooLarge} {
			if errors.Is(err, kind) != errors.Is(wantErr, kind) {
				t.Errorf("Feed: %v whole, %v cut", wantErr, err)
			}
		}
	})
}
