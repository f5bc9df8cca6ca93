package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// askIDs negotiates often, and remembers.
func askIDs(ctx context.Context, t *T) {
	seen := map[string]bool{}
	for range 20 {
		at := negotiateCore(ctx, t)
		for _, id := range []string{at.ConnectionID, at.ConnectionToken} {
			if id == "" || seen[id] {
				t.Fail("a new id", fmt.Sprintf("%q", id))
			}
			seen[id] = true
		}
	}
}

func askGet(ctx context.Context, t *T) {
	status, answer := firstNegotiate(ctx, t, http.MethodGet)
	if answer.URL == "" && status/100 != 4 {
		t.Fail("status 405, or another 4xx", fmt.Sprint("status ", status))
	}
}

// firstNegotiate negotiates and follows nothing. An answer that is no JSON is an
// empty one.
func firstNegotiate(ctx context.Context, t *T, method string) (status int, answer *corePlace) {
	u, err := url.Parse(hubURL(t.Endpoint))
	if err != nil {
		t.Broken(err)
	}
	u = u.JoinPath("negotiate")
	u.RawQuery = strings.Trim(u.RawQuery+"&negotiateVersion=1&colour=red", "&")
	answer = &corePlace{}
	resp := answer.doAt(ctx, t, method, u.String(), http.Header{}, nil)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Failf("read the answer to negotiate: %v", err)
	}
	if json.Unmarshal(body, answer) != nil {
		answer = &corePlace{}
	}
	return resp.StatusCode, answer
}

// askTransports compares the transports that are offered with what each of them
// has; an app need not offer all.
func askTransports(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t)
	var right []map[string]any
	for _, o := range []map[string]any{
		{"transport": "WebSockets", "transferFormats": []any{"Text", "Binary"}},
		{"transport": "ServerSentEvents", "transferFormats": []any{"Text"}},
		{"transport": "LongPolling", "transferFormats": []any{"Text", "Binary"}},
	} {
		if slices.ContainsFunc(at.offered(), func(is map[string]any) bool { return is["transport"] == o["transport"] }) {
			right = append(right, o)
		}
	}
	if len(right) == 0 || !reflect.DeepEqual(right, at.offered()) {
		want, err := json.Marshal(right)
		if err != nil {
			t.Broken(err)
		}
		t.Fail("one or more of the transports, each as "+string(want), string(at.AvailableTransports))
	}
}

func askToken(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t)
	if q, err := url.ParseQuery("id=" + at.ConnectionToken); err != nil || len(q) != 1 || q.Get("id") != at.ConnectionToken || strings.Contains(at.ConnectionToken, "#") {
		t.Fail("a token that a query holds as it is", at.ConnectionToken)
	}
}

// askPreflight asks as a browser does before it ends long polling.
func askPreflight(ctx context.Context, t *T) {
	at := negotiateCore(ctx, t).offering(t, "LongPolling")
	headers := []string{"authorization", "x-requested-with", "x-signalr-user-agent"}
	resp := at.do(ctx, t, http.MethodOptions, http.Header{
		"Origin": {"http://page.example"}, requestMethod: {http.MethodDelete}, requestHeaders: {strings.Join(headers, ",")},
	}, nil)
	resp.Body.Close()
	allows := func(field, name string) {
		got := strings.Join(resp.Header.Values(field), ",")
		if !slices.Contains(strings.Split(strings.ToLower(withoutSpace(got)), ","), strings.ToLower(name)) {
			t.Fail(field+" with "+name, fmt.Sprintf("%d, %s %q", resp.StatusCode, field, got))
		}
	}
	allows(allowMethods, http.MethodDelete)
	for _, name := range headers {
		allows(allowHeaders, name)
	}
}

func askRedirect(ctx context.Context, t *T) {
	_, here := firstNegotiate(ctx, t, http.MethodPost)
	if here.URL == "" {
		t.Skip("the endpoint keeps its clients")
	}
	to, err := url.Parse(here.URL)
	if err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		t.Fail("an absolute URL", here.URL)
	}
	Equal(t, "parts of the token", 3, len(strings.Split(here.AccessToken, ".")))
	Equal(t, "connectionId", "", here.ConnectionID)
	Equal(t, "colour in the query of the URL", "red", to.Query().Get("colour"))
}
