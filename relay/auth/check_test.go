package auth_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

const aud = `"aud":"http://localhost/client/?hub=chat"`

func TestClientDecisions(t *testing.T) {
	enc := base64.RawURLEncoding.EncodeToString
	good := token(hs256, `{"exp":1700003600,`+aud+`}`, key)
	unsigned := enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(`{"exp":1700003600,`+aud+`}`)) + "."
	with := func(payload string) string { return token(hs256, payload, key) }
	cases := []struct {
		name, token string
		check       auth.Check
		want        error
	}{
		{name: "good", token: good},
		{name: "secondary key", token: token(hs256, `{"exp":1700003600,`+aud+`}`, otherKey)},
		{name: "third key", token: token(hs256, `{"exp":1700003600,`+aud+`}`, "third"), want: auth.ErrSignature},
		{name: "HS512", token: token(`{"alg":"HS512"}`, `{"exp":1700003600,`+aud+`}`, key)},
		{name: "HS384", token: token(`{"alg":"HS384"}`, `{"exp":1700003600,`+aud+`}`, key), want: auth.ErrAlgorithm},
		{name: "alg none, unsigned", token: unsigned, want: auth.ErrAlgorithm},
		{name: "alg none, signed", token: token(`{"alg":"none"}`, `{"exp":1700003600,`+aud+`}`, key), want: auth.ErrAlgorithm},
		{name: "alg RS256", token: token(`{"alg":"RS256"}`, `{"exp":1700003600,`+aud+`}`, key), want: auth.ErrAlgorithm},
		{name: "alg in lower case", token: token(`{"alg":"hs256"}`, `{"exp":1700003600,`+aud+`}`, key), want: auth.ErrAlgorithm},
		{name: "alg missing", token: token(`{}`, `{"exp":1700003600,`+aud+`}`, key), want: auth.ErrAlgorithm},
		{name: "alg no text", token: token(`{"alg":256}`, `{"exp":1700003600,`+aud+`}`, key), want: auth.ErrAlgorithm},
		{name: "signature cut", token: good[:len(good)-4], want: auth.ErrSignature},
		{name: "signature gone", token: good[:strings.LastIndexByte(good, '.')+1], want: auth.ErrSignature},
		{name: "empty", token: "", want: auth.ErrMalformed},
		{name: "two parts", token: "a.b", want: auth.ErrMalformed},
		{name: "four parts", token: good + ".x", want: auth.ErrMalformed},
		{name: "no base64", token: "!.!.!", want: auth.ErrMalformed},
		{name: "too long", token: strings.Repeat("a", auth.MaxToken+1), want: auth.ErrMalformed},
		{name: "payload null", token: with(`null`), want: auth.ErrMalformed},
		{name: "payload array", token: with(`[1]`), want: auth.ErrMalformed},
		{name: "payload no JSON", token: with(`{"exp":`), want: auth.ErrMalformed},
		{name: "exp missing", token: with(`{` + aud + `}`), want: auth.ErrMalformed},
		{name: "exp text", token: with(`{"exp":"1700003600",` + aud + `}`), want: auth.ErrMalformed},
		{name: "exp null", token: with(`{"exp":null,` + aud + `}`), want: auth.ErrMalformed},
		{name: "exp list", token: with(`{"exp":[1700003600],` + aud + `}`), want: auth.ErrMalformed},
		{name: "exp beyond any time", token: with(`{"exp":1e300,` + aud + `}`)},
		{name: "exp with a fraction", token: with(`{"exp":1700003600.5,` + aud + `}`)},
		{name: "exp negative", token: with(`{"exp":-5,` + aud + `}`), want: auth.ErrExpired},
		{name: "exp zero", token: with(`{"exp":0,` + aud + `}`), want: auth.ErrExpired},
		{name: "expired within skew", token: with(`{"exp":1699999761,` + aud + `}`)},
		{name: "expired at the skew", token: with(`{"exp":1699999760,` + aud + `}`), want: auth.ErrExpired},
		{name: "own skew", token: with(`{"exp":1700000030,` + aud + `}`), check: auth.Check{Skew: time.Second}, want: auth.ErrExpired},
		{name: "no skew", token: with(`{"exp":1700000060,` + aud + `}`), check: auth.Check{Skew: -1}, want: auth.ErrExpired},
		{name: "no skew, a second left", token: with(`{"exp":1700000061,` + aud + `}`), check: auth.Check{Skew: -1}},
		{name: "expired, ignored", token: with(`{"exp":1,` + aud + `}`), check: auth.Check{IgnoreExpiry: true}},
		{name: "nbf and iat in the future", token: with(`{"nbf":1800000000,"iat":1800000000,"exp":1900000000,` + aud + `}`)},
		{name: "foreign iss", token: with(`{"iss":"x","exp":1700003600,` + aud + `}`)},
		{name: "aud missing", token: with(`{"exp":1700003600}`), want: auth.ErrAudience},
		{name: "aud number", token: with(`{"exp":1700003600,"aud":5}`), want: auth.ErrAudience},
		{name: "aud empty list", token: with(`{"exp":1700003600,"aud":[]}`), want: auth.ErrAudience},
		{name: "aud twice", token: with(`{"aud":"http://x/",` + aud + `,"exp":1700003600}`)},
		{name: "host right", token: good, check: auth.Check{Hosts: []string{"example.com", "LOCALHOST"}}},
		{name: "host wrong", token: good, check: auth.Check{Hosts: []string{"example.com"}}, want: auth.ErrAudience},
	}
	k := newKeys(t, key, otherKey)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.check.Now = now
			got, err := k.Client(c.token, "chat", c.check)
			if !errors.Is(err, c.want) || (err == nil) != (got != nil) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestAudience(t *testing.T) {
	cases := []struct {
		name, aud, hub string
		ok             bool
	}{
		{"with port", "http://localhost:8888/client/?hub=chat", "chat", true},
		{"without slash", "https://h/client?hub=chat", "chat", true},
		{"case of hub", "https://h/client/?hub=chat", "Chat", true},
		{"case of path", "https://h/Client/?Hub=CHAT", "chat", true},
		{"IPv6", "http://[::1]:8888/client/?hub=chat", "chat", true},
		{"encoded hub", "http://h/client/?hub=box%601", "box`1", true},
		{"other parameters", "http://h/client/?a=b&hub=chat&c", "chat", true},
		{"fragment", "http://h/client/?hub=chat#x", "chat", true},
		{"two slashes", "http://h/client//?hub=chat", "chat", false},
		{"prefix of path", "http://h/x/client/?hub=chat", "chat", false},
		{"server path", "http://h/server/?hub=chat", "chat", false},
		{"no path", "http://h?hub=chat", "chat", false},
		{"no hub", "http://h/client/", "chat", false},
		{"empty hub, empty wanted", "http://h/client/?hub=", "", true},
		{"no hub, empty wanted", "http://h/client/", "", false},
		{"two hubs", "http://h/client/?hub=chat&hub=other", "chat", false},
		{"hub in fragment", "http://h/client/#?hub=chat", "chat", false},
		{"bad escape", "http://h/client/?hub=%zz", "%zz", false},
		{"no scheme", "/client/?hub=chat", "chat", false},
		{"no host", "http:///client/?hub=chat", "chat", false},
		{"longer hub", "http://h/client/?hub=chats", "chat", false},
	}
	k := newKeys(t, key)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := k.SignClient(c.aud, nil, auth.Sign{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			_, err = k.Client(s, c.hub, auth.Check{Now: now})
			if (err == nil) != c.ok || err != nil && !errors.Is(err, auth.ErrAudience) {
				t.Errorf("got %v, want accepted %v", err, c.ok)
			}
		})
	}
}

func TestClaimValues(t *testing.T) {
	payload := ` { "a" : "x" , "b":[ "1" , 2 , true , null , {"k" : [ 1 , "a ]\" b" ]} , [ ] ] ,
		"c":-1.50e+2, "d":false, "e":null, "f":{}, "g":[], "esc\u0061pe":"tab\t\u00e9\ud83d\ude00", "a":"again", "h": "` + "\xff" + `",
		"role":["r1","r2"],"exp":1700003600,` + aud + `}`
	got, err := newKeys(t, key).Client(token(hs256, payload, key), "chat", auth.Check{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	const role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
	want := claimsOf([][2]string{
		{"a", "x"}, {"b", "1"}, {"b", "2"}, {"b", "true"}, {"b", ""}, {"b", `{"k":[1,"a ]\" b"]}`}, {"b", "[]"},
		{"c", "-1.50e+2"}, {"d", "false"}, {"e", ""}, {"f", "{}"}, {"escape", "tab\té😀"}, {"a", "again"}, {"h", "\uFFFD"},
		{role, "r1"}, {"role", "r1"}, {role, "r2"}, {"role", "r2"},
		{"exp", "1700003600"}, {"aud", "http://localhost/client/?hub=chat"},
	})
	if d := cmp.Diff(want, got.Claims); d != "" {
		t.Error(d)
	}
}

func TestUser(t *testing.T) {
	const long = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	cases := []struct {
		name   string
		claims [][2]string
		user   string
		has    bool
	}{
		{"none", nil, "", false},
		{"uid before sub", [][2]string{{"nameid", "n"}, {"sub", "s"}, {auth.ClaimUser, "u"}}, "u", true},
		{"uid empty", [][2]string{{"sub", "s"}, {auth.ClaimUser, ""}}, "", true},
		{"sub before nameid", [][2]string{{"nameid", "n"}, {"sub", "s"}}, "s", true},
		{"nameid", [][2]string{{"nameid", "n"}}, "n", true},
		{"first nameid", [][2]string{{"nameid", "n"}, {"nameid", "m"}}, "n", true},
		{"long name", [][2]string{{long, "l"}}, "l", true},
	}
	k := newKeys(t, key)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := signed(t, k, claimsOf(c.claims))
			if got.User != c.user || got.HasUser != c.has {
				t.Errorf("got %q, %v; want %q, %v", got.User, got.HasUser, c.user, c.has)
			}
		})
	}
	t.Run("long name in the token itself", func(t *testing.T) {
		got, err := k.Client(token(hs256, `{"`+long+`":"l","exp":1700003600,`+aud+`}`, key), "chat", auth.Check{Now: now})
		if err != nil || got.User != "l" {
			t.Errorf("got %v, %v; want user l", got, err)
		}
	})
}

func TestSystemClaims(t *testing.T) {
	def := auth.Token{Transports: auth.AllTransports}
	with := func(f func(*auth.Token)) auth.Token { w := def; f(&w); return w }
	cases := []struct {
		name   string
		claims [][2]string
		want   auth.Token
	}{
		{"none", nil, def},
		{"sticky required", [][2]string{{auth.ClaimServer, "s"}, {auth.ClaimSticky, "Required"}},
			with(func(w *auth.Token) { w.ServerID, w.Sticky = "s", auth.StickyRequired })},
		{"sticky preferred", [][2]string{{auth.ClaimServer, "s"}, {auth.ClaimSticky, "preferred"}},
			with(func(w *auth.Token) { w.ServerID, w.Sticky = "s", auth.StickyPreferred })},
		{"sticky without server", [][2]string{{auth.ClaimSticky, "Required"}}, def},
		{"server without sticky", [][2]string{{auth.ClaimServer, "s"}}, def},
		{"handshake timeout", [][2]string{{auth.ClaimHandshakeTimeout, "30"}},
			with(func(w *auth.Token) { w.HandshakeTimeout = 30 * time.Second })},
		{"handshake timeout too long", [][2]string{{auth.ClaimHandshakeTimeout, "31"}}, def},
		{"handshake timeout no number", [][2]string{{auth.ClaimHandshakeTimeout, "x"}}, def},
		{"poll gap", [][2]string{{auth.ClaimPollGap, "300"}}, with(func(w *auth.Token) { w.PollGap = 300 * time.Second })},
		{"poll gap zero", [][2]string{{auth.ClaimPollGap, "0"}}, def},
		{"transports", [][2]string{{auth.ClaimTransports, "5"}},
			with(func(w *auth.Token) { w.Transports = auth.WebSockets | auth.LongPolling })},
		{"transports none", [][2]string{{auth.ClaimTransports, "0"}}, with(func(w *auth.Token) { w.Transports = 0 })},
		{"transports with unknown bits", [][2]string{{auth.ClaimTransports, "258"}},
			with(func(w *auth.Token) { w.Transports = auth.ServerSentEvents })},
		{"transports no number", [][2]string{{auth.ClaimTransports, "all"}}, def},
		{"close on expiry", [][2]string{{auth.ClaimCloseOnExpiry, "true"}, {auth.ClaimExpiresOn, "1700000100"}},
			with(func(w *auth.Token) { w.CloseAt = time.Unix(1700000100, 0) })},
		{"expiry without close", [][2]string{{auth.ClaimExpiresOn, "1700000100"}}, def},
		{"close without expiry", [][2]string{{auth.ClaimCloseOnExpiry, "true"}}, def},
		{"diagnostic", [][2]string{{auth.ClaimDiagnostic, "true"}}, with(func(w *auth.Token) { w.Diagnostic = true })},
		{"detailed errors", [][2]string{{auth.ClaimDetailedErrors, "True"}}, with(func(w *auth.Token) { w.DetailedErrors = true })},
	}
	k := newKeys(t, key)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := *signed(t, k, claimsOf(c.claims))
			got.Claims, got.Expires = nil, time.Time{}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSign(t *testing.T) {
	k, other := newKeys(t, key, otherKey), newKeys(t, otherKey)
	t.Run("primary key signs", func(t *testing.T) {
		s, err := k.SignServer("http://h/server/?hub=chat", "m_1", auth.Sign{Now: now, Algorithm: "HS512", Lifetime: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Server(s, "chat", auth.Check{Now: now})
		if err != nil || got.User != "m_1" || !got.Expires.Equal(now.Add(time.Minute)) {
			t.Errorf("got %+v, %v", got, err)
		}
		if _, err := other.Server(s, "chat", auth.Check{Now: now}); !errors.Is(err, auth.ErrSignature) {
			t.Errorf("secondary alone: %v, want ErrSignature", err)
		}
	})
	t.Run("algorithm", func(t *testing.T) {
		if _, err := k.SignServer("http://h/", "m", auth.Sign{Algorithm: "none"}); !errors.Is(err, auth.ErrAlgorithm) {
			t.Errorf("got %v, want ErrAlgorithm", err)
		}
	})
	t.Run("too long", func(t *testing.T) {
		claims := []relay.Claim{{Type: "x", Value: strings.Repeat("y", auth.MaxIssued)}}
		if _, err := k.SignClient("http://h/", claims, auth.Sign{}); !errors.Is(err, auth.ErrTooLong) {
			t.Errorf("got %v, want ErrTooLong", err)
		}
	})
	t.Run("system clock", func(t *testing.T) {
		s, err := k.SignClient("http://h/client/?hub=chat", nil, auth.Sign{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Client(s, "chat", auth.Check{Skew: -1}); err != nil {
			t.Error(err)
		}
	})
}

func TestNewKeysRefuses(t *testing.T) {
	for name, keys := range map[string][]string{"none": nil, "first empty": {""}, "second empty": {"a", ""}} {
		if k, err := auth.NewKeys(keys...); err == nil || k != nil {
			t.Errorf("%s: got %v, %v", name, k, err)
		}
	}
}

// TestSecretsStayInside formats and logs everything that holds a key, and reads
// every error, for the key and for the token.
func TestSecretsStayInside(t *testing.T) {
	const secret = "s3cret-s3cret-s3cret-s3cret"
	k := newKeys(t, secret, "other-"+secret)
	c, err := auth.ParseConnectionString("Endpoint=http://h;AccessKey=" + secret)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Endpoint=http://h;AccessKey=" + secret + ";Version=1.0;"; c.Secret() != want {
		t.Errorf("Secret is %q, want %q", c.Secret(), want)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "keys", k, "connection", c, "pointer", &c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "keys", k, "connection", c, "pointer", &c)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", k, c, &c)
		fmt.Fprintf(&out, verb+"\n", struct {
			K *auth.Keys
			C auth.ConnectionString
		}{k, c})
	}
	for _, bad := range []string{
		"", "a.b.c", secret, token(hs256, `{"s":"`+secret+`"`, secret), token(hs256, `{"s":"`+secret+`"}`, secret),
		token(hs256, `{"exp":1,"s":"`+secret+`"}`, secret), token(`{"alg":"`+secret+`"}`, `{}`, secret), token(hs256, `{}`, "x"),
	} {
		_, err := k.Client(bad, "chat", auth.Check{})
		if err == nil {
			t.Fatalf("%q accepted", bad)
		}
		fmt.Fprintln(&out, err)
	}
	for _, bad := range []string{
		secret, "AccessKey=" + secret, "Endpoint=" + secret + ";AccessKey=" + secret, "Endpoint=http://h,AccessKey=" + secret + ";x=y",
		"Endpoint=http://h;Port=" + secret + ";AccessKey=x", "Endpoint=http://h;AccessKey=x;Version=" + secret,
		"Endpoint=http://u:" + secret + "@h;AccessKey=x", secret + "=1;" + secret + "=2", "AccessKey=" + secret + ";AccessKey=" + secret,
	} {
		_, err := auth.ParseConnectionString(bad)
		if err == nil {
			t.Fatalf("%q accepted", bad)
		}
		fmt.Fprintln(&out, err)
	}
	hex := fmt.Sprintf("%x", secret)
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, secret) || strings.Contains(strings.ToLower(line), hex) {
			t.Errorf("shows the secret: %s", line)
		}
	}
}
