package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/signalrelay/signalrelay/conformance/relaytest"
	"github.com/signalrelay/signalrelay/conformance/suite"
)

// startRelay runs serve with the real relay until the test ends and returns its
// connection string.
func startRelay(t *testing.T) string {
	t.Helper()
	p, ended := NewProgram(), make(chan error, 1)
	p.Stdout, p.Stderr = io.Discard, io.Discard
	if err := p.ParseFlags([]string{"serve", "--listen=127.0.0.1:0", "--admin=none", "--drain-time=0s", "--log-level=error"}, nil); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- p.Run(t.Context()) }()
	select {
	case <-p.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return connectionTo(p.Addr())
}

func connectionTo(addr string) string {
	return "Endpoint=http://" + addr + ";AccessKey=" + developmentKey + ";Version=1.0;"
}

// between is a relay that says new where another says old.
func between(t *testing.T, conn, old, new string) string {
	t.Helper()
	_, addr, _ := strings.Cut(conn, "http://")
	addr, _, _ = strings.Cut(addr, ";")
	return connectionTo(relaytest.StartMutant(t, addr, old, new))
}

const knownOfRelay = "../../conformance/suite/cases/service/known-relay.txt"

func TestConformService(t *testing.T) {
	relay := startRelay(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	stale := writeFile(t, "known.txt", "connect-sse-json: it was wrong once\n")
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"the relay": {[]string{relay, "--known=" + knownOfRelay, "--parallel=16"}, exitOK, " agrees: ", ""},
		"a broken relay": {[]string{between(t, relay, `"negotiateVersion":1`, `"negotiateVersion":2`), "--run=^connect-sse-json$"}, exitFailure,
			`want  relay h1> 200`, "service: 1 of 1 case failed"},
		"known and passes":  {[]string{relay, "--run=^connect-sse-json$", "--known=" + stale}, exitFailure, "connect-sse-json: passed", "list of what is known"},
		"not there":         {[]string{connectionTo(gone.Addr().String())}, exitUsage, "", "refused"},
		"another key":       {[]string{strings.Replace(relay, "ABC", "ABD", 1)}, exitUsage, "", "access key is not the service's"},
		"no key":            {[]string{"Endpoint=http://127.0.0.1:1;AuthType=azure"}, exitUsage, "", "AccessKey"},
		"no endpoint":       {nil, exitUsage, "", "connection string"},
		"no such case":      {[]string{relay, "--run=^nothing$"}, exitUsage, "", "no case has a name like"},
		"no expression":     {[]string{relay, "--run=("}, exitUsage, "", "run: "},
		"no such format":    {[]string{relay, "--format=html"}, exitUsage, "", "format"},
		"no such list":      {[]string{relay, "--known=nowhere.txt"}, exitUsage, "", "nowhere.txt"},
		"a list, no reason": {[]string{relay, "--known=" + writeFile(t, "bad.txt", "x\n")}, exitUsage, "", "no reason"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := command(t, nil, append([]string{"conform", "service"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.stdout == "" && stdout != "" {
				t.Errorf("code %d, want %d\n%s\n%s", code, c.code, stdout, stderr)
			}
		})
	}
}

func TestConformFormats(t *testing.T) {
	relay := startRelay(t)
	for format, want := range map[string]string{"text": " agrees: 1 case in", "tap": "\nok 1 - connect-sse-json\n", "junit": `failures="0"`, "json": `"verdict": "agrees"`, "markdown": "| service | 1 |"} {
		stdout, stderr, code := command(t, nil, "conform", "service", relay, "--run=^connect-sse-json$", "--format="+format)
		if code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("%s: code %d\n%s\n%s", format, code, stdout, stderr)
		}
		if format == "json" && !json.Valid([]byte(stdout)) {
			t.Errorf("no JSON:\n%s", stdout)
		}
	}
}

// startDemo runs the demo until the test ends and returns the URL of its pages.
func startDemo(t *testing.T) string {
	t.Helper()
	p, out, ended := NewProgram(), &output{}, make(chan error, 1)
	p.Stdout, p.Stderr = out, io.Discard
	if err := p.ParseFlags([]string{"demo", "--listen=127.0.0.1:0", "--relay=127.0.0.1:0", "--log-level=error"}, nil); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- p.Run(t.Context()) }()
	t.Cleanup(func() {
		p.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C { // the demo tells nobody but its reader
		if _, at, ok := strings.Cut(out.String(), "Chat: "); ok {
			at, _, _ = strings.Cut(at, "/ ")
			return at
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
}

func TestConformHubs(t *testing.T) {
	demo := startDemo(t)
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout string
	}{
		"core":              {[]string{"core", demo + "/chat", "--run=^negotiate-v1$"}, exitOK, " agrees: 1 case in"},
		"core, not a hub":   {[]string{"core", demo + "/nothing", "--run=^negotiate-v1$"}, exitUsage, ""},
		"core, not there":   {[]string{"core", "http://127.0.0.1:1/chat"}, exitUsage, ""},
		"legacy":            {[]string{"legacy", demo + "/signalr", "--run=^negotiate-basic$"}, exitOK, " agrees: 1 case in"},
		"legacy, not there": {[]string{"legacy", "http://127.0.0.1:1/signalr"}, exitUsage, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := command(t, nil, append([]string{"conform"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) {
				t.Errorf("code %d, want %d\n%s\n%s", code, c.code, stdout, stderr)
			}
		})
	}
}

func TestConformClient(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if stdout, _, code := command(t, nil, "conform", "client", "--list"); code != exitOK || strings.Count(stdout, "\n") < 40 {
		t.Errorf("list: code %d\n%s", code, stdout)
	}
	stdout, stderr, code := command(t, nil, "conform", "client", "--listen=127.0.0.1:0", "--for=1ms")
	if code != exitUsage || !strings.Contains(stdout, "no client came") || !strings.Contains(stderr, "Scenarios: http://127.0.0.1:") {
		t.Errorf("no client: code %d\n%s\n%s", code, stdout, stderr)
	}
	if _, _, code := command(t, nil, "conform", "client", "--listen="+taken.Addr().String(), "--for=1ms"); code != exitUsage {
		t.Errorf("address in use: code %d", code)
	}
	if _, _, code := command(t, nil, "conform", "client", "--listen=nowhere"); code != exitUsage {
		t.Errorf("no address: code %d", code)
	}
}

// The variables of a relay are not those of the programs that judge and record it,
// which would listen where it does.
func TestConformEnvironment(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := NewProgram()
	err = p.ParseFlags([]string{"conform", "client"}, []string{"SIGNALRELAY_LISTEN=" + taken.Addr().String(), "SIGNALRELAY_ACCESS_KEY=key"})
	if got := p.cli.Conform.Client.Listen; err != nil || got != "127.0.0.1:9000" {
		t.Errorf("client listens on %s, %v", got, err)
	}
	own := 0
	for _, flag := range flagsBelow(p.kong.Model.Node, "conform", "record", "demo", "sample-app") {
		if flag.Name == "log-level" || flag.Name == "log-format" {
			continue // the same everywhere
		}
		if p.layers.answers(flag) {
			t.Errorf("--%s is set by $%s", flag.Name, envName(flag.Name))
		}
		if slices.Contains(p.layers.names, flag.Name) {
			own++
		}
	}
	if own == 0 {
		t.Error("no flag is called like a key of the configuration")
	}
}

// flagsBelow are the flags of some commands and of all their own.
func flagsBelow(n *kong.Node, commands ...string) (all []*kong.Flag) {
	for _, c := range n.Children {
		if len(commands) == 0 || slices.Contains(commands, c.Name) {
			all = append(append(all, c.Flags...), flagsBelow(c)...)
		}
	}
	return all
}

func TestConformList(t *testing.T) {
	for name, set := range map[string]*suite.Set{"core": suite.CoreSet(), "legacy": suite.LegacySet(), "service": suite.ServiceSet()} {
		stdout, stderr, code := command(t, nil, "conform", name, "--list")
		if code != exitOK || strings.Count(stdout, "\n") != len(set.Cases) {
			t.Errorf("%s: code %d, %d lines for %d cases\n%s", name, code, strings.Count(stdout, "\n"), len(set.Cases), stderr)
		}
		for _, args := range [][]string{{}, {"nothing"}, {"http://127.0.0.1:1/hub", "--query=x"}, {"http://127.0.0.1:1/hub", "--header=x"}} {
			if _, _, code := command(t, nil, append([]string{"conform", name}, args...)...); code != exitUsage {
				t.Errorf("%s %v: code %d", name, args, code)
			}
		}
	}
}

// The scripts of the core set are played as conform core plays them: an app that
// sends its clients to a service is followed there.
func TestConformReplayHub(t *testing.T) {
	const cases = "../../conformance/suite/cases/core/hub/"
	demo := startDemo(t)
	script := func(result string) string {
		return writeFile(t, "echo.txt", "# from: written by hand\n# name: echo\n\nclient c1> connect LongPolling ?user=alice\nclient c1> text `{\"protocol\":\"json\",\"version\":1}␞`\n"+
			"server c1> text `{}␞`\nclient c1> text `{\"type\":1,\"invocationId\":\"1\",\"target\":\"MyUser\",\"arguments\":[]}␞`\nserver c1> text `{\"type\":3,\"invocationId\":\"1\",\"result\":\""+result+"\"}␞`\n")
	}
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout string
	}{
		"one":                  {[]string{script("alice"), demo + "/chat"}, exitOK, " agrees: 1 case in"},
		"one that differs":     {[]string{script("bob"), demo + "/chat"}, exitFailure, `got   server c1> text`},
		"a file of several":    {[]string{cases + "stateful.txt", demo + "/chat"}, exitOK, " agrees: "},
		"for each transport":   {[]string{cases + "clientresults.txt", demo + "/chat", "--run=^client-result-(websockets|sse|longpolling)$"}, exitOK, " agrees: 3 cases in"},
		"no hub there":         {[]string{script("alice"), demo + "/nothing"}, exitFailure, "connectionToken"},
		"a value, but no need": {[]string{script("alice"), demo + "/chat", "--capture=secret1=x"}, exitUsage, ""},
		"nothing in it":        {[]string{writeFile(t, "empty.txt", "\n"), demo + "/chat"}, exitUsage, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := command(t, nil, append([]string{"conform", "replay"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) {
				t.Errorf("code %d, want %d\n%s\n%s", code, c.code, stdout, stderr)
			}
		})
	}
}

func TestConformReplay(t *testing.T) {
	const file = "../../conformance/transcripts/service/user-groups.txt"
	relay := startRelay(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wrong := writeFile(t, "wrong.txt", strings.Replace(string(text), "AckID=2 Status=1", "AckID=2 Status=2", 1))
	plain := writeFile(t, "plain.txt", "client h1> GET /nothing\nrelay h1> 404\n")
	_, url, _ := strings.Cut(strings.TrimSuffix(relay, ";"), "=")
	url, _, _ = strings.Cut(url, ";")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"right":             {[]string{file, relay}, exitOK},
		"of ASP.NET":        {[]string{"../../conformance/transcripts/aspnet/legacy-invoke.txt", relay}, exitOK},
		"no service":        {[]string{file, url}, exitUsage},
		"plain HTTP":        {[]string{plain, url}, exitOK},
		"plain HTTP, wrong": {[]string{writeFile(t, "x.txt", "client h1> GET /nothing\nrelay h1> 200\n"), url}, exitFailure},
		"wrong":             {[]string{wrong, relay}, exitFailure},
		"not there":         {[]string{file, "http://127.0.0.1:1"}, exitUsage},
		"no transcript":     {[]string{knownOfRelay, relay}, exitUsage},
		"no file":           {[]string{"nowhere.txt", relay}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			if stdout, stderr, code := command(t, nil, append([]string{"conform", "replay"}, c.args...)...); code != c.code {
				t.Errorf("code %d, want %d\n%s\n%s", code, c.code, stdout, stderr)
			}
		})
	}
}
