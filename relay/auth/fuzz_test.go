package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// FuzzToken feeds whole tokens: what passes here must pass the parser of jwt.
func FuzzToken(f *testing.F) {
	var file struct{ Tokens []struct{ Token string } }
	golden(f, "tokens.json", &file)
	for _, v := range file.Tokens {
		f.Add(v.Token)
	}
	var aspNet struct {
		JWT struct{ Vectors []struct{ Token string } }
	}
	golden(f, "aspnet.json", &aspNet)
	for _, v := range aspNet.JWT.Vectors {
		f.Add(v.Token)
	}
	f.Add(token(`{"alg":"none"}`, `{}`, key))
	k, o := newKeys(f, key), auth.Check{Now: now}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := k.Client(s, "chat", o)
		if err != nil {
			got, err = k.AspNetClient(s, o)
		}
		if err != nil {
			got, err = k.AspNetServer(s, "prefix_hub1", o)
		}
		if err != nil {
			return
		}
		if _, err := jwt.Parse(s, func(*jwt.Token) (any, error) { return []byte(key), nil },
			jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"HS256", "HS512"})); err != nil {
			t.Errorf("%q passes as %v, but jwt says: %v", s, got, err)
		}
	})
}

// FuzzPayload feeds payloads under a good signature and compares the walk over
// them with encoding/json's.
func FuzzPayload(f *testing.F) {
	f.Add(`{"a":[1,"x",{"b":null}],"exp":1700003600,"aud":"http://h/client/?hub=chat"}`)
	f.Add(`{"\u0061":"\ud800","exp":1,"aud":["http://h/client/?hub=chat"]}`)
	f.Add(` { "exp" : 4e9 , "x" : [ ] } `)
	k := newKeys(f, key)
	f.Fuzz(func(t *testing.T, payload string) {
		got, err := k.Client(token(hs256, payload, key), "chat", auth.Check{IgnoreExpiry: true})
		if err != nil {
			return
		}
		if d := cmp.Diff(slowClaims(t, payload), own(got.Claims)); d != "" {
			t.Errorf("%q:\n%s", payload, d)
		}
	})
}

// own drops the claims that only repeat the next one under a long name.
func own(claims []relay.Claim) (out []relay.Claim) {
	for i, c := range claims {
		if strings.Contains(c.Type, "://") && i+1 < len(claims) && claims[i+1].Value == c.Value {
			continue
		}
		out = append(out, c)
	}
	return out
}

// slowClaims reads a payload with encoding/json's tokens.
func slowClaims(t *testing.T, payload string) (out []relay.Claim) {
	d := json.NewDecoder(strings.NewReader(payload))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		list := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &list); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range list {
			if strings.Contains(name.(string), "://") {
				continue
			}
			out = append(out, relay.Claim{Type: name.(string), Value: slowText(t, v)})
		}
	}
	return out
}

func slowText(t *testing.T, v json.RawMessage) string {
	var s string
	switch {
	case v[0] == '"' || v[0] == 'n':
		if err := json.Unmarshal(v, &s); err != nil {
			t.Fatal(err)
		}
	case v[0] == '{' || v[0] == '[':
		var b bytes.Buffer
		if err := json.Compact(&b, v); err != nil {
			t.Fatal(err)
		}
		s = strings.ToValidUTF8(b.String(), "\uFFFD")
	default:
		s = string(v)
	}
	return s
}

// FuzzAspNetAudience checks that a hub's name of any text finds itself again in
// the audience that is made of it, and no other name does.
func FuzzAspNetAudience(f *testing.F) {
	c, err := auth.ParseConnectionString("Endpoint=http://h;AccessKey=" + key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("contoso.web.outer+start up_chat", "chat")
	f.Add("a_b", "A_B")
	f.Add("a+b", "a b")
	k, o := newKeys(f, key), auth.Check{Now: now}
	f.Fuzz(func(t *testing.T, hub, other string) {
		if strings.ContainsAny(hub, "%&#") || !utf8.ValidString(hub) || !utf8.ValidString(other) {
			return // no letter of a .NET type's name, and a separator here
		}
		s, err := k.SignServer(c.AspNetServerAudience(hub), "m", auth.Sign{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.AspNetServer(s, strings.ToLower(hub), o); err != nil && len(s) <= auth.MaxToken {
			t.Errorf("%q: %v", hub, err)
		}
		if _, err := k.AspNetServer(s, other, o); err == nil && !strings.EqualFold(strings.ToLower(hub), other) {
			t.Errorf("a token for %q passes for %q", hub, other)
		}
	})
}

// FuzzConnectionString checks that what is accepted survives being written and
// read, and that the masked form does not hold the key.
func FuzzConnectionString(f *testing.F) {
	f.Add("Endpoint=http://localhost;Port=8888;AccessKey=" + key + ";Version=1.0;")
	f.Add("endpoint=https://a/b/;clientEndpoint=http://[::1]:5;serverEndpoint=https://c;AuthType=aad")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := auth.ParseConnectionString(s)
		if err != nil {
			return
		}
		again, err := auth.ParseConnectionString(c.Secret())
		if err != nil || again.Secret() != c.Secret() {
			t.Errorf("%q is written as %q, which reads as %q, %v", s, c.Secret(), again.Secret(), err)
		}
		masked := c
		if c.AccessKey != "" {
			masked.AccessKey = "***"
		}
		if c.String() != masked.Secret() {
			t.Errorf("%q is shown as %q", s, c)
		}
	})
}

func BenchmarkClient(b *testing.B) {
	k := newKeys(b, key)
	payload := `{"asrs.s.uid":"alice","asrs.s.sn":"machine_0123456789abcdef0123456789abcdef","asrs.s.ssticky":"Preferred",` +
		`"nameid":"alice","role":["admin","ops"],"nbf":1700000000,"exp":1700003600,"iat":1700000000,"iss":"azure-signalr",` + aud + `}`
	s := token(hs256, payload, key)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Client(s, "chat", auth.Check{Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignatureOnly is the floor of BenchmarkClient: the same signature
// over a payload of the same length with a single claim.
func BenchmarkSignatureOnly(b *testing.B) {
	payload := `{"exp":1700003600,` + aud + `,"pad":"` + strings.Repeat("x", 200) + `"}`
	s := token(hs256, payload, key)
	text, sig := s[:strings.LastIndexByte(s, '.')], s[strings.LastIndexByte(s, '.')+1:]
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := hs256Verify(text, raw); err != nil {
			b.Fatal(err)
		}
	}
}

func hs256Verify(text string, sig []byte) error {
	return jwt.SigningMethodHS256.Verify(text, sig, []byte(key))
}
