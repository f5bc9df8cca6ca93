package suite_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// A case ends, and says so, when an endpoint never stops sending, even what means
// nothing.
func TestFlood(t *testing.T) {
	const (
		core    = `{"connectionId":"one","connectionToken":"secret","availableTransports":[{"transport":"ServerSentEvents"},{"transport":"LongPolling"}]}`
		asp     = `{"ConnectionToken":"secret","ConnectionId":"one","TryWebSockets":true,"KeepAliveTimeout":20.0}`
		initial = `{"C":"a","S":1,"M":[]}`
		begin   = "data: initialized\n\ndata: " + initial + "\n\n"
	)
	flood := conformance.ErrFlood.Error()
	for name, c := range map[string]struct {
		set       *suite.Set
		by        string
		negotiate string
		kind      string
		first     string // what comes before the flood
		again     string // what it is made of
		got       string
	}{
		"an answer to negotiate":         {suite.CoreSet(), "ids-are-new", "", "", "", "x", "200 xxx"}, // no more of it is read
		"comments":                       {suite.CoreSet(), "sse-events", core, "text/event-stream", "", ":\r\n", flood},
		"a poll":                         {suite.CoreSet(), "poll-handshake-first", core, "", "", "x", flood},
		"a transcript":                   {suite.CoreSet(), "cors-poll", core, "", "", "x", flood},
		"an answer to negotiate, legacy": {suite.LegacySet(), "negotiate-types", "", "", "", "x", "200 none xxx"},
		"empty lines":                    {suite.LegacySet(), "abort-sse", asp, "text/event-stream", begin, strings.Repeat("\r", 99) + "\n", flood},
		"messages to who is gone":        {suite.LegacySet(), "reconnect-sse", asp, "text/event-stream", begin, "data: {}\n\n", initial},
		"blanks":                         {suite.LegacySet(), "connect-longpolling", asp, "application/json; charset=UTF-8", "", " ", flood},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch action := r.URL.Path[strings.LastIndex(r.URL.Path, "/"):]; {
				case action == "/negotiate" && c.negotiate != "":
					io.WriteString(w, c.negotiate)
					return
				case action == "/start":
					w.Header().Set("Content-Type", "application/json; charset=UTF-8")
					w.Header().Set("X-Content-Type-Options", "nosniff")
					io.WriteString(w, `{ "Response": "started" }`)
					return
				case action == "/abort":
					w.Header().Set("Content-Type", "text/plain")
					w.Header().Set("X-Content-Type-Options", "nosniff")
					return
				case r.Method == http.MethodPost && action == "/hub":
					return
				}
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set("X-Content-Type-Options", "nosniff")
				io.WriteString(w, c.first)
				for more := strings.Repeat(c.again, 1<<16); ; {
					if _, err := io.WriteString(w, more); err != nil {
						return
					}
				}
			}))
			t.Cleanup(s.Close)
			at, err := url.Parse(s.URL + "/hub")
			if err != nil {
				t.Fatal(err)
			}
			c.set.Probe = nil
			began := time.Now()
			x := askOne(t, c.set, &suite.Endpoint{URL: at}, c.by)
			if x.Outcome != suite.Failed || !strings.Contains(x.Got+x.Why, c.got) || time.Since(began) > 30*time.Second {
				t.Errorf("%s after %v: want %s, got %.300s %.300s", x.Outcome, time.Since(began), x.Want, x.Got, x.Why)
			}
		})
	}
}
