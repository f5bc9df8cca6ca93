package aspnetlegacy_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// FuzzForm reads fields as they were escaped, whatever stands around them.
func FuzzForm(f *testing.F) {
	f.Add("data", `{"H":"chatHub","M":"Echo","A":["ü & +"],"I":0}`, "transport=webSockets&clientProtocol=2.1")
	f.Add("connectionData", `[{"Name":"TestHub"}]`, `connectionData=[%7B%22Name%22:%22TestHub%22%7D]`)
	f.Add("messageId", "d-7DF80564-B,1|C,2|D,4|E,1", "a;b=%zz&&=&%3D=+")
	f.Fuzz(func(t *testing.T, name, value, around string) {
		if got := aspnetlegacy.Form(url.QueryEscape(name)+"="+url.QueryEscape(value), name); got != value {
			t.Errorf("%q comes back as %q", value, got)
		}
		if got := aspnetlegacy.Form(around, name); len(got) > len(around) {
			t.Errorf("%q holds %q", around, got)
		}
		if got := aspnetlegacy.Form(around+"&"+url.QueryEscape(name)+"="+url.QueryEscape(value), name); !strings.HasSuffix(got, value) {
			t.Errorf("%q and %q: got %q", around, value, got)
		}
	})
}

// FuzzHubs reads what JSON says, and of anything else never a list with a name
// twice or none.
func FuzzHubs(f *testing.F) {
	for _, data := range []string{
		"", "null", "[]", `[{"name":"chathub"}]`, `[{"Name":"ChatHub"},{"name":"statshub","x":1}]`, `[{'name':'chathub'},]`, `[{name:"a"}]`,
		`[{"name":`, `{"name":"chathub"}`, `"chathub"`, `[{}]`, `[{"name":null}]`, `[{"name":""}]`, `[null]`, `[{"name":"a.b"}]`, `[{"name":"\u0041"}]`,
		`[{"name":"a","x":[[{"y":{}}]]}]`, strings.Repeat("[", 100),
	} {
		f.Add(data, "chat,Other")
	}
	f.Fuzz(func(t *testing.T, data, list string) {
		hubs, err := aspnetlegacy.ParseHubs(data)
		for i, h := range hubs {
			if h == "" || h != strings.ToLower(h) || slices.Contains(hubs[:i], h) || err != nil {
				t.Errorf("%q: %q, %v", data, hubs, err)
			}
		}
		type hub struct{ Name string }
		var all []hub
		var want []string
		for name := range strings.SplitSeq(list, ",") {
			name = strings.ToValidUTF8(name, "")
			if low := strings.ToLower(name); low != "" && !slices.Contains(want, low) {
				all, want = append(all, hub{name}), append(want, low)
			}
		}
		text, _ := json.Marshal(all)
		if got, err := aspnetlegacy.ParseHubs(string(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	})
}

// FuzzUnwrap takes inner frames apart as the decoder of the service protocol
// does, and numbers what stands in them.
func FuzzUnwrap(f *testing.F) {
	f.Add([]byte("\x0f\x94\x06\xa0\xc4\x09{\"I\":\"1\"}\x80"), "1", uint8(1))
	f.Add(inner(strings.Repeat("x", 1<<16)), strings.Repeat("y", 300), uint8(3))
	f.Add(append(framed(`1`), framed(`2`)...), "", uint8(0))
	f.Add([]byte("\x05\x94\x06\xa0\xc4\xff"), "x", uint8(2))
	f.Fuzz(func(t *testing.T, raw []byte, text string, copies uint8) {
		var n aspnetlegacy.Numbering
		before := bytes.Clone(raw)
		got, err := n.Stamp(bytes.Clone(raw))
		if err == nil {
			agrees(t, before, got)
		}

		var b []byte
		copies %= 8
		for range copies {
			b = append(b, framed(text)...)
			b = append(b, inner(text)...)
		}
		n = aspnetlegacy.Numbering{}
		got, err = n.Stamp(b)
		if err != nil || len(got) != 2*int(copies) {
			t.Fatalf("%d messages, %v", len(got), err)
		}
		for i := range int(copies) {
			bare := string(got[2*i+1])
			if !strings.HasPrefix(text, `{"C":"0","M":[`) && bare != text {
				t.Errorf("bare message %q, want %q", bare, text)
			}
			if want := `{"C":"` + aspnetlegacy.CursorIn(got[2*i]) + `","M":[` + text + `]}`; string(got[2*i]) != want || len(aspnetlegacy.CursorIn(got[2*i])) != 7 {
				t.Errorf("message %q, want %q", got[2*i], want)
			}
		}
	})
}

// agrees compares messages with what the decoder reads in their frames.
func agrees(t *testing.T, frames []byte, got [][]byte) {
	split := serviceproto.Splitter{Max: 1 << 30}
	var d serviceproto.Decoder
	i := 0
	split.Feed(frames, func(body []byte, _ bool) error {
		m, err := d.Decode(body)
		if i == len(got) {
			t.Fatalf("%d messages, and %+v is one more", len(got), m)
		}
		if data, ok := m.(*serviceproto.ConnectionData); err == nil {
			want := string(data.Data)
			if rest, numbered := strings.CutPrefix(want, `{"C":"0","M":[`); numbered {
				want = `{"C":"` + aspnetlegacy.CursorIn(got[i]) + `","M":[` + rest
			}
			if !ok || data.ConnectionID != "" || string(got[i]) != want {
				t.Errorf("message %q, the decoder reads %+v", got[i], m)
			}
		}
		i++
		return nil
	})
}

// FuzzJoin makes documents of any messages: valid, with all elements in order
// and the last cursor.
func FuzzJoin(f *testing.F) {
	f.Add("i12e3", `{"H":"chat","M":"m","A":[]}`)
	f.Add("e1", `"x"`)
	f.Add("00", `1`)
	f.Fuzz(func(t *testing.T, kinds, element string) {
		if !json.Valid([]byte(element)) || len(kinds) > 64 {
			return
		}
		var n aspnetlegacy.Numbering
		const before = "0000042"
		var messages [][]byte
		elements, first, last, farewell := 0, false, before, false
		for _, k := range []byte(kinds) {
			switch {
			case k == 'i':
				messages = append(messages, aspnetlegacy.InitOf("0"))
				if !farewell {
					first, last = true, "0"
				}
			case k == 'e':
				messages = append(messages, aspnetlegacy.Farewell(relay.Reason{Text: element}))
				farewell = true
			default:
				m := n.Message(element)
				messages = append(messages, m)
				if !farewell {
					last = aspnetlegacy.CursorIn(m)
					elements++
				}
			}
		}
		text, taken := aspnetlegacy.Join(before, messages)
		var d document
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(kinds) > 0 && kinds[0] == 'e' {
			if taken != 1 || d.E == nil || *d.E != strings.ToValidUTF8(element, "\ufffd") {
				t.Errorf("took %d: %s", taken, text)
			}
			return
		}
		want := strings.IndexByte(kinds, 'e')
		if want < 0 {
			want = len(messages)
		}
		if taken != want || d.C != last || (d.S == 1) != first || d.M == nil || len(d.M) != elements || d.E != nil {
			t.Errorf("took %d of %d (%s): %s", taken, len(messages), kinds, text)
		}
		for _, m := range d.M {
			if strings.TrimSpace(string(m)) != strings.TrimSpace(element) {
				t.Errorf("element %s, want %s", m, element)
			}
		}
	})
}

// FuzzSeen lets a client claim anything: what is kept is always the end of what
// was sent, within its limit.
func FuzzSeen(f *testing.F) {
	f.Add([]byte("aaasaax"), uint16(100), "0000001")
	f.Add([]byte("asxsxaas"), uint16(40), "0")
	f.Add([]byte("axaexs"), uint16(9999), "d-7DF80564-B,1|C,2")
	f.Fuzz(func(t *testing.T, steps []byte, limit uint16, mark string) {
		r := aspnetlegacy.NewReplay()
		var n aspnetlegacy.Numbering
		var sent []string
		for i, step := range steps {
			switch step {
			case 'x':
				kept := r.Rest()
				if ok := r.Seen(mark); !ok && len(r.Rest()) > 0 {
					t.Errorf("lost something and keeps %q", r.Rest())
				} else if got, known := aspnetlegacy.CursorOf(mark); ok && known && got > uint64(len(sent)-len(kept)) && got <= uint64(len(sent)) {
					if len(r.Rest()) != len(sent)-int(got) {
						t.Errorf("saw %d of %d, %d are kept", got, len(sent), len(r.Rest()))
					}
				}
			case 's':
				r.Seen(aspnetlegacy.Cursor(uint64(i)))
			case 'e':
				r.Expire(uint64(i / 2))
			default:
				m := n.Message(`"` + strings.Repeat("x", int(step)) + `"`)
				sent = append(sent, string(m))
				r.Add(m, int(limit))
			}
			rest, size := r.Rest(), 0
			for _, m := range rest {
				size += len(m)
			}
			if size != r.Size() || size > int(limit) && len(rest) > 1 || !slices.Equal(rest, sent[len(sent)-len(rest):]) {
				t.Fatalf("%d bytes counted as %d, limit %d, of %d messages: %q", size, r.Size(), limit, len(sent), rest)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(uint64(0), uint64(1), "0")
	f.Add(uint64(1)<<42-1, uint64(63), "d-7DF80564-B,1|C,2|D,4|E,1")
	f.Fuzz(func(t *testing.T, a, b uint64, text string) {
		const numbers = 1 << 42
		a, b = a%numbers, b%numbers
		ca, cb := aspnetlegacy.Cursor(a), aspnetlegacy.Cursor(b)
		if n, ok := aspnetlegacy.CursorOf(ca); !ok || n != a {
			t.Errorf("%d is %q and back %d", a, ca, n)
		}
		if (ca < cb) != (a < b) || url.QueryEscape(ca) != ca {
			t.Errorf("%d is %q, %d is %q", a, ca, b, cb)
		}
		if n, ok := aspnetlegacy.CursorOf(text); ok && aspnetlegacy.Cursor(n) != text {
			t.Errorf("%q is %d", text, n)
		}
	})
}

// FuzzCallback admits names only: nothing that could be a script.
func FuzzCallback(f *testing.F) {
	names := regexp.MustCompile(`^[\pL$_][\pL$_0-9]*(\.[\pL$_][\pL$_0-9]*)*$`)
	for _, s := range []string{"jQuery3710_1", "a.b", "", ".", "a.", "if", "a.new.b", "alert(1)//", "ä", "a\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if aspnetlegacy.IsCallback(s) && !names.MatchString(s) {
			t.Errorf("%q is no name", s)
		}
	})
}

func FuzzAction(f *testing.F) {
	for _, s := range []string{"/aspnetclient/negotiate", "/aspnetclient/x/POLL", "/aspnetclient", "/aspnetclient/negotiate/", "/ſend"} {
		f.Add(s)
	}
	actions := []string{"/negotiate", "/ping", "/start", "/connect", "/send", "/abort", "/poll", "/reconnect"}
	f.Fuzz(func(t *testing.T, path string) {
		got := aspnetlegacy.ActionOf(path)
		named := slices.Contains(actions, got)
		if named && !strings.EqualFold(path[max(0, len(path)-len(got)):], got) || !named && got != "" {
			t.Errorf("%q is %q", path, got)
		}
		for _, a := range actions {
			if got := aspnetlegacy.ActionOf(path + strings.ToUpper(a)); got != a {
				t.Errorf("%q and %q is %q", path, a, got)
			}
		}
	})
}

// FuzzFarewell writes any reason as JSON that is safe within a script.
func FuzzFarewell(f *testing.F) {
	f.Add(`Unable to authorize "request"`)
	f.Add("</script>\u2028\x00\xff\\")
	f.Fuzz(func(t *testing.T, text string) {
		got := aspnetlegacy.Farewell(relay.Reason{Text: text})
		var d document
		err := json.Unmarshal(got, &d)
		if text == "" {
			text = "Connection closed by the server."
		}
		if err != nil || d.E == nil || *d.E != strings.ToValidUTF8(text, "\ufffd") || bytes.ContainsAny(got, "<>\n\r\u2028\u2029") || !utf8.Valid(got) {
			t.Errorf("%q is %s: %v", text, got, err)
		}
	})
}
