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
		{name: "in an odd query", method: "GET", target: "/hub?a=b;access_token=very-secret&Access%5Ftoken=as-secret&c=d%3B%26e%26id_token=in%2Dsecret", secrets: []string{"very", "as-", "in%2D", "in-"},
			has: []string{"?a=b;access_token=${secret2}&Access%5Ftoken=${secret1}&c=d%3B%26e%26id_token=${secret3}"}},
		{name: "in an address in the query", method: "GET", target: "/hub?next=http%3A%2F%2Fx%2F%3Fa%3Db%26access_token%3Dvery%252Fsecret%26c%3Dd&e=f",
			secrets: []string{"very"}, has: []string{"%26access_token%3D${secret1}%26c%3Dd&e=f"}},
		{name: "in the path", method: "GET", target: "/hub/a;token=very-secret/b", secrets: []string{"very"}},
		{name: "an id from before", method: "GET", target: "/hub?id=very-secret", secrets: []string{"very-secret"}, has: []string{"?id=${secret1}"}},
		{name: "an id of something else", method: "GET", target: "/backend?id=no-secret", has: []string{"?id=no-secret"}},
		{name: "tokens from before", method: "GET", target: "/hub/poll?connectionToken=very%2Bsecret&groupsToken=as+secret&messageId=1",
			secrets: []string{"very", "secret&", "as+"}, has: []string{"connectionToken=${secret1}&groupsToken=${secret2}&messageId=1"}},
		{name: "in a form", method: "POST", target: "/hub/poll?a=b", header: http.Header{"Content-Type": {form}}, body: "groupsToken=as+secret&messageId=1",
			secrets: []string{"as+secret"}, has: []string{"groupsToken=${secret1}&messageId=1"}},
		{name: "a member of JSON", method: "POST", target: "/login", header: http.Header{"Content-Type": {"application/json"}},
			body:    `{"user":"me","password":"abc","n":{"client_secret" : "very\u002Bsecret","apiKey":"as\"secret"},"tokens":5,"token":null,"key":"plain"}`,
			secrets: []string{"abc", "very", `as\"`}, has: []string{`{"user":"me","password":"${secret1}","n":{"client_secret" : "${secret2}","apiKey":"${secret3}"},"tokens":5,"token":null,"key":"plain"}`}},
		{name: "a member of JSON in a form", method: "POST", target: "/hub/send", header: http.Header{"Content-Type": {form}},
			body: "data=%7B%22A%22%3A%5B%7B%22password%22%3A%22very%5C%22secret%22%2C%22x%22%3A%22plain%22%7D%5D%7D", secrets: []string{"very", "secret%22%2C"}, has: []string{"%22password%22%3A%22${secret1}%22%2C%22x%22%3A%22plain%22"}},
		{name: "JSON that is said to be a form", method: "POST", target: "/hub?id=1", header: http.Header{"Content-Type": {form}}, body: `{"type":1,"target":"Login","arguments":[{"password":"very-secret"}]}` + "\x1e", secrets: []string{"very"}},
		{name: "a form in parts", method: "POST", target: "/login", header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}},
			body:    "--x\r\nContent-Disposition: form-data; name=\"password\"\r\nX: y\r\n\r\nvery secret\r\n--x--\r\n",
			secrets: []string{"very"}, has: []string{`\r\n${secret1}\r\n--x--`}},
		{name: "a member of an answer", method: "GET", target: "/me",
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"refresh_token":"very-secret","tokenHint":"the one of May"}`)
			}, secrets: []string{"very"}, has: []string{`"tokenHint":"the one of May"`}},
		{name: "an address in an answer", method: "GET", target: "/me",
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `go to http://x/?a=b&sig=very-secret&c=d or "http:\/\/x\/?a=b\u0026access_token=as-secret\u0026c=d" or amqp://me:in-secret@x/`)
			}, secrets: []string{"very", "as-", "in-"}, has: []string{"sig=${secret1}&c=d", `access_token=${secret2}\u0026c=d`, "amqp://me:${secret3}@x/"}},
		{name: "keys in the query", method: "GET", target: "/hub?code=very-secret&api-key=as-secret&sid=in-secret&colour=red", secrets: []string{"very-secret", "as-secret", "in-secret"}, has: []string{"colour=red"}},
		{name: "headers of many kinds", method: "GET", target: "/hub", header: http.Header{"X-Pwd": {"secret-1"}, "X-Otp": {"secret-2"}, "X-Ticket": {"secret-3"}, "Proxy-Authorization": {"Basic secret-4"}, "X-Basic": {"no secret"}},
			secrets: []string{"secret-"}, has: []string{"X-Basic: no secret"}},
		{name: "where the client is", method: "GET", target: "/hub", header: http.Header{"X-Real-Ip": {"192.0.2.1"}, "True-Client-Ip": {"192.0.2.1"}, "X-Azure-Clientip": {"192.0.2.1"}, "Cf-Connecting-Ip": {"192.0.2.1"},
			"X-Forwarded-For": {"192.0.2.1"}, "From": {"me at 192.0.2.1"}, "Traceparent": {"192.0.2.1"}}, secrets: []string{"192.0.2.1"}},
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
		{name: "a short token again", method: "GET", target: "/hub?access_token=abc&token=abc", header: http.Header{"X-Token": {"abc"}, "X-Key": {"abc"}},
			secrets: []string{"abc"}, has: []string{"?access_token=${secret1}&token=${secret1}", "X-Token: ${secret1}"}},
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

// TestLogin records a client that logs in and plays it with its password alone: the
// token is the server's to tell.
func TestLogin(t *testing.T) {
	logins := 0
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		switch token := fmt.Sprintf("opaque+%d/token", logins); {
		case string(body) == `{"user":"me","password":"abc"}`:
			logins++
			fmt.Fprintf(w, `{"access_token":"opaque+%d/token"}`, logins)
		case r.Header.Get("Authorization") == "Bearer "+token, r.FormValue("access_token") == token:
			fmt.Fprint(w, `{"you":"me"}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer app.Close()
	r := startRecorder(t, record.Options{}, app.URL+"/hub")
	ask(t.Context(), t, "POST", r.url+"/login", "", `{"user":"me","password":"abc"}`)
	ask(t.Context(), t, "GET", r.url+"/me", "opaque+1/token", "")
	ask(t.Context(), t, "GET", r.url+"/hub?access_token=opaque%2B1%2Ftoken", "", "")
	text := r.text(t)
	if bytes.Contains(text, []byte("opaque")) || bytes.Contains(text, []byte("abc")) || bytes.Contains(text, []byte("server h2> 401")) {
		t.Errorf("the transcript has a secret, or no login:\n%s", text)
	}
	tr, err := conformance.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		password string
		agrees   bool
	}{{"abc", true}, {"abd", false}} {
		// The password is the last secret that is found: headers and queries are looked at first.
		err := conformance.ReplayRecording(t.Context(), tr, conformance.Options{URL: app.URL + "/hub", Names: map[string]string{"secret2": c.password}})
		if (err == nil) != c.agrees {
			t.Errorf("with the password %s: %v\n%s", c.password, err, text)
		}
	}
}

// TestSecretInPacked has JSON with a secret in a message of messagepack, whose lengths
// a capture would make wrong.
func TestSecretInPacked(t *testing.T) {
	const text = `{"token":"very"}`
	inner := "\x95\x03\x80\xa1x\x03" + string([]byte{0xa0 | byte(len(text))}) + text
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(append([]byte{byte(len(inner))}, inner...))
	}))
	defer app.Close()
	r := startRecorder(t, record.Options{}, app.URL+"/hub")
	ask(t.Context(), t, http.MethodGet, r.url+"/hub?id=12345678", "", "")
	tr, err := conformance.Load(r.text(t))
	if err != nil {
		t.Fatal(err)
	}
	o := conformance.Options{URL: app.URL + "/hub", Names: map[string]string{"secret1": "12345678"}}
	if err := conformance.ReplayRecording(t.Context(), tr, o); err != nil {
		t.Error(err)
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
