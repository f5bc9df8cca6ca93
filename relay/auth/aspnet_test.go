package auth_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

func TestGoldenAspNetURLs(t *testing.T) {
	type vectors struct {
		Vectors []struct{ ConnectionString, App, Hub, Aud, OriginalPath, Query, URL string }
	}
	var file struct {
		ClientAudience, ServerAudience, ClientEndpoint, ServerEndpoint vectors
	}
	golden(t, "aspnet.json", &file)
	cases := []struct {
		name    string
		vectors vectors
		got     func(c auth.ConnectionString, hub, path, query string) string
	}{
		{"client audience", file.ClientAudience, func(c auth.ConnectionString, _, _, _ string) string { return c.AspNetClientAudience() }},
		{"server audience", file.ServerAudience, func(c auth.ConnectionString, hub, _, _ string) string { return c.AspNetServerAudience(hub) }},
		{"client", file.ClientEndpoint, func(c auth.ConnectionString, _, path, query string) string { return c.AspNetClientURL(path, query) }},
		{"server", file.ServerEndpoint, func(c auth.ConnectionString, hub, _, _ string) string { return c.AspNetServerURL(hub, "") }},
	}
	for _, group := range cases {
		t.Run(group.name, func(t *testing.T) {
			if len(group.vectors.Vectors) == 0 {
				t.Fatal("no vectors")
			}
			for _, v := range group.vectors.Vectors {
				c, err := auth.ParseConnectionString(v.ConnectionString)
				if err != nil {
					t.Fatal(err)
				}
				got := group.got(c, auth.HubName(v.App, v.Hub), v.OriginalPath, strings.TrimPrefix(v.Query, "?"))
				if d := cmp.Diff(v.URL+v.Aud, got); d != "" { // a vector has one of the two
					t.Errorf("%s:\n%s", v.ConnectionString, d)
				}
			}
		})
	}
}

func TestGoldenAspNetHubNames(t *testing.T) {
	var file struct {
		ServerHubNames struct {
			Vectors []struct{ App, Container, HubQuery string }
		}
	}
	golden(t, "aspnet.json", &file)
	for _, v := range file.ServerHubNames.Vectors {
		if v.Container == "(application)" {
			v.Container = v.App
		}
		if got := auth.HubName(v.App, v.Container); got != v.HubQuery {
			t.Errorf("%s of %s is %s, want %s", v.Container, v.App, got, v.HubQuery)
		}
	}
}

func TestGoldenAspNetTokens(t *testing.T) {
	var file struct {
		JWT struct {
			Vectors []struct {
				Name, Token          string
				OpenConnectionClaims [][2]string
			}
		}
	}
	golden(t, "aspnet.json", &file)
	k, o := newKeys(t, key), auth.Check{Now: now}
	want := map[string]auth.Token{
		"client_named_user_sticky_two_roles": {
			User: "hello", HasUser: true, ServerID: "WEB01_0f8fad5bd9cb469fa16570867728950e", Sticky: auth.StickyPreferred,
			Application: "AzureSignalRTest", SDKVersion: "1.25.2.0",
		},
		"client_anonymous_hs512": {Application: "AzureSignalRTest", SDKVersion: "1.25.2.0"},
		"server":                 {User: "WEB01_0f8fad5bd9cb469fa16570867728950e", HasUser: true},
	}
	for _, v := range file.JWT.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			got, err := k.AspNetClient(v.Token, o)
			if v.Name == "server" {
				got, err = k.AspNetServer(v.Token, "prefix_hub1", o)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range claimsOf(v.OpenConnectionClaims) {
				if !strings.Contains(c.Type, "://") && got.Get(c.Type) != c.Value {
					t.Errorf("%s is %q, want %q", c.Type, got.Get(c.Type), c.Value)
				}
				if strings.Contains(c.Type, "://") && !holds(got.Claims, c) {
					t.Errorf("%v is not among %v", c, got.Claims)
				}
			}
			w := want[v.Name]
			w.Transports, w.Expires, w.Claims = auth.AllTransports, time.Unix(1700003600, 0), got.Claims
			if d := cmp.Diff(w, *got); d != "" {
				t.Error(d)
			}
		})
	}
}

func holds(claims []relay.Claim, c relay.Claim) bool {
	for _, other := range claims {
		if other == c {
			return true
		}
	}
	return false
}

func TestAspNetAudience(t *testing.T) {
	const nested = "contoso.web.outer+start up_chat" // as a request's query says it, + left alone
	cases := []struct {
		name, aud, hub string // hub "": a client's token
		ok             bool
	}{
		{"client", "http://h/aspnetclient", "", true},
		{"client, with port", "http://h:8888/aspnetclient", "", true},
		{"client, with slash", "http://h/aspnetclient/", "", true},
		{"client, another query", "http://h/aspnetclient?a=b", "", true},
		{"client, with hub", "http://h/aspnetclient?hub=chat", "", false},
		{"client of ASP.NET Core", "http://h/client/?hub=chat", "", false},
		{"client, server's path", "http://h/aspnetserver/?hub=a_a", "", false},
		{"client, prefix of path", "http://h/x/aspnetclient", "", false},
		{"server", "http://h/aspnetserver/?hub=a_chat", "a_chat", true},
		{"server, case", "http://h/aspnetserver/?hub=a_chat", "A_Chat", true},
		{"server, blank and plus", "http://h/aspnetserver/?hub=" + nested, nested, true},
		{"server, blank encoded", "http://h/aspnetserver/?hub=contoso.web.outer+start%20up_chat", nested, true},
		{"server, plus encoded", "http://h/aspnetserver/?hub=contoso.web.outer%2Bstart%20up_chat", nested, true},
		{"server, plus is no blank", "http://h/aspnetserver/?hub=a+b", "a b", false},
		{"server, other hub", "http://h/aspnetserver/?hub=a_news", "a_chat", false},
		{"server, no hub", "http://h/aspnetserver/", "a_chat", false},
		{"server, two hubs", "http://h/aspnetserver/?hub=a_chat&hub=a_chat", "a_chat", false},
		{"server, bad escape", "http://h/aspnetserver/?hub=%zz", "%zz", false},
		{"server of ASP.NET Core", "http://h/server/?hub=a_chat", "a_chat", false},
		{"server, client's path", "http://h/aspnetclient", "a_chat", false},
	}
	k := newKeys(t, key)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := k.SignServer(c.aud, "m", auth.Sign{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			if c.hub == "" {
				_, err = k.AspNetClient(s, auth.Check{Now: now})
			} else {
				_, err = k.AspNetServer(s, c.hub, auth.Check{Now: now})
			}
			if (err == nil) != c.ok || err != nil && !errors.Is(err, auth.ErrAudience) {
				t.Errorf("got %v, want accepted %v", err, c.ok)
			}
		})
	}
}

// TestAspNetServerURL takes the way of a hub's name through URL and audience.
func TestAspNetServerURL(t *testing.T) {
	c, err := auth.ParseConnectionString("Endpoint=http://a:8888;ServerEndpoint=https://b/x/;AccessKey=" + key)
	if err != nil {
		t.Fatal(err)
	}
	hub := auth.HubName("Contoso.Web.Outer+Start Up", "Chat")
	raw := c.AspNetServerURL(hub, "1-2")
	if want := "https://b/x/aspnetserver/?hub=contoso.web.outer+start%20up_chat&cid=1-2"; raw != want {
		t.Errorf("got %s, want %s", raw, want)
	}
	k := newKeys(t, key)
	s, err := k.SignServer(c.AspNetServerAudience(hub), "m", auth.Sign{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := url.PathUnescape(strings.TrimPrefix(strings.Split(u.RawQuery, "&")[0], "hub="))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.AspNetServer(s, asked, auth.Check{Now: now, Hosts: []string{"a"}}); err != nil {
		t.Errorf("hub %q: %v", asked, err)
	}
}

func TestAspNetClientURLWithPath(t *testing.T) {
	for _, endpoint := range []string{"https://b/x", "https://b/x/"} {
		c, err := auth.ParseConnectionString("Endpoint=http://a;ClientEndpoint=" + endpoint + ";AccessKey=k")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.AspNetClientURL("/signalr", ""), "https://b/x/aspnetclient?asrs.op=%2Fsignalr"; got != want {
			t.Errorf("%s: got %s, want %s", endpoint, got, want)
		}
	}
}

func TestSignWithoutIssuer(t *testing.T) {
	k := newKeys(t, key)
	s, err := k.SignClient("http://h/aspnetclient", nil, auth.Sign{Now: now, NoIssuer: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.AspNetClient(s, auth.Check{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := claimsOf([][2]string{{"nbf", "1700000060"}, {"exp", "1700003660"}, {"iat", "1700000060"}, {"aud", "http://h/aspnetclient"}})
	if d := cmp.Diff(want, got.Claims); d != "" {
		t.Error(d)
	}
}

func TestLongName(t *testing.T) {
	var file struct {
		InboundMap struct{ Rows [][2]string }
	}
	golden(t, "claims.json", &file)
	for _, row := range file.InboundMap.Rows {
		if got := auth.LongName(row[0]); got != row[1] {
			t.Errorf("%s is %q, want %q", row[0], got, row[1])
		}
	}
	for _, name := range []string{"", "custom", "exp", auth.ClaimUser, file.InboundMap.Rows[0][1]} {
		if got := auth.LongName(name); got != "" {
			t.Errorf("%q is %q, want none", name, got)
		}
	}
}
