package conformance_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalrelay/signalrelay/conformance"
)

// A request has the token and the body that its transcript says.
func TestRequestAsItIsWritten(t *testing.T) {
	const payload = ` {"sub":"alice","exp":"${unix+60m}"}`
	for name, c := range map[string]struct {
		request string // what stands below the target
		refused bool   // the token is not good
		kid     any
		length  int64 // -1 for a body without
	}{
		"HS256":            {"  token HS256" + payload, false, nil, 0},
		"HS512":            {"  token HS512" + payload, false, nil, 0},
		"forged":           {"  forged HS256" + payload, true, nil, 0},
		"not signed":       {"  token none" + payload, true, nil, 0},
		"a header":         {`  token {"alg":"HS512","typ":"JWT","kid":"-7"}` + payload, false, "-7", 0},
		"a body":           {"  token HS256" + payload + "\n  body `hello`", false, nil, 5},
		"a body in chunks": {"  Transfer-Encoding: chunked\n  token HS256" + payload + "\n  body `hello`", false, nil, -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return []byte(accessKey), nil },
					jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"HS256", "HS512"}))
				if (err != nil) != c.refused || token == nil || token.Header["kid"] != c.kid {
					t.Errorf("token %s: %v", text, err)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil || r.ContentLength != c.length || (len(body) > 0) != (c.length != 0) {
					t.Errorf("body %q of length %d: %v", body, r.ContentLength, err)
				}
			}))
			defer s.Close()
			tr, err := conformance.Load([]byte("client h1> POST /\n" + c.request + "\nrelay h1> 200\n"))
			if err != nil {
				t.Fatal(err)
			}
			if err := conformance.Replay(t.Context(), tr, conformance.Options{URL: s.URL, AccessKey: accessKey}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A token whose algorithm is not known cannot be played.
func TestTokenRefused(t *testing.T) {
	for _, algorithm := range []string{"RS256", `{"alg":"RS256"}`, "{"} {
		tr, err := conformance.Load([]byte("client h1> POST /\n  token " + algorithm + " {}\nrelay h1> 200\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := conformance.Replay(t.Context(), tr, conformance.Options{URL: "http://127.0.0.1:1", AccessKey: accessKey}); err == nil || !strings.Contains(err.Error(), "sign token") {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
