package record_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/record"
)

// TestPassedOnAtOnce has a server that says the next thing only when the client
// has told it that the last one came.
func TestPassedOnAtOnce(t *testing.T) {
	came := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			select {
			case <-came:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer server.Close()
	for _, kind := range []string{"text/event-stream", "application/json"} {
		t.Run(kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r := startRecorder(t, record.Options{}, server.URL+"/hub")
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/hub?type="+kind, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			for i := range 3 {
				if !lines.Scan() || lines.Text() != fmt.Sprint("data: ", i) || !lines.Scan() {
					t.Fatalf("line %q, %v", lines.Text(), lines.Err())
				}
				came <- struct{}{}
			}
			if lines.Scan() {
				t.Errorf("more: %q", lines.Text())
			}
			text := r.text(t)
			want := "server h1> event `0`\nserver h1> event `1`\nserver h1> event `2`\nserver h1> close\n"
			if kind == "application/json" {
				want = "body `data: 0\n\ndata: 1"
				text = bytes.ReplaceAll(text, []byte(`\n`), []byte("\n"))
				want = strings.ReplaceAll(want, "`", `"`)
			}
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("transcript:\n%s", text)
			}
		})
	}
}

// TestUnchanged has a server that answers with what it was asked.
func TestUnchanged(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Mine", "kept")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %q %s", r.Method, r.RequestURI, r.Header.Get("X-Forwarded-For"), r.Header.Get("User-Agent"), r.Header.Get("Accept-Encoding"), body)
	}))
	defer server.Close()
	r := startRecorder(t, record.Options{}, server.URL+"/a%2Fb")
	req, err := http.NewRequestWithContext(t.Context(), "PUT", r.url+`/a%2Fb/c;d?x=%41&&y=[{"n":1}]&;`, strings.NewReader("bytes"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "10.0.0.1")
	req.Header.Set("User-Agent", "")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := `PUT /a%2Fb/c;d?x=%41&&y=[{"n":1}]&; 10.0.0.1  "" bytes`
	if string(body) != want || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Mine") != "kept" {
		t.Errorf("%d %s\nwant %s", resp.StatusCode, body, want)
	}
	if text := r.text(t); !bytes.Contains(text, []byte("client h1> PUT /c;d?x=%41&&y=[{\"n\":1}]&;\n")) {
		t.Errorf("transcript:\n%s", text)
	}
}

// TestAnsweredEarly has a server that does not wait for the end of what it is
// sent. What was sent is noted in its length: that may be what it has against it.
func TestAnsweredEarly(t *testing.T) {
	const size = 16 << 20 // more than the sockets between them hold
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 1)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer server.Close()
	r := startRecorder(t, record.Options{}, server.URL+"/hub")
	resp, err := http.Post(r.url+"/hub?id=1", "", strings.NewReader(strings.Repeat("x", size)))
	if err == nil { // else the connection was cut before the client had the answer
		resp.Body.Close()
	}
	tr, err := conformance.Load(r.text(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Steps) < 2 {
		t.Fatalf("transcript:\n%s", tr.Text())
	}
	asked, _ := tr.Steps[0].Said.(conformance.Request)
	came, rest, _ := bytes.Cut(asked.Body, []byte("${"))
	if string(rest) != fmt.Sprintf("%d*x}", size-len(came)) {
		t.Errorf("of %d bytes %d came, and then %s", size, len(came), rest)
	}
	if answer, _ := tr.Steps[1].Said.(conformance.Response); answer.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("answer: %s", tr.Steps[1])
	}
}
