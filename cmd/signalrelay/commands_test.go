package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/relay/auth"
)

func TestToken(t *testing.T) {
	keys := func(k string) *auth.Keys {
		ks, err := auth.NewKeys(k)
		if err != nil {
			t.Fatal(err)
		}
		return ks
	}
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		stdout, stderr, code := command(t, nil, append([]string{"token"}, args...)...)
		if code != exitOK {
			t.Fatalf("code %d, %s", code, stderr)
		}
		return strings.TrimSuffix(stdout, "\n")
	}
	t.Run("client", func(t *testing.T) {
		got, err := keys(developmentKey).Client(run(t, "--hub=Chat", "--user=alice", "--role=a", "--role=b", "--claim=x=y=z", "--lifetime=5m"), "chat", auth.Check{})
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(got.Expires); left > 5*time.Minute || left < 4*time.Minute {
			t.Errorf("expires in %v", left)
		}
		var roles []string
		for _, c := range got.Claims {
			if c.Type == "role" {
				roles = append(roles, c.Value)
			}
		}
		if d := cmp.Diff([]string{"alice", "a", "b", "y=z"}, append(append([]string{got.User}, roles...), got.Get("x"))); d != "" {
			t.Error(d)
		}
	})
	t.Run("anonymous", func(t *testing.T) {
		got, err := keys("k").Client(run(t, "--hub=chat", "--access-key=k"), "chat", auth.Check{})
		if err != nil || got.HasUser {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("server", func(t *testing.T) {
		got, err := keys("k").Server(run(t, "--hub=chat", "--access-key=k", "--server", "--user=m_1"), "chat", auth.Check{})
		if err != nil || got.User != "m_1" {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("URL", func(t *testing.T) {
		u, err := url.Parse(run(t, "--hub=Chat", "--url", "--endpoint=https://relay.example.com:8443"))
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != "relay.example.com:8443" || u.Path != "/client/" || u.Query().Get("hub") != "chat" {
			t.Errorf("URL is %v", u)
		}
		if _, err := keys(developmentKey).Client(u.Query().Get("access_token"), "chat", auth.Check{Hosts: []string{"relay.example.com"}}); err != nil {
			t.Error(err)
		}
	})
	t.Run("bad usage", func(t *testing.T) {
		for _, args := range [][]string{nil, {"--hub=x", "--claim=y"}, {"--hub=x", "--endpoint=y"}, {"--hub=x", "--access-key="}, {"--hub=x", "--url", "--server"}} {
			if stdout, _, code := command(t, nil, append([]string{"token"}, args...)...); code != exitUsage || stdout != "" {
				t.Errorf("%v: code %d, printed %q", args, code, stdout)
			}
		}
	})
}

func TestHealthcheck(t *testing.T) {
	d := start(t)
	_, port, err := net.SplitHostPort(d.AdminAddr())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(admin string) (string, int) {
		stdout, stderr, code := command(t, []string{"SIGNALRELAY_ADMIN=" + admin}, "healthcheck")
		return stdout + stderr, code
	}
	for _, admin := range []string{d.AdminAddr(), "0.0.0.0:" + port, ":" + port} {
		if text, code := ask(admin); code != exitOK || text != "ready\n" {
			t.Errorf("%s: code %d, %s", admin, code, text)
		}
	}
	d.Close()
	<-d.relay.draining
	if text, code := ask(d.AdminAddr()); code != exitFailure || !strings.Contains(text, "draining") {
		t.Errorf("draining: code %d, %s", code, text)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if text, code := ask(d.AdminAddr()); code != exitFailure || !strings.Contains(text, "refused") {
		t.Errorf("gone: code %d, %s", code, text)
	}
	if _, code := ask("none"); code != exitUsage {
		t.Errorf("no address: code %d", code)
	}
}

func TestServeTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	d := start(t, "--tls-cert="+writeFile(t, "c.pem", string(certificate)),
		"--tls-key="+writeFile(t, "k.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))))
	if !strings.Contains(d.out.String(), "Endpoint=https://127.0.0.1:") {
		t.Errorf("printed %s", d.out)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "fake relay" {
		t.Errorf("%q, %v", body, err)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

func TestVersion(t *testing.T) {
	stdout, _, code := command(t, nil, "version")
	if code != exitOK || !strings.HasPrefix(stdout, "signalrelay ") || !strings.Contains(stdout, " go1.") {
		t.Errorf("code %d, %s", code, stdout)
	}
}

func TestHelp(t *testing.T) {
	stdout, stderr, code := command(t, nil, "serve", "--help")
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "$SIGNALRELAY_DRAIN_TIME") {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
	p := NewProgram()
	if err := p.ParseFlags([]string{"version"}, nil); err != nil {
		t.Fatal(err)
	}
	err := kong.Visit(p.kong.Model, func(n kong.Visitable, next kong.Next) error {
		switch n := n.(type) {
		case *kong.Node:
			if n.Help == "" || !strings.HasSuffix(n.Help, ".") {
				t.Errorf("command %s: help is no sentence: %q", n.Name, n.Help)
			}
		case *kong.Flag:
			if n.Name != "help" && !strings.HasSuffix(n.Help, ".") {
				t.Errorf("--%s: help is no sentence: %q", n.Name, n.Help)
			}
		}
		return next(nil)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCompletion(t *testing.T) {
	for shell, want := range map[string][]string{
		"bash": {"--no-stateful-reconnect", `words="serve demo token bench conform record healthcheck version completion sample-app"`, `completion) words="bash zsh fish"`, `conform) words="core legacy service `},
		"zsh":  {"bashcompinit", "--access-key-file"},
		"fish": {"__fish_seen_subcommand_from serve' -l drain-time -d 'Time over which", `'Largest message of a client. The app\'s hub`},
	} {
		stdout, stderr, code := command(t, nil, "completion", shell)
		if code != exitOK || strings.Contains(stdout, "config-docs") {
			t.Errorf("%s: code %d, %s", shell, code, stderr)
		}
		for _, w := range want {
			if !strings.Contains(stdout, w) {
				t.Errorf("%s: no %q in\n%s", shell, w, stdout)
			}
		}
	}
	if _, _, code := command(t, nil, "completion", "tcsh"); code != exitUsage {
		t.Errorf("tcsh: code %d", code)
	}
}

// TestCompletionInBash lets bash itself complete.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash on this machine")
	}
	script, _, _ := command(t, nil, "completion", "bash")
	for _, c := range []struct{ line, want string }{
		{"signalrelay h", "healthcheck"}, {"signalrelay serve --drain", "--drain-time"}, {"signalrelay completion f", "fish"}, {"signalrelay version x", ""},
	} {
		words := strings.Fields(c.line)
		run := script + "\nCOMP_WORDS=(" + c.line + "); COMP_CWORD=" + string(rune('0'+len(words)-1)) + "; _signalrelay; echo \"${COMPREPLY[*]}\""
		out, err := exec.Command(bash, "-c", run).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.line, got, err, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		stop := progress(slog.New(slog.NewTextHandler(&b, nil)), "draining", func() []any { return []any{"clients", 9} })
		time.Sleep(2*progressEvery - time.Millisecond)
		stop()
		if got := strings.Count(b.String(), "msg=draining clients=9 elapsed=2s"); got != 1 {
			t.Errorf("%d lines in just under two periods:\n%s", got, b.String())
		}
	})
}

func TestLogFormat(t *testing.T) {
	for format, want := range map[string]string{"auto": `"msg":"x"`, "json": `"msg":"x"`, "text": "msg=x"} {
		var b bytes.Buffer
		log := newLogger(&b, "warn", format)
		log.Info("hidden")
		log.Warn("x")
		if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "hidden") {
			t.Errorf("%s: %s", format, b.String())
		}
	}
}
