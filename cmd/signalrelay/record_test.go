package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// negotiates answers as a hub that has no transport but can be asked for an id.
func negotiates(t *testing.T, version int) string {
	ids := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"negotiateVersion":%d,"connectionId":"connection-%d","connectionToken":"token-%d","availableTransports":[]}`, version, ids, ids)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hub"
}

var recording = regexp.MustCompile(`(?m)^Recording: (http://127\.0\.0\.1:[0-9]+/hub) instead of http://`)

// recorded records one negotiate and returns the file.
func recorded(t *testing.T, to string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "talk.txt")
	var out output
	p := NewProgram()
	p.Stdout, p.Stderr = &out, &out
	if err := p.ParseFlags(append([]string{"record", "--to", to, "--out", file}, args...), nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }() // ends with ctx
	var at []string
	for tick := time.NewTicker(5 * time.Millisecond); at == nil; {
		select {
		case <-tick.C:
			at = recording.FindStringSubmatch(out.String())
		case err := <-ended:
			t.Fatalf("ended: %v\n%s", err, &out)
		}
	}
	resp, err := http.Post(at[1]+"/negotiate?negotiateVersion=1", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if len(args) == 0 {
		stop() // a signal
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "Recorded: "+file+", 1 request\n") {
		t.Errorf("says %s", &out)
	}
	return file
}

func TestRecord(t *testing.T) {
	for name, args := range map[string][]string{"until a signal": nil, "for a time": {"--for", "1s"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := recorded(t, negotiates(t, 1), args...)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"# name: talk\n", "client h1> POST /negotiate?negotiateVersion=1\n", `"connectionToken":"${c1token}"`} {
				if !strings.Contains(string(text), part) {
					t.Errorf("the transcript lacks %s:\n%s", part, text)
				}
			}
			for to, want := range map[string]int{negotiates(t, 1): exitOK, negotiates(t, 2): exitFailure, "http://127.0.0.1:1/hub": exitUsage} {
				if out, errOut, code := command(t, nil, "conform", "replay", file, to); code != want {
					t.Errorf("replay against %s ends with %d, want %d:\n%s%s", to, code, want, out, errOut)
				}
			}
		})
	}
}

func TestRecordRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	kept, fresh := filepath.Join(t.TempDir(), "kept.txt"), filepath.Join(t.TempDir(), "fresh.txt")
	if err := os.WriteFile(kept, []byte("an earlier recording"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		says string
		code int
	}{
		{"no hub", []string{"--out", kept}, "--to", exitUsage},
		{"no URL", []string{"--to", "localhost/hub", "--out", kept}, "http://", exitUsage},
		{"a query", []string{"--to", "http://localhost/hub?a=b", "--out", kept}, "no query", exitUsage},
		{"nowhere to write", []string{"--to", "http://localhost/hub", "--out", filepath.Join(kept, "x")}, "x: ", exitUsage},
		{"no port", []string{"--to", "http://localhost/hub", "--out", kept, "--listen", "localhost"}, "HOST:PORT", exitUsage},
		{"a port that is taken", []string{"--to", "http://localhost/hub", "--out", fresh, "--listen", taken.Addr().String()}, "in use", exitUsage},
		{"nothing said", []string{"--to", "http://localhost/hub", "--out", kept, "--for", "1ms"}, "nothing was recorded", exitFailure},
		{"nothing said for a new file", []string{"--to", "http://localhost/hub", "--out", fresh, "--for", "1ms"}, "nothing was recorded", exitFailure},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errOut, code := command(t, nil, append([]string{"record"}, c.args...)...)
			if code != c.code || !strings.Contains(errOut, c.says) {
				t.Errorf("%d, %s", code, errOut)
			}
		})
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "an earlier recording" {
		t.Errorf("the file that was there is %q, %v", text, err)
	}
	if _, err := os.Stat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file that was not there: %v", err)
	}
}
