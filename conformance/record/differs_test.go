package record_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/record"
)

// TestReplayDiffers changes what was recorded: the server that is right is then
// one that differs, and has to be found.
func TestReplayDiffers(t *testing.T) {
	for _, c := range []struct{ name, scenario, was, is, want string }{
		{"another result", "core WebSockets", `"result":"one"`, `"result":"two"`, `"result":"two"`},
		{"a message too many", "core WebSockets", "server c1> text `" + `{"type":3,"invocationId":"1","result":"one"}␞` + "`\n", "", "c1 differs"},
		{"a message too few", "core WebSockets", "client c1> close 1000", "server c1> text `{\"type\":7}␞`\nclient c1> close 1000", `{"type":7}`},
		{"another event", "core ServerSentEvents", `"result":"hello"`, `"result":"hallo"`, `"result":"hallo"`},
		{"an event too many", "core ServerSentEvents", "server c1> event `{}␞`\n", "", "server c1> event `{}␞`"},
		{"another answer to a poll", "core LongPolling", `"result":"hello"`, `"result":"hallo"`, `"result":"hallo"`},
		{"a message too few in a poll", "core LongPolling", `{"type":3,"invocationId":"7","result":"hello"}␞`, `{"type":3,"invocationId":"7","result":"hello"}␞{"type":7}␞`, `{"type":7}`},
		{"another status", "core LongPolling", "> 202", "> 204", "204"},
		{"another content type", "core LongPolling", "Content-Type: application/octet-stream", "Content-Type: text/plain", "text/plain"},
		{"another item of a stream", "core stream", `"item":1}`, `"item":9}`, `"item":9}`},
		{"a result that does not come", "core stream", "client c1> close 1000", "server c1> text `{\"type\":3,\"invocationId\":\"3\"}␞`\nclient c1> close 1000", `"invocationId":"3"`},
		{"a count of messages", "core stateful", "server c1-2> text `{\"type\":9,\"sequenceId\":1}", "server c1-2> text `{\"type\":9,\"sequenceId\":2}", `"sequenceId":2`},
		{"another question in messagepack", "core messagepack", hex.EncodeToString([]byte("question")), hex.EncodeToString([]byte("answered")), "want  server c1> binary"},
		{"another result of ASP.NET SignalR", "legacy longPolling", `"R":"one"`, `"R":"two"`, `"R":"two"`},
		{"the same on a socket", "legacy webSockets", `"R":"one"`, `"R":"two"`, `"R":"two"`},
		{"no init message", "legacy serverSentEvents", `"S":1`, `"S":2`, `"S":2`},
		{"another answer to start", "legacy serverSentEvents", `"started"`, `"begun"`, `"begun"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			s, app := scenarios[c.scenario], startApps(t)
			r := startRecorder(t, record.Options{}, app+s.path)
			s.do(ctx, t, r.url)
			text := string(r.text(t))
			changed := strings.Replace(text, c.was, c.is, 1)
			if changed == text {
				t.Fatalf("there is no %s in\n%s", c.was, text)
			}
			tr, err := conformance.Load([]byte(changed))
			if err != nil {
				t.Fatal(err)
			}
			err = conformance.ReplayRecording(ctx, tr, conformance.Options{URL: app + s.path, Patience: time.Second})
			var d *conformance.Difference
			if !errors.As(err, &d) || !strings.Contains(d.Error(), c.want) {
				t.Errorf("found %v\nin\n%s", err, changed)
			}
		})
	}
}

// TestReplayAgrees changes what was recorded to what might have been as well.
func TestReplayAgrees(t *testing.T) {
	swapped := func(a, b string) func(string) string {
		return strings.NewReplacer(a, b, b, a).Replace
	}
	for _, c := range []struct {
		name, scenario string
		change         func(string) string
	}{
		{"the end of two uploads", "core uploads", swapped(`{"type":3,"invocationId":"1","result":7}`, `{"type":3,"invocationId":"2","result":9}`)},
		{"the answer to who leaves", "core leaving", func(text string) string {
			at := strings.LastIndex(text, "\nserver h")
			return text[:at] + swapped("> 200", "> 404")(text[at:])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			s, app := scenarios[c.scenario], startApps(t)
			r := startRecorder(t, record.Options{}, app+s.path)
			s.do(ctx, t, r.url)
			text := string(r.text(t))
			changed := c.change(text)
			if changed == text {
				t.Fatalf("nothing changes in\n%s", text)
			}
			for _, text := range []string{text, changed} {
				tr, err := conformance.Load([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := conformance.ReplayRecording(ctx, tr, conformance.Options{URL: app + s.path, Patience: time.Second}); err != nil {
					t.Errorf("%v\nin\n%s", err, text)
				}
			}
		})
	}
}

// TestLists has an app that lists ids in an order of its own, outside its hubs and
// below a hub, where order counts.
func TestLists(t *testing.T) {
	lists := []string{"one\ntwo", "two\none", "one\nthree", "one\ntwo\ntwo"}
	for i, list := range lists {
		for path, want := range map[string]int{"/list": 2, "/hub/list": 1} {
			t.Run(fmt.Sprint(path, i), func(t *testing.T) {
				t.Parallel()
				says := lists[0]
				app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, says) }))
				defer app.Close()
				r := startRecorder(t, record.Options{}, app.URL+"/hub")
				ask(t.Context(), t, http.MethodGet, r.url+path, "", "")
				tr, err := conformance.Load(r.text(t))
				if err != nil {
					t.Fatal(err)
				}
				says = list
				err = conformance.ReplayRecording(t.Context(), tr, conformance.Options{URL: app.URL + "/hub", Patience: 50 * time.Millisecond})
				if agrees := i < want; (err == nil) != agrees {
					t.Errorf("%q instead of %q: %v", list, lists[0], err)
				}
			})
		}
	}
}

// TestTextOfAnyLength has messages of ASP.NET SignalR in all lengths, of which one
// looks like messagepack with its length before it: { is 123.
func TestTextOfAnyLength(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range 100 {
			fmt.Fprintf(w, "data: {\"C\":\"d-%d\",\"M\":[{\"H\":\"chat\",\"M\":\"message\",\"A\":[%q]}]}\n\n", time.Now().UnixNano()%1e9+1e9, strings.Repeat("x", n))
		}
	}))
	defer app.Close()
	r := startRecorder(t, record.Options{}, app.URL+"/signalr")
	ask(t.Context(), t, http.MethodGet, r.url+"/signalr/connect?transport=serverSentEvents", "", "")
	text := r.text(t)
	tr, err := conformance.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tr.Steps); n != 103 {
		t.Errorf("%d steps", n)
	}
	if err := conformance.ReplayRecording(t.Context(), tr, conformance.Options{URL: app.URL + "/signalr"}); err != nil {
		t.Errorf("%v\nin\n%s", err, text)
	}
}

// TestLargeRecording has a server say more in all than a case of the suite may
// receive: what was recorded is no flood.
func TestLargeRecording(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 33<<16)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	defer app.Close()
	r := startRecorder(t, record.Options{}, app.URL+"/hub")
	for range 2 {
		ask(t.Context(), t, http.MethodGet, r.url+"/hub", "", "")
	}
	r.underWay.Wait()
	if err := conformance.ReplayRecording(t.Context(), r.Transcript(), conformance.Options{URL: app.URL + "/hub"}); err != nil {
		t.Errorf("%.1000s", err)
	}
}

// TestPollsWhileSending has a server that takes what a client sends only when it has
// got rid of all it has to say to it, which takes more polls in the replay.
func TestPollsWhileSending(t *testing.T) {
	var need, polls atomic.Int64
	var polled sync.Cond
	polled.L = new(sync.Mutex)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		polled.L.Lock()
		defer polled.L.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/negotiate"):
			fmt.Fprint(w, `{"negotiateVersion":1,"connectionId":"connection-id","connectionToken":"connection-token"}`)
		case r.Method == http.MethodPost:
			for polls.Load() < need.Load() {
				polled.Wait()
			}
		case r.FormValue("id") != "":
			n := polls.Add(1)
			if n > 2 {
				polled.L.Unlock()
				<-r.Context().Done()
				polled.L.Lock()
				return
			}
			fmt.Fprintf(w, "{\"type\":1,\"target\":\"poll %d\",\"arguments\":[]}\x1e", n)
			polled.Broadcast()
		}
	}))
	defer app.Close()
	r := startRecorder(t, record.Options{}, app.URL+"/hub")
	need.Store(1)
	ask(t.Context(), t, http.MethodPost, r.url+"/hub/negotiate", "", "")
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet} {
		ask(t.Context(), t, method, r.url+"/hub?id=connection-token", "", "")
	}
	tr, err := conformance.Load(r.text(t))
	if err != nil {
		t.Fatal(err)
	}
	need.Store(2)
	polls.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := conformance.ReplayRecording(ctx, tr, conformance.Options{URL: app.URL + "/hub", Patience: 2 * time.Second}); err != nil {
		t.Error(err)
	}
	need.Store(0) // for what still waits
	polled.Broadcast()
}
