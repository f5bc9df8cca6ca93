package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
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
		case "/old/negotiate":
			io.WriteString(w, `{"ConnectionToken":"a","ConnectionId":"b","ProtocolVersion":"2.0"}`)
		case "/new/negotiate":
			io.WriteString(w, `{"negotiateVersion":1,"connectionId":"a","connectionToken":"b","availableTransports":[]}`)
		case "/tired/negotiate":
			io.WriteString(w, `{"error":"tired"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

// Whoever cannot be asked gets one sentence and exit code 2.
func TestConformCannotAsk(t *testing.T) {
	echo := writeFile(t, "echo.txt", "client h1> GET /\nrelay h1> 200\n")
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
		"nothing there, legacy":     {[]string{"legacy", plain.URL + "/x"}, "no endpoint of ASP.NET SignalR 2: negotiate answers 404"},
		"nothing there, service":    {[]string{"service", "Endpoint=" + plain.URL + ";AccessKey=abc"}, "it answers 404 to a server connection"},
		"a page":                    {[]string{"core", plain.URL + "/page"}, "no hub: negotiate answers 200 OK, text/html; charset=utf-8: <!DOCTYPE html> <title>Log in"},
		"the other SignalR":         {[]string{"core", plain.URL + "/old"}, "no hub of ASP.NET Core SignalR but an endpoint of ASP.NET SignalR 2: conform legacy asks those"},
		"the other SignalR, legacy": {[]string{"legacy", plain.URL + "/new"}, "no endpoint of ASP.NET SignalR 2 but a hub of ASP.NET Core SignalR: conform core asks those"},
		"an error":                  {[]string{"core", plain.URL + "/tired"}, `no hub: negotiate answers with the error "tired"`},
		"who asks?":                 {[]string{"core", plain.URL + "/locked"}, "negotiate answers 401 Unauthorized: a token can be given as --query"},
		"who asks?, legacy":         {[]string{"legacy", plain.URL + "/locked"}, "negotiate answers 401 Unauthorized: a token can be given as --query"},
		"a login":                   {[]string{"core", plain.URL + "/login"}, "negotiate answers 302 Found and leads to " + plain.URL + "/page: "},
		"a certificate of nobody":   {[]string{"core", secure.URL + "/x"}, "no answer: tls: failed to verify certificate: "},
		"the same for a service":    {[]string{"service", "Endpoint=" + secure.URL + ";AccessKey=abc"}, "tls: failed to verify certificate: "},
		"https where there is none": {[]string{"core", strings.Replace(plain.URL, "http:", "https:", 1)}, "no answer: http: server gave HTTP response to HTTPS client"},
		"a back end without URL":    {[]string{"core", plain.URL, "--back-end=x"}, `back-end: "x" is no http or https URL`},
		"a header without a name":   {[]string{"core", plain.URL, "--header=X-Ok: 1", "--header=secret"}, `header: number 2 is not "NAME: VALUE"`},
		"a header without a value":  {[]string{"legacy", plain.URL, "--header=X-Secret:  "}, `header: number 1 is not "NAME: VALUE"`},
		"a header of two lines":     {[]string{"core", plain.URL, "--header=A: b\r\nsecret: c"}, `header: number 1 is not "NAME: VALUE"`},
		"no name of a header":       {[]string{"core", plain.URL, "--header=A secret: c"}, `header: number 1 is not "NAME: VALUE"`},
		"a host":                    {[]string{"core", plain.URL, "--header=host: secret.example"}, "header: Host is not to be given"},
		"how long":                  {[]string{"core", plain.URL, "--header=Content-Length: 5"}, "header: Content-Length is not to be given"},
		"an upgrade":                {[]string{"core", plain.URL, "--header=Connection: Upgrade"}, "header: Connection is not to be given"},
		"another upgrade":           {[]string{"legacy", plain.URL, "--header=UPGRADE: h2c"}, "header: Upgrade is not to be given"},
		"a WebSocket's key":         {[]string{"replay", echo, plain.URL, "--header=sec-websocket-key: secret"}, "header: Sec-Websocket-Key is not to be given"},
		"no header to replay with":  {[]string{"replay", echo, plain.URL, "--header=x"}, `header: number 1 is not "NAME: VALUE"`},
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
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "secret") {
				t.Errorf("code %d, want %d and %q\n%s%s", code, exitUsage, c.want, stdout, stderr)
			}
		})
	}
}

// A login that is given as a header opens what is locked without, and no report
// tells it.
func TestConformHeader(t *testing.T) {
	const secret = "session=0123456789"
	demo := startDemo(t)
	hub, err := url.Parse(demo)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(hub)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != secret || r.Header.Get("X-Tenant") != "a, b" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	login := []string{"--header=Cookie: " + secret, "--header=X-Tenant:a, b"}
	echo := writeFile(t, "echo.txt", "# name: echo\n\nclient c1> connect LongPolling\nclient c1> text `{\"protocol\":\"json\",\"version\":1}␞`\nserver c1> text `{}␞`\n")
	plain := writeFile(t, "plain.txt", "# name: plain\n\nclient h1> DELETE /chat\nrelay h1> 404\n")
	recorded := writeFile(t, "recorded.txt", "# name: recorded\n# from: "+conformance.RecordedFrom+"\n\nclient h1> DELETE ?id=x\nserver h1> 404\n")
	for name, c := range map[string]struct {
		args    []string
		without int
	}{
		"core":             {[]string{"core", front.URL + "/chat", "--run=^negotiate-v1$"}, exitUsage},
		"core, as JSON":    {[]string{"core", front.URL + "/chat", "--run=^negotiate-get$", "--format=json"}, exitUsage},
		"legacy, as XML":   {[]string{"legacy", front.URL + "/signalr", "--run=^negotiate-basic$", "--format=junit"}, exitUsage},
		"replay":           {[]string{"replay", echo, front.URL + "/chat"}, exitFailure},
		"replay, plain":    {[]string{"replay", plain, front.URL}, exitFailure},
		"replay, recorded": {[]string{"replay", recorded, front.URL + "/chat"}, exitFailure},
	} {
		t.Run(name, func(t *testing.T) {
			if stdout, stderr, code := command(t, nil, append([]string{"conform"}, c.args...)...); code != c.without {
				t.Errorf("without: code %d, want %d\n%s\n%s", code, c.without, stdout, stderr)
			}
			stdout, stderr, code := command(t, nil, append(append([]string{"conform"}, c.args...), login...)...)
			if code != exitOK || strings.Contains(stdout+stderr, secret) {
				t.Errorf("code %d, want %d\n%s\n%s", code, exitOK, stdout, stderr)
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
				io.WriteString(w, `{"connectionId":"a"}`)
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
