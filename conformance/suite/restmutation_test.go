package suite_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// A restMutation is one thing that a REST API does wrong.
type restMutation struct {
	name string
	by   string // the case that finds it
	got  string // what came instead, or a part of it; "" when nothing came
	restWrong
}

var restMutations = []restMutation{
	// Who may ask.
	{"202 for a token of another key", "rest-token-refused", "202", restWrong{door: tokens(func(_ *http.Request, alg string, signed bool, _ jwt.MapClaims) bool {
		return alg == "HS256" && !signed
	})}},
	{"202 for a token without a signature", "rest-token-refused", "202", restWrong{door: tokens(func(_ *http.Request, alg string, _ bool, _ jwt.MapClaims) bool {
		return alg == "none"
	})}},
	{"202 for a token that has expired", "rest-token-refused", "202", restWrong{door: claimed("exp", func(_ *http.Request, exp any) any {
		if exp != nil {
			exp = time.Now().Add(time.Hour).Unix()
		}
		return exp
	})}},
	{"202 for a token that never expires", "rest-token-refused", "202", restWrong{door: claimed("exp", func(_ *http.Request, exp any) any {
		if exp == nil {
			exp = time.Now().Add(time.Hour).Unix()
		}
		return exp
	})}},
	{"202 for a token for another request", "rest-token-refused", "202", restWrong{door: claimed("aud", func(r *http.Request, aud any) any {
		if aud != nil {
			aud = address(r)
		}
		return aud
	})}},
	{"202 for a token for no request", "rest-token-refused", "202", restWrong{door: claimed("aud", func(r *http.Request, aud any) any {
		if aud == nil {
			aud = address(r)
		}
		return aud
	})}},
	{"202 without a token", "rest-token-refused", "202", restWrong{door: tokens(func(r *http.Request, alg string, _ bool, claims jwt.MapClaims) bool {
		claims["exp"], claims["aud"] = time.Now().Add(time.Hour).Unix(), address(r)
		return alg == ""
	})}},
	{"401 without a challenge", "rest-token-refused", "401", restWrong{door: answering(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("WWW-Authenticate") })}},
	{"401 for an audience without the port", "rest-token-audiences", "401", restWrong{door: claimed("aud", func(r *http.Request, aud any) any {
		if text, ok := aud.(string); ok && !strings.Contains(text, r.Host) {
			return ""
		}
		return aud
	})}},
	{"401 for an audience with the query", "rest-token-audiences", "401", restWrong{door: claimed("aud", func(_ *http.Request, aud any) any {
		if text, ok := aud.(string); ok && strings.Contains(text, "?") {
			return ""
		}
		return aud
	})}},
	{"401 for a list of audiences", "rest-token-audiences", "401", restWrong{door: claimed("aud", func(_ *http.Request, aud any) any {
		if _, ok := aud.([]any); ok {
			return ""
		}
		return aud
	})}},
	{"401 for a kid that is not known", "rest-management-sdk", "401", restWrong{door: where(func(r *http.Request) bool {
		header, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		text, err := base64.RawURLEncoding.DecodeString(header)
		return err == nil && strings.HasPrefix(r.URL.Path, "/api/") && bytes.Contains(text, []byte(`"kid"`))
	}, replies(http.StatusUnauthorized))}},
	{"health wants a token", "health", "401", restWrong{door: on("", "/api/health", replies(http.StatusUnauthorized))}},
	{"health is not told to HEAD", "health", "405", restWrong{door: on(http.MethodHead, "/api/health", replies(http.StatusMethodNotAllowed))}},
	{"health of v1 is not told", "rest-versions", "404", restWrong{door: on("", "/api/v1/health", replies(http.StatusNotFound))}},

	// Addresses.
	{"no v1", "rest-broadcast", "404", restWrong{inside: on("", "/api/v1/hubs/", replies(http.StatusNotFound))}},
	{"400 without a version", "rest-versions", "400", restWrong{inside: where(func(r *http.Request) bool { return !r.URL.Query().Has("api-version") }, replies(http.StatusBadRequest))}},
	{"a hub in another case is another hub", "rest-hub-any-case", "", restWrong{inside: where(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/Chat") }, replies(http.StatusAccepted))}},
	{"the application is not looked at", "rest-application", "", restWrong{inside: asking(func(r *http.Request, q url.Values) { q.Del("application") })}},
	{"segments are undone twice", "rest-escaped-segments", "404", restWrong{inside: asking(func(r *http.Request, _ url.Values) { setPath(r, r.URL.Path) })}},
	{"the slash in a segment stays escaped", "rest-escaped-segments", "", restWrong{inside: asking(func(r *http.Request, _ url.Values) {
		setPath(r, strings.ReplaceAll(r.URL.EscapedPath(), "%2F", "%252F"))
	})}},

	// Messages.
	{"members of a message with a small letter are not known", "rest-message-members", "400", restWrong{inside: bodies(`"target"`, `"-target"`, `"arguments"`, `"-arguments"`)}},
	{"members of a message with a capital are not known", "rest-message-members", "400", restWrong{inside: bodies(`"Target"`, `"-Target"`, `"Arguments"`, `"-Arguments"`)}},
	{"null is no list of arguments", "rest-no-arguments", "400", restWrong{inside: whereBodyHas(`null`, replies(http.StatusBadRequest))}},
	{"a message has to have arguments", "rest-no-arguments", "400", restWrong{inside: whereBodyHas(`{"target":"ping"}`, replies(http.StatusBadRequest))}},
	{"null for an empty list of arguments", "rest-no-arguments", "[null]", restWrong{inside: bodies(`"Arguments":null`, `"Arguments":[null]`)}},
	{"all numbers are floating", "rest-values", "9007199254740992", restWrong{inside: changing(reformatted)}},
	{"whole numbers are not whole for messagepack", "rest-values", "cbc0", restWrong{inside: bodies(`-2`, `-2.0e0`)}},
	{"415 for octet-stream", "rest-octet-stream", "415", restWrong{inside: where(func(r *http.Request) bool { return r.Header.Get("Content-Type") == "application/octet-stream" }, replies(http.StatusUnsupportedMediaType))}},
	{"octet-stream is for json only", "rest-octet-stream", "", restWrong{inside: bodies("\xabmessagepack", "\xabmessagepacc")}},
	{"411 for a body whose length is not told", "rest-management-sdk", "411", restWrong{inside: where(func(r *http.Request) bool { return r.ContentLength < 0 }, replies(http.StatusLengthRequired))}},
	{"202 for a message without a target", "rest-bad-requests", "202", restWrong{inside: bodies(`{"arguments":[1]}`, `{"target":"t","arguments":[1]}`)}},
	{"202 for no message", "rest-bad-requests", "202", restWrong{inside: where(func(r *http.Request) bool { return r.ContentLength == 0 }, replies(http.StatusAccepted))}},
	{"202 for a hub that cannot be", "rest-bad-requests", "202", restWrong{inside: on("", "/api/hubs/1chat/", replies(http.StatusAccepted))}},
	{"400 for a type that is not known", "rest-bad-requests", "400", restWrong{inside: statuses(415, 400)}},
	{"400 for a body that is too large", "rest-too-large", "400", restWrong{inside: statuses(413, 400)}},

	// Who gets them.
	{"a broadcast comes twice", "rest-broadcast", `"hi",1`, restWrong{inside: twiceTo("/:send")}},
	{"excluded is split at commas", "rest-excluded", "", restWrong{inside: asking(func(_ *http.Request, q url.Values) {
		q["excluded"] = strings.Split(strings.Join(q["excluded"], ","), ",")
	})}},
	{"the first excluded counts alone", "rest-excluded", `"one"`, restWrong{inside: asking(func(_ *http.Request, q url.Values) { q["excluded"] = q["excluded"][:min(1, len(q["excluded"]))] })}},
	{"nobody is excluded from a group", "rest-excluded", `"four"`, restWrong{inside: where(inPath("/groups/"), asking(func(_ *http.Request, q url.Values) { q.Del("excluded") }))}},
	{"what is for a connection goes to all", "rest-send-to-connection", "a36f6e65", restWrong{inside: asking(func(r *http.Request, _ url.Values) {
		setPath(r, regexp.MustCompile(`/connections/[^/]+/:send`).ReplaceAllString(r.URL.EscapedPath(), "/:send"))
	})}},
	{"users without case", "rest-send-to-user", `"two"`, restWrong{inside: asking(func(r *http.Request, _ url.Values) {
		setPath(r, strings.ReplaceAll(r.URL.EscapedPath(), "/Alice", "/alice"))
	})}},
	{"connections are those of all hubs", "rest-hubs-apart", "200", restWrong{inside: where(inPath("/connections/"), asking(func(r *http.Request, _ url.Values) {
		setPath(r, strings.Replace(r.URL.EscapedPath(), "/hubs/other", "/hubs/chat", 1))
	}))}},
	{"404 for a user who is not there", "rest-nobody-there", "404", restWrong{inside: on("", "", where(inPath("/users/nobody/"), replies(http.StatusNotFound)))}},

	// What is there.
	{"404 without its code", "rest-existence", "404", restWrong{inside: answering(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("x-ms-error-code") })}},
	{"the code of a group for a user", "rest-existence", "Warning.Group.NotExisted", restWrong{inside: answering(func(r *http.Request, a *httptest.ResponseRecorder) {
		if inPath("/users/")(r) && a.Code == http.StatusNotFound {
			a.Header().Set("x-ms-error-code", "Warning.Group.NotExisted")
		}
	})}},
	{"204 for what is there", "rest-existence", "204", restWrong{inside: on(http.MethodHead, "", statuses(200, 204))}},
	{"what is gone is there", "rest-existence", "200", restWrong{inside: where(func(r *http.Request) bool { return !inPath("nobody")(r) }, on(http.MethodHead, "", statuses(404, 200)))}},
	{"405 for GET in v1", "rest-existence-v1", "405", restWrong{inside: on(http.MethodGet, "", replies(http.StatusMethodNotAllowed))}},
	{"405 for GET of a user in a group, which the SDK asks", "rest-user-groups", "405", restWrong{inside: on(http.MethodGet, "/api/hubs/", replies(http.StatusMethodNotAllowed))}},

	// Groups.
	{"a connection that is not there joins", "rest-connection-groups", "200", restWrong{inside: on(http.MethodPut, "", statuses(404, 200))}},
	{"a connection does not leave", "rest-connection-groups", "200", restWrong{inside: on(http.MethodDelete, "", replies(http.StatusOK))}},
	{"a connection leaves no group when it leaves all", "rest-connection-leaves-all-groups", `"one"`, restWrong{inside: on(http.MethodDelete, "", replies(http.StatusOK))}},
	{"later connections of a user do not join", "rest-user-groups", "", restWrong{inside: asking(func(_ *http.Request, q url.Values) { q.Set("ttl", "0") })}},
	{"later connections of a user do not join in v1", "rest-user-groups-v1", "", restWrong{inside: on("", "/api/v1/", asking(func(_ *http.Request, q url.Values) { q.Set("ttl", "0") }))}},
	{"a user does not leave", "rest-user-groups", "200", restWrong{inside: on(http.MethodDelete, "", replies(http.StatusNoContent))}},
	{"a user who is not connected is forgotten", "rest-user-not-connected", "404", restWrong{inside: asking(func(_ *http.Request, q url.Values) { q.Set("ttl", "0") })}},
	{"a ttl is not looked at", "rest-user-group-ttl-0", `"one"`, restWrong{inside: asking(func(_ *http.Request, q url.Values) { q.Del("ttl") })}},
	{"a ttl of 0 joins nobody", "rest-user-group-ttl-0", "", restWrong{inside: on(http.MethodPut, "", replies(http.StatusOK))}},
	{"a user who leaves all groups stays in them", "rest-user-leaves-all-groups", "200", restWrong{inside: where(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/groups") }, replies(http.StatusNoContent))}},

	{"groups of its own", "rest-shares-groups", "404", restWrong{inside: asking(func(r *http.Request, _ url.Values) {
		setPath(r, strings.ReplaceAll(r.URL.EscapedPath(), "/groups/", "/groups/own-"))
	})}},

	// Closing.
	{"a client is not told why it is closed", "rest-close-connection", `{"type":7}`, restWrong{inside: asking(func(_ *http.Request, q url.Values) { q.Del("reason") })}},
	{"nobody is closed", "rest-close-connection", "", restWrong{inside: on(http.MethodDelete, "", replies(http.StatusOK))}},
	{"404 without its code for who cannot be closed", "rest-close-connection", "404", restWrong{inside: where(inPath("/connections/nobody"), replies(http.StatusNotFound))}},
	{"a hub is closed with the excluded", "rest-close-hub", `"type":7`, restWrong{inside: where(inPath("/:closeConnections"), asking(func(_ *http.Request, q url.Values) { q.Del("excluded") }))}},
	{"closing takes no body", "rest-close-hub", "415", restWrong{inside: whereBodyHas(`"Target":null`, replies(http.StatusUnsupportedMediaType))}},
	{"a group is closed with the excluded", "rest-close-group", `"type":7`, restWrong{inside: where(inPath("/:closeConnections"), asking(func(_ *http.Request, q url.Values) { q.Del("excluded") }))}},
	{"a user is closed with the excluded", "rest-close-user", `"type":7`, restWrong{inside: where(inPath("/:closeConnections"), asking(func(_ *http.Request, q url.Values) { q.Del("excluded") }))}},

	// Statuses that the SDK takes alike.
	{"200 for a send", "exact-rest-statuses", "200", restWrong{inside: on(http.MethodPost, "", statuses(202, 200))}},
	{"202 for a user who leaves", "exact-rest-statuses", "202", restWrong{inside: on(http.MethodDelete, "", statuses(204, 202))}},
	{"200 for closing in v1", "exact-rest-statuses-v1", "200", restWrong{inside: on(http.MethodDelete, "/api/v1/", where(inPath("/connections/"), statuses(202, 200)))}},
}

// A REST API that is wrong in one thing is found out by the case for it.
func TestRESTMutations(t *testing.T) {
	t.Parallel() // most of it is waiting for what does not come
	service := startRelay(t)
	set := restSet()
	set.Probe = nil // the mutation may be in what it asks
	ask := func(wrong restWrong, name string) chan suite.Result {
		at, result := startREST(t, service, wrong), make(chan suite.Result, 1)
		go func() { // ends with the case
			r, err := suite.Run(t.Context(), set, at, suite.Options{Only: regexp.MustCompile("^" + name + "$")})
			if err != nil || len(r.Results) != 1 {
				result <- suite.Result{Outcome: suite.Broken, Why: "no such case"}
				return
			}
			result <- r.Results[0]
		}()
		return result
	}
	mutated := map[string]chan suite.Result{}
	for _, m := range restMutations {
		if mutated[m.name] != nil {
			t.Fatalf("two are called %s", m.name)
		}
		mutated[m.name] = ask(m.restWrong, m.by) // TestRESTSet asks them where nothing is wrong
	}
	for _, m := range restMutations {
		t.Run(m.name, func(t *testing.T) {
			x := <-mutated[m.name]
			if x.Outcome != suite.Failed || !strings.Contains(x.Got, m.got) || (m.got == "") != (x.Got == "") {
				t.Errorf("%s is %s: want %s, got %q %s; it should have got %q", m.by, x.Outcome, x.Want, x.Got, x.Why, m.got)
			}
		})
	}
}

// A layer is a handler around another.
type layer = func(http.Handler) http.Handler

// where has a layer for some requests only.
func where(these func(*http.Request) bool, wrong layer) layer {
	return func(next http.Handler) http.Handler {
		other := wrong(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if these(r) {
				other.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// on is where for requests of a method, "" for any, and of paths that begin so.
func on(method, path string, wrong layer) layer {
	return where(func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.HasPrefix(r.URL.Path, path)
	}, wrong)
}

func inPath(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.EscapedPath(), part) }
}

// whereBodyHas is where for requests with a text in the body.
func whereBodyHas(text string, wrong layer) layer {
	return where(func(r *http.Request) bool { return bytes.Contains(readBody(r), []byte(text)) }, wrong)
}

// replies answers and does nothing.
func replies(status int) layer {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
}

// answering changes answers.
func answering(f func(r *http.Request, a *httptest.ResponseRecorder)) layer {
	return func(next http.Handler) http.Handler {
		answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := httptest.NewRecorder()
			next.ServeHTTP(a, r)
			f(r, a)
			maps.Copy(w.Header(), a.Header())
			w.WriteHeader(a.Code)
			w.Write(a.Body.Bytes())
		})
		return on("", "/api/", func(http.Handler) http.Handler { return answer })(next)
	}
}

// statuses has another status for one.
func statuses(from, to int) layer {
	return answering(func(_ *http.Request, a *httptest.ResponseRecorder) {
		if a.Code == from {
			a.Code = to
		}
	})
}

// asking changes requests and their queries.
func asking(f func(r *http.Request, q url.Values)) layer {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			f(r, q)
			r.URL.RawQuery = q.Encode()
			next.ServeHTTP(w, r)
		})
	}
}

// setPath sets a path that is escaped.
func setPath(r *http.Request, escaped string) {
	if path, err := url.PathUnescape(escaped); err == nil {
		r.URL.Path, r.URL.RawPath = path, escaped
	}
}

// changing changes bodies.
func changing(f func([]byte) []byte) layer {
	return asking(func(r *http.Request, _ url.Values) {
		b := f(readBody(r))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	})
}

// bodies has other texts for some in bodies.
func bodies(oldnew ...string) layer {
	replace := strings.NewReplacer(oldnew...)
	return changing(func(b []byte) []byte { return []byte(replace.Replace(string(b))) })
}

// readBody reads a body and leaves it where it is.
func readBody(r *http.Request) []byte {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil // the caller went
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return b
}

// reformatted is JSON as it is written by who has read all numbers as floating.
func reformatted(text []byte) []byte {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return text
	}
	text, _ = json.Marshal(v) // it was JSON
	return text
}

// twiceTo does twice what is asked of paths that end so.
func twiceTo(path string) layer {
	return where(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, path) }, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := readBody(r)
			next.ServeHTTP(httptest.NewRecorder(), r)
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	})
}

// tokens signs anew the tokens of REST.
func tokens(f func(r *http.Request, algorithm string, signed bool, claims jwt.MapClaims) bool) layer {
	return on("", "/api/", resigned(f))
}

// resigned signs anew the tokens that f says yes to, with what it has made of the
// claims. There is no algorithm where there is no token.
func resigned(f func(r *http.Request, algorithm string, signed bool, claims jwt.MapClaims) bool) layer {
	key := func(*jwt.Token) (any, error) { return []byte(accessKey), nil }
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			claims, algorithm := jwt.MapClaims{}, ""
			if token, _, err := jwt.NewParser().ParseUnverified(text, claims); err == nil {
				algorithm = token.Method.Alg()
			}
			_, err := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"HS256"})).Parse(text, key)
			if f(r, algorithm, err == nil, claims) {
				if text, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(accessKey)); err == nil {
					r.Header.Set("Authorization", "Bearer "+text)
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// claimed has another value for a claim of tokens that are signed well; nil is
// none.
func claimed(name string, f func(r *http.Request, value any) any) layer {
	return tokens(func(r *http.Request, _ string, signed bool, claims jwt.MapClaims) bool {
		if v := f(r, claims[name]); v != nil {
			claims[name] = v
		}
		return signed
	})
}

// address is the URL of a request without its query.
func address(r *http.Request) string { return "http://" + r.Host + r.URL.EscapedPath() }
