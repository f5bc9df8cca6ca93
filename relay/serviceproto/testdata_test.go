package serviceproto_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const testdata = "../../testdata/serviceproto"

// readLines returns the lines of a file of testdata, each cut into its n
// columns. testdata/serviceproto/README.md says what they are.
func readLines(t testing.TB, file string, n int) [][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, file))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != n {
			t.Fatalf("%s:%d: %d columns, want %d", file, i+1, len(columns), n)
		}
		lines = append(lines, columns)
	}
	if len(lines) == 0 {
		t.Fatalf("%s holds nothing", file)
	}
	return lines
}

// unhex reads the hex of testdata, in which (7a*1000) is the byte 7a a thousand
// times.
func unhex(s string) ([]byte, error) {
	var b []byte
	for s != "" {
		plain, rest, run := strings.Cut(s, "(")
		v, err := hex.DecodeString(plain)
		if err != nil {
			return nil, err
		}
		b, s = append(b, v...), ""
		if run {
			inner, after, ok := strings.Cut(rest, ")")
			digits, count, _ := strings.Cut(inner, "*")
			v, err := hex.DecodeString(digits)
			n, err2 := strconv.Atoi(count)
			if !ok || err != nil || err2 != nil {
				return nil, fmt.Errorf("bad run %q", inner)
			}
			b, s = append(b, bytes.Repeat(v, n)...), after
		}
	}
	return b, nil
}

func mustUnhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := unhex(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// body returns the body of the one frame in frame.
func body(t testing.TB, frame []byte) []byte {
	t.Helper()
	var bodies [][]byte
	err := new(serviceproto.Splitter).Feed(frame, func(body []byte, _ bool) error {
		bodies = append(bodies, body)
		return nil
	})
	if err != nil || len(bodies) != 1 {
		t.Fatalf("%d frames, %v, want one", len(bodies), err)
	}
	return bodies[0]
}

// fromFields builds a message from the fields column of vectors.txt: a JSON
// object of the fields that are not zero, bytes in hex, maps as lists of pairs.
func fromFields(t testing.TB, typ serviceproto.Type, fields string) serviceproto.Message {
	t.Helper()
	m := serviceproto.Empty(typ)
	if m == nil {
		t.Fatalf("no message of type %v", typ)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(fields), &values); err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		field := reflect.ValueOf(m).Elem().FieldByName(name)
		if !field.IsValid() {
			t.Fatalf("%v has no field %s", typ, name)
		}
		if err := setField(field.Addr().Interface(), value); err != nil {
			t.Fatalf("%v.%s: %v", typ, name, err)
		}
	}
	return m
}

func setField(p any, value []byte) error {
	switch p := p.(type) {
	case *[]byte:
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return err
		}
		b, err := unhex(s)
		*p = b
		return err
	case *relay.Payload:
		var pairs [][2]string
		if err := json.Unmarshal(value, &pairs); err != nil {
			return err
		}
		for _, pair := range pairs {
			b, err := unhex(pair[1])
			if err != nil {
				return err
			}
			*p = append(*p, relay.Encoding{Protocol: pair[0], Data: b})
		}
	case *[]relay.Claim:
		var pairs [][2]string
		if err := json.Unmarshal(value, &pairs); err != nil {
			return err
		}
		for _, pair := range pairs {
			*p = append(*p, relay.Claim{Type: pair[0], Value: pair[1]})
		}
	case *[]relay.Header:
		var pairs [][2]json.RawMessage
		if err := json.Unmarshal(value, &pairs); err != nil {
			return err
		}
		for _, pair := range pairs {
			var h relay.Header
			if err := json.Unmarshal(pair[0], &h.Name); err != nil {
				return err
			}
			if err := json.Unmarshal(pair[1], &h.Values); err != nil {
				return err
			}
			*p = append(*p, h)
		}
	default:
		return json.Unmarshal(value, p)
	}
	return nil
}
