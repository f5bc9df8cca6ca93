package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

const (
	key      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	otherKey = "not-the-key-not-the-key-not-the-key!"
)

var now = time.Unix(1700000060, 0)

func golden(t testing.TB, file string, into any) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/auth/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func newKeys(t testing.TB, keys ...string) *auth.Keys {
	t.Helper()
	k, err := auth.NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// token makes a token of raw texts, so that order and oddities survive.
func token(header, payload, key string) string {
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(header)) + "." + enc([]byte(payload))
	method := jwt.SigningMethodHS256
	if strings.Contains(header, "HS512") {
		method = jwt.SigningMethodHS512
	} else if strings.Contains(header, "HS384") {
		method = jwt.SigningMethodHS384
	}
	sig, err := method.Sign(text, []byte(key))
	if err != nil {
		panic(err)
	}
	return text + "." + enc(sig)
}

const hs256 = `{"alg":"HS256","typ":"JWT","kid":"-1"}`

func claimsOf(pairs [][2]string) []relay.Claim {
	var out []relay.Claim
	for _, p := range pairs {
		out = append(out, relay.Claim{Type: p[0], Value: p[1]})
	}
	return out
}

func TestGoldenTokens(t *testing.T) {
	var file struct {
		NowUnix int64
		Tokens  []struct{ Name, Token, Expect string }
	}
	golden(t, "tokens.json", &file)
	k := newKeys(t, key)
	o := auth.Check{Now: time.Unix(file.NowUnix, 0)}
	for _, v := range file.Tokens {
		t.Run(v.Name, func(t *testing.T) {
			check, elsewhere := k.Client, k.Server
			if strings.HasPrefix(v.Name, "server") || strings.Contains(v.Expect, "/server") {
				check, elsewhere = k.Server, k.Client
			}
			got, err := check(v.Token, "chat", o)
			if strings.HasPrefix(v.Expect, "reject") {
				if err == nil {
					t.Fatalf("accepted, want: %s", v.Expect)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v, want: %s", err, v.Expect)
			}
			if _, err := elsewhere(v.Token, "chat", o); !errors.Is(err, auth.ErrAudience) {
				t.Errorf("on the other endpoint: %v, want ErrAudience", err)
			}
			for _, user := range []string{"alice", "bob"} {
				if strings.Contains(v.Expect, "user "+user) && got.User != user {
					t.Errorf("user %q, want %q", got.User, user)
				}
			}
			if strings.Contains(v.Expect, "no user") && got.HasUser {
				t.Errorf("user %q, want none", got.User)
			}
		})
	}
}

func TestGoldenOpenConnectionClaims(t *testing.T) {
	var file struct {
		OpenConnectionFromToken struct {
			Cases []struct {
				Token  json.RawMessage
				Claims [][2]string
			}
		}
	}
	golden(t, "claims.json", &file)
	k := newKeys(t, key)
	for _, c := range file.OpenConnectionFromToken.Cases {
		got, err := k.Client(token(hs256, string(c.Token), key), "chat", auth.Check{IgnoreExpiry: true})
		if err != nil {
			t.Fatalf("%s: %v", c.Token, err)
		}
		if d := cmp.Diff(claimsOf(c.Claims), got.Claims); d != "" {
			t.Errorf("%s\n%s", c.Token, d)
		}
	}
}

func TestGoldenClaimMap(t *testing.T) {
	var file struct {
		InboundMap struct{ Rows [][2]string }
	}
	golden(t, "claims.json", &file)
	k := newKeys(t, key)
	back := map[string]string{}
	for _, row := range file.InboundMap.Rows {
		short, long := row[0], row[1]
		if _, earlier := back[long]; !earlier {
			back[long] = short
		}
		payload := `{"` + short + `":"v","exp":4102444800,"aud":"http://h/client/?hub=chat"}`
		got, err := k.Client(token(hs256, payload, key), "chat", auth.Check{})
		if err != nil {
			t.Fatal(err)
		}
		want := []relay.Claim{{Type: long, Value: "v"}, {Type: short, Value: "v"}}
		if d := cmp.Diff(want, got.Claims[:2]); d != "" {
			t.Errorf("%s inbound:\n%s", short, d)
		}
	}
	for long, short := range back {
		if short == "sub" {
			t.Errorf("%s maps back to sub", long)
		}
		got := signed(t, k, []relay.Claim{{Type: long, Value: "v"}})
		if got.Get(short) != "v" {
			t.Errorf("%s outbound: no claim %s in %v", long, short, got.Claims)
		}
	}
}

func signed(t *testing.T, k *auth.Keys, claims []relay.Claim) *auth.Token {
	t.Helper()
	s, err := k.SignClient("http://h/client/?hub=chat", claims, auth.Sign{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Client(s, "chat", auth.Check{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestGoldenRenames(t *testing.T) {
	var file struct {
		TokenClaimRenames []struct {
			App, Token [][2]string
			UserID     *string
		}
	}
	golden(t, "claims.json", &file)
	k := newKeys(t, key)
	for _, c := range file.TokenClaimRenames {
		var in []relay.Claim
		if c.UserID != nil {
			in = append(in, relay.Claim{Type: auth.ClaimUser, Value: *c.UserID})
		}
		s, err := k.SignClient("http://h/client/?hub=chat", append(in, claimsOf(c.App)...), auth.Sign{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		want := `{`
		for _, p := range c.Token {
			want += `"` + p[0] + `":"` + p[1] + `",`
		}
		want += `"nbf":1700000060,"exp":1700003660,"iat":1700000060,"iss":"azure-signalr","aud":"http://h/client/?hub=chat"}`
		got, _ := base64.RawURLEncoding.DecodeString(strings.Split(s, ".")[1])
		if d := cmp.Diff(want, string(got)); d != "" {
			t.Errorf("%v:\n%s", c.App, d)
		}
	}
}
