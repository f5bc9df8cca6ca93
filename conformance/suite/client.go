package suite

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

//go:embed cases/client
var clientCases embed.FS

// A ClientJudge is a server that judges the clients that are pointed at it. Each
// scenario has a path of its own: /<scenario>/hub for a client of ASP.NET Core
// SignalR, /<scenario>/signalr for one of ASP.NET SignalR. The first request
// below it begins the scenario, and what the client does from then on is its
// verdict, until POST /<scenario>/reset.
//
// GET / tells what to have a client do and what became of it, GET /<scenario>
// how; GET /scenarios and GET /verdicts are the same for programs, the verdicts
// as JSON or in any Format: ?format=text.
type ClientJudge struct {
	scenarios []*clientScenario
	all       *Set // names every scenario, o.Only or not
	o         Options
	wait      time.Duration // instead of the scripts' own; 0 keeps those
	began     time.Time
	each      sync.Mutex      // held by o.Each
	ctx       context.Context // ends what runs
	stop      context.CancelFunc
	running   sync.WaitGroup

	mu     sync.Mutex
	closed bool // nothing begins any more
}

// A clientScenario is a script and what became of it.
type clientScenario struct {
	script *clientScript
	mu     sync.Mutex
	run    *clientRun
	result *Result // nil until there is one
}

// clientLimit bounds a scenario. What a client should do next is waited for
// for a shorter time.
const clientLimit = 10 * time.Minute

// ClientSet tells of the scenarios for clients. Its cases have no Run: a ClientJudge
// judges by them.
func ClientSet() *Set {
	scripts, err := loadClientScripts(clientCases)
	if err != nil {
		panic(err) // the files are embedded, and a test loads them
	}
	return clientSet(scripts)
}

func clientSet(scripts []*clientScript) *Set {
	set := &Set{Name: string(Client), About: "clients of both flavours"}
	for _, s := range scripts {
		set.Cases = append(set.Cases, s.unplayed())
	}
	return set
}

// unplayed is the case of a script, without a Run.
func (s *clientScript) unplayed() Case {
	return Case{Name: s.name, Level: Client, About: s.about, From: s.from, Limit: clientLimit}
}

// NewClientJudge makes a judge of the scenarios that o names. Of o, Parallel does
// not count, and Limit is how long the judge waits for each thing that a client
// should do, where 0 leaves that to the scenario.
func NewClientJudge(o Options) (*ClientJudge, error) {
	scripts, err := loadClientScripts(clientCases)
	if err != nil {
		return nil, fmt.Errorf("load scenarios: %w", err)
	}
	j := &ClientJudge{all: clientSet(scripts), o: o, wait: o.Limit, began: time.Now()}
	j.ctx, j.stop = context.WithCancel(context.Background())
	for _, s := range scripts {
		if o.Only == nil || o.Only.MatchString(s.name) {
			j.scenarios = append(j.scenarios, &clientScenario{script: s})
		}
	}
	return j, nil
}

// ServeClients serves a judge at l until ctx ends. The report says skipped of the
// scenarios that no client came for.
func ServeClients(ctx context.Context, l net.Listener, o Options) (*Report, error) {
	j, err := NewClientJudge(o)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: j, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err = server.Serve(l)
	j.Close()
	if !errors.Is(err, http.ErrServerClosed) {
		return nil, fmt.Errorf("serve clients: %w", err)
	}
	return j.report("http://" + l.Addr().String()), nil
}

// Close ends what runs, without a verdict, and waits for its end.
func (j *ClientJudge) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.stop()
	j.running.Wait()
}

// Report is what became of the scenarios until now.
func (j *ClientJudge) Report() *Report { return j.report("") }

func (j *ClientJudge) report(endpoint string) *Report {
	r := &Report{Set: j.all.Name, Endpoint: endpoint, Took: time.Since(j.began)}
	for _, s := range j.scenarios {
		r.Results = append(r.Results, s.verdict())
	}
	r.stale(j.all, j.o)
	return r
}

// verdict is the result, or that there is none yet.
func (s *clientScenario) verdict() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.result != nil {
		return *s.result
	}
	r := Result{Name: s.script.name, Level: Client, About: s.script.about, From: s.script.from, Outcome: Skipped, Why: "no client came"}
	if s.run != nil {
		r.Why = "still running"
	}
	return r
}

// ServeHTTP answers clients, and who asks about them. Pages of any origin may be
// clients.
func (j *ClientJudge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Vary", "Origin")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
			w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	origin := "http://" + r.Host
	switch name {
	case "":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// A reader that has left needs no page.
		_ = clientPage.Execute(w, j.page(origin))
	case "scenarios":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(j.tasks(origin))
	case "verdicts":
		j.verdicts(w, j.report(origin), Format(cmp.Or(r.URL.Query().Get("format"), string(JSON))))
	default:
		for _, s := range j.scenarios {
			if s.script.name == name {
				j.serve(w, r, s, path, origin)
				return
			}
		}
		http.NotFound(w, r)
	}
}

// serve hands a request to the run that it belongs to, which it may begin.
func (j *ClientJudge) serve(w http.ResponseWriter, r *http.Request, s *clientScenario, path, origin string) {
	if path == "" && r.Method == http.MethodGet {
		x := s.verdict()
		j.verdicts(w, &Report{Set: j.all.Name, Endpoint: origin, Results: []Result{x}, Took: x.Took}, Text)
		return
	}
	s.mu.Lock()
	if path == "reset" && r.Method == http.MethodPost {
		defer s.mu.Unlock()
		if s.run != nil && s.result == nil {
			http.Error(w, "still running", http.StatusConflict)
			return
		}
		s.run, s.result = nil, nil
		if r.URL.Query().Has("page") { // a button there
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if s.run == nil {
		s.run = j.begin(s, origin)
	}
	run := s.run
	s.mu.Unlock()
	if run == nil {
		http.Error(w, "the judge is closed", http.StatusServiceUnavailable)
		return
	}
	run.serve(w, r, path)
}

// begin starts a scenario, unless the judge is closed. s.mu is held.
func (j *ClientJudge) begin(s *clientScenario, origin string) *clientRun {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	began := make(chan *clientRun)
	c := s.script.unplayed()
	c.Run = func(ctx context.Context, t *T) {
		run := newClientRun(s.script, cmp.Or(j.wait, s.script.wait), t, origin)
		began <- run
		run.play(ctx)
	}
	j.running.Go(func() { // ends with the script, or with j.Close
		r := ask(j.ctx, c, &Endpoint{URL: &url.URL{}}, "", 0)
		if j.ctx.Err() != nil {
			return // the client did nothing wrong
		}
		r.judge(j.o.Known)
		s.mu.Lock()
		s.result = &r
		s.mu.Unlock()
		if j.o.Each != nil {
			j.each.Lock()
			defer j.each.Unlock()
			j.o.Each(r)
		}
	})
	return <-began
}

// A clientTask tells the author of a client what to do.
type clientTask struct {
	Name     string `json:"name"`
	Flavour  string `json:"flavour"`  // core or legacy
	Protocol string `json:"protocol"` // the hub protocol, json or messagepack
	URL      string `json:"url"`      // for the client
	Said     string `json:"said"`     // for what the client told its app, where that is asked for
	About    string `json:"about"`
	Do       string `json:"do"`
	From     string `json:"from"`
}

func (j *ClientJudge) tasks(origin string) []clientTask {
	all := []clientTask{} // [] as JSON, not null
	for _, s := range j.scenarios {
		base := origin + "/" + s.script.name
		hub := map[string]string{"core": "/hub", "legacy": "/signalr"}[s.script.flavour]
		protocol := "json"
		if s.script.pack {
			protocol = "messagepack"
		}
		all = append(all, clientTask{s.script.name, s.script.flavour, protocol, base + hub, base + "/said", s.script.about, s.script.do, s.script.from})
	}
	return all
}

// verdicts writes a report.
func (j *ClientJudge) verdicts(w http.ResponseWriter, r *Report, f Format) {
	var b bytes.Buffer
	if err := r.Write(&b, f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", map[Format]string{JSON: "application/json", JUnit: "application/xml"}[f])
	if f != JSON && f != JUnit {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.Write(b.Bytes())
}

// A clientRow is a scenario on the page.
type clientRow struct {
	clientTask
	State string // an outcome, or why there is none yet
	Over  bool
}

func (j *ClientJudge) page(origin string) (rows []clientRow) {
	for i, task := range j.tasks(origin) {
		x := j.scenarios[i].verdict()
		row := clientRow{clientTask: task, State: string(x.Outcome), Over: x.Outcome != Skipped}
		if !row.Over {
			row.State = x.Why
		}
		rows = append(rows, row)
	}
	return rows
}

var clientPage = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<title>Scenarios for SignalR clients</title>
<h1>Scenarios for SignalR clients</h1>
<p>Point a client at the address of a scenario, one client at a time in each, and have it do what the line says. Load this page again to see
what became of it, or all of it as <a href="/verdicts?format=text">text</a>. For programs: <a href="/scenarios">/scenarios</a>,
<a href="/verdicts">/verdicts</a>, POST /&lt;scenario&gt;/reset.
<table>
{{range .}}<tr><td><code>{{.URL}}</code><td>{{.Do}}<td><small>{{.About}} ({{.From}})</small><td>{{if .Over}}<a href="/{{.Name}}">{{.State}}</a>
<form method="post" action="/{{.Name}}/reset?page"><button>again</button></form>{{else}}{{.State}}{{end}}
{{end}}</table>
`))
