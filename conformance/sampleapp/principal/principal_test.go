package principal_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/relay"
)

// TestOf has the cases of TestGetUserPrincipal in Azure/azure-signalr:
// test/Microsoft.Azure.SignalR.AspNet.Tests/ClientConnectionManagerTests.cs. The
// value of a claim is its type without asrs.s.
func TestOf(t *testing.T) {
	const common = "aud exp iat nbf "
	for _, c := range []struct {
		claims, authType, name string
		count                  int
	}{
		{"", "", "", 0},
		{"custom custom2", "Bearer", "", 2},
		{"aud custom custom2", "Bearer", "", 2},
		{common + "custom", "Bearer", "", 1},
		{common + "custom " + principal.ClaimName, "Bearer", principal.ClaimName, 2},
		{common + "asrs.s.aut " + principal.ClaimName, "aut", principal.ClaimName, 1},
		{"nt asrs.s.nt asrs.s.aut " + principal.ClaimName, "aut", "nt", 2},
		{common + "asrs.s.aut", "", "", 0},
	} {
		t.Run(c.claims, func(t *testing.T) {
			var claims []relay.Claim
			for _, kind := range strings.Fields(c.claims) {
				claims = append(claims, relay.Claim{Type: kind, Value: strings.TrimPrefix(kind, "asrs.s.")})
			}
			who := principal.Of(claims)
			name := ""
			if v := who.Name(); v != nil {
				name = *v
			}
			if who.AuthType != c.authType || name != c.name || len(who.Claims) != c.count || who.Authenticated() != (c.count > 0) {
				t.Errorf("got type %q, name %q, claims %v", who.AuthType, name, who.Claims)
			}
		})
	}
}

func TestUser(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name   string
		claims []relay.Claim
		want   *string
	}{
		{"none", nil, nil},
		{"name identifier", []relay.Claim{{Type: principal.ClaimNameID, Value: "n"}}, text("n")},
		{"user id first", []relay.Claim{{Type: principal.ClaimNameID, Value: "n"}, {Type: "asrs.s.uid", Value: ""}}, text("")},
		{"first user id", []relay.Claim{{Type: "asrs.s.uid", Value: "a"}, {Type: "asrs.s.uid", Value: "b"}}, text("a")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, principal.Of(c.claims).User); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	who := principal.Of([]relay.Claim{{Type: "asrs.s.rt", Value: "r"}, {Type: "r", Value: "boss"}, {Type: principal.ClaimRole, Value: "other"}, {Type: "asrs.u.exp", Value: "7"}})
	if !who.InRole("boss") || who.InRole("Boss") || who.InRole("other") {
		t.Errorf("roles of %v", who.Claims)
	}
	if v := who.Claim("EXP"); v == nil || *v != "7" {
		t.Errorf("exp is %v", v)
	}
}

func TestQueryValue(t *testing.T) {
	const query = "?a=1&b=x+y%26&a=2&bad=%zz"
	for key, want := range map[string]string{"A": "1,2", "b": "x y&"} {
		if v := principal.QueryValue(query, key); v == nil || *v != want {
			t.Errorf("%s is %v, want %s", key, v, want)
		}
	}
	if v := principal.QueryValue(query, "c"); v != nil {
		t.Errorf("c is %q", *v)
	}
}
