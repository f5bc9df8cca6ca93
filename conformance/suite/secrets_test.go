package suite_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// What an endpoint is given for a login, or gives for one elsewhere, is in no
// report, whoever says it and whatever for.
func TestReportWithoutSecrets(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9."
	at, err := url.Parse("http://127.0.0.1/hub?access_token=hidden-in-address")
	if err != nil {
		t.Fatal(err)
	}
	e := &suite.Endpoint{
		URL:   at,
		Query: url.Values{"access_token": {"hidden/in query"}},
		Header: http.Header{
			"Authorization": {"Bearer hidden-bearer"}, "X-Api-Key": {"hidden-key"}, "Cookie": {"a=b; session=hidden-cookie"}, "X-Short": {"in"},
		},
	}
	for name, c := range map[string]struct{ said, want string }{
		"a query":                 {"GET /hub?id=1&access_token=s3cret&x=y", "GET /hub?id=1&access_token=…&x=y"},
		"the end of a query":      {"GET /hub?Access_Token=s3cret HTTP/1.1", "GET /hub?Access_Token=… HTTP/1.1"},
		"an answer of Core":       {`{"url":"http://x/","accessToken":"s3cret"}`, `{"url":"http://x/","accessToken":"…"}`},
		"an answer of SignalR 2":  {`{"AccessToken": "s3cret"}`, `{"AccessToken": "…"}`},
		"an answer in quotes":     {`got "{\"accessToken\":\"s3cret\",\"x\":1}"`, `got "{\"accessToken\":\"…\",\"x\":1}"`},
		"an answer cut short":     {`{"accessToken":"s3cret… (999 bytes)`, `{"accessToken":"…… (999 bytes)`},
		"a header of a client":    {"Authorization: Bearer s3cret\nX: y", "Authorization: Bearer …\nX: y"},
		"the token of the URL":    {"you are hidden-in-address", "you are …"},
		"the token given":         {"hidden/in query or hidden%2Fin+query", "… or …"},
		"a header given":          {"it is Bearer hidden-bearer", "it is …"},
		"the credentials alone":   {"I know hidden-bearer", "I know …"},
		"another header given":    {"key hidden-key", "key …"},
		"a cookie":                {`{"session":"hidden-cookie"}`, `{"session":"…"}`},
		"a header of two letters": {"what is in it", "what is in it"},
		"a JSON Web Token":        {"?access_token=" + jwt + "c2lnbmF0dXJl", "?access_token=" + jwt + "…"},
		"what stands for a token": {"?access_token=${access1}, access_token=…, or a login", "?access_token=${access1}, access_token=…, or a login"},
	} {
		t.Run(name, func(t *testing.T) {
			cases := []suite.Case{
				{Name: "differs", Run: func(_ context.Context, t *suite.T) {
					t.Said("client", "c1", "%s", c.said)
					t.Fail(c.said, c.said)
				}},
				{Name: "says", Run: func(_ context.Context, t *suite.T) { t.Failf("%s", c.said) }},
				{Name: "lacks", Run: func(_ context.Context, t *suite.T) { t.Skip(c.said) }},
			}
			r, err := suite.Run(t.Context(), &suite.Set{Cases: cases}, e, suite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []suite.Format{suite.Text, suite.TAP, suite.JUnit, suite.JSON, suite.Markdown} {
				var page strings.Builder
				if err := r.Write(&page, f); err != nil {
					t.Fatal(err)
				}
				if found := hidden.FindString(page.String()); found != "" {
					t.Errorf("%s tells %s\n%s", f, found, &page)
				}
				if f == suite.Text && strings.Count(page.String(), strings.Split(c.want, "\n")[0]) != 5 {
					t.Errorf("not 5 times %s in\n%s", c.want, &page)
				}
			}
			probe := func(context.Context, *suite.Endpoint) (map[suite.Level]string, error) { return nil, errors.New(c.said) }
			if _, err := suite.Run(t.Context(), &suite.Set{Probe: probe, Cases: cases}, e, suite.Options{}); err == nil || hidden.MatchString(err.Error()) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

var hidden = regexp.MustCompile(`hidden|s3cret|c2lnbmF0dXJl`)

// A judge has made the tokens itself, and its report tells whether clients bring
// them.
func TestClientReportHasTokens(t *testing.T) {
	r := &suite.Report{Set: string(suite.Client), Results: []suite.Result{{Outcome: suite.Failed, Want: "?access_token=one", Got: "?access_token=two"}}}
	var page strings.Builder
	if err := r.Write(&page, suite.Text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "access_token=one") || !strings.Contains(page.String(), "access_token=two") {
		t.Errorf("no tokens in\n%s", &page)
	}
}
