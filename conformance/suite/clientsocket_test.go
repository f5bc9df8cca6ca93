package suite_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// masked is a client's frame; first is the byte with FIN, the reserved bits and
// the opcode.
func masked(first byte, p []byte) []byte {
	b := []byte{first}
	switch n := len(p); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i, c := range p {
		b = append(b, c^key[i&3])
	}
	return b
}

func text(s string) []byte { return masked(0x81, []byte(s)) }

var long = strings.Repeat("x", 1<<16)

// clientFaults are frames that RFC 6455 forbids a client, with what is said of
// them.
var clientFaults = []struct {
	name  string
	said  []byte
	fault string
}{
	{"not masked", []byte{0x81, 2, 'h', 'i'}, "a frame that is not masked"},
	{"compressed", masked(0xc1, []byte("hi")), "a reserved bit"},
	{"unknown opcode", masked(0x83, []byte("hi")), "opcode 3"},
	{"unknown control opcode", masked(0x8b, nil), "opcode 11"},
	{"continuation of nothing", masked(0x80, []byte("hi")), "a continuation of no message"},
	{"message in a message", append(masked(0x01, []byte("h")), masked(0x81, []byte("i"))...), "a message in the middle of another"},
	{"ping in pieces", masked(0x09, []byte("hi")), "a control frame in pieces"},
	{"long ping", masked(0x89, make([]byte, 126)), "more than 125 bytes"},
	{"text that is none", masked(0x81, []byte{0xff}), "a text that is not UTF-8"},
	{"short length in long", append([]byte{0x82, 0x80 | 126, 0, 2, 0, 0, 0, 0}, "hi"...), "a length of 2 in more bytes than it needs"},
	{"long length in longer", []byte{0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, "a length of 65535 in more bytes"},
	{"frame without end", []byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "a frame of 18446744073709551615 bytes"},
	{"message without end", bytes.Join([][]byte{masked(0x02, []byte(long)), bytes.Repeat(masked(0x00, []byte(long)), 16)}, nil), "a message of more than 1048576 bytes"},
	{"half a close code", masked(0x88, []byte{3}), "a close frame without a code"},
	{"close code of none", masked(0x88, []byte{0x03, 0xed}), "a close frame with code 1005"},
	{"close text that is none", masked(0x88, []byte{0x03, 0xe8, 0xff}), "a close frame without a code and a text"},
}

func TestClientSocket(t *testing.T) {
	for name, c := range map[string]struct {
		said []byte
		want []string
	}{
		"texts":               {append(text("a"), text("")...), []string{"a", ""}},
		"16 bits of length":   {text(long[:126]), []string{long[:126]}},
		"64 bits of length":   {text(long), []string{long}},
		"in pieces":           {bytes.Join([][]byte{masked(0x01, []byte("a\xc3")), masked(0x89, []byte("?")), masked(0x00, nil), masked(0x80, []byte("\xa4"))}, nil), []string{"aä"}},
		"pongs":               {bytes.Join([][]byte{masked(0x8a, nil), text("a")}, nil), []string{"a"}},
		"nothing after close": {bytes.Join([][]byte{text("a"), masked(0x88, []byte{0x03, 0xe8}), text("b")}, nil), []string{"a"}},
		"close without code":  {masked(0x88, nil), nil},
		"half a frame":        {text("hello")[:8], nil},
		"half a length":       {[]byte{0x81, 0x80 | 126, 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, fault := suite.ReadClientSocket(iotest.OneByteReader(bytes.NewReader(c.said)))
			if d := cmp.Diff(c.want, texts(got)); d != "" || fault != "" {
				t.Errorf("fault %q, - want + got\n%s", fault, d)
			}
		})
	}
	for _, c := range clientFaults {
		t.Run(c.name, func(t *testing.T) {
			if _, fault := suite.ReadClientSocket(bytes.NewReader(c.said)); !strings.Contains(fault, c.fault) {
				t.Errorf("%q, want %q", fault, c.fault)
			}
		})
	}
}

func texts(messages [][]byte) (all []string) {
	for _, m := range messages {
		all = append(all, string(m))
	}
	return all
}

// Whatever a client sends is read the same however it is cut, takes no more
// memory than it is long, and what was read is read again when it is sent anew.
func FuzzClientSocket(f *testing.F) {
	f.Add(bytes.Join([][]byte{text("a"), masked(0x02, []byte("b")), masked(0x89, nil), masked(0x80, []byte("c")), masked(0x88, []byte{0x03, 0xe8})}, nil))
	for _, c := range clientFaults {
		if len(c.said) < 1<<10 {
			f.Add(c.said)
		}
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		got, fault := suite.ReadClientSocket(bytes.NewReader(said))
		size := 0
		var again []byte
		for _, m := range got {
			size += len(m)
			again = append(again, masked(0x82, m)...)
		}
		if size > len(said) {
			t.Errorf("%d bytes read from %d", size, len(said))
		}
		cut, otherFault := suite.ReadClientSocket(iotest.OneByteReader(bytes.NewReader(said)))
		if d := cmp.Diff(texts(got), texts(cut)); d != "" || fault != otherFault {
			t.Errorf("byte by byte: fault %q, not %q\n%s", otherFault, fault, d)
		}
		anew, fault := suite.ReadClientSocket(bytes.NewReader(again))
		if d := cmp.Diff(texts(got), texts(anew)); d != "" || fault != "" {
			t.Errorf("sent anew: fault %q\n%s", fault, d)
		}
	})
}

// A client that is no WebSocket client, or talks without end, fails its scenario,
// while another in another one passes.
func TestMalformedClients(t *testing.T) {
	// Of half the size of a message, so that the end is that of the connection.
	endless := bytes.Repeat(masked(0x82, make([]byte, suite.ClientMessageMax/2)), 2*suite.ClientHeardMax/suite.ClientMessageMax+1)
	faults := append(clientFaults[:len(clientFaults):len(clientFaults)], struct {
		name  string
		said  []byte
		fault string
	}{"no end", endless, fmt.Sprintf("more than %d bytes on one connection", suite.ClientHeardMax)})
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ends := make(chan suite.Result, 2)
			j, err := suite.NewClientJudge(suite.Options{
				Only: regexp.MustCompile("^(websockets|unknown-type)$"), Limit: patience, Each: func(r suite.Result) { ends <- r },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			s := httptest.NewServer(j)
			defer s.Close()
			raw := upgraded(t, s.URL+"/websockets")
			defer raw.Close()
			good := make(chan error, 1)
			go func() {
				good <- coreTasks["unknown-type"](&rightClient{ctx: t.Context(), base: s.URL + "/unknown-type"})
			}()
			raw.Write(c.said) // fails where the judge hangs up before the end
			if err := <-good; err != nil {
				t.Errorf("the other client: %v", err)
			}
			for range 2 {
				r := <-ends
				switch {
				case r.Name == "unknown-type" && r.Outcome != suite.Passed:
					t.Errorf("the other client: %s: %s", r.Outcome, r.Got)
				case r.Name == "websockets" && (r.Outcome != suite.Failed || !strings.HasPrefix(r.Got, "what no client may send: ") || !strings.Contains(r.Got, c.fault)):
					t.Errorf("%s: %q, want %q", r.Outcome, r.Got, c.fault)
				}
			}
		})
	}
}

// upgraded is the connection of a client that has opened a WebSocket.
func upgraded(t *testing.T, base string) net.Conn {
	t.Helper()
	c := &rightClient{ctx: t.Context(), base: base}
	a, err := c.negotiate()
	if err != nil {
		t.Fatal(err)
	}
	status, raw := upgrade(t, c.with("", "id", a.ConnectionToken), "13", "dGhlIHNhbXBsZSBub25jZQ==")
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	return raw
}

func upgrade(t *testing.T, address, version, key string) (status int, raw net.Conn) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {version}, "Sec-Websocket-Key": {key}}
	if raw, err = net.Dial("tcp", req.URL.Host); err != nil {
		t.Fatal(err)
	}
	if err := req.Write(raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(raw), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, raw
}

// Each end sends one close frame, and nothing behind it (RFC 6455 section 5.5.1).
func TestClientSocketCloses(t *testing.T) {
	closes, pings := masked(0x88, []byte{3, 0xe8}), masked(0x89, []byte("hi"))
	for _, c := range []struct {
		name string
		code uint16 // of the server, if it closes first
		said []byte
		want string
	}{
		{"the client first", 0, closes, "\x88\x02\x03\xe8"},
		{"the client first, without a code", 0, masked(0x88, nil), "\x88\x00"},
		{"the server first", 1001, closes, "\x88\x02\x03\xe9"},
		{"a ping before", 0, slices.Concat(pings, closes), "\x8a\x02hi\x88\x02\x03\xe8"},
		{"a ping between", 1001, slices.Concat(pings, closes), "\x88\x02\x03\xe9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := suite.AnswerClientSocket(bytes.NewReader(c.said), c.code); string(got) != c.want {
				t.Errorf("the server says %q, want %q", got, c.want)
			}
		})
	}
}

// An upgrade that is none is refused, and the failure tells why.
func TestMalformedUpgrade(t *testing.T) {
	for name, c := range map[string]struct{ version, key, why string }{
		"old version": {"8", "dGhlIHNhbXBsZSBub25jZQ==", `Sec-WebSocket-Version is "8", not 13`},
		"no version":  {"", "dGhlIHNhbXBsZSBub25jZQ==", `Sec-WebSocket-Version is "", not 13`},
		"no key":      {"13", "", `Sec-WebSocket-Key is "", not 16 bytes in base64`},
		"short key":   {"13", "aGVsbG8=", `Sec-WebSocket-Key is "aGVsbG8=", not 16 bytes in base64`},
	} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan suite.Result, 1)
			j, err := suite.NewClientJudge(suite.Options{Only: regexp.MustCompile("^websockets$"), Limit: patience, Each: func(r suite.Result) { ends <- r }})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			s := httptest.NewServer(j)
			defer s.Close()
			client := &rightClient{ctx: t.Context(), base: s.URL + "/websockets"}
			a, err := client.negotiate()
			if err != nil {
				t.Fatal(err)
			}
			status, raw := upgrade(t, client.with("", "id", a.ConnectionToken), c.version, c.key)
			raw.Close()
			r := <-ends
			if said := fmt.Sprint(r.Log); status != http.StatusBadRequest || r.Outcome != suite.Failed || !strings.Contains(said, c.why) {
				t.Errorf("status %d, %s, want %s in\n%s", status, r.Outcome, c.why, said)
			}
		})
	}
}
