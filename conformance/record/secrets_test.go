package record_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/record"
	"github.com/signalrelay/signalrelay/conformance/ws"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// TestTokensOfClients records a client that brings its own token, once with the
// key that the token is signed with and once without.
func TestTokensOfClients(t *testing.T) {
	for _, c := range []struct {
		name, key string
		query     bool
		has       string
	}{
		{"signed with the key", accessKey, false, `token HS256 {"`},
		{"in the query", accessKey, true, "access_token=${jwt}"},
		{"not known", "", false, "Authorization: Bearer ${secret1}"},
		{"not known, in the query", "", true, "access_token=${secret1}"},
		{"signed with another key", "another key, which is long enough for this", false, "Bearer ${secret1}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, service := startAppsAndRelay(t)
			keys, err := auth.NewKeys(accessKey)
			if err != nil {
				t.Fatal(err)
			}
			at, err := auth.ParseConnectionString("Endpoint=" + service + ";AccessKey=" + accessKey)
			if err != nil {
				t.Fatal(err)
			}
			token, err := keys.SignClient(at.ClientAudience("benchhub"), []relay.Claim{{Type: auth.ClaimUser, Value: "alice"}}, auth.Sign{})
			if err != nil {
				t.Fatal(err)
			}
			r := startRecorder(t, record.Options{AccessKey: c.key}, service+"/client/")
			target, header := r.url+"/client/?hub=benchhub", http.Header{"Cookie": {"session=very secret"}, "X-Api-Key": {"this is secret too"}}
			if c.query {
				target += "&access_token=" + token
			} else {
				header.Set("Authorization", "Bearer "+token)
			}
			socket, err := ws.Dial(t.Context(), target, header)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{`{"protocol":"json","version":1}`, `{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`} {
				if err := socket.Write(ws.Text, []byte(text+"\x1e")); err != nil {
					t.Fatal(err)
				}
			}
			for answered := false; !answered; {
				_, p, err := socket.Read()
				if err != nil {
					t.Fatal(err)
				}
				answered = bytes.Contains(p, []byte(`"invocationId":"1"`))
			}
			socket.Close(1000, "")
			text := r.text(t)
			if !bytes.Contains(text, []byte(c.has)) || !bytes.Contains(text, []byte("X-Api-Key: ${secret")) {
				t.Errorf("the transcript lacks %s or the header's capture:\n%s", c.has, text)
			}
			if bytes.Contains(text, []byte("secret too")) || bytes.Contains(text, []byte("very secret")) {
				t.Errorf("a secret is in the transcript:\n%s", text)
			}
			noSecrets(t, text)
			tr, err := conformance.Load(text)
			if err != nil {
				t.Fatal(err)
			}
			o := conformance.Options{URL: service + "/client/", AccessKey: accessKey}
			if err := conformance.ReplayRecording(t.Context(), tr, o); err == nil || !strings.Contains(err.Error(), "secret") {
				t.Errorf("without the secrets: %v", err)
			}
			o.Names = map[string]string{"secret1": token, "secret2": "x"}
			if err := conformance.ReplayRecording(t.Context(), tr, o); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

// TestSecretsLeftOut has a client and a server say what opens a door in places
// where it is easily overlooked.
func TestSecretsLeftOut(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, method, target string
		header               http.Header
		body                 string
		answer               func(w http.ResponseWriter, r *http.Request)
		secrets, has         []string
	}{
		{name: "a short token", method: "GET", target: "/hub?access_token=abc", header: http.Header{"Authorization": {"Basic x:y"}},
			secrets: []string{"x:y", "token=abc"}, has: []string{"access_token=${secret", "Authorization: Basic ${secret"}},
		{name: "where the client came from", method: "GET", target: "/hub", header: http.Header{"Referer": {"http://here/?access_token=very-secret"}}, secrets: []string{"very-secret"}},
		{name: "an id from before", method: "GET", target: "/hub?id=very-secret", secrets: []string{"very-secret"}, has: []string{"?id=${secret1}"}},
		{name: "an id of something else", method: "GET", target: "/backend?id=no-secret", has: []string{"?id=no-secret"}},
		{name: "tokens from before", method: "GET", target: "/hub/poll?connectionToken=very%2Bsecret&groupsToken=as+secret&messageId=1",
			secrets: []string{"very", "secret&", "as+"}, has: []string{"connectionToken=${secret1}&groupsToken=${secret2}&messageId=1"}},
		{name: "in a form", method: "POST", target: "/hub/poll?a=b", header: http.Header{"Content-Type": {form}}, body: "groupsToken=as+secret&messageId=1",
			secrets: []string{"as+secret"}, has: []string{"groupsToken=${secret1}&messageId=1"}},
		{name: "keys in the query", method: "GET", target: "/hub?code=very-secret&api-key=as-secret&colour=red", secrets: []string{"very-secret", "as-secret"}, has: []string{"colour=red"}},
		{name: "who the client is", method: "GET", target: "/hub", header: http.Header{"X-Ms-Client-Principal": {"very-secret"}}, secrets: []string{"very-secret"}},
		{name: "the query in a header", method: "GET", target: "/hub?access_token=very%2Fsecret", header: http.Header{"X-Original-Url": {"/hub?access_token=very%2Fsecret"}}, secrets: []string{"very"}},
		{name: "cookies", method: "GET", target: "/hub?echo=very-secret", header: http.Header{"Cookie": {"a=very-secret; b=as-secret"}},
			answer: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header["Cookie"]) }, secrets: []string{"very-secret", "as-secret"}, has: []string{"cookies were sent"}},
		{name: "a new cookie", method: "GET", target: "/hub",
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "very-secret"})
				fmt.Fprint(w, "a is very-secret")
			}, secrets: []string{"very-secret"}, has: []string{"a is ${cookie1}"}},
		{name: "a token told back", method: "GET", target: "/hub", header: http.Header{"Authorization": {"Bearer very+secret/x"}},
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"a":"very+secret/x","b":"very\u002Bsecret/x","c":"very\u002bsecret/x","d":"very+secret\/x"}`)
			}, secrets: []string{"very"}},
		{name: "a token for later", method: "POST", target: "/login",
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"token":"eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0"}`)
			}, secrets: []string{"eyJ", "c2VjcmV0"}},
		{name: "a token said", method: "POST", target: "/hub?id=1", body: `{"type":1,"target":"Login","arguments":["eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0"]}` + "\x1e", secrets: []string{"eyJ", "c2VjcmV0"}},
		{name: "a connection string", method: "GET", target: "/settings",
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "Endpoint=https://x;AccessKey=very/secret=;Version=1.0;")
			}, secrets: []string{"very"}, has: []string{";Version=1.0;"}},
		{name: "the access key", method: "GET", target: "/settings",
			answer: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the key: "+accessKey) }, secrets: []string{accessKey}},
		{name: "a redirect", method: "POST", target: "/hub/negotiate",
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"url":"http://service/client/?hub=a\u0026asrs_request_id=very%2Bsecret","accessToken":"as\u002Bsecret"}`)
			}, secrets: []string{"very", "as\\u002B", "as+"}, has: []string{`"accessToken":"${access1}"`}},
		{name: "a redirect of ASP.NET SignalR", method: "GET", target: "/hub/negotiate",
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"ProtocolVersion":"2.0","RedirectUrl":"http://service/aspnetclient","AccessToken":"very/secret"}`)
			}, secrets: []string{"very"}, has: []string{`"AccessToken":"${access1}"`}},
		{name: "compressed", method: "POST", target: "/hub/negotiate",
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "x-secret")
				fmt.Fprint(w, "very-secret")
			}, secrets: []string{"very-secret"}, has: []string{"compressed and left out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/plain")
				if c.answer != nil {
					c.answer(w, r)
				}
			}))
			defer app.Close()
			r := startRecorder(t, record.Options{AccessKey: accessKey}, app.URL+"/hub")
			req, err := http.NewRequestWithContext(t.Context(), c.method, r.url+c.target, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range c.header {
				req.Header[name] = values
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			text := r.text(t)
			for _, secret := range c.secrets {
				if bytes.Contains(text, []byte(secret)) {
					t.Errorf("%s is in the transcript", secret)
				}
			}
			for _, part := range c.has {
				if !bytes.Contains(text, []byte(part)) {
					t.Errorf("%s is not in the transcript", part)
				}
			}
			if _, err := conformance.Load(text); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Logf("%s", text)
			}
		})
	}
}

// noSecrets has to be able to find what it looks for.
func TestSecretsAreFound(t *testing.T) {
	for _, text := range []string{accessKey, "Bearer eyJhbGciOiJIUzI1NiJ9.x.y", `"connectionToken":"abc"`, "?id=abc", "asrs_request_id=1", "body http://127.0.0.1:1"} {
		if secretsIn([]byte(text+"\n")) == nil {
			t.Errorf("%s is not found", text)
		}
	}
	for _, text := range []string{`"connectionToken":"${c1token}"`, "?id=${c1token}", "asrs_request_id=${request1}", "# from: http://127.0.0.1:1"} {
		if found := secretsIn([]byte(text + "\n")); found != nil {
			t.Errorf("%s is found: %v", text, found)
		}
	}
}

func TestErrors(t *testing.T) {
	r := startRecorder(t, record.Options{}, "http://127.0.0.1:1/hub")
	for _, c := range []struct {
		name, path string
		status     int
		says       string
	}{
		{"no server", "/hub/negotiate", 502, "no answer from http://127.0.0.1:1: "},
		{"a service nobody was sent to", "/~1/client/negotiate", 404, "no negotiate answer has sent anybody to /~1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := ask(t.Context(), t, http.MethodPost, r.url+c.path, "", "")
			if status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	if text := r.text(t); !bytes.Contains(text, []byte("server h1> drop\nnote> no answer to h1: ")) {
		t.Errorf("transcript:\n%s", text)
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct{ to, says string }{
		{"ftp://host/hub", "begins with http"},
		{"host/hub", "begins with http"},
		{"http://host/hub?hub=chat", "no query"},
		{"http://me:secret@host/hub", "user and password"},
	} {
		if _, err := newRecorder(c.to); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(fmt.Sprint(err), "me:secret") {
			t.Errorf("%s: %v", c.to, err)
		}
	}
}
