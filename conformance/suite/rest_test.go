package suite_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

const (
	restTranscripts = "../transcripts/rest"
	goldenREST      = "../../../shared/golden/rest-upstream.json"
)

// restSet is the cases for a REST API, and those for what a front of it has to
// pass on.
func restSet() *suite.Set {
	set := suite.ServiceSet()
	set.Cases = slices.DeleteFunc(set.Cases, func(c suite.Case) bool { return c.Level != suite.REST && c.Name != "health" })
	return set
}

// A service with a REST API agrees with all cases for it.
func TestRESTSet(t *testing.T) {
	r, err := suite.Run(t.Context(), restSet(), startREST(t, startRelay(t), restWrong{}), suite.Options{Parallel: 16, Limit: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if x.Outcome != suite.Passed {
			t.Errorf("%s: %s\n%s\nwant %s\ngot  %s\n%v", x.Name, x.Outcome, x.Why, x.Want, x.Got, x.Log)
		}
	}
	t.Logf("%d cases in %v", len(r.Results), r.Took.Round(time.Millisecond))
}

// A service has a REST API unless it knows no such path.
func TestRESTProbe(t *testing.T) {
	relay := startRelay(t)
	for name, c := range map[string]struct {
		wrong restWrong
		lacks string
	}{
		"there":                       {restWrong{}, ""},
		"no such path":                {restWrong{door: on("", "/api/", replies(http.StatusNotFound))}, "it answers 404 to POST"},
		"no such method":              {restWrong{door: on("", "/api/", replies(http.StatusMethodNotAllowed))}, "it answers 405 to POST"},
		"it takes no token":           {restWrong{door: on("", "/api/", replies(http.StatusUnauthorized))}, ""},
		"404 where nobody is":         {restWrong{inside: on("", "", notExisted)}, ""},
		"there, and no ASP.NET Core":  {restWrong{door: on("", "/server/", replies(http.StatusNotFound))}, "no app servers of ASP.NET Core"},
		"the connection is cut there": {restWrong{door: on("", "/api/", cutOff)}, "no answer to POST"},
	} {
		t.Run(name, func(t *testing.T) {
			lacks, err := suite.ServiceSet().Probe(t.Context(), startREST(t, relay, c.wrong))
			if err != nil || (lacks[suite.REST] == "") != (c.lacks == "") || !strings.Contains(lacks[suite.REST], c.lacks) {
				t.Errorf("lacks %v, %v; want %q", lacks, err, c.lacks)
			}
		})
	}
}

// notExisted is the 404 of who knows what is asked for.
func notExisted(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", "Warning.Group.NotExisted")
		w.WriteHeader(http.StatusNotFound)
	})
}

// cutOff ends the connection instead of an answer.
func cutOff(http.Handler) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// Of a REST API the rules allow what does not matter to a caller, and nothing else.
func TestRESTRules(t *testing.T) {
	const (
		send   = "client h1> POST /api/hubs/chat/:send\nrelay h1> 202\n"
		nobody = "/api/hubs/chat/connections/nobody\nrelay h1> 404\n  x-ms-error-code: Warning.Connection.NotExisted\n"
		hears  = "client c1> GET /client/\n  Upgrade: websocket\nrelay c1> 101\n" +
			"client c1> binary `{\"protocol\":\"messagepack\",\"version\":1}␞`\nrelay c1> binary `{}␞`\nrelay c1> binary x\"09960180c0a174910190\"\n"
		six, five, another = "\x09\x96\x01\x80\xc0\xa1t\x91\x01\x90", "\x08\x95\x01\x80\xc0\xa1t\x91\x01", "\x08\x95\x01\x80\xc0\xa1t\x91\x02"
	)
	for name, c := range map[string]struct {
		text    string
		answer  http.HandlerFunc
		outcome suite.Outcome
		allowed string
	}{
		"another status of success":    {send, says(200, "", ""), suite.Passed, "any status of success"},
		"in the case that asks which":  {"# name: exact-rest-statuses-x\n\n" + send, says(200, "", ""), suite.Failed, ""},
		"where nobody asks REST":       {"client h1> POST /client/negotiate\nrelay h1> 202\n", says(200, "", ""), suite.Failed, ""},
		"a refusal":                    {send, says(400, "", ""), suite.Failed, ""},
		"another yes":                  {"client h1> HEAD /api/hubs/chat/groups/g\nrelay h1> 200\n", says(204, "", ""), suite.Failed, ""},
		"a body of success":            {send, says(202, "", `{"level":"Info"}`), suite.Passed, "may have a body"},
		"a body of health":             {"client h1> GET /api/health\nrelay h1> 200\n", says(200, "", "Healthy"), suite.Passed, "may have a body"},
		"who is not there is closed":   {"client h1> DELETE " + nobody, says(200, "", ""), suite.Passed, "may be closed"},
		"who is not there joins":       {"client h1> PUT " + nobody, says(200, "", ""), suite.Failed, ""},
		"a code in small letters":      {"client h1> HEAD " + nobody, says(404, "warning.connection.notexisted", ""), suite.Passed, "without case"},
		"another code":                 {"client h1> HEAD " + nobody, says(404, "Warning.User.NotExisted", ""), suite.Failed, ""},
		"no code":                      {"client h1> HEAD " + nobody, says(404, "", ""), suite.Failed, ""},
		"what needs no rule":           {"client h1> GET " + nobody, says(404, "Warning.Connection.NotExisted", "not there"), suite.Passed, ""},
		"a message with six elements":  {send + hears, packs(six), suite.Passed, ""},
		"a message with five elements": {send + hears, packs(five), suite.Passed, "without ids of streams"},
		"five, and a longer number":    {send + hears, packs("\x10\x95\x01\x80\xc0\xa1t\x91\xcf\x00\x00\x00\x00\x00\x00\x00\x01"), suite.Passed, "without ids of streams"},
		"another argument":             {send + hears, packs(another), suite.Failed, ""},
		"five where nobody asks REST":  {hears, packs(five), suite.Failed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := suite.ServiceScript([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewServer(c.answer)
			defer s.Close()
			at, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			comesOut(t, x, at, c.outcome, c.allowed)
		})
	}
}

// says answers every request alike.
func says(status int, code, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if code != "" {
			w.Header().Set("x-ms-error-code", code)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// packs takes every request, and says one thing to a client of messagepack after
// the handshake of the hub.
func packs(said string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		conn, both, err := openSocket(w, r)
		if err != nil {
			return
		}
		defer conn.Close()
		both.ReadByte()
		conn.Write(appendFrame(appendFrame(nil, message{op: ws.Binary, data: shaken}, 0), message{op: ws.Binary, data: said}, 0))
		io.Copy(io.Discard, both) // until the client goes
	}
}

// A script says who it is and what it is made of as the others do.
func TestRESTTranscripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(restTranscripts, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if name == "not-replayed" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := conformance.Load(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(string(text), string(tr.Text())); d != "" {
			t.Errorf("%s: - file + written\n%s", name, d)
		}
		if tr.Name != name {
			t.Errorf("%s has the name %q", name, tr.Name)
		}
		if all, err := suite.Transcripts(text, nil); err != nil || len(all) != 1 || all[0].Level != suite.REST {
			t.Errorf("%s is %v, %v; want one case of the level REST", name, all, err)
		}
	}
}

// madeOf finds the golden entries that a case is made of.
var madeOf = regexp.MustCompile(`; golden: (.+)$`)

// Every golden entry about REST is in a case, or is listed with the reason why not.
func TestRESTGoldensAreCasesOrListed(t *testing.T) {
	text, err := os.ReadFile(goldenREST)
	if err != nil {
		t.Skipf("the golden files are not beside the checkout: %v", err)
	}
	var golden struct{ Auth, Rest []struct{ ID string } }
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	not, err := suite.NotServiceCases()
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]string{} // case, by entry
	for _, c := range restSet().Cases {
		if found := madeOf.FindStringSubmatch(c.From); found != nil {
			for id := range strings.SplitSeq(found[1], ", ") {
				in[id] = c.Name
			}
		}
	}
	for _, entry := range append(golden.Auth, golden.Rest...) {
		if (in[entry.ID] == "") == (not[entry.ID] == "") {
			t.Errorf("%s: in case %q, listed as none: %q", entry.ID, in[entry.ID], not[entry.ID])
		}
		delete(in, entry.ID)
	}
	for id, name := range in {
		t.Errorf("%s is made of %s, which is no entry", name, id)
	}
}
