package hubproto_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// frames feeds a stream in chunks of the given size and returns the bodies.
func frames(p hubproto.Protocol, limit int, stream []byte, chunk int) (all []string, err error) {
	f := hubproto.Framer{Protocol: p, Max: limit}
	for len(stream) > 0 && err == nil {
		n := min(chunk, len(stream))
		err = f.Feed(stream[:n], func(body []byte) error { all = append(all, string(body)); return nil })
		stream = stream[n:]
	}
	return all, err
}

func TestFramerChunks(t *testing.T) {
	for _, p := range hubproto.All {
		var stream []byte
		var want []string
		for _, n := range []int{0, 1, 126, 127, 300, 5} {
			raw, err := p.AppendValue(nil, strings.Repeat("x", n))
			if err != nil {
				t.Fatal(err)
			}
			from := len(stream)
			stream = p.Append(stream, hubproto.Call("", "m", raw))
			body, _, _, err := p.Next(stream[from:])
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, string(body))
		}
		for chunk := 1; chunk <= len(stream); chunk++ {
			got, err := frames(p, 0, stream, chunk)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s in chunks of %d: %s", p.Name(), chunk, diff)
			}
		}
	}
}

func TestFramerLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		p      hubproto.Protocol
		stream string
		limit  int
		want   error
	}{
		{"json of the limit", hubproto.JSON, "1234567\x1e", 8, nil},
		{"json above it", hubproto.JSON, "12345678\x1e", 8, hubproto.ErrTooLarge},
		{"json without an end", hubproto.JSON, "123456789", 8, hubproto.ErrTooLarge},
		{"messagepack of the limit", hubproto.MessagePack, "\x071234567", 8, nil},
		{"messagepack announced above it", hubproto.MessagePack, "\x08", 8, hubproto.ErrTooLarge},
		{"messagepack of 2 GiB", hubproto.MessagePack, "\xff\xff\xff\xff\x07", 8, hubproto.ErrTooLarge},
		{"impossible length", hubproto.MessagePack, "\xff\xff\xff\xff\x08", 0, hubproto.ErrLength},
		{"handshake above it", nil, "123456789", 8, hubproto.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{1, len(c.stream)} {
				if _, err := frames(c.p, c.limit, []byte(c.stream), chunk); !errors.Is(err, c.want) {
					t.Errorf("chunks of %d: error %v, want %v", chunk, err, c.want)
				}
			}
		})
	}
}

func TestFramerAfterHandshake(t *testing.T) {
	stream := append([]byte("{\"protocol\":\"messagepack\",\"version\":1}\x1e"), hubproto.MessagePack.Append(nil, &hubproto.Message{Type: hubproto.Ping})...)
	for _, chunk := range []int{1, 7, len(stream)} {
		var f hubproto.Framer
		var got []string
		for rest := stream; len(rest) > 0; {
			n := min(chunk, len(rest))
			err := f.Feed(rest[:n], func(body []byte) error {
				if f.Protocol == nil {
					r, err := hubproto.ParseHandshakeRequest(body)
					f.Protocol = hubproto.ByName(r.Protocol)
					return err
				}
				got = append(got, string(body))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if diff := cmp.Diff([]string{"\x91\x06"}, got); diff != "" {
			t.Errorf("chunks of %d: %s", chunk, diff)
		}
	}
}

func addVectors(f *testing.F, p hubproto.Protocol) {
	for _, v := range hubVectors(f) {
		if protocolOf(v) == p {
			f.Add(v.bytes)
		}
	}
}

func FuzzJSON(f *testing.F) {
	addVectors(f, hubproto.JSON)
	f.Fuzz(func(t *testing.T, b []byte) {
		identity(t, hubproto.JSON, b)
		m := new(hubproto.Message)
		if hubproto.JSON.Parse(b, m) != nil {
			return
		}
		// A message is a JSON value by anybody's measure, apart from what may
		// follow it.
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(new(json.RawMessage)); err != nil {
			t.Fatalf("parsed what is no JSON: %v", err)
		}
		for _, raw := range append(m.Arguments, m.Item, m.Result) {
			if raw != nil && !json.Valid(raw) {
				t.Fatalf("value %q is no JSON", raw)
			}
		}
	})
}

func FuzzMessagePack(f *testing.F) {
	addVectors(f, hubproto.MessagePack)
	f.Fuzz(func(t *testing.T, b []byte) { identity(t, hubproto.MessagePack, b) })
}

// identity checks that chunks do not matter and that a parsed message survives
// being written.
func identity(t *testing.T, p hubproto.Protocol, stream []byte) {
	whole, err := frames(p, 1<<20, stream, len(stream)+1)
	if single, err1 := frames(p, 1<<20, stream, 1); err == nil && err1 == nil {
		if diff := cmp.Diff(whole, single); diff != "" {
			t.Fatal(diff)
		}
	} else if (err == nil) != (err1 == nil) {
		t.Fatalf("whole: %v, byte by byte: %v", err, err1)
	}
	for _, body := range whole {
		var first, second hubproto.Message
		if p.Parse([]byte(body), &first) != nil || first.Unbound != nil || first.Type < 1 || first.Type > 9 {
			continue
		}
		var value any
		for _, raw := range first.Arguments {
			_ = p.Bind(raw, &value) // must not panic
		}
		again, size, _, err := p.Next(p.Append(nil, &first))
		if err != nil || size == 0 {
			t.Fatalf("written message is no frame: %v", err)
		}
		if err := p.Parse(again, &second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	}
}

func BenchmarkParseCall(b *testing.B) {
	for _, p := range hubproto.All {
		b.Run(p.Name(), func(b *testing.B) {
			raw, err := p.AppendValue(nil, strings.Repeat("x", 100))
			if err != nil {
				b.Fatal(err)
			}
			body, _, _, err := p.Next(p.Append(nil, hubproto.Call("17", "Echo", raw)))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for m := new(hubproto.Message); b.Loop(); {
				if err := p.Parse(body, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
