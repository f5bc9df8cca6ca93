package record

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance"
)

// server is the speaker whose part a Recorder passes on.
const server = conformance.Server

// Options say what a Recorder records.
type Options struct {
	// To is the hub (ASP.NET Core SignalR) or the mount of the hubs (ASP.NET
	// SignalR): http or https, without query.
	To *url.URL
	// AccessKey, if not empty, is one that clients' tokens are signed with. Such
	// tokens are noted by what they say, and signed anew when they are played.
	AccessKey string
	// Name of the transcript; empty means recorded.
	Name string
}

// A Recorder is the proxy. It is an http.Handler at the root of its address:
// paths are the server's own, so that http://recorder/hub stands for
// http://server/hub. Its methods may be called concurrently.
type Recorder struct {
	o     Options
	proxy httputil.ReverseProxy

	mu       sync.Mutex
	entries  []*entry
	names    names
	clients  map[string]string // name of a client, by its connection token
	carriers map[string]int    // how many a client has had
	services []string          // origins that negotiate answers sent clients to
	requests int
	cookies  bool // some were left out
}

// An entry is a step as it was said, before captures take the place of what they
// stand for. It is guarded by the Recorder's mu.
type entry struct {
	conformance.Step
	form    bool // the body is a form
	omitted bool // from the transcript
}

// New returns a Recorder.
func New(o Options) (*Recorder, error) {
	switch {
	case o.To == nil || o.To.Scheme != "http" && o.To.Scheme != "https" || o.To.Host == "":
		return nil, errors.New("what is recorded is not an address that begins with http:// or https://")
	case o.To.RawQuery != "" || o.To.Fragment != "":
		return nil, errors.New("what is recorded is the address of a hub, which has no query")
	case o.To.User != nil:
		return nil, errors.New("user and password belong to the client, not into the address")
	}
	r := &Recorder{o: o, names: newNames(), clients: map[string]string{}, carriers: map[string]int{}}
	r.names.add(o.AccessKey, "accesskey")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.ForceAttemptHTTP2 = false
	transport.MaxIdleConnsPerHost = 64
	r.proxy = httputil.ReverseProxy{
		Rewrite: r.rewrite, ModifyResponse: r.answered, ErrorHandler: r.unreachable, Transport: transport,
		FlushInterval: -1, // whatever comes goes on at once
	}
	return r, nil
}

// exchangeKey finds the exchange in the context of its request.
type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

// ServeHTTP passes a request on and notes it with its answer. It returns when
// both are over, which for a WebSocket or a stream may take hours.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	x, err := r.begin(req)
	if err != nil {
		http.Error(w, "signalrelay record: "+err.Error(), http.StatusNotFound)
		return
	}
	defer x.over()
	r.proxy.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), exchangeKey{}, x)))
}

// rewrite turns to the server without a change but two: no compression is
// offered, of bodies or of WebSocket messages, since nobody could read along.
func (r *Recorder) rewrite(p *httputil.ProxyRequest) {
	to := exchangeOf(p.In).to
	p.Out.URL, p.Out.Host = to, to.Host
	for name, values := range p.In.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
			p.Out.Header[name] = values
		}
	}
	p.Out.Header.Del("Accept-Encoding")
	p.Out.Header.Del("Sec-Websocket-Extensions")
}

// unreachable answers for a server that gives no answer.
func (r *Recorder) unreachable(w http.ResponseWriter, req *http.Request, err error) {
	x := exchangeOf(req)
	if x.clientLeft() {
		return // the client has gone, which over notes
	}
	x.failed(err)
	http.Error(w, fmt.Sprintf("signalrelay record: no answer from %s://%s: %v", x.to.Scheme, x.to.Host, err), http.StatusBadGateway)
}

// add notes a step. The caller holds mu.
func (r *Recorder) add(who conformance.Speaker, conn string, said conformance.Saying) *entry {
	e := &entry{Step: conformance.Step{Who: who, Conn: conn, Said: said}}
	r.entries = append(r.entries, e)
	return e
}

// note is add without the lock.
func (r *Recorder) note(who conformance.Speaker, conn string, said conformance.Saying) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(who, conn, said)
}

func counted(requests int) string {
	if requests == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", requests)
}

// Transcript returns what was said until now. What is still under way is in it
// as far as it came.
func (r *Recorder) Transcript() *conformance.Transcript {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &conformance.Transcript{
		Name:  r.o.Name,
		About: counted(r.requests),
		From:  conformance.RecordedFrom + " from " + r.o.To.String() + ", " + time.Now().UTC().Format(time.DateOnly),
	}
	if t.Name == "" {
		t.Name = "recorded"
	}
	if r.cookies {
		t.Steps = append(t.Steps, conformance.Step{Who: conformance.Note, Said: conformance.Remark("cookies were sent and are left out")})
	}
	for _, e := range r.entries {
		r.names.hide(e)
	}
	write := r.names.writer()
	for _, e := range r.entries {
		if !e.omitted {
			t.Steps = append(t.Steps, write.step(e))
		}
	}
	return t
}
