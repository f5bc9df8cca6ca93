package transport_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalrelay/signalrelay/transport"
)

func TestEventStreamFraming(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"one line", "{}\x1e", "data: {}\x1e\r\n\r\n"},
		{"empty", "", "data: \r\n\r\n"},
		{"LF", "Hello\nWorld", "data: Hello\r\ndata: World\r\n\r\n"},
		{"CR LF", "Hello\r\nWorld", "data: Hello\r\ndata: World\r\n\r\n"},
		{"LF at the end", "Hello\n", "data: Hello\r\ndata: \r\n\r\n"},
		{"LF alone", "\n", "data: \r\ndata: \r\n\r\n"},
		{"CR at the end", "Hello\r", "data: Hello\r\n\r\n"},
		{"many", strings.Repeat("x\n", 20000) + "x", strings.Repeat("data: x\r\n", 20001) + "\r\n"},
		{"large", strings.Repeat("y", 300<<10), "data: " + strings.Repeat("y", 300<<10) + "\r\n\r\n"},
	} {
		for name, start := range starts {
			for _, batch := range []bool{false, true} {
				t.Run(test.name+" "+name, func(t *testing.T) {
					r := start(newRig(t), transport.Options{})
					c, p := r.connect(transport.EventStream, "a", 0)
					send := p.send
					if batch {
						send = p.more
					}
					var got string
					for range 3 {
						if err := send(test.in); err != nil {
							t.Fatal(err)
						}
						got += c.chunk()
					}
					if d := cmp.Diff(strings.Repeat(test.want, 3), got); d != "" {
						t.Errorf("%.300s", d)
					}
				})
			}
		}
	}
}

// A foreign HTTP client sees a proper response from its head to its end.
func TestEventStreamByHTTPClient(t *testing.T) {
	r := newRig(t).start(transport.Options{})
	p := r.peer("a")
	p.send("waiting") // from before there was a stream
	req := must[*http.Request](t)(http.NewRequest("GET", "http://"+r.addr+"/c?id=a", nil))
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Origin", "http://page")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := map[string]string{}
	for _, h := range []string{"Content-Type", "Cache-Control", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Content-Length"} {
		got[h] = res.Header.Get(h)
	}
	if d := cmp.Diff(map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "http://page",
		"Access-Control-Allow-Credentials": "true", "Content-Length": ""}, got); d != "" {
		t.Error(d)
	}
	p.send("hello")
	p.Close(1000, "not for event streams")
	b, err := io.ReadAll(res.Body)
	if want := ":\r\ndata: waiting\r\n\r\ndata: hello\r\n\r\n"; err != nil || string(b) != want {
		t.Errorf("%q, %v, want %q", b, err, want)
	}
	if err := wait(t, "end", p.closed); err != nil {
		t.Errorf("Closed(%v)", err)
	}
}

// One Conn has one transport and, unless it polls, one carrier at a time.
func TestCarryRefuses(t *testing.T) {
	for _, first := range kinds {
		for _, second := range kinds {
			if first == second && first == transport.LongPoll {
				continue
			}
			t.Run(first.String()+" then "+second.String(), func(t *testing.T) {
				r := newRig(t).start(transport.Options{})
				_, p := r.connect(first, "a", 0)
				c := r.dial(0)
				c.send([]byte(request(second, "a")))
				if res, _ := c.respond(); res.StatusCode != 409 {
					t.Errorf("second carrier: %s", res.Status)
				}
				if !p.Carried() || p.Kind() != first || p.Bind(second) != (first == second) {
					t.Errorf("carried %v, kind %v", p.Carried(), p.Kind())
				}
			})
		}
	}
}
