package aspnet_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/transport"
)

func TestBearer(t *testing.T) {
	for _, c := range []struct{ name, header, query, want string }{
		{"neither", "", "", ""},
		{"header", "Bearer abc", "", "abc"},
		{"header in lower case", "bearer abc", "", "abc"},
		{"header with blanks", "BEARER   abc  ", "", "abc"},
		{"query", "", "def", "def"},
		{"header before query", "Bearer abc", "def", "abc"},
		{"another scheme", "Basic abc", "def", "def"},
		{"a scheme without a token", "Bearer ", "def", "def"},
		{"a scheme that runs on", "Bearerabc", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := aspnet.BearerOf(c.header, c.query); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	drop := func(name string) bool { return strings.EqualFold(name, "access_token") || name == "id" }
	for _, c := range []struct{ name, raw, want string }{
		{"empty", "", ""},
		{"nothing left", "id=1&access_token=x", ""},
		{"one left", "id=1&a=b&access_token=x", "?a=b"},
		{"order and repetition", "b=2&id=1&a=1&b=3", "?b=2&a=1&b=3"},
		{"escapes stay", "a=%20+%26&%C3%A4=x", "?a=%20+%26&%C3%A4=x"},
		{"no value", "a&id&b=", "?a&b="},
		{"a value with an equals sign", "a=b=c&id=d=e", "?a=b=c"},
		{"ampersands too many", "&&a=b&&&c=d&", "?a=b&c=d"},
		{"case is the flavour's matter", "ID=1&Access_Token=2", "?ID=1"},
		{"a name that only begins so", "idx=1&access_tokens=2", "?idx=1&access_tokens=2"},
		{"question marks", "a=?&?=b", "?a=?&?=b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := aspnet.Query(c.raw, drop); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// exchange runs f with a request that has these header lines.
func exchange(t *testing.T, lines string, f func(x *transport.Exchange)) {
	t.Helper()
	srv := transport.NewServer(func(x *transport.Exchange) {
		f(x)
		x.Reply(transport.Response{Status: 204})
	}, transport.Options{Logger: slog.New(slog.DiscardHandler)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: relay\r\n"+lines+"Connection: close\r\n\r\n")
	if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 204 ") {
		t.Fatalf("%q, %v", answer, err)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		trust       bool
		token       auth.Token
		want        []relay.Header // besides Host
	}{
		{"none", "", false, auth.Token{}, []relay.Header{{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}}},
		{"the app's own", "X-Custom: a\r\nAccept: */*\r\n", false, auth.Token{}, []relay.Header{
			{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}, {Name: "X-Custom", Values: []string{"a"}}, {Name: "Accept", Values: []string{"*/*"}}}},
		{"names without case are one", "x-custom: a\r\nX-CUSTOM: b\r\nX-Custom: c\r\n", false, auth.Token{}, []relay.Header{
			{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}, {Name: "x-custom", Values: []string{"a", "b", "c"}}}},
		{"of this hop", "TE: trailers\r\nKeep-Alive: 1\r\nProxy-Authorization: x\r\nSec-WebSocket-Key: x\r\nUpgrade: x\r\nExpect: x\r\n", false, auth.Token{},
			[]relay.Header{{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}}},
		{"the secret that let it in", "authorization: Bearer x\r\nAUTHORIZATION: Bearer y\r\n", false, auth.Token{},
			[]relay.Header{{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}}},
		{"ours to tell", "Asrs-Migrate-From: x\r\nasrs-instance-id: x\r\nX-ASRS-Server-Id: x\r\nAsrs-Is-Diagnostic-Client: true\r\n", false, auth.Token{},
			[]relay.Header{{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}}},
		{"a diagnostic client", "", false, auth.Token{Diagnostic: true}, []relay.Header{
			{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}, {Name: "Asrs-Is-Diagnostic-Client", Values: []string{"true"}}}},
		{"a peer that claims to be a proxy", "X-Forwarded-For: 10.0.0.1\r\n", false, auth.Token{},
			[]relay.Header{{Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}}}},
		{"a proxy", "x-forwarded-for: 10.0.0.1, 10.0.0.2\r\n", true, auth.Token{},
			[]relay.Header{{Name: "X-Forwarded-For", Values: []string{"10.0.0.1, 10.0.0.2, 127.0.0.1"}}}},
		{"a proxy that adds a line", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 10.0.0.1\r\n", true, auth.Token{},
			[]relay.Header{{Name: "X-Forwarded-For", Values: []string{"6.6.6.6, 10.0.0.1, 127.0.0.1"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := configured(t, aspnet.Options{TrustForwarded: c.trust}, primary)
			exchange(t, c.lines, func(x *transport.Exchange) {
				var got []relay.Header
				for _, h := range n.Headers(x, &c.token) {
					if h.Name != "Host" {
						got = append(got, h)
					}
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestNode(t *testing.T) {
	n := configured(t, aspnet.Options{MaxConnections: 2}, primary)
	s := aspnet.NewSessions[*int](n, keep)
	if n.Full() || n.Draining() || n.InstanceID == "" || n.ServerBuffer != 8<<20 || n.MaxFrame != 64<<20 {
		t.Errorf("new: %+v", n.Options)
	}
	if err := n.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	x, y := new(int), new(int)
	s.Add("x", x)
	s.Add("y", y)
	if !n.Full() {
		t.Error("not full")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Wait(ctx); err != context.Canceled {
		t.Errorf("wait: %v", err)
	}
	n.Drain()
	if !n.Draining() {
		t.Error("not draining")
	}
	n.CountClose(relay.SlowClient)
	n.CountClose(relay.SlowClient)
	n.CountClose("no category")
	n.Closes(func(c relay.Category, closes int64) {
		if want := map[relay.Category]int64{relay.SlowClient: 2}[c]; closes != want {
			t.Errorf("%d of %s", closes, c)
		}
	})
	n.Close()
	if n.Context.Err() == nil {
		t.Error("the context goes on")
	}
}
