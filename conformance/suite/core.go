package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

//go:embed cases/core
var coreFiles embed.FS

// CoreSet is the cases for a hub of ASP.NET Core SignalR. Those of level Core
// ask nothing of the app behind it; those of level Hub want the hub that
// docs/conformance.md describes, which Probe finds out by invoking Echo. A
// negotiate answer that redirects is followed, so that the hub may be that of an
// app that leaves its clients to a service.
func CoreSet() *Set {
	d, apart, ends := &doors{}, newTurns(), newTurns()
	s := &Set{Name: "core", About: "a hub of ASP.NET Core SignalR", Probe: d.probe, Cases: coreWaitCases(d)}
	for _, level := range []Level{Core, Hub} {
		cases, err := coreScripts(level, d, apart, ends)
		if err != nil {
			panic(err) // the files are embedded, and a test loads them
		}
		s.Cases = append(s.Cases, cases...)
	}
	s.Cases = append(s.Cases, coreWireCases(d)...)
	s.Cases = append(s.Cases, coreSocketCases()...)
	s.Cases = append(s.Cases, coreClientCases(ends)...)
	return s
}

// coreScripts makes the cases of a level. A file holds several transcripts, each
// of which begins with its name.
func coreScripts(level Level, d *doors, apart, ends *turns) (all []Case, err error) {
	files, err := fs.Glob(coreFiles, path.Join("cases/core", string(level), "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := coreFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, part := range split(string(text)) {
			for _, variant := range perTransport(part) {
				tr, err := conformance.Load([]byte(variant))
				if err != nil {
					return nil, fmt.Errorf("%s: %w\n%s", file, err, variant)
				}
				c := hubCase(level, tr)
				if !opensDoors(tr.Name) {
					c.Run = d.before(c.Run, transportsOf(tr)...)
				}
				if kind := kindOf(tr); kind != "" {
					c.Run = apart.before(kind, c.Run)
				}
				if endsStreams(tr) {
					c.Run = ends.before(streams, c.Run)
				}
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// The names of the transports in transcripts, and in the names of cases.
var transports = []struct{ name, short string }{
	{"WebSockets", "websockets"}, {"ServerSentEvents", "sse"}, {"LongPolling", "longpolling"},
}

// Words that stand for every transport, and for those that carry bytes.
const eachTransport, eachBinary = "${transport}", "${binary-transport}"

// perTransport writes a transcript once for every transport that it is for.
func perTransport(text string) (all []string) {
	if !strings.Contains(text, eachTransport) && !strings.Contains(text, eachBinary) {
		return []string{text}
	}
	name, rest, _ := strings.Cut(text, "\n")
	for _, tr := range transports {
		if tr.name == "ServerSentEvents" && strings.Contains(text, eachBinary) {
			continue
		}
		all = append(all, name+"-"+tr.short+"\n"+strings.NewReplacer(eachTransport, tr.name, eachBinary, tr.name).Replace(rest))
	}
	return all
}

// hubCase is a case that plays a transcript against a hub.
func hubCase(level Level, tr *conformance.Transcript) Case {
	// What does not come may be missed twice: the last message, and the end.
	c := Case{Name: tr.Name, Level: level, About: tr.About, From: provenance(tr), Limit: limit + probeTime}
	for _, s := range tr.Steps {
		c.Limit += s.Within // waits that the protocol needs
	}
	c.Run = func(ctx context.Context, t *T) {
		skipUnoffered(ctx, t, tr)
		o := hubOptions(t.Endpoint, level, tr)
		if asksBackEnd(tr) && !answers(ctx, t, o.BackEnd+"/backend/stats") {
			t.Skip("the test hub has no back end: GET /backend/stats does not answer 200 at " + o.BackEnd)
		}
		err := conformance.Replay(ctx, tr, o)
		var lacks *conformance.UnavailableError
		if errors.As(err, &lacks) {
			t.Skip(lacks.Error())
		}
		allow(t, o.Rules)
		lacksPacked(ctx, t, tr, err)
		if level == Hub {
			lacksContract(ctx, t, tr, err)
		}
		conclude(t, err)
	}
	return c
}

// hubOptions are those for a transcript of a level. ${unique} in it is different
// in every run.
func hubOptions(e *Endpoint, level Level, tr *conformance.Transcript) conformance.Options {
	b := make([]byte, 4)
	rand.Read(b)
	unique := hex.EncodeToString(b)
	text := tr.Text()
	return conformance.Options{
		URL: hubURL(e), Header: e.Header, Hub: true, BackEnd: backEnd(e), Names: map[string]string{"unique": unique},
		Rules: hubRules(tr),
		Ignore: func(_ string, said conformance.Saying) bool {
			d, ok := said.(conformance.Data)
			switch {
			case !ok || !isInvocation(d.Bytes):
				return false
			case level == Core:
				return true // the app may say to its clients what it likes
			case bytes.Contains(d.Bytes, []byte(toAll)):
				return !bytes.Contains(d.Bytes, []byte(unique)) // of another case
			}
			return bytes.Contains(d.Bytes, []byte("welcome")) && !bytes.Contains(text, []byte("welcome"))
		},
	}
}

// isInvocation says whether a hub message calls a method of the client.
func isInvocation(m []byte) bool {
	if body, ok := bytes.CutSuffix(m, []byte("\x1e")); ok && len(m) > 2 && m[0] == '{' {
		var has struct{ Type int }
		return json.Unmarshal(body, &has) == nil && has.Type == 1
	}
	for i, c := range m[:min(len(m), 5)] {
		if c < 0x80 { // the end of the length
			return len(m) > i+2 && m[i+1]&0xf0 == 0x90 && m[i+2] == 1
		}
	}
	return false
}

// asksBackEnd says whether a transcript has requests for what is behind the hub.
func asksBackEnd(tr *conformance.Transcript) bool {
	return slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool {
		r, ok := s.Said.(conformance.Request)
		return ok && strings.HasPrefix(r.Target, "/backend/")
	})
}

// answers says whether GET is answered with 200.
func answers(ctx context.Context, t *T, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	resp, err := t.do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// hubURL is the URL of the endpoint with its query.
func hubURL(e *Endpoint) string {
	u := *e.URL
	u.RawQuery = e.query().Encode()
	return u.String()
}

// query is what goes with every request: the query of the URL and what was given
// besides.
func (e *Endpoint) query() url.Values {
	all := e.URL.Query()
	for name, values := range e.Query {
		all[name] = append(all[name], values...)
	}
	return all
}

func backEnd(e *Endpoint) string {
	if e.BackEnd != "" {
		return strings.TrimSuffix(e.BackEnd, "/")
	}
	return (&url.URL{Scheme: e.URL.Scheme, Host: e.URL.Host}).String()
}
