package suite

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A clientHeld is a request that waits for its answer.
type clientHeld struct {
	method, path string
	query, form  url.Values
	header       http.Header
	body         string
	upgrade      bool
	left         <-chan struct{} // closed when the client gave it up
	answer       chan clientAnswer
	opened       chan *clientChannel // gets what the request became, nil when it could not
}

func (q *clientHeld) String() string {
	s := q.method + " " + q.path
	if len(q.query) > 0 {
		s += "?" + q.query.Encode()
	}
	if q.upgrade {
		s += " (WebSocket)"
	}
	if q.body != "" {
		s += " " + shortened(q.body)
	}
	return s
}

func shortened(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return strings.ReplaceAll(s, "\x1e", "␞")
}

// fits says whether a request is the one that is asked for, as far as method and
// path go.
func (q *clientHeld) fits(s clientRequest) bool {
	return slices.Contains(s.methods, q.method) && s.path == q.path
}

// isEarly says whether a request is a post for a connection that one ahead will
// open.
func (q *clientHeld) isEarly(ahead []clientStep) bool {
	return q.method == http.MethodPost && q.query.Has("id") && slices.ContainsFunc(ahead, func(s clientStep) bool {
		want, ok := s.says.(clientRequest)
		return ok && slices.Contains(want.methods, http.MethodGet) && want.path == q.path
	})
}

// take waits for a request.
func (r *clientRun) take(ctx context.Context, s clientStep, want clientRequest, ahead []clientStep, within time.Duration) {
	var q *clientHeld
	var stray string
	came := r.until(ctx, within, func() bool {
		for i, x := range r.held {
			if x.fits(want) {
				q = x
				r.held = slices.Delete(r.held, i, i+1)
				return true
			}
		}
		stray = r.strayed(ahead)
		return stray != ""
	})
	switch {
	case stray != "":
		r.t.Fail(s.text, stray)
	case !came:
		r.t.Fail(s.text, "nothing within "+within.String()+r.waiting())
	}
	r.mu.Lock()
	wrong := r.differs(want, q)
	r.named[s.name] = q
	if q.path == "signalr/negotiate" {
		r.known["protocol"] = legacyVersion(q.query.Get("clientProtocol"))
	} else if strings.HasSuffix(q.path, "/negotiate") {
		r.known["version"] = coreVersion(q.query.Get("negotiateVersion"))
	}
	r.mu.Unlock()
	if wrong[0] != "" {
		r.t.Fail(s.text+" with "+wrong[0], wrong[1]+" in "+q.String())
	}
}

// legacyVersion is what an ASP.NET SignalR 2.4 server answers a client's version
// (legacy-client-protocol 2.2).
func legacyVersion(asked string) string {
	if slices.Contains([]string{"1.3", "1.4", "1.5"}, asked) {
		return asked
	}
	if asked == "" || strings.HasPrefix(asked, "1.") {
		return "1.2"
	}
	return "2.0"
}

// coreVersion is what an ASP.NET Core SignalR server answers a client's version:
// 1 is the newest, and who does not ask gets 0 (core-client-protocol 2.2).
func coreVersion(asked string) string {
	if n, err := strconv.Atoi(asked); err == nil && n > 0 {
		return "1"
	}
	return "0"
}

// strayed finds a request that nothing ahead asks for, and answers those that
// may come. mu is held.
func (r *clientRun) strayed(ahead []clientStep) (stray string) {
	r.held = slices.DeleteFunc(r.held, func(q *clientHeld) bool {
		asked := slices.ContainsFunc(ahead, func(s clientStep) bool {
			want, ok := s.says.(clientRequest)
			return ok && q.fits(want)
		})
		if !asked && q.isEarly(ahead) {
			r.early = append(r.early, q)
			q.answer <- clientAnswer{status: http.StatusOK}
			return true
		}
		for i, a := range r.script.allowed {
			// One that says more than a path is meant, whatever else is asked for.
			if asked && len(a.fields) == 0 {
				continue
			}
			if q.fits(a.clientRequest) && r.allowed[i] < a.most && r.differs(a.clientRequest, q)[0] == "" {
				r.allowed[i]++
				q.answer <- clientAnswer{status: a.status}
				return true
			}
		}
		if !asked {
			stray = q.String()
		}
		return false
	})
	if stray == "" && len(r.wrong) > 0 {
		stray = r.wrong[0]
	}
	return stray
}

// waiting tells what came instead.
func (r *clientRun) waiting() (s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.held {
		s += "; waiting: " + q.String()
	}
	for _, name := range slices.Sorted(maps.Keys(r.channels)) {
		c := r.channels[name]
		for _, m := range c.in {
			s += "; " + name + " said " + shortened(m)
		}
		if n := c.pending(); n > 0 {
			s += fmt.Sprintf("; %s said %d bytes of a message that does not end", name, n)
		}
		if c.gone != "" {
			s += "; " + name + " " + c.gone
		}
	}
	return s
}

// differs compares the rest of a request: what should be, and what is. mu is
// held.
func (r *clientRun) differs(want clientRequest, q *clientHeld) [2]string {
	for _, f := range want.fields {
		var values []string
		switch {
		case f.name == "token":
			values = q.token()
		case f.header:
			values = q.header.Values(f.name)
		case q.query.Has(f.name):
			values = q.query[f.name]
		case q.form != nil:
			values = q.form[f.name]
		}
		got := strings.Join(values, ", ")
		fits := r.known.text(f.pattern, got, len(values) > 0)
		if !f.header && strings.HasPrefix(f.pattern, "{") && !oneCapture.MatchString(f.pattern) {
			fits = len(values) == 1 && r.fitsJSON(f.pattern, got)
		}
		if !fits {
			return [2]string{f.name + " " + r.known.expand(f.pattern), fmt.Sprintf("%s %q", f.name, values)}
		}
	}
	if want.body != "" && !r.known.text(want.body, q.body, true) {
		return [2]string{"body " + r.known.expand(want.body), "body " + shortened(q.body)}
	}
	return [2]string{}
}

// token is where an access token may be on a request that opens a connection
// (core-client-protocol 10, legacy-client-protocol 2.3).
func (q *clientHeld) token() []string {
	if t, ok := strings.CutPrefix(q.header.Get("Authorization"), "Bearer "); ok {
		return []string{t}
	}
	return q.query["access_token"]
}

// fitsJSON compares JSON as values. mu is held.
func (r *clientRun) fitsJSON(pattern, got string) bool {
	p, err := parseJSON(pattern)
	if err != nil {
		return false
	}
	g, err := parseJSON(got)
	return err == nil && r.known.json(p, g)
}
