package record_test

import (
	"bytes"
	"fmt"
	"net/http"
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
