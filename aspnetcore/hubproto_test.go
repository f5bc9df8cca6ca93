package aspnetcore_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/relay/auth"
)

func TestTypeOf(t *testing.T) {
	for _, c := range []struct {
		f    aspnetcore.Framing
		m    string
		want int
	}{
		{aspnetcore.Text, `{"type":1,"target":"x","arguments":[]}` + rs, 1},
		{aspnetcore.Text, `{"target":"x","arguments":[{"type":3},"}\"{",[1,2,{"a":[]}]],"invocationId":"0","type":1}` + rs, 1},
		{aspnetcore.Text, `{ "arguments" : [ 1.5e3 , true , null ] , "type" : 7 }` + rs, 7},
		{aspnetcore.Text, `{"a":"\\","type":6}` + rs, 6},
		{aspnetcore.Text, `{"a":"\"type\":9","type":6}` + rs, 6},
		{aspnetcore.Text, `{"nested":{"type":2},"type":5}` + rs, 5},
		{aspnetcore.Text, `{"a":1,"type":12}` + rs, 12},
		{aspnetcore.Text, `{"a":1}` + rs, 0},
		{aspnetcore.Text, `{}` + rs, 0},
		{aspnetcore.Text, `[]` + rs, 0},
		{aspnetcore.Text, `{"type":"1"}` + rs, 0},
		{aspnetcore.Text, `{"a`, 0},
		{aspnetcore.Text, `{"a":"\`, 0},
		{aspnetcore.Text, ``, 0},
		{aspnetcore.Packed, "\x02\x91\x06", 6},
		{aspnetcore.Packed, "\x04\x93\x07\xc0\xc3", 7},
		{aspnetcore.Packed, "\x04\xdc\x00\x01\x06", 6},
		{aspnetcore.Packed, "\x06\xdd\x00\x00\x00\x01\x06", 6},
		{aspnetcore.Packed, "\x01\x90", 0},
		{aspnetcore.Packed, "\x02\x91\xff", 0},
		{aspnetcore.Packed, "\x01\xdd", 0},
		{aspnetcore.Packed, "\x00", 0},
		{aspnetcore.Packed, "", 0},
		{aspnetcore.Opaque, "\x02\x91\x06", 0},
	} {
		if got := c.f.TypeOf([]byte(c.m)); got != c.want {
			t.Errorf("%q: %d, want %d", c.m, got, c.want)
		}
	}
}

func TestFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		f    aspnetcore.Framing
		p    string
		n    int
		err  bool
	}{
		{"json", aspnetcore.Text, "{}" + rs + "{}", 3, false},
		{"json, not whole", aspnetcore.Text, "{}", 0, false},
		{"packed", aspnetcore.Packed, "\x02\x91\x06\x02", 3, false},
		{"packed, not whole", aspnetcore.Packed, "\x02\x91", 0, false},
		{"packed, no length yet", aspnetcore.Packed, "\x80\x80", 0, false},
		{"packed, empty message", aspnetcore.Packed, "\x00\x01", 1, false},
		{"packed, two bytes of length", aspnetcore.Packed, "\x80\x01" + strings.Repeat("x", 200), 130, false},
		{"packed, 2 GiB", aspnetcore.Packed, "\xff\xff\xff\xff\x07", 0, false},
		{"packed, above 2 GiB", aspnetcore.Packed, "\xff\xff\xff\xff\x08", 0, true},
		{"packed, endless", aspnetcore.Packed, "\x80\x80\x80\x80\x80", 0, true},
		{"opaque", aspnetcore.Opaque, "anything", 8, false},
		{"nothing", aspnetcore.Packed, "", 0, false},
	} {
		n, err := c.f.First([]byte(c.p))
		if n != c.n || (err != nil) != c.err {
			t.Errorf("%s: %d %v", c.name, n, err)
		}
	}
}

// Every client reads these shapes; the vectors are those of service-protocol
// 7.8, and a reader that is not ours agrees.
func TestCloseMessage(t *testing.T) {
	for _, c := range []struct {
		f     aspnetcore.Framing
		text  string
		again bool
		want  string
	}{
		{aspnetcore.Text, "", true, `{"type":7,"allowReconnect":true}` + rs},
		{aspnetcore.Text, "x", false, `{"type":7,"error":"x"}` + rs},
		{aspnetcore.Text, "", false, `{"type":7}` + rs},
		{aspnetcore.Packed, "", true, "\x04\x93\x07\xc0\xc3"},
		{aspnetcore.Packed, "x", false, "\x05\x93\x07\xa1x\xc2"},
		{aspnetcore.Opaque, "x", false, ""},
	} {
		if got := string(c.f.CloseMessage(c.text, c.again)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for _, text := range []string{"", "x", strings.Repeat("a", 31), strings.Repeat("b", 32), strings.Repeat("c", 255), strings.Repeat("d", 256), strings.Repeat("é", 2000), "\"\\\n\x1e</é\x00"} {
		for f, p := range map[aspnetcore.Framing]hubproto.Protocol{aspnetcore.Text: hubproto.JSON, aspnetcore.Packed: hubproto.MessagePack} {
			b := f.CloseMessage(text, true)
			body, size, _, err := p.Next(b)
			var m hubproto.Message
			if err == nil {
				err = p.Parse(body, &m)
			}
			if err != nil || size != len(b) || m.Type != 7 || m.Error != text || !m.AllowReconnect {
				t.Errorf("%s %.20q: %+v, %v", p.Name(), text, m, err)
			}
			if !f.IsClose(b) && len(b) <= 1<<10 {
				t.Errorf("%s %.20q is not seen to be a close", p.Name(), text)
			}
		}
		var v struct{ Error string }
		b := aspnetcore.HandshakeError(text)
		if bytes.IndexByte(b, 0x1e) != len(b)-1 || json.Unmarshal(b[:len(b)-1], &v) != nil || v.Error != text {
			t.Errorf("handshake error %q", b)
		}
	}
}

func TestCounters(t *testing.T) {
	for _, id := range []int64{0, 1, 127, 128, 255, 256, 1 << 16, 1 << 32, math.MaxInt64 >> 2} {
		for f, p := range map[aspnetcore.Framing]hubproto.Protocol{aspnetcore.Text: hubproto.JSON, aspnetcore.Packed: hubproto.MessagePack} {
			b := f.Counter(9, id)
			if got, ok := f.CounterOf(b); !ok || got != id {
				t.Errorf("%d: read back as %d %t", id, got, ok)
			}
			body, size, _, err := p.Next(b)
			var m hubproto.Message
			if err == nil {
				err = p.Parse(body, &m)
			}
			if err != nil || size != len(b) || m.Type != 9 || m.SequenceID != id {
				t.Errorf("%s: %+v, %v", p.Name(), m, err)
			}
			// What others write, as short as it goes.
			if got, ok := f.CounterOf(p.Append(nil, &hubproto.Message{Type: 8, SequenceID: id})); !ok || got != id {
				t.Errorf("%s %d: read as %d %t", p.Name(), id, got, ok)
			}
		}
	}
	for _, bad := range []string{`{"type":8}`, `{"type":8,"sequenceId":-1}`, `{"type":8,"sequenceId":"1"}`, `{"type":8,"sequenceId":99999999999999999999}`, `{"type":8,"sequenceId":1.5}`} {
		if id, ok := aspnetcore.Text.CounterOf([]byte(bad + rs)); ok {
			t.Errorf("%s: %d", bad, id)
		}
	}
	for _, bad := range []string{"\x02\x91\x08", "\x03\x92\x08\xc0", "\x03\x92\x08\xcf", "\x03\x92\x08\xff", "\x0b\x92\x08\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\x03\x92\x08\xa1"} {
		if id, ok := aspnetcore.Packed.CounterOf([]byte(bad)); ok {
			t.Errorf("%q: %d", bad, id)
		}
	}
}

func TestBorder(t *testing.T) {
	for _, c := range []struct {
		f      aspnetcore.Framing
		stream string
		at     string // one character a byte: | at a border behind it, else .
	}{
		{aspnetcore.Text, "{}" + rs + "{}" + rs + "x", "..|..|."},
		{aspnetcore.Packed, "\x02\x91\x06\x00\x03\x91\x1e\x1e", "..||...|"},
		{aspnetcore.Packed, "\x80\x01" + strings.Repeat("x", 128), "." + strings.Repeat(".", 128) + "|"},
		{aspnetcore.Opaque, "abc", "|||"},
	} {
		for size := 1; size <= len(c.stream); size++ {
			var b aspnetcore.Border
			if !b.At() {
				t.Error("not at a border at first")
			}
			for i := 0; i < len(c.stream); i += size {
				end := min(i+size, len(c.stream))
				b.Pass(c.f, []byte(c.stream[i:end]))
				if got, want := b.At(), c.at[end-1] == '|'; got != want {
					t.Errorf("%q in pieces of %d: at %d %t", c.stream, size, end, got)
				}
				b.Pass(c.f, nil) // an empty frame changes nothing
				if got, want := b.At(), c.at[end-1] == '|'; got != want {
					t.Errorf("%q after an empty piece at %d: %t", c.stream, end, got)
				}
			}
		}
	}
}

func TestParseHandshake(t *testing.T) {
	for _, c := range []struct {
		text     string
		protocol string
		version  int
		ok       bool
	}{
		{`{"protocol":"json","version":1}`, "json", 1, true},
		{`{"protocol": "json", "version": 0}`, "json", 0, true},
		{`{"version":2,"protocol":"JSON"}`, "json", 2, true},
		{`{"protocol":"MessagePack","version":1}`, "messagepack", 1, true},
		{`{"protocol":"MyOwn","version":1}`, "MyOwn", 1, true},
		{`{"protocol":"a","protocol":"json","version":1,"more":[{}]}`, "json", 1, true},
		{`{"protocol":"json","version":1} and more`, "json", 1, true},
		{`{"protocol":"","version":1}`, "", 0, false},
		{`{"version":1}`, "", 0, false},
		{`{"protocol":null,"version":1}`, "", 0, false},
		{`{"protocol":1,"version":1}`, "", 0, false},
		{`{"protocol":"json","version":"1"}`, "", 0, false},
		{`{"protocol":"json"`, "", 0, false},
		{`"json"`, "", 0, false},
		{``, "", 0, false},
	} {
		p, v, err := aspnetcore.ParseHandshake([]byte(c.text))
		if (err == nil) != c.ok || c.ok && (p != c.protocol || v != c.version) {
			t.Errorf("%s: %q %d %v", c.text, p, v, err)
		}
	}
}

func FuzzHubFraming(f *testing.F) {
	for _, s := range []string{"{}" + rs, `{"type":7}` + rs, `{"type":8,"sequenceId":1}` + rs, "\x02\x91\x06", "\x04\x93\x07\xc0\xc3", "\x0b\x92\x08\xcf\x00\x00\x00\x00\x00\x00\x00\x01", "\xff\xff\xff\xff\x0f", `{"a":"\`} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, p []byte, cut uint8) {
		for _, fr := range []aspnetcore.Framing{aspnetcore.Opaque, aspnetcore.Text, aspnetcore.Packed} {
			var whole []byte
			rest := p
			var broken error
			for len(rest) > 0 {
				n, err := fr.First(rest)
				if err != nil {
					broken = err
					break
				}
				if n == 0 {
					break
				}
				if n < 0 || n > len(rest) {
					t.Fatalf("message of %d bytes in %d", n, len(rest))
				}
				m := rest[:n]
				fr.TypeOf(m)
				fr.IsClose(m)
				if fr != aspnetcore.Opaque {
					if id, ok := fr.CounterOf(m); ok && id < 0 {
						t.Fatalf("counter %d", id)
					}
				}
				whole, rest = append(whole, m...), rest[n:]
			}
			if !fr.Whole(whole) && len(whole) > 0 {
				t.Fatal("whole messages are not whole")
			}
			if broken != nil {
				continue
			}
			// Whatever the pieces, the stream stands where its last message says.
			var a, b aspnetcore.Border
			a.Pass(fr, p)
			at := min(int(cut), len(p))
			b.Pass(fr, p[:at])
			b.Pass(fr, p[at:])
			if a.At() != b.At() || a.At() != (len(rest) == 0) {
				t.Fatalf("border %t, in pieces %t, %d bytes left", a.At(), b.At(), len(rest))
			}
		}
	})
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte(`{"protocol":"json","version":1}`))
	f.Add([]byte(`{"protocol":"MessagePack","version":2} x`))
	f.Fuzz(func(t *testing.T, p []byte) {
		name, version, err := aspnetcore.ParseHandshake(p)
		if err != nil {
			return
		}
		if name == "" {
			t.Fatal("no protocol and no error")
		}
		q, _ := json.Marshal(map[string]any{"protocol": name, "version": version})
		again, v, err := aspnetcore.ParseHandshake(q)
		if err != nil || again != name || v != version {
			t.Fatalf("%q %d became %q %d: %v", name, version, again, v, err)
		}
	})
}

func FuzzConnectionToken(f *testing.F) {
	keys, err := auth.NewKeys(rand.Text()) // each of the fuzzer's processes makes a good token of its own
	if err != nil {
		f.Fatal(err)
	}
	s := aspnetcore.New(aspnet.NewNode(nil, aspnet.Options{Keys: keys, InstanceID: "node"}), aspnetcore.Options{})
	good, id := s.Token("chat", "ann", farPast)
	f.Add(good)
	f.Add(good[:47] + "\n")
	f.Add(strings.Repeat("A", 52))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := s.ReadToken(token, "chat", "ann")
		if (err == nil) != (token == good) || err == nil && got != id {
			t.Fatalf("%q: %q %v", token, got, err)
		}
	})
}

func FuzzNegotiateQuery(f *testing.F) {
	for _, q := range []string{"hub=chat&negotiateVersion=1", "hub=a&hub=b", "negotiateVersion=-1", "negotiateVersion=x", "hub=%zz&negotiateVersion=99999999999999999999", "&&=&hub=%20"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		hub, version, refusal := aspnetcore.NegotiateQuery(raw)
		if version < 0 || version > 1 {
			t.Fatalf("version %d", version)
		}
		if refusal != "" && version != 0 {
			t.Fatal("refused and granted")
		}
		if hub != strings.ToLower(hub) || strings.ContainsAny(hub, " \x00\r\n\t") {
			t.Fatalf("hub %q", hub)
		}
	})
}

var farPast = time.Unix(1, 0)
