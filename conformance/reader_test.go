package conformance

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestReadEvents(t *testing.T) {
	half := strings.Repeat("x", mostReceived/2)
	stream := func(parts ...string) io.Reader { // shares what is large
		var all []io.Reader
		for _, part := range parts {
			all = append(all, strings.NewReader(part))
		}
		return io.MultiReader(all...)
	}
	for _, c := range []struct {
		name string
		body io.Reader
		want []string
		end  Saying
	}{
		{"two", stream("data: a\n\n: b\r\n\r\ndata: c\r\ndata: d\r\n\r\n"), []string{"a", "cd"}, Close{}},
		{"cut off in one", stream("data: a\n\ndata: b\n"), []string{"a"}, Close{}},
		{"broken", io.MultiReader(stream("data: a\n\ndata: b"), iotest.ErrReader(io.ErrUnexpectedEOF)), []string{"a"}, Drop{}},
		{"a line too long", stream("data: a\n\ndata: ", half, half), []string{"a"}, flooded},
		{"lines too many", stream("data: a\n\ndata: ", half, "\ndata: ", half, "\ndata: b\n\n"), []string{"a"}, flooded},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			end := readEvents(new(Caller).Reader(c.body), func(data []byte) { got = append(got, string(data)) })
			if diff := cmp.Diff(c.want, got); diff != "" || end != c.end {
				t.Errorf("ended by %#v, (-want +got)\n%s", end, diff)
			}
		})
	}
}

func TestHubType(t *testing.T) {
	packed := func(m string) string { return string([]byte{byte(len(m))}) + m }
	for _, c := range []struct {
		name, message string
		want          int
	}{
		{"ping", `{"type":6}` + separator, hubPing},
		{"close with a reason", `{"type":7,"error":"why"}` + separator, hubClose},
		{"answer to a handshake", "{}" + separator, 0},
		{"no json", "type" + separator, 0},
		{"without its end", `{"type":6}`, 0},
		{"packed ping", packed("\x91\x06"), hubPing},
		{"packed ack that ends like json", packed("\x92\x08\x1e"), hubAck},
		{"packed close with a reason", packed("\x92\x07\xb4because of a long on"), hubClose},
		{"packed with a long head", packed("\xdc\x00\x01\x06"), hubPing},
		{"packed without a number", packed("\x91\xa1x"), 0},
		{"packed, cut off", "\x03\x92\x07", 0},
		{"two packed", packed("\x91\x06") + packed("\x91\x06"), 0},
		{"packed and empty", "\x00", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hubType([]byte(c.message)); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}
