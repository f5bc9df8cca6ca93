package hubproto_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// describe says what a message reads as, in the words of the vectors.
func describe(m *hubproto.Message) string {
	names := map[hubproto.Type]string{
		hubproto.Invocation: "Invocation", hubproto.StreamItem: "StreamItem", hubproto.Completion: "Completion",
		hubproto.StreamInvocation: "StreamInvocation", hubproto.CancelInvocation: "CancelInvocation", hubproto.Ping: "Ping",
		hubproto.Close: "Close", hubproto.Ack: "Ack", hubproto.Sequence: "Sequence",
	}
	s := names[m.Type]
	if m.Target != "" {
		s += " " + m.Target
	}
	switch {
	case m.ID != "":
		s += " id " + m.ID
	case m.Type == hubproto.Invocation:
		s += " (no invocationId)"
	}
	if len(m.StreamIDs) > 0 {
		s += " streams " + strings.Join(m.StreamIDs, ",")
	}
	if m.Type == hubproto.Completion {
		s += map[bool]string{true: " result"}[m.Result != nil]
		s += map[bool]string{true: " error"}[m.Failed]
		s += map[bool]string{true: " void"}[m.Result == nil && !m.Failed]
	}
	if m.Type == hubproto.Close {
		if m.Error != "" {
			s += fmt.Sprintf(" error %q", m.Error)
		}
	}
	if m.SequenceID != 0 {
		s += " " + strconv.FormatInt(m.SequenceID, 10)
	}
	return s
}

func protocolOf(v vector) hubproto.Protocol {
	if strings.HasPrefix(v.name, "json") {
		return hubproto.JSON
	}
	return hubproto.MessagePack
}

func hubVectors(t testing.TB) []vector {
	return append(vectors(t, "json"), vectors(t, "msgpack")...)
}

// parse reads one framed message that is alone in b.
func parse(t testing.TB, p hubproto.Protocol, b []byte) (*hubproto.Message, error) {
	t.Helper()
	body, size, _, err := p.Next(b)
	if err != nil || size != len(b) {
		t.Fatalf("Next took %d of %d bytes: %v", size, len(b), err)
	}
	m := new(hubproto.Message)
	return m, p.Parse(body, m)
}

func TestVectors(t *testing.T) {
	for _, v := range hubVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			p := protocolOf(v)
			m, err := parse(t, p, v.bytes)
			if v.expect == "reject" {
				if err == nil {
					t.Fatalf("parsed as %s", describe(m))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v.expect == "unbound" {
				checkUnbound(t, p, m)
				return
			}
			reads, _, _ := strings.Cut(v.reads, " allowReconnect")
			reads, withHeaders := strings.CutSuffix(reads, " with headers")
			if withHeaders && len(m.Headers) == 0 {
				t.Error("no headers")
			}
			if v.reads != "" && describe(m) != reads {
				t.Errorf("read as %s, want %s", describe(m), reads)
			}
			if m.AllowReconnect != strings.Contains(v.reads, "allowReconnect true") {
				t.Errorf("AllowReconnect is %t in %s", m.AllowReconnect, v.reads)
			}
			if got := p.Append(nil, m); v.expect == "exact" && !bytes.Equal(got, v.bytes) {
				t.Errorf("written again as %q, want %q", got, v.bytes)
			}
		})
	}
}

// checkUnbound binds as the vectors' source does: json to an int and a string,
// messagepack to one string.
func checkUnbound(t *testing.T, p hubproto.Protocol, m *hubproto.Message) {
	if m.Unbound != nil {
		return
	}
	var n int
	var s string
	to := []any{&n, &s}
	if p.Binary() {
		to = []any{&s}
	}
	if len(m.Arguments) != len(to) {
		return
	}
	for i, v := range to {
		if p.Bind(m.Arguments[i], v) != nil {
			return
		}
	}
	t.Errorf("arguments of %s bind", describe(m))
}

// TestOtherShapes has what other writers than .NET make of a message.
func TestOtherShapes(t *testing.T) {
	for _, c := range []struct {
		name, text, hex string
		same            string // the message as .NET writes it, json
	}{
		{name: "JavaScript writes the type last", text: `{"target":"Echo","arguments":[1],"invocationId":"0","type":1}`,
			same: `{"type":1,"invocationId":"0","target":"Echo","arguments":[1]}`},
		{name: "spaces", text: ` { "type" : 3 , "result" : { "a" : [ ] } , "invocationId" : "15" } `,
			same: `{"type":3,"invocationId":"15","result":{ "a" : [ ] }}`},
		{name: "escapes", text: `{"type":1,"target":"\u00e9\ud834\udd1e\/\u001e","arguments":[]}`,
			same: `{"type":1,"target":"é𝄞/\u001E","arguments":[]}`},
		{name: "arguments twice", text: `{"type":1,"target":"a","arguments":[1,2],"arguments":[3]}`,
			same: `{"type":1,"target":"a","arguments":[3]}`},
		{name: "unknown type", text: `{"type":77,"target":"a"}`, same: `{"type":77}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parse(t, hubproto.JSON, []byte(c.text+"\x1e"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.same+"\x1e", string(hubproto.JSON.Append(nil, m))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, c := range []struct {
		name string
		hex  []byte
		want hubproto.Message
	}{
		{"JavaScript sends without streams", []byte("\x0d\x95\x01\x80\xc0\xa4Note\x91\xa2n1"),
			hubproto.Message{Type: hubproto.Invocation, Target: "Note", Arguments: []hubproto.Raw{hubproto.Raw("\xa2n1")}}},
		{"JavaScript closes with two elements", []byte("\x03\x92\x07\xc0"), hubproto.Message{Type: hubproto.Close}},
		{"surplus elements", []byte("\x05\x94\x07\xc0\xc3\x01"), hubproto.Message{Type: hubproto.Close, AllowReconnect: true}},
		{"unknown type", []byte("\x02\x91\x2a"), hubproto.Message{Type: 42}},
		{"wide integers", []byte("\x06\x92\xd0\x08\xcd\x00\x24"), hubproto.Message{Type: hubproto.Ack, SequenceID: 36}},
		{"headers", []byte("\x0b\x93\x05\x81\xa1x\xa1y\xa3xyz"),
			hubproto.Message{Type: hubproto.CancelInvocation, ID: "xyz", Headers: []hubproto.Header{{Name: "x", Value: "y"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parse(t, hubproto.MessagePack, c.hex)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, m); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHandshakes(t *testing.T) {
	for _, v := range vectors(t, "handshake") {
		t.Run(v.name, func(t *testing.T) {
			var f hubproto.Framer
			err := f.Feed(v.bytes, func(body []byte) error {
				got := ""
				if strings.HasPrefix(v.name, "handshake-request") {
					r, err := hubproto.ParseHandshakeRequest(body)
					if err != nil {
						return err
					}
					got = fmt.Sprintf("handshake request, reads as protocol %q version %d", r.Protocol, r.Version)
				} else {
					text, refused, err := hubproto.ParseHandshakeResponse(body)
					if err != nil {
						return err
					}
					got = "handshake response, error reads as null"
					if refused {
						got = fmt.Sprintf("handshake response, error reads as %q", text)
					}
				}
				if v.expect != "reject" && got != v.reads {
					t.Errorf("got %s, want %s", got, v.reads)
				}
				return nil
			})
			if (err != nil) != (v.expect == "reject") {
				t.Errorf("error is %v, expected: %s", err, v.expect)
			}
		})
	}
	got := hubproto.AppendHandshakeRequest(nil, hubproto.HandshakeRequest{Protocol: "json", Version: 1})
	got = hubproto.AppendHandshakeResponse(got, "")
	got = hubproto.AppendHandshakeResponse(got, `The protocol 'x' is not supported.`)
	want := "{\"protocol\":\"json\",\"version\":1}\x1e{}\x1e{\"error\":\"The protocol 'x' is not supported.\"}\x1e"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestLengthPrefixes(t *testing.T) {
	for _, v := range vectors(t, "varint") {
		t.Run(v.name, func(t *testing.T) {
			_, size, need, err := hubproto.MessagePack.Next(v.bytes)
			switch v.expect {
			case "reject":
				if err == nil {
					t.Errorf("read, size %d", size)
				}
			case "incomplete":
				if size != 0 || err != nil || need <= len(v.bytes) {
					t.Errorf("size %d, need %d, error %v for %d bytes", size, need, err, len(v.bytes))
				}
			default:
				n, convErr := strconv.Atoi(strings.TrimPrefix(v.reads, "VarInt length prefix of "))
				if convErr != nil || err != nil {
					t.Fatal(convErr, err)
				}
				if n > 0 && need != len(v.bytes)+n {
					t.Errorf("needs %d bytes, want %d", need, len(v.bytes)+n)
				}
				if n == 0 && size != 1 {
					t.Errorf("empty message has size %d", size)
				}
			}
		})
	}
}

func TestPrefixMoves(t *testing.T) {
	for _, n := range []int{0, 100, 127, 128, 16_383, 16_384, 3 << 20} {
		raw, err := hubproto.MessagePack.AppendValue(nil, strings.Repeat("x", n))
		if err != nil {
			t.Fatal(err)
		}
		b := hubproto.MessagePack.Append([]byte("before"), hubproto.Call("7", "Take", raw))
		m, err := parse(t, hubproto.MessagePack, b[len("before"):])
		if err != nil || len(m.Arguments) != 1 || !bytes.Equal(m.Arguments[0], raw) || !bytes.HasPrefix(b, []byte("before")) {
			t.Errorf("argument of %d bytes came back changed: %v", n, err)
		}
	}
}

func TestValues(t *testing.T) {
	text := "héllo ☃ 𝄞 \" \\ \x1e \x00 end"
	for _, p := range hubproto.All {
		t.Run(p.Name(), func(t *testing.T) {
			raws, err := hubproto.Values(p, nil, true, 42, int64(-1<<40), 1e300, text, []byte{0, 1, 255}, []string{"a", ""}, []int{1, -2}, []any{"x", 3, nil}, (*string)(nil),
				hubproto.Object{{Name: "X", Value: 1}, {Name: "Label", Value: "p"}})
			if err != nil {
				t.Fatal(err)
			}
			var (
				null    *string
				yes     bool
				n       int
				large   int64
				f       float64
				s       string
				b       []byte
				strs    []string
				ints    []int
				list    any
				null2   = &s
				members map[string]hubproto.Raw
			)
			for i, to := range []any{&null, &yes, &n, &large, &f, &s, &b, &strs, &ints, &list, &null2, &members} {
				if err := p.Bind(raws[i], to); err != nil {
					t.Errorf("value %d: %v", i, err)
				}
			}
			got := []any{null == nil, yes, n, large, f, s, b, strs, ints, null2 == nil, len(members), fmt.Sprint(list)}
			want := []any{true, true, 42, int64(-1 << 40), 1e300, text, []byte{0, 1, 255}, []string{"a", ""}, []int{1, -2}, true, 2, "[x 3 <nil>]"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			name := map[bool]string{false: "label", true: "Label"}[p.Binary()]
			if err := p.Bind(members[name], &s); err != nil || s != "p" {
				t.Errorf("member %s is %q: %v", name, s, err)
			}
			for _, wrong := range []any{new(int), new(bool), new([]byte), new([]string), new(float64), new(map[string]hubproto.Raw), new(chan int)} {
				if err := p.Bind(raws[5], wrong); err == nil {
					t.Errorf("text binds to %T", wrong)
				}
			}
			if err := p.Bind(raws[0], &s); err == nil {
				t.Error("null binds to a string")
			}
			if _, err := p.AppendValue(nil, make(chan int)); err == nil {
				t.Error("a channel has an encoding")
			}
		})
	}
}
