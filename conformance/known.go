package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// Known reads a list of scenarios with a reason each: "name: reason" a line,
// lines that start with # are for the reader.
func Known(text []byte) (map[string]string, error) {
	known := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			return nil, fmt.Errorf("read known differences: line %d: no reason", n)
		}
		if known[name] != "" {
			return nil, fmt.Errorf("read known differences: line %d: %s again", n, name)
		}
		known[name] = reason
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read known differences: %w", err)
	}
	return known, nil
}
