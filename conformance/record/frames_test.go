package record

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	stream := []byte("\x81\x02hi" + // text
		"\x02\x03abc" + "\x89\x01p" + "\x00\x01d" + "\x80\x01e" + // binary in fragments, a ping among them
		"\x81\x83\x01\x02\x03\x04" + "\x62\x71\x70" + // masked
		"\x82\x7e\x00\x80" + strings.Repeat("x", 128) +
		"\x88\x04\x03\xe8by")
	want := []string{"1 hi", "2 abcde", "1 css", "2 " + strings.Repeat("x", 128), "8 \x03\xe8by"}
	for size := 1; size <= len(stream); size++ {
		var got []string
		f := frames{say: func(op byte, data []byte) { got = append(got, fmt.Sprintf("%d %s", op, data)) }}
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			f.feed(rest[:n])
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in pieces of %d:\n%s", size, diff)
		}
	}
}

// A client's message is begun with its first bytes, and what has come of it can
// be told at any time.
func TestUnfinishedFrames(t *testing.T) {
	stream := []byte("\x01\x82\x01\x02\x03\x04\x60\x60" + "\x80\x85\x00\x00\x00\x00cdefg")
	for n := range stream {
		begun := 0
		f := frames{say: func(op byte, data []byte) { t.Errorf("%d bytes are a message: %s", n, data) }, begun: func() { begun++ }}
		f.feed(bytes.Clone(stream[:n]))
		op, data, missing := f.unfinished()
		want := "abcdefg"[:max(0, min(n, 8)-6)+max(0, n-14)]
		if string(data) != want || want != "" && op != opText || n > 14 && missing != uint64(len(stream)-n) {
			t.Errorf("of %d bytes: op %d, %q, %d missing", n, op, data, missing)
		}
		if (begun > 0) != (n >= 6) {
			t.Errorf("of %d bytes: begun %d times", n, begun)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x02hi\x01\x01a\x80\x81\x01\x02\x03\x04b"))
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var whole, pieces [][]byte
		a := frames{say: func(op byte, data []byte) { whole = append(whole, bytes.Clone(data)) }}
		b := frames{say: func(op byte, data []byte) { pieces = append(pieces, bytes.Clone(data)) }}
		a.feed(bytes.Clone(stream))
		a.unfinished()
		for i := range stream {
			b.feed(bytes.Clone(stream[i : i+1]))
		}
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Errorf("the pieces matter:\n%s", diff)
		}
	})
}

func TestWithoutKeepAlives(t *testing.T) {
	for _, c := range []struct {
		name, said string
		server     bool
		want       string
	}{
		{"ping", "{\"type\":6}\x1e", false, ""},
		{"ping among others", "{\"type\":1}\x1e{\"type\":6}\x1e{\"type\":3}\x1e", true, "{\"type\":1}\x1e{\"type\":3}\x1e"},
		{"ack of the server", "{\"type\":8,\"sequenceId\":1}\x1e", true, ""},
		{"ack of the client", "{\"type\":8,\"sequenceId\":1}\x1e", false, "{\"type\":8,\"sequenceId\":1}\x1e"},
		{"packed ping", "\x02\x91\x06", true, ""},
		{"packed ping among others", "\x03\x92\x07\xc0\x02\x91\x06", false, "\x03\x92\x07\xc0"},
		{"packed ack of the server", "\x03\x92\x08\x01", true, ""},
		{"packed ack that ends like json", "\x03\x92\x08\x1e", true, ""},
		{"of ASP.NET SignalR", "{}", true, ""},
		{"the same from a client", "{}", false, "{}"},
		{"answer to a handshake", "{}\x1e", true, "{}\x1e"},
		{"handshake and ping", "{}\x1e{\"type\":6}\x1e", true, "{}\x1e"},
		{"nothing", "", true, ""},
		{"no messages", "\x05\x91", true, "\x05\x91"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := withoutKeepAlives([]byte(c.said), c.server); string(got) != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
