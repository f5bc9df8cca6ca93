package transport_test

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalrelay/signalrelay/transport"
)

// Pages send credentials, so their origin is echoed, on every response.
func TestCORS(t *testing.T) {
	const origin = "Origin: https://page.example\r\n"
	type H = map[string]string
	allowed := H{"Access-Control-Allow-Origin": "https://page.example", "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}
	with := func(h H) H {
		all := H{}
		for _, m := range []H{allowed, h} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	only := []string{"https://other.example", "https://PAGE.example"}
	for _, test := range []struct {
		name, request string
		origins       []string
		status        int
		want          H
	}{
		{"no origin", "GET / HTTP/1.1\r\n", nil, 404, H{}},
		{"every origin", "GET / HTTP/1.1\r\n" + origin, nil, 404, allowed},
		{"star", "GET / HTTP/1.1\r\n" + origin, []string{"*"}, 404, allowed},
		{"listed", "GET / HTTP/1.1\r\n" + origin, only, 404, allowed},
		{"not listed", "GET / HTTP/1.1\r\n" + origin, only[:1], 404, H{}},
		{"lower case", "GET / HTTP/1.1\r\norigin: https://page.example\r\n", nil, 404, allowed},
		{"preflight", "OPTIONS /c HTTP/1.1\r\n" + origin + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,x-requested-with\r\n", nil, 204,
			with(H{"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "authorization,x-requested-with", "Access-Control-Max-Age": "600"})},
		{"preflight without a method", "OPTIONS /c HTTP/1.1\r\n" + origin, nil, 204,
			with(H{"Access-Control-Allow-Methods": "GET,POST,DELETE", "Access-Control-Max-Age": "600"})},
		{"preflight of one that is not listed", "OPTIONS /c HTTP/1.1\r\n" + origin + "Access-Control-Request-Method: POST\r\n", only[:1], 204, H{}},
		{"OPTIONS by no page", "OPTIONS /c HTTP/1.1\r\n", nil, 204, H{}},
		{"folded origin", "GET / HTTP/1.1\r\nOrigin: https://page.example\r\n Set-Cookie: x=1\r\n", only[1:], 0, H{}},
		{"malformed", "GET / HTTP/1.1\r\nbad header\r\n", nil, 400, H{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t).start(transport.Options{AllowedOrigins: test.origins})
			c := r.dial(0)
			io.WriteString(c, test.request+"Host: relay\r\n\r\n")
			res, _ := c.respond()
			if test.status != 0 && res.StatusCode != test.status {
				t.Errorf("%s, want %d", res.Status, test.status)
			}
			got := H{}
			for k := range res.Header {
				if k != "Content-Length" && k != "Content-Type" && k != "Date" && k != "Connection" {
					got[k] = res.Header.Get(k)
				}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	// The answers that do not pass fasthttp's writer.
	for _, kind := range kinds[1:] {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).start(transport.Options{})
			c := r.dial(0)
			p := r.peer("a")
			p.send("m")
			c.send([]byte(request(kind, "a", "Origin: https://page.example")))
			res := c.head()
			got := H{}
			for k := range allowed {
				got[k] = res.Header.Get(k)
			}
			if d := cmp.Diff(allowed, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestExchange(t *testing.T) {
	got := map[string]any{}
	look := func(x *transport.Exchange) {
		got = map[string]any{
			"method": x.Method, "path": x.Path, "raw": x.RawQuery, "body": string(x.Body()), "tls": x.TLS(), "ip": x.RemoteIP(),
			"a": x.QueryAll("a"), "first": x.Query("a"), "none": x.Query("none"), "bad": x.Query("bad"), "header": x.Header("x-two"),
			"accepts": x.Accepts("text/html") && x.Accepts("TEXT/plain") && !x.Accepts("text"),
		}
		x.Reply(transport.Response{Status: 201, Type: "text/x", Body: []byte("b"), Header: [][2]string{{"X-A", "1"}}})
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.other = look
			r = start(r, transport.Options{})
			c := r.dial(0)
			// The second request comes by the way that polls leave: the socket
			// has gone through a carrier.
			for _, again := range []bool{false, true} {
				if again {
					r.peer("a").send("m")
					c.poll("a")
				}
				io.WriteString(c, "PUT /p%2Fa?a=1%202&a=%C3%A9+x&bad=%zz HTTP/1.1\r\nHost: relay\r\nX-Two: 1\r\nx-two: 2\r\n"+
					"Accept: text/html;q=1, text/plain\r\nContent-Length: 4\r\n\r\nbody")
				want := map[string]any{
					"method": "PUT", "path": "/p/a", "raw": "a=1%202&a=%C3%A9+x&bad=%zz", "body": "body", "tls": name == "TLS", "ip": "127.0.0.1",
					"a": []string{"1 2", "é x"}, "first": "1 2", "none": "", "bad": "%zz", "header": "1", "accepts": true,
				}
				res, body := c.respond()
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("after a poll %v: %s", again, d)
				}
				if res.StatusCode != 201 || body != "b" || res.Header.Get("X-A") != "1" || res.Header.Get("Content-Type") != "text/x" {
					t.Errorf("%s %q %v", res.Status, body, res.Header)
				}
			}
		})
	}
}
