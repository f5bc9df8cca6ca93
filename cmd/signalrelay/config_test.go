package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// parse reads a serve command line and returns its configuration.
func parse(t *testing.T, environ []string, args ...string) (*Program, Config, error) {
	t.Helper()
	p := NewProgram()
	p.Stdout, p.Stderr = &output{}, &output{}
	err := p.ParseFlags(append([]string{"serve"}, args...), environ)
	return p, p.cli.Serve.Config, err
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigLayers(t *testing.T) {
	_, def, err := parse(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(defaultConfig(), def); d != "" {
		t.Errorf("defaultConfig differs:\n%s", d)
	}
	with := func(f func(*Config)) Config { c := def; f(&c); return c }
	cases := []struct {
		name, file string
		environ    []string
		args       []string
		want       Config
	}{
		{name: "defaults", want: def},
		{name: "empty file", file: "\n", want: def},
		{name: "file", file: "listen: 127.0.0.1:1\nclient-buffer: 2MiB\nmax-connections: 7\nstateful-reconnect: false\ndrain-time: 1m\nhosts: [a, b]\n",
			want: with(func(c *Config) {
				c.Listen, c.ClientBuffer, c.MaxConnections, c.StatefulReconnect = "127.0.0.1:1", 2<<20, 7, false
				c.DrainTime, c.Hosts = time.Minute, []string{"a", "b"}
			})},
		{name: "file with plain numbers and single values", file: "client-buffer: 4096\naccess-key: one\nhosts: a\ninstance-id: 12\n",
			want: with(func(c *Config) {
				c.ClientBuffer, c.AccessKey, c.Hosts, c.InstanceID = 4096, []string{"one"}, []string{"a"}, "12"
			})},
		{name: "file with nothing for a key", file: "listen:\n", want: def},
		{name: "key with a comma in the file", file: "access-key: ['a,b', c]\n",
			want: with(func(c *Config) { c.AccessKey = []string{"a,b", "c"} })},
		{name: "environment over file", file: "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\n",
			environ: []string{"SIGNALRELAY_LISTEN=127.0.0.1:3", "OTHER=1"},
			want:    with(func(c *Config) { c.Listen, c.Admin = "127.0.0.1:3", "127.0.0.1:2" })},
		{name: "environment list", environ: []string{"SIGNALRELAY_HOSTS= a , b,", "SIGNALRELAY_ACCESS_KEY=k=,l"},
			want: with(func(c *Config) { c.Hosts, c.AccessKey = []string{"a", "b"}, []string{"k=", "l"} })},
		{name: "flag over both", file: "listen: 127.0.0.1:1\npprof: true\naccess-key: [f]\n",
			environ: []string{"SIGNALRELAY_LISTEN=127.0.0.1:2", "SIGNALRELAY_STATEFUL_RECONNECT=true"},
			args:    []string{"--listen=127.0.0.1:3", "--no-stateful-reconnect", "--access-key=x,y", "--access-key=z"},
			want: with(func(c *Config) {
				c.Listen, c.StatefulReconnect, c.Pprof, c.AccessKey = "127.0.0.1:3", false, true, []string{"x,y", "z"}
			})},
		{name: "a flag that repeats the default wins too", environ: []string{"SIGNALRELAY_LISTEN=127.0.0.1:2"},
			args: []string{"--listen=127.0.0.1:8888"}, want: def},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if c.file != "" {
				args = append(args, "--config="+writeFile(t, "c.yaml", c.file))
			}
			_, got, err := parse(t, c.environ, args...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("file named by the environment", func(t *testing.T) {
		path := writeFile(t, "c.yaml", "listen: 127.0.0.1:1\n")
		_, got, err := parse(t, []string{"SIGNALRELAY_CONFIG=" + path})
		if err != nil || got.Listen != "127.0.0.1:1" {
			t.Errorf("listen %s, %v", got.Listen, err)
		}
	})
	t.Run("unknown variable is a warning", func(t *testing.T) {
		p, _, err := parse(t, []string{"SIGNALRELAY_LISTNE=x"})
		want := []string{"unknown environment variable SIGNALRELAY_LISTNE: did you mean SIGNALRELAY_LISTEN?"}
		if d := cmp.Diff(want, p.layers.warnings); d != "" || err != nil {
			t.Error(d, err)
		}
	})
}

func TestBadUsage(t *testing.T) {
	broken := writeFile(t, "broken.pem", "no certificate")
	empty := writeFile(t, "empty.key", " \n")
	cases := []struct {
		name, file, want string
		environ          []string
		args             []string
	}{
		{name: "unknown key", file: "listn: x\n", want: "unknown key listn: did you mean listen?"},
		{name: "several unknown keys", file: "listn: x\nfrobnicate: y\n", want: "unknown key frobnicate\n"},
		{name: "map for a value", file: "listen: {host: x}\n", want: "listen: want a value, found a map"},
		{name: "no YAML", file: "a: [\n", want: "c.yaml: yaml:"},
		{name: "value of the file", file: "drain-time: soon\n", want: "c.yaml: expected duration"},
		{name: "value of the environment", environ: []string{"SIGNALRELAY_CLIENT_BUFFER=big"}, want: `SIGNALRELAY_CLIENT_BUFFER: "big" is no size`},
		{name: "value of a flag", args: []string{"--max-connections=many"}, want: "--max-connections"},
		{name: "missing file", args: []string{"--config=/does/not/exist"}, want: "config: /does/not/exist: "},
		{name: "unknown flag", args: []string{"--listn=x"}, want: `did you mean "--listen"?`},
		{name: "enum", environ: []string{"SIGNALRELAY_LOG_LEVEL=loud"}, want: "--log-level must be one of"},
		{name: "address", args: []string{"--listen=8888"}, want: `listen: "8888" is not HOST:PORT`},
		{name: "port", args: []string{"--admin=127.0.0.1:http"}, want: "has no port from 0 to 65535"},
		{name: "two at once", args: []string{"--listen=8888", "--drain-time=-1s"}, want: "drain-time: -1s is not from 0s to 1h"},
		{name: "half of TLS", args: []string{"--tls-cert=x"}, want: "tls-cert: needs tls-key"},
		{name: "broken certificate", args: []string{"--tls-cert=" + broken, "--tls-key=" + broken}, want: "tls-cert: tls: "},
		{name: "empty key", args: []string{"--access-key="}, want: "access-key: number 1 is empty"},
		{name: "mask as key", args: []string{"--access-key=***"}, want: "is the mask"},
		{name: "empty key file", args: []string{"--access-key-file=" + empty}, want: "access-key-file: " + empty + " is empty"},
		{name: "missing key file", args: []string{"--access-key-file=/does/not/exist"}, want: "access-key-file: open "},
		{name: "development key in public", args: []string{"--listen=0.0.0.0:8888"}, want: "set your own with --access-key"},
		{name: "development key among others", args: []string{"--listen=:8888", "--access-key=x", "--access-key=" + developmentKey}, want: "public development key"},
		{name: "tiny buffer", args: []string{"--client-buffer=1"}, want: "client-buffer: 1 is not from 1KiB to 1GiB"},
		{name: "handshake timeout", args: []string{"--handshake-timeout=1ms"}, want: "handshake-timeout: 1ms is not from 1s to 5m"},
		{name: "connections", args: []string{"--max-connections=-1"}, want: "max-connections: -1 is below 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"serve", "--check"}, c.args...)
			if c.file != "" {
				args = append(args, "--config="+writeFile(t, "c.yaml", c.file))
			}
			stdout, stderr, code := command(t, c.environ, args...)
			if code != exitUsage || !strings.Contains(stderr, c.want) || stdout != "" {
				t.Errorf("code %d, printed %q, want %q in:\n%s", code, stdout, c.want, stderr)
			}
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	key := writeFile(t, "a.key", "from-a-file\n")
	for _, args := range [][]string{
		nil, {"--listen=[::1]:0"}, {"--listen=localhost:8888"}, {"--listen=:8888", "--access-key=mine"},
		{"--listen=0.0.0.0:8888", "--access-key-file=" + key}, {"--admin=none"},
	} {
		stdout, stderr, code := command(t, nil, append([]string{"serve", "--check"}, args...)...)
		if code != exitOK || stdout != "configuration is valid\n" {
			t.Errorf("%v: code %d, %s%s", args, code, stdout, stderr)
		}
	}
}

func TestKeysOrder(t *testing.T) {
	file := writeFile(t, "a.key", "from-a-file\n")
	_, c, err := parse(t, nil, "--access-key-file="+file, "--access-key=first")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.keys()
	if d := cmp.Diff([]string{"first", "from-a-file"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestConnectionStringOfListener(t *testing.T) {
	cases := []struct {
		name, addr, want string
		c                Config
	}{
		{"loopback", "127.0.0.1:8888", "http://127.0.0.1:8888", Config{}},
		{"IPv6", "[::1]:8888", "http://[::1]:8888", Config{}},
		{"all addresses", "[::]:8888", "http://localhost:8888", Config{}},
		{"all addresses with a host", "0.0.0.0:443", "https://relay.example.com:443", Config{TLSCert: "x", Hosts: []string{"relay.example.com"}}},
	}
	for _, c := range cases {
		got, err := c.c.connectionString(c.addr, "k")
		if want := "Endpoint=" + c.want + ";AccessKey=k;Version=1.0;"; err != nil || got.Secret() != want {
			t.Errorf("%s: %s, %v; want %s", c.name, got.Secret(), err, want)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	const secret = "s3cret-s3cret-s3cret"
	file := writeFile(t, "c.yaml", "drain-time: 3s\nhosts: ['a', \"b: c\"]\naccess-key: ["+secret+"]\n")
	stdout, stderr, code := command(t, []string{"SIGNALRELAY_MAX_CONNECTIONS=5"}, "serve", "--config="+file, "--print-config", "--pprof")
	if code != exitOK || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	for _, want := range []string{
		"listen: \"127.0.0.1:8888\" # default\n", "drain-time: \"3s\" # " + file + "\n", "pprof: true # --pprof\n",
		"max-connections: 5 # SIGNALRELAY_MAX_CONNECTIONS\n", "access-key: [\"***\"] # " + file + "\n", "max-message: \"16MiB\" # default\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, secret) {
		t.Errorf("shows the key:\n%s", stdout)
	}
	// What is printed is a configuration again, all but the keys.
	again := writeFile(t, "again.yaml", strings.ReplaceAll(stdout, mask, secret))
	_, want, err := parse(t, []string{"SIGNALRELAY_MAX_CONNECTIONS=5"}, "--config="+file, "--pprof")
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := parse(t, nil, "--config="+again)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, "\x00") })); d != "" {
		t.Error(d)
	}
	if stdout, stderr, code := command(t, nil, "serve", "--print-config", "--listen=:1"); code != exitUsage || stdout == "" || stderr == "" {
		t.Errorf("a wrong configuration: code %d, printed %q, %q", code, stdout, stderr)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1": 1, "1023": 1023, "1KiB": 1 << 10, "1 mib": 1 << 20, "3GiB": 3 << 30, "1536KiB": 3 << 19} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
		var again Size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is written as %q, which is %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MiB", "1KB", "0x10", "9999999999999999999", "9007199254740993GiB"} {
		if got := Size(5); got.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q accepted as %d", text, got)
		}
	}
}

func TestConfigDocsAreCurrent(t *testing.T) {
	want, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	writeConfigDocs(&got)
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("run go generate ./cmd/signalrelay:\n%s", d)
	}
}

// TestConfigTags holds the struct to what the rest relies on.
func TestConfigTags(t *testing.T) {
	seen := map[string]bool{}
	new(Config).eachField(func(f reflect.StructField, _ reflect.Value) {
		name, help := f.Tag.Get("name"), f.Tag.Get("help")
		if name == "" || seen[name] || f.Tag.Get("group") == "" {
			t.Errorf("%s: name %q, group %q", f.Name, name, f.Tag.Get("group"))
		}
		if !strings.HasSuffix(help, ".") || len(help) > 160 {
			t.Errorf("%s: help is no short sentence: %q", name, help)
		}
		seen[name] = true
	})
}
