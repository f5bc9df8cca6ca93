package conformance_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// flood writes the same again and again until nobody reads it.
func flood(w io.Writer, what string) {
	for what = strings.Repeat(what, 1+(1<<20)/len(what)); ; {
		if _, err := io.WriteString(w, what); err != nil {
			return
		}
	}
}

const ping = `{"type":6}` + "\x1e" // which no transcript tells of

// An endpoint that never stops sending is stopped, and the replay says so. It does
// not wait for its patience to end.
func TestReplayFlood(t *testing.T) {
	const handshake = "client c1> text `{\"protocol\":\"json\",\"version\":1}␞`\nserver c1> text `{}␞`\n"
	negotiated := func(transport string, serve http.HandlerFunc) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/negotiate") {
				fmt.Fprintf(w, `{"connectionId":"one","connectionToken":"secret","availableTransports":[{"transport":%q}]}`, transport)
			} else if r.Method == http.MethodGet {
				serve(w, r)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	piece := strings.Repeat("x", 0x64) // of what does not end
	var polled atomic.Bool
	for name, c := range map[string]struct{ url, steps string }{
		"messages":    {serveSockets(t, func(c net.Conn, _ <-chan struct{}) { flood(c, "\x81\x0b"+ping) }), "client c1> connect WebSockets\n" + handshake},
		"one message": {serveSockets(t, func(c net.Conn, _ <-chan struct{}) { io.WriteString(c, "\x01\x64"+piece); flood(c, "\x00\x64"+piece) }), "client c1> connect WebSockets\n" + handshake},
		"pieces":      {serveSockets(t, func(c net.Conn, _ <-chan struct{}) { flood(c, "\x81\x64"+piece) }), "client c1> connect WebSockets\n" + handshake},
		"frames":      {serveSockets(t, func(c net.Conn, _ <-chan struct{}) { flood(c, "\x82\x02\x01\xc1") }), "app s1> GET /server/\n  Upgrade: websocket\nrelay s1> 101\nrelay s1> Ack AckID=1 Status=1\n"},
		"events":      {negotiated("ServerSentEvents", func(w http.ResponseWriter, _ *http.Request) { flood(w, "data: "+ping+"\r\n\r\n") }), "client c1> connect ServerSentEvents\n" + handshake},
		"one event":   {negotiated("ServerSentEvents", func(w http.ResponseWriter, _ *http.Request) { flood(w, "data: "+piece+"\n") }), "client c1> connect ServerSentEvents\n" + handshake},
		"polls": {negotiated("LongPolling", func(w http.ResponseWriter, _ *http.Request) {
			if polled.Swap(true) {
				io.WriteString(w, strings.Repeat(ping, 1<<16))
			}
		}), "client c1> connect LongPolling\n" + handshake},
		"one answer": {negotiated("LongPolling", func(w http.ResponseWriter, _ *http.Request) { flood(w, "x") }), "client h1> GET ?id=x\nserver h1> 200\n"},
		"its end":    {negotiated("LongPolling", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 65<<20)) }), "client h1> GET ?id=x\nserver h1> 200\n"},
	} {
		t.Run(name, func(t *testing.T) {
			hub := !strings.HasPrefix(c.steps, "app")
			began := time.Now()
			err := conformance.Replay(t.Context(), loadSteps(t, c.steps), conformance.Options{URL: c.url, Hub: hub, Patience: time.Minute})
			var d *conformance.Difference
			if !errors.As(err, &d) || !strings.HasSuffix(d.Got, "> "+conformance.ErrFlood.Error()) || time.Since(began) > 30*time.Second {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
	}
}

// What is not too much is taken whole.
func TestReplayLongAnswer(t *testing.T) {
	const size = 40 << 20
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", size)) }))
	t.Cleanup(s.Close)
	steps := loadSteps(t, fmt.Sprintf("client h1> GET /\nrelay h1> 200\n  body `${%d*x}`\n", size))
	if err := conformance.Replay(t.Context(), steps, conformance.Options{URL: s.URL}); err != nil {
		t.Error(err)
	}
}
