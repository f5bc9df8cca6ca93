package conformance_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// serveSockets answers every negotiate and hands every WebSocket to f, whose return
// ends it, until the test ends.
func serveSockets(t *testing.T, f func(c net.Conn, over <-chan struct{})) string {
	t.Helper()
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.WriteString(w, `{"connectionId":"one","connectionToken":"secret","availableTransports":[{"transport":"WebSockets"}]}`)
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		f(c, over)
	}))
	t.Cleanup(func() { close(over); s.Close() })
	return s.URL
}

func loadSteps(t *testing.T, steps string) *conformance.Transcript {
	t.Helper()
	tr, err := conformance.Load([]byte(steps))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// A server that takes nothing off its socket does not hold up a replay whose time
// is over.
func TestReplayEndsWhileWriting(t *testing.T) {
	t.Parallel()
	url := serveSockets(t, func(_ net.Conn, over <-chan struct{}) { <-over })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	tr := loadSteps(t, "client c1> connect WebSockets\nclient c1> text `${60000000*x}`\n")
	err := conformance.Replay(ctx, tr, conformance.Options{URL: url, Hub: true})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "line 2: ") {
		t.Errorf("got %v, want the end of the time in line 2", err)
	}
}

// A client that resumes without having dropped its first WebSocket leaves none
// behind.
func TestReplayEndsWithTwoSockets(t *testing.T) {
	url := serveSockets(t, func(c net.Conn, _ <-chan struct{}) { io.Copy(io.Discard, c) })
	tr := loadSteps(t, "client c1> connect WebSockets\nclient c1> resume\n")
	if err := conformance.Replay(t.Context(), tr, conformance.Options{URL: url, Hub: true, Patience: 100 * time.Millisecond}); err != nil {
		t.Error(err)
	}
}

// A frame that is no message is shown whole.
func TestReplayUnparsed(t *testing.T) {
	url := serveSockets(t, func(c net.Conn, over <-chan struct{}) {
		io.WriteString(c, "\x82\x03\x02\xc1\xc1")
		<-over
	})
	for _, c := range []struct{ name, hex, got string }{
		{"the same", "02c1c1", ""},
		{"another", "02c1c0", "relay s1> Unparsed\n  hex x\"02c1c1\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := loadSteps(t, "app s1> GET /server/\n  Upgrade: websocket\nrelay s1> 101\nrelay s1> Unparsed\n  hex x\""+c.hex+"\"\n")
			err := conformance.Replay(t.Context(), tr, conformance.Options{URL: url})
			var d *conformance.Difference
			if errors.As(err, &d) && d.Got != c.got || d == nil && (err != nil || c.got != "") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A bound of time holds for messages about a client too, however patient the replay
// is.
func TestReplayWithin(t *testing.T) {
	url := serveSockets(t, func(_ net.Conn, over <-chan struct{}) { <-over })
	for _, message := range []string{"OpenConnection ConnectionID=a Protocol=json", "ConnectionData ConnectionID=a Data=`b`", "CloseConnection ConnectionID=a"} {
		name, _, _ := strings.Cut(message, " ")
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			tr := loadSteps(t, "app s1> GET /server/\n  Upgrade: websocket\nrelay s1> 101\nrelay s1> within 20ms "+message+"\n")
			err := conformance.Replay(ctx, tr, conformance.Options{URL: url, Patience: time.Minute})
			var d *conformance.Difference
			if !errors.As(err, &d) || d.Got != "" || ctx.Err() != nil {
				t.Errorf("got %v, want a difference within the bound", err)
			}
		})
	}
}
