package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A second signal ends a command without a verdict.
func TestCutShort(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"serve":          {[]string{"serve"}, exitFailure},
		"bench":          {[]string{"bench"}, exitFailure},
		"conform core":   {[]string{"conform", "core", "http://127.0.0.1/hub"}, exitUsage},
		"conform client": {[]string{"conform", "client"}, exitUsage},
		"conform replay": {[]string{"conform", "replay", "file", "http://127.0.0.1/hub"}, exitUsage},
		"record":         {[]string{"record", "--to=http://127.0.0.1/hub", "--out=file"}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewProgram()
			if err := p.ParseFlags(c.args, nil); err != nil {
				t.Fatal(err)
			}
			if got := p.cutShort(); got != c.want {
				t.Errorf("code %d, want %d", got, c.want)
			}
		})
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What nobody can read was not found out, however it went.
func TestConformReportIsLost(t *testing.T) {
	demo := startDemo(t)
	for name, args := range map[string][]string{
		"a report":             {"core", demo + "/chat", "--run=^negotiate-v1$"},
		"a list":               {"core", "--list"},
		"a list for clients":   {"client", "--list"},
		"a report for clients": {"client", "--listen=127.0.0.1:0", "--for=1ms", "--format=json"},
	} {
		t.Run(name, func(t *testing.T) {
			var errOut output
			p := NewProgram()
			p.Stdout, p.Stderr = full{}, &errOut
			if err := p.ParseFlags(append([]string{"conform"}, args...), nil); err != nil {
				t.Fatal(err)
			}
			if code := p.report(p.Run(t.Context())); code != exitUsage || !strings.Contains(errOut.String(), "no space left") {
				t.Errorf("code %d, want %d\n%s", code, exitUsage, &errOut)
			}
		})
	}
}

// An endpoint that takes connections and says nothing is not waited for for ever.
func TestReplayHangs(t *testing.T) {
	t.Parallel() // it takes answerTime
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := writeFile(t, "plain.txt", "client h1> GET /\nrelay h1> 200\n")
	began := time.Now()
	stdout, stderr, code := command(t, nil, "conform", "replay", file, "http://"+l.Addr().String())
	if code != exitUsage || !strings.Contains(stderr, "no answer in time") {
		t.Errorf("code %d, want %d\n%s%s", code, exitUsage, stdout, stderr)
	}
	if took := time.Since(began); took < answerTime {
		t.Errorf("it is waited for for %v only", took)
	}
}

// A name may have several values in a query, in the URL and besides.
func TestConformQuery(t *testing.T) {
	for _, kind := range []string{"core", "legacy"} {
		t.Run(kind, func(t *testing.T) {
			var mu sync.Mutex
			var asked []url.Values
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.URL.Query())
				http.NotFound(w, r)
			}))
			defer s.Close()
			command(t, nil, "conform", kind, s.URL+"/hub?tag=c", "--query=tag=a", "--query=tag=b", "--query=x=1=2")
			if len(asked) == 0 {
				t.Fatal("nothing was asked")
			}
			for _, q := range asked {
				if !slices.Equal(q["tag"], []string{"c", "a", "b"}) || !slices.Equal(q["x"], []string{"1=2"}) {
					t.Errorf("asked with %v", q)
				}
			}
		})
	}
}
