package conformance

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A client sends what a transcript has with the captures filled in and all lengths
// right.
func TestExpandPacked(t *testing.T) {
	names := captures{"id": "0123", "ask1": "s9", "long": strings.Repeat("x", 40)}
	const kinds = "\xc0\xc3\xca1234\xcb12345678\xcd12\xd21234\x81\xc4\x02ab\xc0\xde\x00\x01\xa1k\xc0\xd6t1234\xc7\x01tx"
	for _, c := range []struct{ name, text, want string }{
		{"a whole value", "\x06\x93\x03\x80${ask1}", "\x06\x93\x03\x80\xa2s9"},
		{"that was longer", "\x08\x93\x03\x80${ask1}", "\x06\x93\x03\x80\xa2s9"},
		{"a long one", "\x06\x93\x03\x80${long}", "\x2d\x93\x03\x80\xd9\x28" + names["long"]},
		{"two messages", "\x06\x93\x03\x80${ask1}\x02\x91\x06", "\x06\x93\x03\x80\xa2s9\x02\x91\x06"},
		{"among values of all kinds", "\x00\xdc\x00\x0b${ask1}" + kinds, "\x34\xdc\x00\x0b\xa2s9" + kinds},
		{"part of a text, and a value", "\x0b\x93\x01\xa6a ${id}${ask1}", "\x0c\x93\x01\xa6a 0123\xa2s9"},
		{"part of a text", "\x0a\x92\x01\xa7a ${id}!", ""},
		{"letters", "\x08\x92\x03\xa5${5*x}", ""},
		{"a value of nothing", "\x06\x93\x03\x80${nothing}", ""},
		{"a time", "\x06\x93\x03\x80${unix+1m}", ""},
		{"no array", "\x05\x80${ask1}", ""},
		{"cut off", "\x06\x94\x03\x80${ask1}", ""},
		{"json", `{"type":3,"invocationId":"${ask1}"}` + separator, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			full, ok := names.expandPacked([]byte(c.text))
			if string(full) != c.want && ok || ok != (c.want != "") {
				t.Errorf("%x, %v, want %x", full, ok, c.want)
			}
		})
	}
}

// What came is compared as values, and captures take theirs from it.
func TestComparePacked(t *testing.T) {
	for _, c := range []struct {
		name, want, got string
		bound           captures // nil where they differ
	}{
		{"the same", "\x04\x93\x01\x80\xc0", "\x04\x93\x01\x80\xc0", captures{}},
		{"the same in other words", "\x04\x93\x01\x80\x05", "\x05\x93\x01\x80\xcc\x05", captures{}},
		{"another", "\x04\x93\x01\x80\x05", "\x04\x93\x01\x80\x06", nil},
		{"a value", "\x07\x93\x01\x80${ask1}", "\x07\x93\x01\x80\xa3s10", captures{"ask1": "s10"}},
		{"a value of another length", "\x06\x93\x01\x80${ask1}", "\x07\x93\x01\x80\xa3s10", captures{"ask1": "s10"}},
		{"no text", "\x06\x93\x01\x80${ask1}", "\x04\x93\x01\x80\x05", nil},
		{"anything", "\x05\x94\x01\x80\x01${any}", "\x06\x94\x01\x80\x01\xcc\x05", captures{}},
		{"anything, but something", "\x05\x94\x01\x80\x01${any}", "\x04\x93\x01\x80\x01", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &player{names: captures{}}
			_, diff := p.compare(Data{Binary, []byte(c.want)}, Data{Binary, []byte(c.got)})
			if (diff == "") != (c.bound != nil) {
				t.Fatalf("differs: %q", diff)
			}
			if diff := cmp.Diff(c.bound, p.names); c.bound != nil && diff != "" {
				t.Errorf("captures: %s", diff)
			}
		})
	}
}

// Captures are shorter than what they stand for, which messages are cut by.
func TestCutPacked(t *testing.T) {
	cut := hubCutter{binary: true, names: captures{"id": "0123"}}
	want := []string{"{}" + separator, "\x09\x92\x01\xa6a ${id}", "\x02\x91\x06"}
	var got []string
	for _, m := range cut.cut([]byte(strings.Join(want, ""))) {
		got = append(got, string(m))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzPacked reads any text as messages with captures.
func FuzzPacked(f *testing.F) {
	f.Add([]byte("\x06\x93\x03\x80${ask1}\x02\x91\x06"))
	f.Add([]byte("\x0a\xdd\x00\x00\x00\x02\xdb\x00\x00\x00\x04${id}\xc9\x00\x00\x00\x01tx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		names := captures{"id": "0123", "ask1": "s9"}
		m, ok := names.readPacked(text)
		if !ok {
			return
		}
		if !bytes.HasPrefix(text, m.text) || len(m.full) > 4*len(text)+4 {
			t.Errorf("%x begins with %x, which is %x", text, m.text, m.full)
		}
		if size := packedSize(m.full); size != len(m.full) {
			t.Errorf("the length of %x is %d", m.full, size)
		}
	})
}

// FuzzFromServer has a server say anything, on a socket, in events and in answers
// to polls.
func FuzzFromServer(f *testing.F) {
	for _, seed := range []string{
		"{}\x1e{\"type\":1}\x1e", "{}\x1e\x02\x91\x06\x04\x93\x01\x80\xc0", `{"C":"d-1","M":[{"R":1,"I":"0"},2]}`, "data: a\n\ndata: b\r\n\r\n", "\x03\x92\x08\x1e", "\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, said []byte, binary bool) {
		for _, shaken := range []bool{false, true} {
			cut := hubCutter{binary: binary, shaken: shaken}
			if got := bytes.Join(cut.cut(bytes.Clone(said)), nil); !bytes.Equal(got, said) {
				t.Errorf("%q is cut into %q", said, got)
			}
			units, head := unitsOf(said, &hubCutter{binary: binary, shaken: shaken})
			for _, u := range units {
				hubType(u.text)
				hubCall(u.text)
				isResult(Data{Text, u.text})
			}
			headText(head)
		}
		readEvents(bytes.NewReader(said), func(data []byte) { hubType(data) })
		pieces := ""
		cut := hubCutter{binary: binary, stream: true}
		for i := range said {
			for _, m := range cut.cut(said[i : i+1]) {
				pieces += string(m)
			}
		}
		if pieces += string(cut.rest); pieces != string(said) {
			t.Errorf("%q in pieces is %q", said, pieces)
		}
	})
}
