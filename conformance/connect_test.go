package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// A fakeHub answers long polling and event streams as a hub does, behind a
// negotiate that redirects. Each client gets what its last send asks for.
type fakeHub struct {
	*httptest.Server
	answers chan string
	head    http.Header
}

func newFakeHub(t *testing.T) *fakeHub {
	h := &fakeHub{answers: make(chan string, 10), head: http.Header{"X-Seen": {"yes"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /app/negotiate", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"url": h.URL + "/client/?" + r.URL.RawQuery + "&sent=here", "accessToken": "abc"})
	})
	mux.HandleFunc("POST /client/negotiate", func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.Header.Get("Authorization") != "Bearer abc" || q.Get("sent") != "here" || q.Get("user") != "alice" || len(q["negotiateVersion"]) != 1 {
			http.Error(w, "not as a client does it: "+r.URL.RawQuery, http.StatusBadRequest)
			return
		}
		io.WriteString(w, `{"connectionId":"one","connectionToken":"secret","availableTransports":[{"transport":"LongPolling"},{"transport":"ServerSentEvents"}],"more":1}`)
	})
	var polls atomic.Int32
	mux.HandleFunc("/client/", func(w http.ResponseWriter, r *http.Request) {
		for name, v := range h.head {
			w.Header()[name] = v
		}
		switch {
		case r.URL.Query().Get("id") != "secret" || r.Header.Get("Authorization") != "Bearer abc":
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			h.answers <- string(body)
		case r.Header.Get("Accept") == "text/event-stream":
			rc := http.NewResponseController(w)
			io.WriteString(w, ":\r\n")
			rc.Flush()
			for {
				select {
				case a := <-h.answers:
					if a == "end\x1e" {
						return
					}
					fmt.Fprintf(w, "data: %s\r\n\r\n", a)
					rc.Flush()
				case <-r.Context().Done():
					return
				}
			}
		default:
			if polls.Add(1) == 1 {
				return
			}
			select {
			case a := <-h.answers:
				if a == "end\x1e" {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				io.WriteString(w, a)
			case <-r.Context().Done():
			}
		}
	})
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

// nothing is what came where a message should have.
const nothing = "nothing"

// A client connects by each transport, is followed where it is sent, and its
// messages are cut whatever brought them.
func TestConnect(t *testing.T) {
	for _, transport := range []string{"LongPolling", "ServerSentEvents"} {
		for name, c := range map[string]struct{ steps, got string }{
			"agrees":           {"client c1> text `a␞b`\nclient c1> text `c␞d␞`\nserver c1> text `a␞`\nserver c1> text `bc␞`\nserver c1> text `d␞`\n", ""},
			"another":          {"client c1> text `a␞`\nserver c1> text `b␞`\n", "server c1> text `a␞`"},
			"one less":         {"client c1> text `a␞b␞`\nserver c1> text `a␞`\nclient h1> GET ?id=x\nserver h1> 404\nserver c1> text `b␞`\nserver c1> within 100ms text `c␞`\n", nothing},
			"one more":         {"client c1> text `a␞b␞c␞`\nserver c1> text `a␞`\nserver c1> text `b␞`\nclient c1> text `d␞`\nserver c1> text `d␞`\n", "server c1> text `c␞`"},
			"ends in between":  {"client c1> text `a␞b`\nserver c1> text `a␞`\nclient c1> text `end␞`\nserver c1> close 1000\n", "server c1> text `b`"},
			"ends":             {"client c1> text `end␞`\nserver c1> close 1000\n", ""},
			"too early":        {"client c1> text `a␞`\nserver c1> after 2s text `a␞`\n", "server c1> text `a␞`"},
			"too late":         {"server c1> within 50ms text `a␞`\n", nothing},
			"in time":          {"client c1> text `a␞`\nserver c1> within 5s text `a␞`\n", ""},
			"numbers":          {"client c1> text `{\"a\":1,\"b\":2}␞`\nserver c1> text `{\"b\":2,\"a\":1}␞`\n", ""},
			"numbers written":  {"client c1> text `{\"a\":1.0,\"b\":1e2}␞`\nserver c1> text `{\"a\":1,\"b\":100}␞`\n", ""},
			"long numbers":     {"client c1> text `{\"a\":9007199254740993}␞`\nserver c1> text `{\"a\":9007199254740992}␞`\n", "server c1> text `{\"a\":9007199254740993}␞`"},
			"any":              {"client c1> text `{\"a\":1,\"b\":[2]}␞`\nserver c1> text `{\"a\":1,\"b\":\"(any)\"}␞`\n", ""},
			"any absent":       {"client c1> text `{\"a\":1}␞`\nserver c1> text `{\"a\":1,\"b\":\"(any)\"}␞`\n", "server c1> text `{\"a\":1}␞`"},
			"none":             {"client c1> text `{\"a\":1}␞`\nserver c1> text `{\"a\":1,\"b\":\"(none)\"}␞`\n", ""},
			"none there":       {"client c1> text `{\"a\":1,\"b\":null}␞`\nserver c1> text `{\"a\":1,\"b\":\"(none)\"}␞`\n", "server c1> text `{\"a\":1,\"b\":null}␞`"},
			"others":           {"client c1> text `{\"a\":1,\"c\":[]}␞`\nserver c1> text `{\"a\":1,\"...\":\"\"}␞`\n", ""},
			"others but":       {"client c1> text `{\"b\":1}␞`\nserver c1> text `{\"a\":1,\"...\":\"\"}␞`\n", "server c1> text `{\"b\":1}␞`"},
			"captured":         {"client c1> text `{\"a\":\"x\"}␞{\"a\":\"x\"}␞`\nserver c1> text `{\"a\":\"${a}\"}␞`\nserver c1> text `{\"a\":\"${a}\"}␞`\n", ""},
			"headers":          {"client h1> GET ?id=x\nserver h1> 404\n  X-Seen: (any)\n  X-Unseen: (none)\n", ""},
			"header not there": {"client h1> GET ?id=x\nserver h1> 404\n  X-Unseen: (any)\n", "server h1> 404"},
			"header there":     {"client h1> GET ?id=x\nserver h1> 404\n  X-Seen: (none)\n", "server h1> 404"},
		} {
			t.Run(transport+"/"+name, func(t *testing.T) {
				t.Parallel()
				h := newFakeHub(t)
				tr, err := conformance.Load([]byte("client c1> connect " + transport + "\n" + c.steps))
				if err != nil {
					t.Fatal(err)
				}
				err = conformance.Replay(t.Context(), tr, conformance.Options{URL: h.URL + "/app?user=alice", Hub: true, Patience: 2 * time.Second})
				var d *conformance.Difference
				switch {
				case c.got == "":
					if err != nil {
						t.Error(err)
					}
				case !errors.As(err, &d):
					t.Errorf("got %v, want a difference", err)
				case c.got == nothing && d.Got != "", c.got != nothing && !strings.HasPrefix(d.Got, c.got):
					t.Errorf("got %q, want %q", d.Got, c.got)
				}
			})
		}
	}
}

func TestConnectUnavailable(t *testing.T) {
	h := newFakeHub(t)
	tr, err := conformance.Load([]byte("client c1> connect WebSockets\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = conformance.Replay(t.Context(), tr, conformance.Options{URL: h.URL + "/app?user=alice", Hub: true})
	var lacks *conformance.UnavailableError
	if !errors.As(err, &lacks) || lacks.Transport != "WebSockets" {
		t.Errorf("got %v", err)
	}
	err = conformance.Replay(t.Context(), tr, conformance.Options{URL: h.URL + "/client?user=bob", Hub: true})
	var d *conformance.Difference
	if !errors.As(err, &d) || !strings.Contains(d.Got, "not as a client does it") {
		t.Errorf("got %v, want a difference", err)
	}
}
