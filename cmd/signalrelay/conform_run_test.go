package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// noHub is a server that is no hub. What its paths answer to negotiate is in
// their names.
func noHub() *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/locked/negotiate":
			w.WriteHeader(http.StatusUnauthorized)
		case "/login/negotiate":
			http.Redirect(w, r, "/page", http.StatusFound)
		case "/page/negotiate", "/page":
			io.WriteString(w, "<!DOCTYPE html>\n<title>Log in</title>\n")
		default:
			http.NotFound(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

// Whoever cannot be asked gets one sentence and exit code 2.
func TestConformCannotAsk(t *testing.T) {
	plain, secure := noHub(), noHub()
	plain.Start()
	defer plain.Close()
	secure.StartTLS()
	defer secure.Close()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no address":                {[]string{"core"}, "give the URL of the endpoint"},
		"no URL":                    {[]string{"legacy", "localhost:80"}, `"localhost:80" is no http or https URL`},
		"nothing there":             {[]string{"core", plain.URL + "/x"}, "no hub: negotiate answers 404 Not Found"},
		"nothing there, legacy":     {[]string{"legacy", plain.URL + "/x"}, "no endpoint of ASP.NET SignalR: 404"},
		"nothing there, service":    {[]string{"service", "Endpoint=" + plain.URL + ";AccessKey=abc"}, "it answers 404 to a server connection"},
		"a page":                    {[]string{"core", plain.URL + "/page"}, "no hub: "},
		"who asks?":                 {[]string{"core", plain.URL + "/locked"}, "negotiate answers 401 Unauthorized: a token can be given as --query"},
		"who asks?, legacy":         {[]string{"legacy", plain.URL + "/locked"}, "negotiate answers 401 Unauthorized: a token can be given as --query"},
		"a login":                   {[]string{"core", plain.URL + "/login"}, "negotiate answers 302 Found and leads to " + plain.URL + "/page: "},
		"a certificate of nobody":   {[]string{"core", secure.URL + "/x"}, "no answer: tls: failed to verify certificate: "},
		"the same for a service":    {[]string{"service", "Endpoint=" + secure.URL + ";AccessKey=abc"}, "tls: failed to verify certificate: "},
		"https where there is none": {[]string{"core", strings.Replace(plain.URL, "http:", "https:", 1)}, "no answer: http: server gave HTTP response to HTTPS client"},
		"a back end without URL":    {[]string{"core", plain.URL, "--back-end=x"}, `back-end: "x" is no http or https URL`},
		"no time":                   {[]string{"core", plain.URL, "--timeout=-1s"}, "timeout: -1s is less than nothing"},
		"no case at a time":         {[]string{"core", plain.URL, "--parallel=0"}, "parallel: 0 is less than one case at a time"},
		"no such case to list":      {[]string{"core", "--list", "--run=^x$"}, `run: no case has a name like "^x$"; --list prints them`},
		"no such scenario":          {[]string{"client", "--run=^x$"}, `run: no case has a name like "^x$"; --list prints them`},
		"no such format":            {[]string{"core", plain.URL, "--format=html"}, "--format must be one of"},
		"a list that is not there":  {[]string{"core", plain.URL, "--known=nowhere.txt"}, "known: open "},
		"a list without a reason":   {[]string{"core", plain.URL, "--known=" + writeFile(t, "known.txt", "# ours\nnegotiate-get\n")}, "line 2: no reason"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := command(t, nil, append([]string{"conform"}, c.args...)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("code %d, want %d and %q\n%s%s", code, exitUsage, c.want, stdout, stderr)
			}
		})
	}
}

// A run that does not come to its end tells of what came before, with exit code
// 2.
func TestConformStopped(t *testing.T) {
	for name, c := range map[string]struct {
		stop func(*Program, *httptest.Server)
		want string
	}{
		"by a signal":                   {func(p *Program, _ *httptest.Server) { p.Close() }, "interrupted"},
		"since the endpoint is no more": {func(_ *Program, s *httptest.Server) { s.Listener.Close(); panic(http.ErrAbortHandler) }, "the endpoint is gone: dial tcp "},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut output
			p := NewProgram()
			p.Stdout, p.Stderr = &out, &errOut
			var asked atomic.Int64
			var s *httptest.Server
			s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 10 { // the probe asks less, the cases more
					c.stop(p, s)
				}
				w.Header().Set("Connection", "close") // each case asks anew whether it is there
				io.WriteString(w, "{}")
			}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.Start()
			defer s.Close()
			err := p.ParseFlags([]string{"conform", "core", s.URL, "--run=^negotiate-", "--parallel=1", "--format=tap"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			code := p.report(p.Run(t.Context()))
			if code != exitUsage || !strings.Contains(errOut.String(), "cases could not be asked: "+c.want) {
				t.Errorf("code %d, want %d\n%s", code, exitUsage, errOut.String())
			}
			for _, want := range []string{"\nnot ok 1 - negotiate-", " # SKIP " + c.want, "\nBail out! " + c.want} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, &out)
				}
			}
		})
	}
}
