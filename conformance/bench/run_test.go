package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

// small is every scenario in a second or so. What it measures means nothing.
func small(targets ...bench.Target) bench.Options {
	return bench.Options{Targets: targets, Clients: 5, EchoClients: 2, Rounds: 2, Duration: 20 * time.Millisecond, IdleClients: 6,
		GrowthClients: []int{2, 4}, LargeSize: 300_000, LargeClients: 3, StalledClients: 2, Settle: time.Millisecond}
}

func inProcess(t *testing.T, name string, s http.Handler, path string) bench.Target {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	target := bench.Target{Name: name, URL: server.URL + path, PID: os.Getpid()}
	if _, ok := s.(*aspnetStub); ok {
		target.Flavour, target.Tested = bench.ASPNET, true
	}
	return target
}

func metrics(r *bench.Report, target string) (names []string) {
	for _, x := range r.Results {
		if x.Target == target {
			names = append(names, x.Metric+x.Error)
		}
	}
	return names
}

func value(t *testing.T, r *bench.Report, target, metric string) float64 {
	t.Helper()
	for _, x := range r.Results {
		if x.Target == target && x.Metric == metric {
			return x.Stat.Median
		}
	}
	t.Fatalf("no %q of %s in the report", metric, target)
	return 0
}

// against is which targets a cost of a target is compared with.
func against(r *bench.Report, target, metric string) (names []string) {
	for _, x := range r.Results {
		if x.Target != target || x.Metric != metric {
			continue
		}
		for _, a := range x.Against {
			if a.Median > 0 {
				names = append(names, a.Target)
			}
		}
	}
	return names
}

func TestScenarios(t *testing.T) {
	cpu := func(op string) []string {
		return []string{"CPU per " + op, "of it in the kernel", "bench's own CPU per " + op, op + " rate"}
	}
	idle := []string{"memory per client", "at its peak", "process with 6"}
	want := map[string][]string{
		"broadcast":        append(cpu("delivery"), "time until everybody has it, median"),
		"echo":             append(cpu("echo"), "round trip, median", "round trip, 99 %"),
		"connect":          cpu("connect"),
		"idle-websockets":  idle,
		"idle-sse":         idle,
		"idle-longpolling": idle,
		"growth":           {"CPU per delivery to 2", "CPU per delivery to 4", "from first to last"},
		"large":            append([]string{"memory's rise at its peak", "without the payload, per client", "time until everybody has it"}, cpu("delivery")...),
		"stalled-client": {"others' mean wait beside it", "others' mean wait without it", "others' longest wait beside it",
			"memory's rise at its peak", "it was closed (1) or not (0)", "with close code (0 = cut)"},
	}
	for _, s := range bench.Scenarios() {
		if s.Name == "stalled-server" {
			continue // it takes processes, and has TestStalled
		}
		t.Run(s.Name, func(t *testing.T) {
			aspnet := newASPNETStub()
			o := small(inProcess(t, "one", newStub(), "/bench"), inProcess(t, "two", newStub(), "/app"),
				inProcess(t, "three", aspnet, "/app"))
			o.Scenarios = []string{s.Name}
			var table, progress, text bytes.Buffer
			o.Progress, o.JSON = &progress, &text
			r, err := bench.Run(t.Context(), o, &table)
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range []string{"one", "two", "three"} {
				if d := cmp.Diff(want[s.Name], metrics(r, target)); d != "" {
					t.Errorf("%s: %s", target, d)
				}
			}
			if rounds := len(r.Results[0].Values); rounds != 2 && rounds != 1 {
				t.Errorf("%d rounds", rounds)
			}
			for _, want := range []string{s.Name + ": " + s.About, "one", "two", "three", want[s.Name][0]} {
				if !strings.Contains(table.String(), want) {
					t.Errorf("%q is not in the table:\n%s", want, &table)
				}
			}
			if !strings.Contains(progress.String(), s.Name+" 1/") {
				t.Errorf("progress: %s", &progress)
			}
			var read bench.Report
			if err := json.Unmarshal(text.Bytes(), &read); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.Results, read.Results); d != "" {
				t.Errorf("JSON differs from the report: %s", d)
			}
			switch s.Name {
			case "broadcast":
				if v := value(t, r, "one", "delivery rate"); v <= 0 {
					t.Errorf("delivery rate %v", v)
				}
				for target, want := range map[string][]string{"one": {"two"}, "two": nil, "three": {"one", "two"}} {
					if d := cmp.Diff(want, against(r, target, "CPU per delivery")); d != "" {
						t.Errorf("%s is compared with: %s", target, d)
					}
				}
				if line := regexp.MustCompile(`(?m)^ *× one +([0-9.]+( \([0-9.]+–[0-9.]+\))?) *$`); !line.MatchString(table.String()) {
					t.Errorf("no ratio to the first target in the table:\n%s", &table)
				}
				if clients := o.Clients; aspnet.aborts.Load() != int64(clients) {
					t.Errorf("%d aborts of %d clients", aspnet.aborts.Load(), clients)
				}
			case "stalled-client":
				if v := value(t, r, "one", "it was closed (1) or not (0)"); v != 1 {
					t.Error("the stub closes a client that does not read, and bench did not see it")
				}
			}
		})
	}
}

func TestProcesses(t *testing.T) {
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := small(
		bench.Target{Name: "url", URL: "http://{listen}/bench", Command: []string{me, "serve-stub", "{listen}"}},
		bench.Target{Name: "service", URL: "Endpoint=http://{listen};AccessKey=x;", Command: []string{me, "serve-stub", "{listen}"}},
		bench.Target{Name: "aspnet", URL: "Endpoint=http://{listen};AccessKey=x;", Command: []string{me, "serve-stub", "{listen}"}, Flavour: bench.ASPNET},
		bench.Target{Name: "broken", URL: "http://{listen}/bench", Command: []string{me, "serve-stub", "not an address"}},
	)
	o.AppServer = []string{me, "serve-app", "{app}"}
	o.Scenarios = []string{"connect", "idle-websockets"}
	r, err := bench.Run(t.Context(), o, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	if v := value(t, r, "url", "process with 6"); v <= 0 {
		t.Errorf("the server's memory is %v MiB", v)
	}
	for _, target := range []string{"service", "aspnet"} {
		if !slices.Contains(metrics(r, target), "app server's CPU per connect") {
			t.Errorf("no app server in %q", metrics(r, target))
		}
	}
	if broken := metrics(r, "broken"); len(broken) != 2 || !strings.Contains(broken[0], "not an address") || !r.Failed() {
		t.Errorf("broken: %q", broken)
	}
}

func TestStalled(t *testing.T) {
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := small(
		bench.Target{Name: "service", URL: "Endpoint=http://{listen};AccessKey=x;", Command: []string{me, "serve-stub", "{listen}", "{admin}"}},
		bench.Target{Name: "no metrics", URL: "Endpoint=http://{listen};AccessKey=x;", Command: []string{me, "serve-stub", "{listen}"}},
		bench.Target{Name: "no service", URL: "http://{listen}/bench", Command: []string{me, "serve-stub", "{listen}"}},
	)
	o.AppServer = []string{me, "serve-app", "{app}"}
	o.StalledClients = 8
	o.Scenarios = []string{"stalled"} // both
	r, err := bench.Run(t.Context(), o, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	for metric, want := range map[string]float64{"its clients": 4, "of them closed": 4, "of them told to reconnect": 2,
		"counted as ServerConnectionClosed": 4, "counted as SlowClient": 1} {
		if v := value(t, r, "service", metric); v != want {
			t.Errorf("%s: %v, want %v", metric, v, want)
		}
	}
	for _, metric := range []string{"others' mean round trip beside it", "others' longest round trip without it", "time until the last was closed"} {
		if v := value(t, r, "service", metric); v <= 0 {
			t.Errorf("%s: %v", metric, v)
		}
	}
	if m := metrics(r, "no metrics"); slices.Contains(m, "counted as SlowClient") || !slices.Contains(m, "of them closed") {
		t.Errorf("without metrics: %q", m)
	}
	if m := metrics(r, "no service"); m[len(m)-1] != "not supported" || r.Failed() {
		t.Errorf("without a service: %q, failed %v", m, r.Failed())
	}
}

// Clients of ASP.NET SignalR are closed as well; nothing tells them to reconnect (legacy-service-protocol 6.4).
func TestStalledServerASPNET(t *testing.T) {
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := small(bench.Target{Name: "service", URL: "Endpoint=http://{listen};AccessKey=x;", Command: []string{me, "serve-stub", "{listen}"}, Flavour: bench.ASPNET})
	o.AppServer = []string{me, "serve-app", "{app}"}
	o.StalledClients = 8
	o.Scenarios = []string{"stalled-server"}
	r, err := bench.Run(t.Context(), o, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	for metric, want := range map[string]float64{"its clients": 4, "of them closed": 4, "of them told to reconnect": 0} {
		if v := value(t, r, "service", metric); v != want {
			t.Errorf("%s: %v, want %v", metric, v, want)
		}
	}
}

func TestTargetsThatFail(t *testing.T) {
	noSSE, noBroadcast := newStub(), newStub()
	noSSE.noSSE, noBroadcast.noBroadcast = true, true
	noWebSockets, noStart, noCalls := newASPNETStub(), newASPNETStub(), newASPNETStub()
	noWebSockets.noWebSockets, noStart.noStart, noCalls.noBroadcast = true, true, true
	for _, tc := range []struct {
		name, scenario, path, want string
		stub                       http.Handler
		failed                     bool
	}{
		{"not supported", "idle-sse", "/bench", "not supported", noSSE, false},
		{"negotiate says no", "connect", "/error", "not today", newStub(), true},
		{"no token", "connect", "/service", "401", newStub(), true},
		{"clients are closed", "broadcast", "/bench", "no broadcasts here", noBroadcast, true},
		{"aspnet: not supported", "idle-websockets", "/signalr", "not supported", noWebSockets, false},
		{"aspnet: negotiate says no", "connect", "/error", "not today", newASPNETStub(), true},
		{"aspnet: no token", "idle-longpolling", "/service", "401", newASPNETStub(), true},
		{"aspnet: start says no", "idle-sse", "/signalr", "not yet", noStart, true},
		{"aspnet: clients are closed", "broadcast", "/signalr", "no broadcasts here", noCalls, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := small(inProcess(t, "bad", tc.stub, tc.path), inProcess(t, "good", newStub(), "/bench"))
			o.Scenarios = []string{tc.scenario}
			r, err := bench.Run(t.Context(), o, new(bytes.Buffer))
			if err != nil {
				t.Fatal(err)
			}
			if got := metrics(r, "bad"); len(got) != 1 || !strings.Contains(got[0], tc.want) {
				t.Errorf("bad target: %q, want %q", got, tc.want)
			}
			if r.Failed() != tc.failed {
				t.Errorf("Failed() = %v", r.Failed())
			}
			if len(metrics(r, "good")) < 3 {
				t.Errorf("good target: %q", metrics(r, "good"))
			}
		})
	}
}

func TestSkipNegotiation(t *testing.T) {
	direct, redirected := newStub(), newStub()
	o := small(inProcess(t, "direct", direct, "/bench"), inProcess(t, "redirected", redirected, "/app"))
	o.SkipNegotiation = true
	o.Scenarios = []string{"echo"}
	r, err := bench.Run(t.Context(), o, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	if n := direct.negotiates.Load(); n != 0 || len(metrics(r, "direct")) < 3 {
		t.Errorf("%d negotiates, %q", n, metrics(r, "direct"))
	}
}

func TestRunRefuses(t *testing.T) {
	good := bench.Target{Name: "x", URL: "http://127.0.0.1:1/bench", PID: os.Getpid()}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		o    bench.Options
		want string
	}{
		{"nothing", t.Context(), bench.Options{}, "nothing to measure"},
		{"unknown scenario", t.Context(), bench.Options{Targets: []bench.Target{good}, Scenarios: []string{"brodcast"}}, `"brodcast"`},
		{"same name twice", t.Context(), bench.Options{Targets: []bench.Target{good, good}}, "called x"},
		{"negative", t.Context(), bench.Options{Targets: []bench.Target{good}, Clients: -1}, "negative"},
		{"growth that shrinks", t.Context(), bench.Options{Targets: []bench.Target{good}, GrowthClients: []int{2, 1}}, "ascend"},
		{"cancelled", cancelled, small(good), context.Canceled.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := bench.Run(tc.ctx, tc.o, new(bytes.Buffer))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Run = %v, want %q", err, tc.want)
			}
			if tc.ctx == cancelled && !errors.Is(err, context.Canceled) {
				t.Errorf("Run = %v is not the context's error", err)
			}
		})
	}
}

func TestParseTarget(t *testing.T) {
	const conn = "Endpoint=http://h:1;AccessKey=a=b;Version=1.0;"
	for _, tc := range []struct {
		in   string
		want bench.Target
	}{
		{"http://h/bench", bench.Target{Name: "target", URL: "http://h/bench"}},
		{"http://h/bench?a=b", bench.Target{Name: "target", URL: "http://h/bench?a=b"}},
		{"relay=http://h/bench,12", bench.Target{Name: "relay", URL: "http://h/bench", PID: 12}},
		{conn, bench.Target{Name: "target", URL: conn}},
		{"relay=" + conn + ",7", bench.Target{Name: "relay", URL: conn, PID: 7}},
	} {
		got, err := bench.ParseTarget(tc.in)
		if d := cmp.Diff(tc.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", tc.in, err, d)
		}
	}
	for _, in := range []string{"", "h", "relay=h", "http://h/bench,x", "http://h/bench,-1"} {
		if got, err := bench.ParseTarget(in); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
}
