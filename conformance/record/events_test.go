package record

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
)

// What is too large to note is passed on and left out, and the transcript says so.
func TestEventTooLarge(t *testing.T) {
	half := strings.Repeat("x", maxBody/2)
	for _, c := range []struct {
		name  string
		event []string
	}{
		{"in one line", []string{"data: ", half, half, "\n\n"}},
		{"in several lines", []string{"data: ", half, "\r\ndata: ", half, "\r\ndata: b\r\n\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, x := newExchange(t, http.MethodGet, "/hub?id=a", nil)
			x.carry()
			size := 0
			var stream []io.Reader
			for _, part := range slices.Concat([]string{"data: a\n\n"}, c.event, []string{"data: b\n\n"}) {
				size += len(part)
				stream = append(stream, strings.NewReader(part))
			}
			n, err := io.Copy(io.Discard, &events{ReadCloser: io.NopCloser(io.MultiReader(stream...)), x: x})
			if n != int64(size) || err != nil {
				t.Errorf("%d of %d bytes went on: %v", n, size, err)
			}
			want := "server h1> event `a`\nnote> an event of more than 64 MiB on h1 is left out\nserver h1> event `b`\nserver h1> close\n"
			if text := r.Transcript().Text(); !bytes.HasSuffix(text, []byte(want)) {
				t.Errorf("transcript:\n%.1000s", text)
			}
		})
	}
}

func TestMessageTooLarge(t *testing.T) {
	for _, c := range []struct{ name, frames string }{
		{"in one frame", "\x81\x7f\x00\x00\x00\x00\x04\x00\x00\x01x"},
		{"in fragments", "\x01\x7f\x00\x00\x00\x00\x04\x00\x00\x00" + strings.Repeat("x", maxBody) + "\x00\x01x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := 0
			f := frames{say: func(_ byte, data []byte) { t.Errorf("a message: %.100q", data) }, tooLarge: func() { told++ }}
			f.feed([]byte(c.frames))
			f.feed([]byte("\x81\x01x"))
			if told != 1 || len(f.buf)+len(f.parts) > 0 {
				t.Errorf("told %d times, %d bytes kept", told, len(f.buf)+len(f.parts))
			}
		})
	}
}

func TestBodyTooLarge(t *testing.T) {
	large := make([]byte, maxBody+1)
	for _, c := range []struct {
		name           string
		asked, answers []byte
		want           string
	}{
		{"of the request", large, nil, "note> h1, whose body has more than 64 MiB, is left out\n"},
		{"of the answer", nil, large, "note> h1, whose answer has more than 64 MiB, is left out\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, x := newExchange(t, http.MethodPost, "/hub?id=a", c.asked)
			whole := func(data []byte, _ int64, err error) {
				x.answeredWith(conformance.Response{Status: http.StatusOK}, "", data, err)
			}
			if _, err := io.Copy(io.Discard, &body{ReadCloser: io.NopCloser(bytes.NewReader(c.answers)), toCome: -1, whole: whole}); err != nil {
				t.Fatal(err)
			}
			if text := r.Transcript().Text(); !bytes.HasSuffix(text, []byte("\n\n"+c.want)) {
				t.Errorf("transcript:\n%.1000s", text)
			}
		})
	}
}
