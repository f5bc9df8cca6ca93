package legacy_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// answer is a recorded answer of the application's negotiate.
type answer struct {
	Name    string
	Request struct{ Method, Path string }
	Status  int
	// ContentType is "" where none was sent.
	ContentType, Body string
	Token             struct {
		Header  map[string]string
		Payload json.RawMessage
	}
}

// knownAnswers are those that the app does not give, and why.
var knownAnswers = map[string]string{"two endpoints": "the app has one endpoint"}

func TestRecordedAnswers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(transcripts, "http.json"))
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	if err := json.Unmarshal(text, &answers); err != nil || len(answers) == 0 {
		t.Fatalf("%d answers: %v", len(answers), err)
	}
	options := map[string]legacy.Options{
		"option: detailed errors":   {DetailedErrors: true},
		"option: sticky Preferred":  {Sticky: "preferred", ServerID: "vm_a4a6f8b224374b2285b533722e216df6"},
		"option: max poll interval": {MaxPollInterval: 7},
		"option: HS512":             {Algorithm: "HS512"},
		"option: diagnostic client": {Diagnostic: true},
	}
	for _, want := range answers {
		t.Run(want.Name, func(t *testing.T) {
			o := options[want.Name]
			o.ConnectionString, o.Connections = "Endpoint=http://localhost:8080;AccessKey="+stubservice.Key, -1
			app, err := legacy.NewRecorded(o, legacy.Pace(1, time.Second), func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if want.Name == "no server connection" {
				app = refused(t)
			}
			path := repeats.ReplaceAllStringFunc(strings.ReplaceAll(want.Request.Path, " times u>", " times z>"), func(s string) string {
				n, _ := strconv.Atoi(repeats.FindStringSubmatch(s)[1])
				return strings.Repeat("u", n)
			})
			w := httptest.NewRecorder()
			app.Handler().ServeHTTP(w, httptest.NewRequest(want.Request.Method, path, nil))
			diff := differs(t, &want, w)
			switch why := knownAnswers[want.Name]; {
			case diff != "" && why == "":
				t.Error(diff)
			case diff == "" && why != "":
				t.Errorf("passes, but is listed: %s", why)
			}
		})
	}
}

// refused is an app whose service refuses it.
func refused(t *testing.T) *legacy.App {
	r := newReplayOf(t, legacy.Options{}, 1, fast, time.Second, func(s *stubservice.Service) { s.Refuse.Store(http.StatusForbidden) })
	for end := time.Now().Add(patience); time.Now().Before(end); {
		w := httptest.NewRecorder()
		r.app.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/signalr/negotiate", nil))
		if w.Code != http.StatusOK {
			return r.app
		}
	}
	t.Fatal("negotiate goes on")
	return nil
}

var (
	requestID = regexp.MustCompile(`asrs_request_id=[0-9A-Za-z%]+`)
	tokenOf   = regexp.MustCompile(`"AccessToken":"([^"]*)"`)
)

// differs compares an answer with the recorded one, whose port, request id, times
// and kid stand for ours.
func differs(t *testing.T, want *answer, w *httptest.ResponseRecorder) string {
	t.Helper()
	body := w.Body.String()
	if strings.HasPrefix(want.Body, "/*!") { // of the script only the kind: ours is another
		want.Body, body = "", ""
	}
	var token string
	if m := tokenOf.FindStringSubmatch(body); m != nil {
		token = m[1]
		body = strings.Replace(body, token, "<jwt>", 1)
	}
	norm := func(s string) string {
		return requestID.ReplaceAllString(strings.Replace(s, "localhost:PORT", "localhost:8080", 1), "asrs_request_id=<id>")
	}
	diff := cmp.Diff([]string{strconv.Itoa(want.Status), want.ContentType, norm(want.Body)},
		[]string{strconv.Itoa(w.Code), w.Header().Get("Content-Type"), norm(body)})
	if token == "" {
		return diff
	}
	parts := strings.Split(token, ".")
	var header map[string]string
	if err := json.Unmarshal(decoded(t, parts[0]), &header); err != nil {
		t.Fatal(err)
	}
	header["kid"] = want.Token.Header["kid"]
	recorded := new(bytes.Buffer)
	if err := json.Compact(recorded, want.Token.Payload); err != nil {
		t.Fatal(err)
	}
	times := regexp.MustCompile(`"(nbf|iat|exp)":\d+`)
	stamp := func(s string) string { return times.ReplaceAllString(s, `"$1":0`) }
	return diff + cmp.Diff(want.Token.Header, header) + cmp.Diff(stamp(recorded.String()), stamp(string(decoded(t, parts[1]))))
}

func decoded(t *testing.T, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRedirect(t *testing.T) {
	cases := []struct {
		name, endpoint, path, query, want string
	}{
		{"no query", "", "/user/path/negotiate", "", "http://localhost/aspnetclient"},
		{"old client", "", "/user/path/negotiate", "clientProtocol=1.89", "http://localhost/aspnetclient"},
		{"no version", "", "/user/path/negotiate", "clientProtocol=2", "http://localhost/aspnetclient"},
		{"new client", "", "/user/path/negotiate", "clientProtocol=2.1", "http://localhost/aspnetclient?asrs_request_id=<id>&asrs.op=%2Fuser%2Fpath"},
		{"newer client", "", "/n/negotiate", "clientProtocol=10.0", "http://localhost/aspnetclient?asrs_request_id=<id>&asrs.op=%2Fn"},
		{"odd letters", "", "/negotiate", "%3DKey=%3Fa%3Dc&clientProtocol=2.1", "http://localhost/aspnetclient?%3DKey=%3Fa%3Dc&asrs_request_id=<id>"},
		{"own parameter", "", "/user/negotiate", "clientProtocol=2.2&customKey=customeValue", "http://localhost/aspnetclient?customKey=customeValue&asrs_request_id=<id>&asrs.op=%2Fuser"},
		{"client endpoint", "http://redirect", "/user/negotiate", "clientProtocol=2.1", "http://redirect/aspnetclient?asrs_request_id=<id>&asrs.op=%2Fuser"},
		{"client endpoint, old client", "http://redirect", "/user/negotiate", "clientProtocol=1.0", "http://redirect/aspnetclient"},
		{"repeated parameter", "", "/s/negotiate", "clientProtocol=2.1&k=v%20w&k=2", "http://localhost/aspnetclient?k=v%20w%2C2&asrs_request_id=<id>&asrs.op=%2Fs"},
		{"plus is a blank", "", "/s/negotiate", "clientProtocol=2.1&k=a+b%2B", "http://localhost/aspnetclient?k=a%20b%2B&asrs_request_id=<id>&asrs.op=%2Fs"},
		{"capital letters", "", "/signalr/NEGOTIATE", "clientProtocol=2.1", "http://localhost/aspnetclient?asrs_request_id=<id>"},
		{"connection parameters", "", "/s/negotiate", "clientProtocol=2.1&connectionToken=x&connectionData=[]&ConnectionToken=y", "http://localhost/aspnetclient?ConnectionToken=y&asrs_request_id=<id>&asrs.op=%2Fs"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := "Endpoint=http://localhost;AccessKey=" + stubservice.Key
			if c.endpoint != "" {
				conn += ";ClientEndpoint=" + c.endpoint
			}
			app, err := legacy.New(legacy.Options{ConnectionString: conn, Connections: -1})
			if err != nil {
				t.Fatal(err)
			}
			got := requestID.ReplaceAllString(app.RedirectURL(c.path, c.query), "asrs_request_id=<id>")
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestNegotiateTokenPasses asks as a browser of another origin does and checks
// what it gets as the service will.
func TestNegotiateTokenPasses(t *testing.T) {
	app, err := legacy.New(legacy.Options{ConnectionString: "Endpoint=http://localhost:8080;AccessKey=" + stubservice.Key, Connections: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/signalr/negotiate?clientProtocol=2.1&user=alice&connectionData="+url.QueryEscape(`[{"name":"chathub"},{"name":"otherhub"}]`), nil)
	r.Header.Set("Origin", "http://elsewhere.example")
	w := httptest.NewRecorder()
	app.Handler().ServeHTTP(w, r)
	if w.Header().Get("Access-Control-Allow-Origin") != "http://elsewhere.example" || w.Header().Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("headers are %v", w.Header())
	}
	var a struct{ RedirectURL, AccessToken string }
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(a.RedirectURL); err != nil || u.Query().Get("user") != "alice" {
		t.Errorf("redirected to %s", a.RedirectURL)
	}
	keys, err := auth.NewKeys(stubservice.Key)
	if err != nil {
		t.Fatal(err)
	}
	token, err := keys.AspNetClient(a.AccessToken, auth.Check{Hosts: []string{"localhost"}})
	if err != nil || token.Application != "SampleApp" || token.User != "alice" || token.Get("role") != "tester" {
		t.Errorf("token %+v, %v", token, err)
	}
}

func TestProxyScript(t *testing.T) {
	app, err := legacy.New(legacy.Options{ConnectionString: "Endpoint=http://localhost:8080;AccessKey=" + stubservice.Key, Connections: -1})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	app.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/signalr/hubs", nil))
	script := w.Body.String()
	for _, part := range []string{`$.hubConnection("/signalr", {`, `"chatHub": {"add": "Add", "big": "Big"`, `"otherHub": {"ping": "Ping", "sendAll": "SendAll"}`} {
		if !strings.Contains(script, part) {
			t.Errorf("the script lacks %s", part)
		}
	}
	if strings.Contains(script, "/*HUBS*/") || strings.Contains(script, "/*BASE*/") {
		t.Error("the script has a place left open")
	}
}
