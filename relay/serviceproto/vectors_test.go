package serviceproto_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// TestVectors reads every vector with one Decoder, as a connection does, and
// writes the expected message, which was never decoded, back to the same bytes.
func TestVectors(t *testing.T) {
	var d serviceproto.Decoder
	seen := map[serviceproto.Type]bool{}
	for _, line := range readLines(t, "vectors.txt", 5) {
		name, expect, frame, fields := line[0], line[2], mustUnhex(t, line[3]), line[4]
		t.Run(name, func(t *testing.T) {
			n, err := strconv.Atoi(line[1])
			if err != nil {
				t.Fatal(err)
			}
			typ := serviceproto.Type(n)
			got, err := d.Decode(body(t, frame))
			if done := checkError(t, expect, got, err); done {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := fromFields(t, typ, fields)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Decode (-want +got)\n%s", diff)
			}
			checkAppend(t, expect, want, frame)
			if expect == "same" {
				seen[typ] = true
			}
		})
	}
	for typ := serviceproto.Type(1); typ <= 43; typ++ {
		if !seen[typ] {
			t.Errorf("no vector writes %v", typ)
		}
	}
}

// TestTranscripts reads every frame of the recorded conversations, and writes
// it again.
func TestTranscripts(t *testing.T) {
	var d serviceproto.Decoder
	for _, line := range readLines(t, "transcripts.txt", 7) {
		scenario, name, expect, frame := line[0], line[3], line[5], mustUnhex(t, line[6])
		t.Run(scenario+"/"+name, func(t *testing.T) {
			m, err := d.Decode(body(t, frame))
			if done := checkError(t, expect, m, err); done {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Type().String(); got != name {
				t.Errorf("type %s, want %s", got, name)
			}
			checkAppend(t, expect, m, frame)
		})
	}
}

// checkError deals with the vectors that expect one of the two kinds of error.
func checkError(t *testing.T, expect string, m serviceproto.Message, err error) (done bool) {
	t.Helper()
	switch expect {
	case "error", "unknown":
		if err == nil || m != nil {
			t.Errorf("Decode: %v, %v, want an error", m, err)
		}
		if unknown := expect == "unknown"; errors.Is(err, serviceproto.ErrUnknownType) != unknown {
			t.Errorf("Decode: %v, want ErrUnknownType: %v", err, unknown)
		}
		return true
	}
	return false
}

// checkAppend writes m behind a byte that must stay. A frame that is only read
// must come out different: the list of those stays short that way.
func checkAppend(t *testing.T, expect string, m serviceproto.Message, frame []byte) {
	t.Helper()
	got := serviceproto.Append([]byte{0xaa}, m)
	if got[0] != 0xaa {
		t.Errorf("Append changed what was there")
	}
	if same := bytes.Equal(got[1:], frame); same != (expect == "same") {
		if len(frame) > 512 || len(got) > 512 {
			t.Fatalf("Append wrote the same bytes: %v, want %s", same, expect)
		}
		t.Errorf("Append wrote the same bytes: %v, want %s\nwant %x\ngot  %x", same, expect, frame, got[1:])
	}
}
