package aspnetlegacy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

const (
	key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH" // the public key of Microsoft's emulator
	// patience bounds the wait for what must happen; only a failing test needs it.
	patience = 10 * time.Second

	application = "Shop"
	audience    = "http://localhost/aspnetclient"
)

// TestMain looks for goroutines that outlived their service.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(patience); ; {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "signalrelay/transport.") && !strings.Contains(string(stacks), "signalrelay/relay") {
			break
		}
		if time.Now().After(end) {
			fmt.Printf("goroutines are left:\n%s\n", stacks)
			code = 1
			break
		}
		time.Sleep(time.Millisecond) // between two looks; the looks decide
	}
	os.Exit(code)
}

// A service is an adapter that listens.
type service struct {
	*aspnetlegacy.Adapter
	t     testing.TB
	relay *relay.Relay
	srv   *transport.Server
	keys  *auth.Keys
	addr  string
	http  *http.Client
}

func serve(t testing.TB, o aspnetlegacy.Options) *service {
	return serveNode(t, aspnet.Options{}, o)
}

func serveNode(t testing.TB, n aspnet.Options, o aspnetlegacy.Options) *service {
	keys, err := auth.NewKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	n.Keys, n.InstanceID, n.Logger = keys, "node-1", slog.New(slog.DiscardHandler)
	s := &service{t: t, relay: relay.New(), keys: keys}
	s.Adapter = aspnetlegacy.New(aspnet.NewNode(s.relay, n), o)
	s.srv = transport.NewServer(s.Serve, transport.Options{Logger: n.Logger, CloseTimeout: time.Second / 2, AdmitBody: s.AdmitBody})
	s.Bind(s.srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: patience}
	served := make(chan error, 1)
	go func() { served <- s.srv.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() {
		s.http.CloseIdleConnections()
		s.Adapter.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever is left is cut
		s.srv.Shutdown(ctx)
		<-served
		s.empty()
	})
	return s
}

// empty checks that nothing of any client is left.
func (s *service) empty() {
	s.t.Helper()
	if err := s.relay.Check(); err != nil {
		s.t.Error(err)
	}
	s.nothingKept()
	clients := 0
	for _, h := range s.relay.Hubs() {
		clients += h.Len()
	}
	if s.srv.Len() != 0 || clients != 0 {
		s.t.Errorf("left: %d connections, %d clients", s.srv.Len(), clients)
	}
}

// nothingKept waits until the adapter remembers no client, but by the ids that
// must not connect again.
func (s *service) nothingKept() {
	s.t.Helper()
	until(s.t, "nothing kept of any client", func() bool {
		messages, size := s.Kept()
		return s.Clients() == 0 && s.Logins() == 0 && messages == 0 && size == 0
	})
}

// token signs a client's access token. Claims are type, value pairs.
func (s *service) token(claims ...string) string {
	s.t.Helper()
	return s.sign(auth.Sign{NoIssuer: true}, claims...)
}

// expired signs one whose time is over.
func (s *service) expired(claims ...string) string {
	s.t.Helper()
	return s.sign(auth.Sign{NoIssuer: true, Now: time.Now().Add(-2 * time.Hour)}, claims...)
}

func (s *service) sign(o auth.Sign, claims ...string) string {
	s.t.Helper()
	list := []relay.Claim{{Type: "asrs.s.apn", Value: application}, {Type: "asrs.s.vn", Value: "1.25.1.0"}}
	for i := 0; i+1 < len(claims); i += 2 {
		c := relay.Claim{Type: claims[i], Value: claims[i+1]}
		switch c.Type {
		case "asrs.s.apn":
			list[0] = c
		case "asrs.s.vn":
			list[1] = c
		default:
			list = append(list, c)
		}
	}
	t, err := s.keys.SignClient(audience, list, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// A reply is an answer to a request.
type reply struct {
	status int
	line   string // of the status: number and reason
	body   string
	header http.Header
}

// ask makes a request; headers are name, value pairs. Nothing is escaped on
// the way.
func (s *service) ask(method, target, token, body string, headers ...string) reply {
	s.t.Helper()
	r, err := s.try(method, target, token, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *service) try(method, target, token, body string, headers ...string) (reply, error) {
	path, query, _ := strings.Cut(target, "?")
	q, err := http.NewRequest(method, "http://"+s.addr, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	q.URL = &url.URL{Scheme: "http", Host: s.addr, Opaque: "//" + s.addr + path, RawQuery: query}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Add(headers[i], headers[i+1])
	}
	r, err := s.http.Do(q)
	if err != nil {
		return reply{}, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return reply{r.StatusCode, r.Status, string(b), r.Header}, err
}

// carriers counts the sockets that carry a connection, of these kinds or all.
func (s *service) carriers(kinds ...transport.Kind) (n int64) {
	if kinds == nil {
		kinds = []transport.Kind{transport.WebSocket, transport.EventStream, transport.LongPoll}
	}
	for _, k := range kinds {
		n += s.srv.Stats().Carriers[k].Load()
	}
	return n
}

// until waits for what another goroutine is about to bring about.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); {
		if time.Now().After(end) {
			t.Fatal("still not: " + what)
		}
		time.Sleep(time.Millisecond) // between two looks; the looks decide
	}
}

// closes returns how many clients ended in a category.
func (s *service) closes(c relay.Category) (n int64) {
	s.Closes(func(x relay.Category, m int64) {
		if x == c {
			n = m
		}
	})
	return n
}
