package bench_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseStat(t *testing.T) {
	got, err := bench.ParseStat(testdata(t, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(bench.CPUTime{User: 12340 * time.Millisecond, System: 56780 * time.Millisecond}, got); d != "" {
		t.Error(d)
	}
	for _, in := range []string{"", "1 (a", "1 (a) S 1 2", "1 (a) S 1 1 1 0 -1 0 0 0 0 0 x y 0"} {
		if got, err := bench.ParseStat([]byte(in)); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	got, err := bench.ParseStatus(testdata(t, "status"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(bench.Memory{Resident: 61728 << 10, Peak: 70000 << 10}, got); d != "" {
		t.Error(d)
	}
	for _, in := range []string{"", "VmRSS:\t12 kB\n", "VmRSS:\tmany kB\nVmHWM:\t1 kB\n"} {
		if got, err := bench.ParseStatus([]byte(in)); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestParseCloseCount(t *testing.T) {
	const page = `# TYPE signalrelay_connection_close_count_total counter
signalrelay_connection_close_count_total{connection_close_category="Normal",endpoint="Client"} 12
signalrelay_connection_close_count_total{connection_close_category="Normal",endpoint="Server"} 5
signalrelay_connection_close_count_total{endpoint="Client",connection_close_category="SlowClient"} 1.5e+03
signalrelay_connection_close_count_total{connection_close_category="BadRequest",endpoint="Client"} many
signalrelay_connection_close_count_total{connection_close_category="Throttled",endpoint="Client"
signalrelay_connection_count{endpoint="Client"} 7
`
	for _, tc := range []struct {
		category string
		want     int64
		fails    bool
	}{
		{"Normal", 12, false},
		{"SlowClient", 1500, false},
		{"ServerConnectionClosed", 0, false},
		{"Throttled", 0, false},
		{"BadRequest", 0, true},
	} {
		got, err := bench.ParseCloseCount(page, tc.category)
		if got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%s: %d, %v; want %d", tc.category, got, err, tc.want)
		}
	}
}

func TestListening(t *testing.T) {
	for _, tc := range []struct {
		file string
		port int
		want map[string]bool
	}{
		{"tcp", 8888, map[string]bool{"43210": true}},
		{"tcp6", 8080, map[string]bool{"55555": true}},
		{"tcp", 1, map[string]bool{}},
	} {
		got := map[string]bool{}
		bench.Listening(testdata(t, tc.file), tc.port, got)
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s, port %d: %s", tc.file, tc.port, d)
		}
	}
}

func TestThisProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if pid, err := bench.Listener(port); pid != os.Getpid() || err != nil {
		t.Errorf("Listener = %d, %v; want %d", pid, err, os.Getpid())
	}
	l.Close()
	if pid, err := bench.Listener(port); err == nil {
		t.Errorf("Listener of a closed port = %d", pid)
	}
	before, err := bench.ReadCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// CPU time only ever goes on: work until it is seen to.
	for {
		after, err := bench.ReadCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after.User+after.System > before.User+before.System {
			break
		}
	}
}

func TestStat(t *testing.T) {
	for _, tc := range []struct {
		in   []float64
		want bench.Stat
		text string
	}{
		{nil, bench.Stat{}, "0"},
		{[]float64{7}, bench.Stat{Min: 7, Median: 7, Max: 7}, "7"},
		{[]float64{3, 1.5, 2.25}, bench.Stat{Min: 1.5, Median: 2.25, Max: 3}, "2.25 (1.50–3)"},
		{[]float64{1000, 10.5, 20.5, 30}, bench.Stat{Min: 10.5, Median: 25.25, Max: 1000}, "25.2 (10.5–1000)"},
	} {
		got := bench.StatOf(tc.in)
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%v: %s", tc.in, d)
		}
		if got.String() != tc.text {
			t.Errorf("%v: %q, want %q", tc.in, got, tc.text)
		}
	}
}

func TestPercentile(t *testing.T) {
	var v []time.Duration
	for i := range 200 {
		v = append(v, time.Duration(i+1))
	}
	for p, want := range map[float64]time.Duration{0: 1, 50: 100, 99: 198, 99.9: 200, 100: 200} {
		if got := bench.Percentile(v, p); got != want {
			t.Errorf("percentile %v = %d, want %d", p, got, want)
		}
	}
	if got := bench.Percentile(nil, 50); got != 0 {
		t.Errorf("percentile of nothing = %d", got)
	}
	if got := bench.Percentile(v[:1], 99); got != 1 {
		t.Errorf("percentile of one = %d", got)
	}
}

func TestScenarioNames(t *testing.T) {
	for _, s := range bench.Scenarios() {
		if s.Name == "" || s.About == "" || strings.ToLower(s.Name) != s.Name {
			t.Errorf("%+v", s)
		}
	}
}

func TestReferences(t *testing.T) {
	core, aspnet := bench.Target{Name: "core"}, bench.Target{Name: "aspnet", Tested: true}
	floor, kestrel := bench.Target{Name: "floor"}, bench.Target{Name: "kestrel"}
	for _, tc := range []struct {
		name, target string
		targets      []bench.Target
		want         []string
	}{
		{"one", "core", []bench.Target{core}, nil},
		{"first", "core", []bench.Target{core, floor, kestrel}, []string{"floor", "kestrel"}},
		{"not under test", "floor", []bench.Target{core, floor, kestrel}, nil},
		{"first of two under test", "core", []bench.Target{core, aspnet, floor}, []string{"floor"}},
		{"second of two", "aspnet", []bench.Target{core, aspnet, floor, kestrel}, []string{"core", "floor", "kestrel"}},
		{"second behind others", "aspnet", []bench.Target{core, floor, aspnet}, []string{"core", "floor"}},
		{"alone", "aspnet", []bench.Target{aspnet, floor}, []string{"floor"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, bench.References(tc.targets, tc.target)); d != "" {
				t.Error(d)
			}
		})
	}
}
