package nodetest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/transport"
)

// A Site is a node as its clients see it. Its methods may be called concurrently.
type Site struct {
	T    testing.TB   // fails where Ask gets no answer; a copy may have another
	Addr string       // HOST:PORT
	HTTP *http.Client // of Ask and Try
}

// Serve has srv listen until the test ends. Whoever is there then is cut, and
// must have left nothing: no connection of srv, no client of any hub of r.
func Serve(t testing.TB, srv *transport.Server, r *relay.Relay) Site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Site{t, l.Addr().String(), &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: Patience}}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() {
		s.HTTP.CloseIdleConnections()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever is left is cut
		srv.Shutdown(ctx)
		<-served
		if err := r.Check(); err != nil {
			t.Error(err)
		}
		clients := 0
		for _, h := range r.Hubs() {
			clients += h.Len()
		}
		if srv.Len() != 0 || clients != 0 {
			t.Errorf("left: %d connections, %d clients", srv.Len(), clients)
		}
	})
	return s
}

// A Reply is an answer to a request.
type Reply struct {
	Status int
	Line   string // of the status: number and reason
	Body   string
	Header http.Header
}

// Ask makes a request. The target is path and query and is not escaped on the
// way, an empty token is none, and headers are name, value pairs. It fails T if
// no answer comes.
func (s *Site) Ask(method, target, token, body string, headers ...string) Reply {
	s.T.Helper()
	r, err := s.Try(method, target, token, body, headers...)
	if err != nil {
		s.T.Fatal(err)
	}
	return r
}

// Try is Ask for requests that may get no answer.
func (s *Site) Try(method, target, token, body string, headers ...string) (Reply, error) {
	q, err := http.NewRequest(method, "http://"+s.Addr, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	path, query, _ := strings.Cut(target, "?")
	q.URL = &url.URL{Scheme: "http", Host: s.Addr, Opaque: path, RawQuery: query}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Add(headers[i], headers[i+1])
	}
	r, err := s.HTTP.Do(q)
	if err != nil {
		return Reply{}, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return Reply{r.StatusCode, r.Status, string(b), r.Header}, err
}
