package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/signalrelay/signalrelay/conformance"
)

// maxBody is the largest body that is noted, in bytes. A larger one is passed on
// and its exchange left out.
const maxBody = 64 << 20

// An exchange is a request with its answer.
type exchange struct {
	// Static after begin.
	r    *Recorder
	conn string          // h1 …
	to   *url.URL        // where it goes
	kind string          // content type of the request
	host string          // by which the client calls the Recorder
	hub  bool            // below the hub, or at a service: part of the conversation for certain
	gone <-chan struct{} // closed when the client has left
	sent *body           // of the request, nil for none

	// Guarded by r.mu.
	request  *entry
	answer   *entry
	carrier  string // c1 …, of a WebSocket or an event stream; else empty
	partial  bool   // the request is out of the transcript for want of the rest of its body
	finished bool
	original []byte // negotiate answer before it was changed, nil when it was not
}

// service finds the paths that stand for services that clients were sent to.
var service = regexp.MustCompile(`^/~([0-9]{1,4})(/.*)?$`)

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
	if found := service.FindStringSubmatch(path); found != nil {
		n, _ := strconv.Atoi(found[1])
		if n < 1 || n > len(r.services) {
			return nil, fmt.Errorf("no negotiate answer has sent anybody to %s", path)
		}
		hub, origin, path = true, r.services[n-1], found[2]
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
	if x.request.left = !method.MatchString(req.Method); x.request.left {
		r.add(conformance.Note, "", conformance.Remark(fmt.Sprintf("%s, which asked with %q, is left out", x.conn, req.Method)))
	}
	if req.Body != nil && req.Body != http.NoBody {
		x.sent = &body{ReadCloser: req.Body, left: req.ContentLength, whole: x.asked}
		req.Body = x.sent
	}
	return x, nil
}

// method finds the methods that a transcript has.
var method = regexp.MustCompile(`^[A-Z][A-Z-]*$`)

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
	if !method.MatchString(x.request.Said.(conformance.Request).Method) {
		return
	}
	said := x.request.Said.(conformance.Request)
	said.Body = x.clientSays(withoutKeepAlives(data, false))
	if x.request.form = conformance.IsForm(x.kind, data); x.request.form {
		said.Body = []byte(x.withCursor(x.withSecrets(string(said.Body))))
	}
	x.request.left = len(data) > 0 && len(said.Body) == 0
	if err != nil {
		x.request.left = true
		if x.partial = !errors.Is(err, errTooLarge) && missing <= maxBody; missing > 0 && x.partial {
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
	case !x.hub && asset.MatchString(kind):
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
	resp.Body = &body{ReadCloser: resp.Body, left: resp.ContentLength, whole: whole}
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

// asset finds the content types of pages and what belongs to them.
var asset = regexp.MustCompile(`^(text/(html|css|javascript)|image/.*|font/.*|application/(x-)?javascript)$`)

// leave leaves the exchange out.
func (x *exchange) leave() {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	x.request.left, x.finished = true, true
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
		x.request.left = true
		x.r.add(conformance.Note, "", conformance.Remark("an answer of more than 64 MiB is left out"))
		return
	case errors.Is(err, errGivenUp):
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
	x.request.left = x.request.left && !x.partial
	if x.request.left || len(data) > 0 && len(said.Body) == 0 && said.Status < http.StatusBadRequest {
		x.request.left = true // nothing but keep-alives
		return
	}
	said.Body = x.serverSays(said.Body)
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
// for, with a number from its second on.
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
	x.request.left = x.request.left && !x.partial
	x.finished = true
	x.r.add(server, x.conn, conformance.Drop{})
	x.r.add(conformance.Note, "", conformance.Remark(strings.ReplaceAll("no answer to "+x.conn+": "+err.Error(), "\n", " ")))
}

// left says whether the client has left.
func (x *exchange) left() bool {
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
	if !x.finished && x.answer == nil && x.left() {
		x.finished = true
		x.r.add(conformance.Client, x.conn, conformance.Drop{})
	}
}

var (
	errTooLarge = errors.New("body too large to note")
	errGivenUp  = errors.New("the reader gave up")
)

// A body passes a body on and keeps a copy, which whole gets before the reader
// has the last byte, or as much as there is, with how much is missing, if that is
// known, and the reason.
type body struct {
	io.ReadCloser
	whole func(data []byte, missing int64, err error)

	mu   sync.Mutex // the transport closes what it may be reading
	left int64      // bytes to come, negative when unknown
	copy bytes.Buffer
	done bool
}

// Read is io.Reader's.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return n, err
	}
	if b.left >= 0 {
		b.left -= int64(n)
	}
	switch b.copy.Write(p[:n]); {
	case b.copy.Len() > maxBody:
		b.end(errTooLarge)
	case err == io.EOF, err == nil && b.left == 0:
		b.end(nil)
	case errors.Is(err, context.Canceled):
		b.end(errGivenUp)
	case err != nil:
		b.end(err)
	}
	return n, err
}

// Close is io.Closer's. What was not read to its end was given up.
func (b *body) Close() error {
	b.giveUp()
	return b.ReadCloser.Close()
}

// giveUp says that nobody waits for the rest.
func (b *body) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(errGivenUp)
}

// end is called with mu held.
func (b *body) end(err error) {
	if !b.done {
		b.done = true
		b.whole(b.copy.Bytes(), max(0, b.left), err)
		b.copy = bytes.Buffer{}
	}
}
