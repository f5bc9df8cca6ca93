package suite

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// clientCaptures are what was said that differs from run to run, by name.
type clientCaptures map[string]string

var oneCapture = regexp.MustCompile(`^\$\{([a-zA-Z0-9]+)\}$`)

// Patterns that stand for anything and for nothing at all.
const (
	anyValue = "${any}"
	noValue  = "${none}"
)

// expand puts captures where their names are. What is unknown stays.
func (c clientCaptures) expand(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	for name, value := range c {
		s = strings.ReplaceAll(s, "${"+name+"}", value)
	}
	return s
}

// text says whether a text fits a pattern: ~ before a regular expression, a name
// that stands for it from now on, or the text itself.
func (c clientCaptures) text(pattern, got string, there bool) bool {
	switch {
	case pattern == noValue:
		return !there
	case !there:
		return false
	case pattern == anyValue:
		return true
	case strings.HasPrefix(pattern, "~"):
		re, err := regexp.Compile(c.expand(pattern[1:]))
		return err == nil && re.MatchString(got)
	}
	if m := oneCapture.FindStringSubmatch(pattern); m != nil {
		if _, known := c[m[1]]; !known {
			c[m[1]] = got
			return true
		}
	}
	return c.expand(pattern) == got
}

// json says whether a value fits a pattern. Members that the pattern does not
// name may be there: clients differ in what they write besides.
func (c clientCaptures) json(pattern, got any) bool {
	switch p := pattern.(type) {
	case string:
		if m := oneCapture.FindStringSubmatch(p); m != nil || strings.HasPrefix(p, "~") {
			return c.text(p, jsonText(got), true)
		}
		s, ok := got.(string)
		return ok && c.expand(p) == s
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for _, name := range slices.Sorted(maps.Keys(p)) {
			value, there := g[name]
			switch {
			case p[name] == noValue:
				if there {
					return false
				}
			case !there || !c.json(p[name], value):
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(p, g, c.json)
	case json.Number:
		g, ok := got.(json.Number)
		if !ok {
			return false
		}
		x, err1 := strconv.ParseFloat(string(p), 64)
		y, err2 := strconv.ParseFloat(string(g), 64)
		return err1 == nil && err2 == nil && x == y
	}
	return pattern == got
}

// jsonText is a value as a capture keeps it: texts without quotes.
func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func parseJSON(s string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err = d.Decode(&v); err == nil && strings.TrimSpace(s[d.InputOffset():]) != "" {
		err = fmt.Errorf("more than one value in %s", s)
	}
	return v, err
}
