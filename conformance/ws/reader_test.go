package ws_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// frame is a server's frame: not masked.
func frame(first byte, p string) string {
	switch n := len(p); {
	case n < 126:
		return string([]byte{first, byte(n)}) + p
	case n < 1<<16:
		return string([]byte{first, 126, byte(n >> 8), byte(n)}) + p
	default:
		return string([]byte{first, 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + p
	}
}

type message struct {
	Op   byte
	Data string
}

func readAll(r *ws.Reader) (got []message, err error) {
	for {
		op, p, err := r.Message()
		if err != nil {
			return got, err
		}
		got = append(got, message{op, string(p)})
	}
}

func TestReaderMessages(t *testing.T) {
	big := strings.Repeat("0123456789", 7000)
	for _, tc := range []struct {
		name, wire string
		want       []message
	}{
		{"text", frame(0x81, "hello"), []message{{1, "hello"}}},
		{"binary", frame(0x82, "\x00\xff"), []message{{2, "\x00\xff"}}},
		{"empty", frame(0x81, ""), []message{{1, ""}}},
		{"16 bit length", frame(0x81, big[:300]), []message{{1, big[:300]}}},
		{"64 bit length", frame(0x81, big), []message{{1, big}}},
		{"small after large", frame(0x81, big) + frame(0x81, "x"), []message{{1, big}, {1, "x"}}},
		{"fragments", frame(0x01, "a") + frame(0x00, "b") + frame(0x80, "c"), []message{{1, "abc"}}},
		{"ping between fragments", frame(0x02, "a") + frame(0x89, "p") + frame(0x80, "b"), []message{{9, "p"}, {2, "ab"}}},
		{"close", frame(0x88, "\x03\xe8bye"), []message{{8, "\x03\xe8bye"}}},
	} {
		for name, src := range map[string]io.Reader{
			"whole": strings.NewReader(tc.wire), "bytewise": iotest.OneByteReader(strings.NewReader(tc.wire)),
		} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				got, err := readAll(ws.NewReader(src, 1<<20))
				if err != io.EOF {
					t.Errorf("ended with %v, want EOF", err)
				}
				if d := cmp.Diff(tc.want, got); d != "" {
					t.Error(d)
				}
			})
		}
		t.Run(tc.name+"/skim", func(t *testing.T) {
			r := ws.NewReader(iotest.HalfReader(strings.NewReader(tc.wire)), 1<<20)
			for _, m := range tc.want {
				op, n, err := r.Skim()
				if op != m.Op || n != int64(len(m.Data)) || err != nil {
					t.Errorf("Skim = %d, %d, %v; want %d, %d", op, n, err, m.Op, len(m.Data))
				}
			}
			if _, _, err := r.Skim(); err != io.EOF {
				t.Errorf("ended with %v, want EOF", err)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, tc := range []struct{ name, wire string }{
		{"reserved bit", "\xc1\x00"},
		{"masked", "\x81\x80\x00\x00\x00\x00"},
		{"opcode 3", "\x83\x00"},
		{"opcode 11", "\x8b\x00"},
		{"fragmented ping", "\x09\x00"},
		{"long close", "\x88\x7e\x00\x7e"},
		{"negative length", "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"},
		{"over the limit", "\x81\x7e\x04\x01"},
		{"fragments over the limit", frame(0x01, strings.Repeat("a", 1000)) + frame(0x80, strings.Repeat("b", 25))},
		{"continuation of nothing", frame(0x80, "a")},
		{"new message inside a message", frame(0x01, "a") + frame(0x81, "b")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := readAll(ws.NewReader(strings.NewReader(tc.wire), 1024)); !errors.Is(err, ws.ErrProtocol) {
				t.Errorf("Message: %v, want ErrProtocol", err)
			}
			r := ws.NewReader(strings.NewReader(tc.wire), 1024)
			var err error
			for err == nil {
				_, _, err = r.Skim()
			}
			if !errors.Is(err, ws.ErrProtocol) {
				t.Errorf("Skim: %v, want ErrProtocol", err)
			}
		})
	}
}

// A length that is only claimed must not be allocated, and a large message must not stay allocated.
func TestReaderMemory(t *testing.T) {
	r := ws.NewReader(strings.NewReader("\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00abc"), 1<<40)
	if _, err := readAll(r); err != io.EOF {
		t.Fatalf("ended with %v, want EOF", err)
	}
	if n := r.Buffered(); n > 1024 {
		t.Errorf("holds %d bytes for a claimed gigabyte of which 3 bytes came", n)
	}
	r = ws.NewReader(strings.NewReader(frame(0x81, strings.Repeat("x", 1<<20))+frame(0x81, "y")), 1<<40)
	if got, err := readAll(r); len(got) != 2 || err != io.EOF {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	if n := r.Buffered(); n > 1024 {
		t.Errorf("holds %d bytes after a large message", n)
	}
}

// stutter fails every second read, as a deadline does, and never brings more than n bytes.
type stutter struct {
	src  io.Reader
	n    int
	fail bool
}

var errStutter = errors.New("not yet")

func (s *stutter) Read(p []byte) (int, error) {
	if s.fail = !s.fail; s.fail {
		return 0, errStutter
	}
	return s.src.Read(p[:min(s.n, len(p))])
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(frame(0x81, "hello")+frame(0x89, "p")+frame(0x88, "")), 3)
	f.Add([]byte(frame(0x01, "a")+frame(0x80, strings.Repeat("b", 700))), 100)
	f.Add([]byte("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, wire []byte, chunk int) {
		const limit = 1 << 16
		want, wantErr := readAll(ws.NewReader(bytes.NewReader(wire), limit))

		r := ws.NewReader(&stutter{src: bytes.NewReader(wire), n: max(1, chunk%600)}, limit)
		var got []message
		var err error
		for {
			var op byte
			var p []byte
			if op, p, err = r.Message(); err == nil {
				got = append(got, message{op, string(p)})
			} else if err != errStutter {
				break
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("messages depend on how the bytes arrive: %s", d)
		}
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("error %v in pieces, %v at once", err, wantErr)
		}
		if n := r.Buffered(); n > 4*len(wire)+1024 {
			t.Errorf("holds %d bytes for %d of input", n, len(wire))
		}
		r = ws.NewReader(&stutter{src: bytes.NewReader(wire), n: max(1, chunk%600)}, limit)
		for i := 0; ; {
			op, n, err := r.Skim()
			if err == errStutter {
				continue
			}
			if err != nil {
				if i != len(want) {
					t.Errorf("Skim saw %d messages, Message %d (%v)", i, len(want), err)
				}
				break
			}
			if i >= len(want) || op != want[i].Op || n != int64(len(want[i].Data)) {
				t.Fatalf("Skim message %d: op %d, %d bytes", i, op, n)
			}
			i++
		}
	})
}
