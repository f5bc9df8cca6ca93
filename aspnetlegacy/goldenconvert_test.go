package aspnetlegacy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the recordings in testdata anew from the golden files beside the checkout")

// goldens are what the recordings are reduced from.
var goldens = []string{"../../shared/golden/legacy-server.json", "../../shared/golden/legacy-server-kestrel.json"}

// A golden is an entry of a golden file, as far as it is looked at.
type golden struct {
	Name    string
	Request *struct {
		Method, URL, URLTemplate, Body string
		Headers                        map[string]string
	}
	Response *struct {
		Status     int
		StatusText string
		Headers    []string
		Body       string
		Chunks     []struct{ Data string }
		Frames     []struct {
			Dir, Type, Data string
			Code            int
		}
		Ended string
	}
	ServerEvents []string
	Streams      map[string][]string
}

// The recordings are what the golden files say, wherever those are at hand.
func TestRecordingsAreTheGoldenFiles(t *testing.T) {
	var want bytes.Buffer
	lines := json.NewEncoder(&want)
	lines.SetEscapeHTML(false)
	notOurs := readList(t, "not-ours.txt", 2)
	for _, file := range goldens {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && !*update {
			t.Skipf("the golden files are not beside the checkout: %v", err)
		}
		var all []golden
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range all {
			r := recording{Name: g.name()}
			if notOurs.find(r.Name) == nil {
				r = g.reduce()
			}
			if err := lines.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if *update {
		if err := os.WriteFile(recordingsFile, want.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(recordingsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("- golden files + recordings\n%s", diff)
	}
}

// name marks what was recorded as one message of an open WebSocket.
func (g *golden) name() string {
	if g.Request != nil && strings.HasPrefix(g.Request.Method, "WS-FRAME") {
		return "frame " + g.Name
	}
	return g.Name
}

var (
	// mount is where a recorded app had SignalR; in the recordings it is our path.
	mount = regexp.MustCompile(`(?i)^/(signalr|jsonp|cors)`)
	// A placeholder says whether its value is percent-encoded, which ours need not be.
	encoded = regexp.MustCompile(`\{(\w+)\|urlencoded\}`)
	// The file has no placeholders for what request bodies say.
	bodyValue = regexp.MustCompile(`\b(messageId=)d-[^&]*|\b(groupsToken=)[^&]*`)
	// A long value is cut in the file, which says how long the URL was.
	cutValue = regexp.MustCompile(`x+\.\.\. \((\d+) characters\)$`)
)

// reduce keeps what is compared, under our path.
func (g *golden) reduce() recording {
	r := recording{Name: g.name(), App: appEvents(g.ServerEvents)}
	from := ""
	if q := g.Request; q != nil {
		r.Method, r.URL = q.Method, q.URLTemplate
		if r.URL == "" {
			r.URL = q.URL
		}
		from = mount.FindString(r.URL)
		r.JSONP = from == "/jsonp"
		r.URL = underOurs(r.URL, from)
		r.URL = encoded.ReplaceAllString(r.URL, "{$1}")
		if strings.HasPrefix(r.Name, "sse.reconnect.messageId.") { // what it is about, not a placeholder
			_, value, _ := strings.Cut(q.URL, "&messageId=")
			r.URL = strings.Replace(r.URL, "{cursor}", value, 1)
		}
		if m := cutValue.FindStringSubmatch(r.URL); m != nil {
			size, _ := strconv.Atoi(m[1])
			head := strings.TrimSuffix(r.URL, m[0])
			r.URL = head + strings.Repeat("x", size-len(head))
		}
		r.Body = bodyValue.ReplaceAllStringFunc(q.Body, func(s string) string {
			name, _, _ := strings.Cut(s, "=")
			return name + "={" + map[string]string{"messageId": "cursor", "groupsToken": "groupsToken"}[name] + "}"
		})
		_, r.Upgrade = q.Headers["Upgrade"]
		r.Headers = maps.Clone(q.Headers)
		maps.DeleteFunc(r.Headers, func(name, _ string) bool {
			return slices.Contains([]string{"Upgrade", "Connection", "Sec-WebSocket-Version"}, name)
		})
	}
	if a := g.Response; a != nil {
		r.Status, r.Reason, r.End = a.Status, a.StatusText, a.Ended
		if r.Status == 101 {
			r.Upgrade, r.Reason = true, "Switching Protocols" // in places the file leaves it out
		}
		for _, h := range a.Headers {
			switch name, value, _ := strings.Cut(h, ": "); {
			case name == "Content-Type":
				r.Type = value
			case name == "X-Content-Type-Options":
				r.NoSniff = true
			case strings.HasPrefix(name, "Access-Control-"):
				r.CORS = append(r.CORS, h)
			}
		}
		r.Text = captured(strings.Replace(a.Body, `"Url":"`+from, `"Url":"/aspnetclient`, 1))
		for _, c := range a.Chunks {
			r.Events = append(r.Events, captured(c.Data))
		}
		for i, f := range a.Frames {
			if f.Type == "ping" || f.Type == "pong" || f.Type == "tcp-close" && (a.Frames[i-1].Type == "close" || g.Name == "timeouts.ws.idle") {
				continue // pongs are in the tests of package transport, and the client's own cut is no answer
			}
			arrow := "< "
			if f.Dir == "client->server" {
				arrow = "> "
			}
			switch f.Type {
			case "text":
				r.Events = append(r.Events, arrow+captured(f.Data))
			case "close":
				r.Events = append(r.Events, arrow+"close "+strconv.Itoa(f.Code))
			default:
				r.Events = append(r.Events, arrow+f.Type)
			}
		}
	}
	if i := slices.Index(r.Events, "< tcp-close"); i >= 0 {
		r.Events = r.Events[:i+1] // the recorder went on writing
	}
	for _, client := range []string{"alice1", "alice2", "bob", "anonymous"} {
		for _, e := range g.Streams[client] {
			if !strings.Contains(e, "{}") {
				r.Events = append(r.Events, client+": "+captured(e))
			}
		}
	}
	if !strings.HasPrefix(r.Name, "timeouts.") { // keep-alives came by chance
		r.Events = slices.DeleteFunc(r.Events, func(e string) bool { return e == "data: {}\n\n" || e == "< {}" })
	}
	return r
}

// underOurs puts a URL under our path, in upper case if the mount was.
func underOurs(url, mount string) string {
	path := "/aspnetclient"
	if mount == strings.ToUpper(mount) {
		path = strings.ToUpper(path)
	}
	return path + strings.TrimPrefix(url, mount)
}

// appEvents are the events of hubs without their times and names.
func appEvents(recorded []string) (events []string) {
	for _, e := range recorded {
		if m := hubEvent.FindString(e); m != "" {
			events = append(events, m)
		}
	}
	return events
}

var hubEvent = regexp.MustCompile(`On(Connected|Reconnected|Disconnected)`)
