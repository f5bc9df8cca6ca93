package record_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/record"
)

// TestPathOfService has a client of ASP.NET SignalR that goes on where the service's
// answer says, on the host that answered, as the jQuery client does.
func TestPathOfService(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/aspnetclient/negotiate":
			fmt.Fprint(w, `{"Url":"/aspnetclient","ConnectionToken":"connection-token","ConnectionId":"connection-id"}`)
		case "/aspnetclient/ping":
			fmt.Fprint(w, `{"Response":"pong"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer service.Close()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"RedirectUrl":"%s/aspnetclient","AccessToken":"access-token"}`, service.URL)
	}))
	defer app.Close()
	r := startRecorder(t, record.Options{}, app.URL+"/signalr")
	var answer struct{ RedirectUrl, Url string }
	for _, at := range []string{r.url + "/signalr/negotiate", ""} {
		if at == "" {
			at = answer.RedirectUrl + "/negotiate"
		}
		if _, text := ask(t.Context(), t, http.MethodGet, at, "", ""); json.Unmarshal([]byte(text), &answer) != nil {
			t.Fatalf("%s answers %s", at, text)
		}
	}
	at, err := url.Parse(answer.RedirectUrl)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := ask(t.Context(), t, http.MethodGet, "http://"+at.Host+answer.Url+"/ping", "", ""); status != http.StatusOK {
		t.Errorf("at %s: %d %s", answer.Url, status, text)
	}
	text := r.text(t)
	for _, part := range []string{`"Url":"/aspnetclient"`, "client h3> GET ${service1}/aspnetclient/ping\n"} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("the transcript lacks %s:\n%s", part, text)
		}
	}
	tr, err := conformance.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := conformance.ReplayRecording(t.Context(), tr, conformance.Options{URL: app.URL + "/signalr"}); err != nil {
		t.Error(err)
	}
}

// TestTokensOfOneSecond has an app whose tokens are the same twice when it is
// recorded, and others when that is played.
func TestTokensOfOneSecond(t *testing.T) {
	var tokens atomic.Int64
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/client") {
			fmt.Fprint(w, r.Header.Get("Authorization"))
			return
		}
		fmt.Fprintf(w, `{"url":"http://%s/client","accessToken":"token-of-%d"}`, r.Host, tokens.Add(1)/2)
	}))
	defer served.Close()
	r := startRecorder(t, record.Options{}, served.URL+"/hub")
	tokens.Store(1)
	for range 2 {
		ask(t.Context(), t, http.MethodPost, r.url+"/hub/negotiate", "", "")
		ask(t.Context(), t, http.MethodGet, r.url+"/~1/client", "token-of-1", "")
	}
	text := r.text(t)
	if bytes.Contains(text, []byte("token-of")) {
		t.Errorf("a token is in the transcript:\n%s", text)
	}
	tr, err := conformance.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first time the tokens are two
		tokens.Add(1)
		if err := conformance.ReplayRecording(t.Context(), tr, conformance.Options{URL: served.URL + "/hub"}); err != nil {
			t.Errorf("%v\nin\n%s", err, text)
		}
	}
}
