package auth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay/auth"
)

func TestGoldenConnectionStrings(t *testing.T) {
	type vector struct {
		S, Version, ClientEndpoint, ServerEndpoint, Why string
	}
	var file struct{ Valid, Invalid []vector }
	golden(t, "connection-strings.json", &file)
	text := func(u *url.URL) string {
		if u == nil {
			return ""
		}
		return u.String()
	}
	for _, v := range file.Valid {
		c, err := auth.ParseConnectionString(v.S)
		if err != nil {
			t.Errorf("%s: %v", v.S, err)
			continue
		}
		got := vector{S: v.S, Version: c.Version, ClientEndpoint: text(c.ClientEndpoint), ServerEndpoint: text(c.ServerEndpoint)}
		if d := cmp.Diff(v, got); d != "" {
			t.Errorf("%s:\n%s", v.S, d)
		}
		wantHost := "aaa"
		if strings.Contains(v.S, "port=400") {
			wantHost = "aaa:400"
		}
		if c.Endpoint.Host != wantHost || c.AccessKey != key {
			t.Errorf("%s: host %s, key length %d", v.S, c.Endpoint.Host, len(c.AccessKey))
		}
		again, err := auth.ParseConnectionString(c.Secret())
		if err != nil || again.Secret() != c.Secret() {
			t.Errorf("%s: does not survive being written: %v", v.S, err)
		}
	}
	for _, v := range file.Invalid {
		if c, err := auth.ParseConnectionString(v.S); err == nil {
			t.Errorf("%s: accepted as %v, want refused: %s", v.S, c, v.Why)
		}
	}
}

func TestConnectionStringGrammar(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"blanks and case", " ENDPOINT = http://h/ ; accessKEY = k ;; junk ;", "Endpoint=http://h;AccessKey=k;Version=1.0;"},
		{"key with =", "Endpoint=http://h;AccessKey=a+/==", "Endpoint=http://h;AccessKey=a+/==;Version=1.0;"},
		{"emulator form", "Endpoint=http://localhost;Port=8888;AccessKey=k;Version=1.0;", "Endpoint=http://localhost:8888;AccessKey=k;Version=1.0;"},
		{"IPv6 port", "Endpoint=http://[::1]:1;Port=8888;AccessKey=k", "Endpoint=http://[::1]:8888;AccessKey=k;Version=1.0;"},
		{"path", "Endpoint=https://h/a/;AccessKey=k", "Endpoint=https://h/a;AccessKey=k;Version=1.0;"},
		{"Azure identity", "Endpoint=https://h;AuthType=Azure.MSI", "Endpoint=https://h;AuthType=azure.msi;Version=1.0;"},
		{"unknown AuthType", "Endpoint=https://h;AuthType=x;AccessKey=k", "Endpoint=https://h;AccessKey=k;Version=1.0;"},
		{"unknown AuthType without key", "Endpoint=https://h;AuthType=x", ""},
		{"repeat", "Endpoint=http://h;AccessKey=k;accesskey=k", ""},
		{"other scheme", "Endpoint=ftp://h;AccessKey=k", ""},
		{"key empty", "Endpoint=http://h;AccessKey=", ""},
		{"endpoint with query", "Endpoint=http://h/?a=b;AccessKey=k", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := auth.ParseConnectionString(c.in)
			if c.want == "" {
				if err == nil {
					t.Fatalf("accepted as %v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.Secret()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGoldenURLs(t *testing.T) {
	var file struct {
		URLs []struct {
			Kind, ConnectionString, ApplicationName, Hub, OriginalPath, Query string
			RequestPath, RequestQuery, RequestID                              string
			URL, Audience                                                     string
		}
		AudiencePort []struct{ Endpoint, Audience string }
	}
	golden(t, "urls.json", &file)
	for _, v := range file.URLs {
		c, err := auth.ParseConnectionString(v.ConnectionString)
		if err != nil {
			t.Fatalf("%s: %v", v.ConnectionString, err)
		}
		hub := auth.HubName(v.ApplicationName, v.Hub)
		var u, aud string
		switch v.Kind {
		case "server":
			u, aud = c.ServerURL(hub, ""), c.ServerAudience(hub)
		case "client":
			u, aud = c.ClientURL(hub, v.OriginalPath, v.Query), c.ClientAudience(hub)
		case "negotiate":
			path := strings.TrimSuffix(strings.TrimSuffix(v.RequestPath, "/"), "/negotiate")
			query := strings.TrimPrefix(v.RequestQuery+"&asrs_request_id="+url.QueryEscape(v.RequestID), "?")
			u, aud = c.ClientURL(hub, path, strings.TrimPrefix(query, "&")), c.ClientAudience(hub)
		default:
			t.Fatalf("unknown kind %q", v.Kind)
		}
		if d := cmp.Diff([]string{v.URL, v.Audience}, []string{u, aud}); d != "" {
			t.Errorf("%s of %s:\n%s", v.Kind, v.ConnectionString, d)
		}
	}
	for _, v := range file.AudiencePort {
		c, err := auth.ParseConnectionString("Endpoint=" + v.Endpoint + ";AccessKey=k")
		if err != nil {
			t.Fatal(err)
		}
		if v.Audience != c.ServerAudience("chat") && v.Audience != c.ClientAudience("chat") {
			t.Errorf("%s: %s and %s, want %s", v.Endpoint, c.ServerAudience("chat"), c.ClientAudience("chat"), v.Audience)
		}
	}
}

func TestServerURLCarriesConnectionID(t *testing.T) {
	c, err := auth.ParseConnectionString("Endpoint=http://a;ServerEndpoint=https://b/x/;AccessKey=k")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.ServerURL("Chat", "1-2"), "https://b/x/server/?hub=chat&cid=1-2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
