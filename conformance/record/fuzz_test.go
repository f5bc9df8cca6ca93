package record

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/conformance"
)

// newExchange is a request that was noted.
func newExchange(t *testing.T, method, target string, body []byte) (*Recorder, *exchange) {
	t.Helper()
	r, err := New(Options{To: &url.URL{Scheme: "http", Host: "app", Path: "/hub"}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(method, target, bytes.NewReader(body))
	x, err := r.begin(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		t.Fatal(err)
	}
	return r, x
}

// FuzzSaid has either end say anything. The transcript can be read, and says it
// again.
func FuzzSaid(f *testing.F) {
	for _, seed := range []string{
		"{\"type\":1,\"invocationId\":\"s1\",\"target\":\"a\",\"arguments\":[]}\x1e{\"type\":6}\x1e", "\x0c\x96\x01\x80\xa2s1\xa1a\x90\x90\x02\x91\x06", "\x03\x92\x08\x1e", "\x80\x80\x80\x80\x00",
		`{"C":"d-1","G":"groups token","M":[{"H":"h","M":"m","A":["${x}"]}]}`, "{}", "${a}`\n", "\xff${1*$}{",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, x := newExchange(t, http.MethodPost, "/hub?id=a", data)
		x.carry()
		x.heard(conformance.Binary, data)
		x.answeredWith(conformance.Response{Status: 200}, "", data, nil)
		s := &socket{x: x}
		s.said(conformance.Client, opText, data)
		s.said(conformance.Server, opClose, data)
		want := r.Transcript()
		got, err := conformance.Load(want.Text())
		if err != nil {
			t.Fatalf("%v in\n%s", err, want.Text())
		}
		for i := range got.Steps {
			got.Steps[i].Line = 0
		}
		if diff := cmp.Diff(want.Steps, got.Steps, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-noted +read)\n%s", diff)
		}
	})
}

// FuzzEvents has a server send anything as an event stream. It goes on unchanged,
// and its pieces mean nothing.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\r\ndata: b\r\n\r\n: c\n\ndata: d\n\ndata"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var noted []string
		for _, pieces := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
			r, x := newExchange(t, http.MethodGet, "/hub?id=a", nil)
			x.carry()
			got, err := io.ReadAll(&events{ReadCloser: io.NopCloser(pieces), x: x})
			if err != nil || !bytes.Equal(got, stream) {
				t.Fatalf("%q, %v", got, err)
			}
			noted = append(noted, string(r.Transcript().Text()))
		}
		if diff := cmp.Diff(noted[0], noted[1]); diff != "" {
			t.Errorf("the pieces matter:\n%s", diff)
		}
	})
}

// FuzzNegotiate has a server answer anything to a negotiate. What goes on differs
// from that in its url at most.
func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{
		`{"url":"http://service/client/?hub=a\u0026b","accessToken":"a.b.c"}`, `{"connectionId":"connection","connectionToken":"the token","url":null}`,
		`{"RedirectUrl":"https://service","AccessToken":1}`, `{"url":"http://[::1]:1x"}`, "[]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		r, x := newExchange(t, http.MethodPost, "/hub/negotiate", nil)
		resp := &http.Response{Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(answer))}
		if err := x.negotiated(resp); err != nil {
			return
		}
		passed, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if x.original == nil && !bytes.Equal(passed, answer) || x.original != nil && !bytes.Equal(x.original, answer) {
			t.Errorf("%q went on as %q", answer, passed)
		}
		if _, err := conformance.Load(r.Transcript().Text()); err != nil {
			t.Error(err)
		}
	})
}

// FuzzRequest has a client ask for anything that gets through to a handler. The
// transcript can be read.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "hub?access_token=a.b.c&id=%2B&&=;x", "Accept", "${x}")
	f.Add("patch", "~1/x", "Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x")
	f.Add("POST", "hub?\xff=${x}", "Cookie", "a=b; c=d")
	f.Fuzz(func(t *testing.T, method, target, name, value string) {
		var head bytes.Buffer
		fmt.Fprintf(&head, "%s /%s HTTP/1.1\r\nHost: here\r\n%s: %s\r\n\r\n", method, target, name, value)
		req, err := http.ReadRequest(bufio.NewReader(&head))
		if err != nil {
			return
		}
		r, err := New(Options{To: &url.URL{Scheme: "http", Host: "app", Path: "/hub"}, AccessKey: "a key of the service"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.begin(req); err != nil {
			return
		}
		text := r.Transcript().Text()
		if _, err := conformance.Load(text); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	})
}
