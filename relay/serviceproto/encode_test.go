package serviceproto_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// edges are the lengths around which MessagePack and the frame's length change
// their form.
var edges = []int{0, 1, 31, 32, 100, 107, 108, 127, 128, 255, 256, 16370, 16384, 65535, 65536, 2097152}

func TestAppendConnectionDataHead(t *testing.T) {
	for _, id := range []int{0, 22, 31, 32, 255, 256, 65535, 65536} {
		for _, n := range edges {
			t.Run(fmt.Sprintf("id of %d, payload of %d", id, n), func(t *testing.T) {
				m := &serviceproto.ConnectionData{ConnectionID: strings.Repeat("i", id), Data: bytes.Repeat([]byte{7}, n)}
				got := serviceproto.AppendConnectionDataHead(nil, m.ConnectionID, n)
				got = append(append(got, m.Data...), serviceproto.ConnectionDataTail...)
				if !bytes.Equal(got, serviceproto.Append(nil, m)) {
					t.Error("differs from Append")
				}
				m.Partial = true
				got = serviceproto.AppendPartialConnectionDataHead(nil, m.ConnectionID, n)
				got = append(append(got, m.Data...), serviceproto.PartialConnectionDataTail...)
				if !bytes.Equal(got, serviceproto.Append(nil, m)) {
					t.Error("partial: differs from Append")
				}
			})
		}
	}
}

// TestAppendPing has the one message whose array may be long.
func TestAppendPing(t *testing.T) {
	var d serviceproto.Decoder
	for _, n := range []int{0, 1, 14, 15, 16, 65534, 65535, 65536} {
		want := new(serviceproto.Ping)
		for range n {
			want.Words = append(want.Words, "w")
		}
		got, err := d.Decode(body(t, serviceproto.Append(nil, want)))
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(serviceproto.Message(want), got) {
			t.Errorf("a ping of %d words came back with %d", n, len(got.(*serviceproto.Ping).Words))
		}
	}
}

// TestAppendSmallestInts knows the forms of each size; msgp's own signed ones
// are one size larger for some.
func TestAppendSmallestInts(t *testing.T) {
	for i, want := range map[int]string{
		0: "00", 127: "7f", 128: "cc80", 255: "ccff", 256: "cd0100", 65535: "cdffff", 65536: "ce00010000",
		2147483647: "ce7fffffff", -1: "ff", -32: "e0", -33: "d0df", -128: "d080", -129: "d1ff7f", -2147483648: "d280000000",
	} {
		frame := serviceproto.Append(nil, &serviceproto.GetConnectionClaims{AckID: i})
		if got := fmt.Sprintf("%x", frame[len("\x08\x94\x2a\xa0"):len(frame)-1]); got != want {
			t.Errorf("%d is written as %s, want %s", i, got, want)
		}
	}
}

type foreign struct{}

func (foreign) Type() serviceproto.Type { return serviceproto.TypePing }

func TestAppendForeignMessage(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a message of another package was written")
		}
	}()
	serviceproto.Append(nil, foreign{})
}

// hot are the messages that pass by the thousand.
func hot() map[string]serviceproto.Message {
	payload := relay.Payload{
		{Protocol: "json", Data: bytes.Repeat([]byte("j"), 100)},
		{Protocol: "messagepack", Data: bytes.Repeat([]byte("m"), 80)},
	}
	const id = "5mRhYXzq9u1PpR5dXyZVIw"
	return map[string]serviceproto.Message{
		"ConnectionData":          &serviceproto.ConnectionData{ConnectionID: id, Data: payload[0].Data, DataType: 2},
		"MultiConnectionData":     &serviceproto.MultiConnectionData{ConnectionIDs: []string{id, id, id}, Payload: payload},
		"UserData":                &serviceproto.UserData{UserID: "alice", Payload: payload},
		"MultiUserData":           &serviceproto.MultiUserData{UserIDs: []string{"alice", "bob"}, Payload: payload},
		"BroadcastData":           &serviceproto.BroadcastData{Excluded: []string{id}, Payload: payload},
		"GroupBroadcastData":      &serviceproto.GroupBroadcastData{Group: "g", Excluded: []string{id}, Payload: payload, ExcludedUsers: []string{"bob"}},
		"MultiGroupBroadcastData": &serviceproto.MultiGroupBroadcastData{Groups: []string{"g", "h"}, Payload: payload},
		"JoinGroupWithAck":        &serviceproto.JoinGroupWithAck{ConnectionID: id, Group: "g", AckID: 700},
		"LeaveGroupWithAck":       &serviceproto.LeaveGroupWithAck{ConnectionID: id, Group: "g", AckID: 701},
		"Ack":                     &serviceproto.Ack{AckID: 700, Status: serviceproto.StatusOK},
		"CloseConnection":         &serviceproto.CloseConnection{ConnectionID: id},
		"Ping":                    &serviceproto.Ping{Words: []string{"#clientInHub", "12", "#client", "3"}},
	}
}

func TestHotMessagesDoNotAllocate(t *testing.T) {
	for name, m := range hot() {
		t.Run(name, func(t *testing.T) {
			frame := body(t, serviceproto.Append(nil, m))
			var d serviceproto.Decoder
			if n := testing.AllocsPerRun(100, func() {
				if _, err := d.Decode(frame); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("Decode: %v allocations", n)
			}
			buf := make([]byte, 0, 1024)
			if n := testing.AllocsPerRun(100, func() { serviceproto.Append(buf, m) }); n != 0 {
				t.Errorf("Append: %v allocations", n)
			}
		})
	}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		serviceproto.Append(buf, &serviceproto.Ack{AckID: 1, Status: serviceproto.StatusOK})
	}); n != 0 {
		t.Errorf("Append of a new Ack: %v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"ConnectionData", "MultiConnectionData", "BroadcastData", "GroupBroadcastData"} {
		b.Run(name, func(b *testing.B) {
			frame := body(b, serviceproto.Append(nil, hot()[name]))
			var d serviceproto.Decoder
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if _, err := d.Decode(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, name := range []string{"ConnectionData", "BroadcastData"} {
		b.Run(name, func(b *testing.B) {
			m := hot()[name]
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				buf = serviceproto.Append(buf[:0], m)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
	b.Run("ConnectionDataHead", func(b *testing.B) {
		m := hot()["ConnectionData"].(*serviceproto.ConnectionData)
		buf := make([]byte, 0, 1024)
		b.ReportAllocs()
		for b.Loop() {
			buf = serviceproto.AppendConnectionDataHead(buf[:0], m.ConnectionID, len(m.Data))
			buf = append(append(buf, m.Data...), serviceproto.ConnectionDataTail...)
		}
		b.SetBytes(int64(len(buf)))
	})
}

func BenchmarkSplitter(b *testing.B) {
	frame := serviceproto.Append(nil, hot()["MultiConnectionData"])
	chunk := bytes.Repeat(frame, 50)
	var s serviceproto.Splitter
	frames := 0
	count := func([]byte, bool) error { frames++; return nil }
	b.ReportAllocs()
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if err := s.Feed(chunk, count); err != nil {
			b.Fatal(err)
		}
	}
}
