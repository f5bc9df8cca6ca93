package record

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signalrelay/signalrelay/conformance"
)

// An exchange is a request with its answer.
type exchange struct {
	// Static after begin.
	r       *Recorder
	conn    string          // h1 …
	to      *url.URL        // where it goes
	service int             // number of the service that is there, 0 for none
	kind    string          // content type of the request
	host    string          // by which the client calls the Recorder
	hub     bool            // below the hub, or at a service: part of the conversation for certain
	gone    <-chan struct{} // closed when the client has left
	sent    *body           // of the request, nil for none

	// Guarded by r.mu.
	request  *entry
	answer   *entry
	carrier  string // c1 …, of a WebSocket or an event stream; else empty
	partial  bool   // the request is out of the transcript for want of the rest of its body
	finished bool

	// Owned by the goroutine that passes the answer on.
	original           []byte // negotiate answer before it was changed, nil when it was not
	access, accessName string // token of a redirect, and what stands for it
}

// servicePath finds the paths that stand for services that clients were sent to.
var servicePath = regexp.MustCompile(`^/~([0-9]{1,4})(/.*)?$`)

// begin notes the request.
func (r *Recorder) begin(req *http.Request) (*exchange, error) {
	x := &exchange{r: r, kind: req.Header.Get("Content-Type"), host: req.Host, gone: req.Context().Done()}
	path := req.URL.EscapedPath()
	origin := r.o.To.Scheme + "://" + r.o.To.Host
	target, hub := strings.CutPrefix(path, strings.TrimSuffix(r.o.To.EscapedPath(), "/"))
	if hub = hub && (target == "" || target[0] == '/'); !hub {
		target = "${origin}" + path
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := servicePath.FindStringSubmatch(path); found != nil {
		n, _ := strconv.Atoi(found[1])
		if n < 1 || n > len(r.services) {
			return nil, fmt.Errorf("no negotiate answer has sent anybody to %s", path)
		}
		hub, origin, path, x.service = true, r.services[n-1], found[2], n
		target = fmt.Sprintf("${service%d}%s", n, path)
	}
	to, err := url.Parse(origin + path)
	if err != nil {
		return nil, err
	}
	to.RawQuery, to.ForceQuery = req.URL.RawQuery, req.URL.ForceQuery
	if query := string(quote([]byte(req.URL.RawQuery))); query != "" || target == "" {
		target += "?" + query
	}
	x.to, x.hub = to, hub
	r.requests++
	x.conn = fmt.Sprint("h", r.requests)
	said := conformance.Request{Method: req.Method, Target: inASCII(target)}
	said.Header, said.Token = x.header(req, &said.Target)
	said.Target = x.withCursor(said.Target)
	x.request = r.add(conformance.Client, x.conn, said)
	if !methodName.MatchString(req.Method) {
		x.omit(fmt.Sprintf("which asked with %q", req.Method))
	}
	if req.Body != nil && req.Body != http.NoBody {
		x.sent = &body{ReadCloser: req.Body, toCome: req.ContentLength, whole: x.asked}
		req.Body = x.sent
	}
	return x, nil
}

// methodName finds the methods that a transcript has.
var methodName = regexp.MustCompile(`^[A-Z][A-Z-]*$`)

// inASCII is a target whose bytes are percent-encoded where they are not even UTF-8,
// which a transcript is.
func inASCII(target string) string {
	if utf8.ValidString(target) {
		return target
	}
	var b strings.Builder
	for _, c := range []byte(target) {
		if c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// fitsLine says whether a line of a transcript can have a field of a header.
func fitsLine(name, value string) bool {
	return fieldName.MatchString(name) && value != "" && utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
}

var fieldName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// asked notes the body of the request once it has come. One that is not whole
// counts when there is an answer all the same: the server did not wait for the
// end. It is as long as it was to be, since that may be the reason.
func (x *exchange) asked(data []byte, missing int64, err error) {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	said := x.request.Said.(conformance.Request)
	if !methodName.MatchString(said.Method) {
		return
	}
	if errors.Is(err, errTooLarge) || err != nil && missing > maxBody {
		x.omit("whose body has more than 64 MiB")
		return
	}
	said.Body = x.clientSays(withoutKeepAlives(data, false))
	if x.request.form = conformance.IsForm(x.kind, data); x.request.form {
		said.Body = []byte(x.withCursor(x.withSecrets(string(said.Body))))
	}
	x.request.omitted = len(data) > 0 && len(said.Body) == 0
	if err != nil {
		x.request.omitted, x.partial = true, true
		if missing > 0 {
			said.Body = fmt.Appendf(said.Body, "${%d*x}", missing)
		}
	}
	x.request.Said = said
}

// keptAnswer are the headers of an answer that clients act on.
var keptAnswer = []string{
	"Content-Type", "Cache-Control", "X-Content-Type-Options", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
	"Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
}

// answered notes an answer, or its beginning.
func (r *Recorder) answered(resp *http.Response) error {
	x := exchangeOf(resp.Request)
	said := conformance.Response{Status: resp.StatusCode}
	x.setCookies(resp.Cookies())
	for _, name := range keptAnswer {
		if v := resp.Header.Get(name); fitsLine(name, v) {
			said.Header = append(said.Header, conformance.Field{Name: name, Value: v})
		}
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return x.upgraded(resp)
	case kind == "text/event-stream" && resp.StatusCode == http.StatusOK:
		x.streams(resp, said)
		return nil
	case !x.hub && assetType.MatchString(kind):
		x.leave()
		return nil
	case resp.Header.Get("Content-Encoding") != "": // though nobody offered to read it
		x.leave()
		r.note(conformance.Note, "", conformance.Remark("the answer to "+x.conn+" is compressed and left out"))
		return nil
	case resp.StatusCode == http.StatusOK && strings.HasSuffix(strings.ToLower(x.to.Path), "/negotiate"):
		if err := x.negotiated(resp); err != nil {
			return err
		}
	}
	whole := func(data []byte, _ int64, err error) {
		if x.original != nil {
			data = x.original
		}
		x.answeredWith(said, kind, data, err)
	}
	if resp.Body == http.NoBody || resp.ContentLength == 0 {
		whole(nil, 0, nil)
		return nil
	}
	resp.Body = &body{ReadCloser: resp.Body, toCome: resp.ContentLength, whole: whole}
	return nil
}

// setCookies takes the cookies of an answer.
func (x *exchange) setCookies(cookies []*http.Cookie) {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	for _, c := range cookies {
		x.r.names.cookie(c)
	}
}

// assetType finds the content types of pages and what belongs to them.
var assetType = regexp.MustCompile(`^(text/(html|css|javascript)|image/.*|font/.*|application/(x-)?javascript)$`)

// omit leaves the exchange out and notes why. The caller holds mu.
func (x *exchange) omit(why string) {
	x.request.omitted = true
	x.r.add(conformance.Note, "", conformance.Remark(fmt.Sprintf("%s, %s, is left out", x.conn, why)))
}

// leave leaves the exchange out, whatever is still to come of it.
func (x *exchange) leave() {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	x.request.omitted, x.finished = true, true
}

// answeredWith notes a whole answer.
func (x *exchange) answeredWith(said conformance.Response, kind string, data []byte, err error) {
	if x.sent != nil {
		x.sent.giveUp()
	}
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	if x.finished {
		return
	}
	x.finished = true
	switch {
	case errors.Is(err, errTooLarge):
		x.omit("whose answer has more than 64 MiB")
		return
	case errors.Is(err, errGivenUp), err != nil && x.clientLeft(): // which may show as a closed connection to the server
		x.r.add(conformance.Client, x.conn, conformance.Drop{})
		return
	case err != nil:
		x.r.add(server, x.conn, conformance.Drop{})
		return
	}
	// What a refusal says in words is compared only when it is words: error pages
	// hold traces of a request.
	if said.Status < http.StatusBadRequest || kind == "text/plain" || kind == "" {
		said.Body = withoutKeepAlives(data, true)
	}
	x.request.omitted = x.request.omitted && !x.partial
	if keepAlive := len(data) > 0 && len(said.Body) == 0 && said.Status < http.StatusBadRequest; x.request.omitted || keepAlive {
		x.request.omitted = true
		return
	}
	said.Body = x.serverSays(said.Body)
	if x.accessName != "" {
		said.Body, _ = inPlaceOf(said.Body, x.access, "${"+x.accessName+"}")
	}
	x.answer = x.r.add(server, x.conn, said)
}

// streams notes the beginning of an event stream and has its events noted.
func (x *exchange) streams(resp *http.Response, said conformance.Response) {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	asked := x.request.Said.(conformance.Request)
	if !slices.ContainsFunc(asked.Header, func(f conformance.Field) bool {
		return f.Name == "Accept" && strings.HasPrefix(f.Value, "text/event-stream")
	}) {
		// By this the replay knows a stream.
		asked.Header = slices.DeleteFunc(asked.Header, func(f conformance.Field) bool { return f.Name == "Accept" })
		asked.Header = append(asked.Header, conformance.Field{Name: "Accept", Value: "text/event-stream"})
		x.request.Said = asked
	}
	x.carry()
	x.answer = x.r.add(server, x.conn, said)
	resp.Body = &events{ReadCloser: resp.Body, x: x}
}

// carry names the carrier as conformance.Replay does: after the client it is
// for, with a number from its second on. The caller holds mu.
func (x *exchange) carry() {
	x.carrier = x.conn
	if client := x.r.clients[x.to.Query().Get("id")]; client != "" {
		x.carrier = client
	}
	x.r.carriers[x.carrier]++
	if n := x.r.carriers[x.carrier]; n > 1 {
		x.carrier = fmt.Sprintf("%s-%d", x.carrier, n)
	}
}

// ended notes how a carrier ended: by the client when it went away, else by the
// server in its way.
func (x *exchange) ended(who conformance.Speaker, how conformance.Saying) {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	if !x.finished {
		x.finished = true
		x.r.add(who, x.carrier, how)
	}
}

// failed notes that no answer came.
func (x *exchange) failed(err error) {
	if x.sent != nil {
		x.sent.giveUp()
	}
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	x.request.omitted = x.request.omitted && !x.partial
	x.finished = true
	x.r.add(server, x.conn, conformance.Drop{})
	x.r.add(conformance.Note, "", conformance.Remark(strings.ReplaceAll("no answer to "+x.conn+": "+err.Error(), "\n", " ")))
}

// clientLeft says whether the client has.
func (x *exchange) clientLeft() bool {
	select {
	case <-x.gone:
		return true
	default:
		return false
	}
}

// over is called when the exchange is: a client that went away before it had an
// answer has dropped it.
func (x *exchange) over() {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	if !x.finished && x.answer == nil && x.clientLeft() {
		x.finished = true
		x.r.add(conformance.Client, x.conn, conformance.Drop{})
	}
}
