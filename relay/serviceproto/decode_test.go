package serviceproto_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

func pointer[T any](v T) *T { return &v }

// TestDecodeTolerates has the frames that no SDK writes, or none any more, and
// that must be read all the same (service-protocol 3.3, 4.1).
func TestDecodeTolerates(t *testing.T) {
	tests := []struct {
		name string
		body string
		want serviceproto.Message
	}{
		{"type as int64", "92d30000000000000002a0", &serviceproto.HandshakeResponse{}},
		{"long forms", "dc0005cc14d200000001cf0000000000000002d900de0000", &serviceproto.Ack{AckID: 1, Status: 2}},
		{"negative status", "94140 1d0ffa0", &serviceproto.Ack{AckID: 1, Status: -1}},
		{"bytes as str", "9306a163a178", &serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x")}},
		{"bytes as bin32", "9306a163c60000000178", &serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x")}},
		{"bytes nil", "9306a163c0", &serviceproto.ConnectionData{ConnectionID: "c"}},
		{"ack payload empty", "961401 01a080c400", &serviceproto.Ack{AckID: 1, Status: 1, Data: []byte{}}},
		{"lists nil", "970da167c0c0c0c0c0", &serviceproto.GroupBroadcastData{Group: "g"}},
		{"texts of a list nil", "930792a163c080", &serviceproto.MultiConnectionData{ConnectionIDs: []string{"c", ""}}},
		{"ext nil", "9406a163c40178c0", &serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x")}},
		{"ext value nil", "9406a163c401788101c0", &serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x")}},
		{"ext keys of other messages", "9406a163c40178860101020303a16a04a166 0502 06c2",
			&serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x"), TracingID: 1, DataType: 2}},
		{"ext keys that are no small ints", "9406a163c4017884a16101cfffffffffffffffff92a161a1629080 0503",
			&serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x"), DataType: 3}},
		{"ext values that are deep", "9406a163c4017882079181a1619081a16ac003a16a",
			&serviceproto.ConnectionData{ConnectionID: "c", Data: []byte("x")}},
		{"tracing id of 64 bits", "9412a163a16701", &serviceproto.JoinGroupWithAck{ConnectionID: "c", Group: "g", AckID: 1}},
		{"largest tracing id", "9512a163a167018101cfffffffffffffffff",
			&serviceproto.JoinGroupWithAck{ConnectionID: "c", Group: "g", AckID: 1, TracingID: 1<<64 - 1}},
		{"elements nobody knows", "9926a16380c0c0c0c0c0", &serviceproto.ConnectionReconnect{ConnectionID: "c"}},
		{"elements announced and missing", "9926a16380", &serviceproto.ConnectionReconnect{ConnectionID: "c"}},
		{"bytes behind the array", "9326a16380c1c1c1", &serviceproto.ConnectionReconnect{ConnectionID: "c"}},
		{"completion with its protocol in ext only", "9723a169a163a173c0c4008103a16a",
			&serviceproto.ClientCompletion{InvocationID: "i", ConnectionID: "c", CallerServerID: "s", Protocol: "j"}},
		{"completion with two protocols", "9723a169a163a173a16bc4008103a16a",
			&serviceproto.ClientCompletion{InvocationID: "i", ConnectionID: "c", CallerServerID: "s", Protocol: "k"}},
		{"claims nil", "9604a163c0c0c080", &serviceproto.OpenConnection{ConnectionID: "c"}},
		{"header without values", "9405a163a081a168c0", &serviceproto.CloseConnection{ConnectionID: "c", Headers: []relay.Header{{Name: "h"}}}},
		{"ttl of zero", "9410a175a167810200", &serviceproto.UserJoinGroup{UserID: "u", Group: "g", TTL: pointer(0)}},
		{"empty continuation token", "962880a16701c0a0", &serviceproto.GroupMemberQuery{Group: "g", AckID: 1, ContinuationToken: pointer("")}},
		{"timestamp of 96 bits", "9629a17480c70cff00000001ffffffffffffffff0180",
			&serviceproto.RefreshAuth{ConnectionToken: "t", ExpireTime: time.Unix(-1, 1).UTC(), AckID: 1}},
		{"payload keys with other case", "9308a17581a44a534f4ec40178",
			&serviceproto.UserData{UserID: "u", Payload: relay.Payload{{Protocol: "JSON", Data: []byte("x")}}}},
	}
	var d serviceproto.Decoder
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := d.Decode(mustUnhex(t, strings.ReplaceAll(test.body, " ", "")))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Decode (-want +got)\n%s", diff)
			}
		})
	}
}

// TestDecodeErrors has frames that cost an error and next to no memory,
// whatever lengths they announce.
func TestDecodeErrors(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"empty", "", "too few bytes"},
		{"no array", "a161", "read service message"},
		{"empty array", "90", "the array is empty"},
		{"nil type", "91c0", "type"},
		{"text type", "91a161", "type"},
		{"type above 32 bits", "91cf0000000100000003", "type"},
		{"type zero", "9100", "unknown service message type 0"},
		{"negative type", "91ff", "unknown service message type -1"},
		{"too few elements", "9206a163", "read ConnectionData: 2 elements, want 3"},
		{"elements missing", "9306a163", "read ConnectionData: "},
		{"nil connection id", "9306c0c40178", "connection id is nil"},
		{"connection id is a number", "930601c40178", "read ConnectionData: "},
		{"connection id is bytes", "9306c40163c40178", "read ConnectionData: "},
		{"ack id above 32 bits", "941401cf0000000100000000a0", "read Ack: "},
		{"payload longer than the frame", "9306a163c6ffffffff78", "too few bytes"},
		{"text longer than the frame", "9306dbffffffffc40178", "too few bytes"},
		{"list longer than the frame", "9307ddffffffffa16380", "too few bytes"},
		{"words more than the frame", "ddffffffff03a16161", "too few bytes"},
		{"payloads more than the frame", "930aa0dfffffffffa16ac40178", "read BroadcastData: "},
		{"payload map longer than the frame", "930a90dfffffffffa16ac40178", "too few bytes"},
		{"claims more than the frame", "9304a163dfffffffffa161a162", "too few bytes"},
		{"headers more than the frame", "9504a16380dfffffffffa16191a162a0", "too few bytes"},
		{"header values more than the frame", "9504a1638081a161ddffffffffa162a0", "too few bytes"},
		{"ext longer than the frame", "9406a163c40178dfffffffff0101", "too few bytes"},
		{"ext is no map", "9406a163c4017801", "read ConnectionData: "},
		{"ext value of the wrong kind", "9406a163c401788105a161", "read ConnectionData: "},
		{"ext value missing", "9406a163c401788109", "too few bytes"},
		{"negative tracing id", "9406a163c401788101ff", "read ConnectionData: "},
		{"connection type 3", "9527a163030180", "connection type 3, operation 1"},
		{"operation 5", "9527a163010580", "connection type 1, operation 5"},
		{"expiry is a number", "9629a174800107 80", "read RefreshAuth: "},
		{"expiry is another extension", "9629a17480d60100000000 0780", "read RefreshAuth: "},
		{"expiry in the year 10000", "9629a17480c70cff000000000000003afff441800780", "years 1 to 9999"},
		{"expiry before the year 1", "9629a17480c70cff00000000fffffff1886e08ff0780", "years 1 to 9999"},
		{"nanoseconds above a second", "9629a17480d7ffffffffff00000000 0780", "read RefreshAuth: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			frame := mustUnhex(t, strings.ReplaceAll(test.body, " ", ""))
			var d serviceproto.Decoder
			var m serviceproto.Message
			var err error
			cost := allocated(func() { m, err = d.Decode(frame) })
			if err == nil || m != nil {
				t.Fatalf("Decode: %v, %v, want an error", m, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Decode: %q, want %q in it", err, test.want)
			}
			if cost > 64<<10 {
				t.Errorf("%d bytes cost %d", len(frame), cost)
			}
		})
	}
}

// TestDecodeCut cuts the frames at every byte.
func TestDecodeCut(t *testing.T) {
	var d serviceproto.Decoder
	for _, line := range readLines(t, "vectors.txt", 5) {
		if line[2] != "same" {
			continue
		}
		frame := body(t, mustUnhex(t, line[3]))
		for n := range frame {
			if m, err := d.Decode(frame[:n:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes are a %v", line[0], n, len(frame), m.Type())
			}
		}
	}
}

// TestDecodeAliases looks for the strings and bytes of a message in the frame.
func TestDecodeAliases(t *testing.T) {
	frame := body(t, serviceproto.Append(nil, &serviceproto.MultiConnectionData{
		ConnectionIDs: []string{"a"}, Payload: relay.Payload{{Protocol: "json", Data: []byte("b")}}}))
	m, err := new(serviceproto.Decoder).Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	frame[bytes.IndexByte(frame, 'a')] = 'A'
	frame[bytes.IndexByte(frame, 'b')] = 'B'
	want := &serviceproto.MultiConnectionData{
		ConnectionIDs: []string{"A"}, Payload: relay.Payload{{Protocol: "json", Data: []byte("B")}}}
	if diff := cmp.Diff(want, m.(*serviceproto.MultiConnectionData)); diff != "" {
		t.Errorf("after a change of the frame (-want +got)\n%s", diff)
	}
	if data := m.(*serviceproto.MultiConnectionData).Payload[0].Data; cap(data) != len(data) {
		t.Error("the payload can grow over the rest of the frame")
	}
}

// TestDecodeListsSideBySide fills the scratch of the Decoder to its limits: the
// lists of one message must not overlap.
func TestDecodeListsSideBySide(t *testing.T) {
	var d serviceproto.Decoder
	for _, n := range []int{3, 100, 1, 5000, 2} {
		want := &serviceproto.GroupBroadcastData{Group: "g"}
		for i := range n {
			want.Excluded = append(want.Excluded, strings.Repeat("c", i%7))
			want.ExcludedUsers = append(want.ExcludedUsers, strings.Repeat("u", i%5))
		}
		got, err := d.Decode(body(t, serviceproto.Append(nil, want)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(serviceproto.Message(want), got); diff != "" {
			t.Errorf("%d strings (-want +got)\n%s", n, diff)
		}
	}
}

func TestType(t *testing.T) {
	for typ := serviceproto.Type(1); typ <= 43; typ++ {
		m := serviceproto.Empty(typ)
		if m == nil {
			t.Fatalf("no message of type %d", typ)
		}
		if name := reflect.TypeOf(m).Elem().Name(); m.Type() != typ || typ.String() != name {
			t.Errorf("type %d is %d, %v and %s", typ, m.Type(), typ, name)
		}
	}
	for _, typ := range []serviceproto.Type{-1, 0, 44} {
		if m := serviceproto.Empty(typ); m != nil {
			t.Errorf("type %d is a %T", typ, m)
		}
	}
	if got := serviceproto.Type(44).String(); got != "Type(44)" {
		t.Errorf("String of 44: %s", got)
	}
}

// FuzzDecode looks for panics, lists longer than the frame, and messages that
// change when they are written and read again.
func FuzzDecode(f *testing.F) {
	for _, line := range readLines(f, "vectors.txt", 5) {
		f.Add(body(f, mustUnhex(f, line[3])))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var d1, d2 serviceproto.Decoder
		first, err := d1.Decode(frame)
		if err != nil {
			if first != nil {
				t.Errorf("message %v with error %v", first, err)
			}
			return
		}
		if n := elements(reflect.ValueOf(first)); n > len(frame) {
			t.Errorf("%d bytes have %d elements", len(frame), n)
		}
		written := serviceproto.Append(nil, first)
		second, err := d2.Decode(body(t, written))
		if err != nil {
			t.Fatalf("%v, written as %x: %v", first.Type(), written, err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("read, written and read again (-first +second)\n%s", diff)
		}
		if again := serviceproto.Append(nil, second); !bytes.Equal(again, written) {
			t.Errorf("written again\nfirst  %x\nsecond %x", written, again)
		}
	})
}

// elements counts the elements of all slices in v, which are what Decode
// allocates.
func elements(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = elements(v.Elem())
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				n += elements(v.Field(i))
			}
		}
	case reflect.Slice:
		n = v.Len()
		for i := range v.Len() {
			n += elements(v.Index(i))
		}
	}
	return n
}

func TestGroupMembers(t *testing.T) {
	type page struct {
		Members []serviceproto.GroupMember
		Token   string
	}
	tests := []struct {
		name string
		data string
		want page
	}{
		{"two and a token", "929292a26331a5616c69636592a26332c0a46e657874",
			page{[]serviceproto.GroupMember{{ConnectionID: "c1", UserID: "alice"}, {ConnectionID: "c2"}}, "next"}},
		{"none", "9290c0", page{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := mustUnhex(t, test.data)
			members, token, err := serviceproto.ReadGroupMembers(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, page{members, token}); diff != "" {
				t.Errorf("ReadGroupMembers (-want +got)\n%s", diff)
			}
			if got := serviceproto.AppendGroupMembers(nil, test.want.Members, test.want.Token); !bytes.Equal(got, data) {
				t.Errorf("AppendGroupMembers: %x, want %x", got, data)
			}
			for n := range data {
				if _, _, err := serviceproto.ReadGroupMembers(data[:n]); err == nil {
					t.Errorf("the first %d bytes are read without an error", n)
				}
			}
		})
	}
	for name, data := range map[string]string{
		"more members than bytes": "92ddffffffff90c0", "member is a text": "9291a163c0", "one element": "9190", "nil": "c0",
	} {
		if _, _, err := serviceproto.ReadGroupMembers(mustUnhex(t, data)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestUnknownTypeIsBranchedOn keeps the one error that callers look for apart
// from the others.
func TestUnknownTypeIsBranchedOn(t *testing.T) {
	_, err := new(serviceproto.Decoder).Decode([]byte{0x91, 44})
	if !errors.Is(err, serviceproto.ErrUnknownType) {
		t.Errorf("type 44: %v", err)
	}
	_, err = new(serviceproto.Decoder).Decode([]byte{0x91, 43})
	if err == nil || errors.Is(err, serviceproto.ErrUnknownType) {
		t.Errorf("type 43, too short: %v", err)
	}
}
