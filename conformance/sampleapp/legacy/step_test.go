package legacy_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// step is one line of a transcript.
type step struct {
	who  string // app, service, event or do
	conn string // hub value of the server connection, # and its number
	name string // of the message; close, dropped; or what is done or logged
	body []byte // with its length; empty without a frame
}

func (s step) container() string { name, _, _ := strings.Cut(s.conn, "#"); return name }

// messages decodes a step's frames, those that can be decoded.
func (s step) messages() (all []serviceproto.Message) {
	_ = new(serviceproto.Splitter).Feed(s.body, func(body []byte, _ bool) error {
		if m, err := new(serviceproto.Decoder).Decode(slices.Clone(body)); err == nil {
			all = append(all, m)
		}
		return nil
	})
	return all
}

var run = regexp.MustCompile(`\(([0-9a-f]{2})\*(\d+)\)`)

func readTranscript(t *testing.T, name string) (all []step) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(transcripts, name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		who, rest, _ := strings.Cut(lines.Text(), "> ")
		if who == "" || who[0] == '#' {
			continue
		}
		s := step{who: who, name: rest}
		if who == "app" || who == "service" {
			line, _, _ := strings.Cut(rest, "  ")
			c := strings.Fields(line)
			s.conn, s.name = c[0], c[1]
			if len(c) > 2 {
				full := run.ReplaceAllStringFunc(c[2], func(r string) string {
					m := run.FindStringSubmatch(r)
					n, _ := strconv.Atoi(m[2])
					return strings.Repeat(m[1], n)
				})
				if s.body, err = hex.DecodeString(full); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
		}
		all = append(all, s)
	}
	return all
}
