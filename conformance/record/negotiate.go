package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxNegotiate is the largest negotiate answer that is read, in bytes.
const maxNegotiate = 1 << 20

// A negotiation is what a negotiate answer says, in either flavour.
type negotiation struct {
	id, token string // of a connection
	url       string // of a service instead
	access    string // token for it
	path      string // of the hubs of ASP.NET SignalR
}

func (n *negotiation) read(data []byte) {
	var members map[string]json.RawMessage // compared with their case: Url is no url
	if json.Unmarshal(data, &members) != nil {
		return
	}
	for name, to := range map[string]*string{
		"connectionId": &n.id, "ConnectionId": &n.id, "connectionToken": &n.token, "ConnectionToken": &n.token,
		"url": &n.url, "RedirectUrl": &n.url, "accessToken": &n.access, "AccessToken": &n.access, "Url": &n.path,
	} {
		if raw := members[name]; raw != nil {
			_ = json.Unmarshal(raw, to) // null and what is no text say nothing
		}
	}
}

// negotiated learns the names of a client from a negotiate answer, and lets the
// client come back to the Recorder where the answer sends it elsewhere.
func (x *exchange) negotiated(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxNegotiate))
	if err != nil {
		return fmt.Errorf("read negotiate answer: %w", err)
	}
	var n negotiation
	n.read(data)
	resp.Body = readOn{io.MultiReader(bytes.NewReader(data), resp.Body), resp.Body}
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	if n.id != "" {
		x.r.client(n)
	}
	was, is := x.back(n)
	if was == "" {
		return nil
	}
	passed, ok := inPlaceOf(data, was, is)
	if !ok {
		return fmt.Errorf("negotiate answer names its url in a way that cannot be replaced: %.200s", data)
	}
	// What is noted is the server's own word, what goes on is not.
	resp.Body = io.NopCloser(bytes.NewReader(passed))
	resp.ContentLength = int64(len(passed))
	resp.Header.Set("Content-Length", strconv.Itoa(len(passed)))
	x.original = data
	return nil
}

// back is what of a negotiate answer has to be another text, so that the client comes
// back to the Recorder; empty for nothing. The caller holds mu.
func (x *exchange) back(n negotiation) (was, is string) {
	if n.url == "" {
		if x.service == 0 || !strings.HasPrefix(n.path, "/") {
			return "", ""
		}
		return n.path, fmt.Sprintf("/~%d%s", x.service, n.path) // jQuery clients go on there, on the host that answered
	}
	to, err := url.Parse(n.url)
	if err != nil || to.Host == "" {
		return "", "" // it is the client's to complain
	}
	x.access, x.accessName = n.access, x.r.names.redirect(n)
	_, rest, _ := strings.Cut(n.url, "://")
	rest = strings.TrimLeftFunc(rest, func(c rune) bool { return c != '/' && c != '?' })
	return n.url, fmt.Sprintf("http://%s/~%d%s", x.host, x.r.serviceAt(to), rest)
}

// readOn is a body of which a part was read.
type readOn struct {
	io.Reader
	io.Closer
}

// client names a client. The caller holds mu.
func (r *Recorder) client(n negotiation) {
	name := fmt.Sprint("c", len(r.clients)+1)
	if n.token == "" { // negotiate version 0: the id is the token
		n.token, n.id = n.id, ""
	}
	r.clients[n.token] = name
	r.names.add(n.token, name+"token")
	r.names.add(n.id, name)
}

// serviceAt returns the number of the service at an address. The caller holds mu.
func (r *Recorder) serviceAt(to *url.URL) int {
	at := slices.Index(r.services, origin(to))
	if at < 0 {
		at = len(r.services)
		r.services = append(r.services, origin(to))
		r.names.add(origin(to), fmt.Sprint("service", at+1))
	}
	return at + 1
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// textInJSON finds texts in JSON.
var textInJSON = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// inPlaceOf puts a text in the place of another in JSON, however that is escaped.
func inPlaceOf(data []byte, was, is string) (changed []byte, ok bool) {
	changed = textInJSON.ReplaceAllFunc(data, func(quoted []byte) []byte {
		var s string
		if json.Unmarshal(quoted, &s) != nil || s != was {
			return quoted
		}
		ok = true
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(is) // a text can be encoded
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	})
	return changed, ok
}
