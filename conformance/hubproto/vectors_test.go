package hubproto_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "convert testdata anew from the golden files beside the checkout")

const vectorFile = "../../testdata/hubproto/vectors.txt"

// vector is one line of vectors.txt.
type vector struct {
	name   string // json/…, msgpack/…, handshake-request/… and so on
	expect string // exact, read, unbound or reject
	reads  string // what a parser makes of it
	bytes  []byte // with framing
}

func vectors(t testing.TB, prefix string) (all []vector) {
	t.Helper()
	f, err := os.Open(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		c := strings.Split(line, "\t")
		if len(c) != 4 {
			t.Fatalf("%s: %q has %d columns, want 4", vectorFile, line, len(c))
		}
		if !strings.HasPrefix(c[0], prefix) {
			continue
		}
		v := vector{name: c[0], expect: c[1], reads: c[2], bytes: []byte(c[3] + "\x1e")}
		if strings.HasPrefix(c[0], "msgpack") || strings.HasPrefix(c[0], "varint") {
			if v.bytes, err = hex.DecodeString(c[3]); err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no vector %s…", vectorFile, prefix)
	}
	return all
}

// TestUpdate writes vectors.txt from core-client.json, whose entries tell in
// words what a message reads as.
func TestUpdate(t *testing.T) {
	golden := os.Getenv("GOLDEN")
	if !*update {
		t.Skip("only with -update, and GOLDEN naming the directory of core-client.json")
	}
	text, err := os.ReadFile(filepath.Join(golden, "core-client.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Frames []struct{ Name, Text, Hex, FramedHex, Expect, Meaning string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# name, expectation, what it reads as, text without its final 1e or hex with framing; see README.md\n")
	for _, f := range file.Frames {
		name, ok := strings.CutPrefix(f.Name, "test/")
		if strings.HasPrefix(f.Name, "varint/") {
			name, ok = f.Name, true
		}
		group, _, _ := strings.Cut(name, "/")
		switch {
		case !ok:
			continue
		case !strings.HasPrefix(group, "json") && !strings.HasPrefix(group, "msgpack") && !strings.HasPrefix(group, "handshake") && group != "varint":
			continue
		}
		reads, note, _ := strings.Cut(f.Meaning, ";")
		expect := map[string]string{"reject": "reject", "binding-error": "unbound", "": "read", "incomplete": "incomplete"}[f.Expect]
		if expect == "read" && strings.Contains(note, "exact bytes") {
			expect = "exact"
		}
		if expect == "reject" || expect == "unbound" || name == "json/ExtraItemsInMessageAreIgnored" || name == "msgpack/ExtraData" || strings.HasPrefix(name, "msgpack/ClientResult") {
			reads = ""
		}
		body := strings.TrimSuffix(f.Text, "\x1e")
		if f.Text == "" {
			if body = f.FramedHex; body == "" {
				body = f.Hex
			}
			if strings.HasPrefix(group, "msgpack") && f.FramedHex == "" {
				raw, err := hex.DecodeString(f.Hex)
				if err != nil || len(raw) > 127 {
					t.Fatalf("%s: %v, %d bytes", name, err, len(raw))
				}
				body = fmt.Sprintf("%02x%s", len(raw), f.Hex)
			}
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", name, expect, reads, body)
	}
	if err := os.WriteFile(vectorFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
