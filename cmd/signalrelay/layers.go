package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

const envPrefix = "SIGNALRELAY_"

// configFlags are shared by the commands that read the configuration file.
type configFlags struct {
	File string `name:"config" placeholder:"FILE" help:"Configuration file, YAML."`
}

// layers answers kong's questions for values that no flag has set: file below
// environment. One koanf each, so that the source of a value can be told.
type layers struct {
	names    []string // the keys that exist
	lists    map[string]bool
	environ  []string
	loaded   bool
	path     string // of the file, "" for none
	file     *koanf.Koanf
	env      *koanf.Koanf
	warnings []string
}

func newLayers(environ []string) *layers {
	l := &layers{environ: environ, lists: map[string]bool{}, file: koanf.New("\x00"), env: koanf.New("\x00")}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := f.Tag.Get("name")
		l.names = append(l.names, name)
		l.lists[name] = f.Type.Kind() == reflect.Slice
	}
	return l
}

// load reads both layers. Kong calls it when the command line is read and no
// value is resolved yet, once for each part of the command line.
func (l *layers) load(ctx *kong.Context) error {
	if l.loaded {
		return nil
	}
	l.loaded = true
	known := map[string]string{envName("config"): "config"}
	for _, name := range l.names {
		known[envName(name)] = name
	}
	values := map[string]any{}
	for _, pair := range l.environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		key, ok := known[name]
		if !ok {
			// Not an error: Kubernetes sets SIGNALRELAY_PORT and more for a service
			// that is called signalrelay.
			l.warnings = append(l.warnings, unknown("environment variable", name, keysOf(known)))
			continue
		}
		values[key] = value
		if l.lists[key] {
			values[key] = splitList(value)
		}
	}
	if err := l.env.Load(constant(values), nil); err != nil {
		return err
	}
	for _, f := range ctx.Flags() {
		if f.Name == "config" {
			if l.path, _ = ctx.FlagValue(f).(string); l.path == "" {
				l.path, _ = values["config"].(string)
			}
			return l.loadFile()
		}
	}
	return nil
}

func (l *layers) loadFile() error {
	if l.path == "" {
		return nil
	}
	if err := l.file.Load(file.Provider(l.path), yaml.Parser()); err != nil {
		return fmt.Errorf("config: %s: %w", l.path, err)
	}
	var errs []error
	for key, value := range l.file.Raw() {
		if !slices.Contains(l.names, key) {
			errs = append(errs, fmt.Errorf("config: %s: %s", l.path, unknown("key", key, l.names)))
		} else if _, nested := value.(map[string]any); nested {
			errs = append(errs, fmt.Errorf("config: %s: %s: want a value, found a map", l.path, key))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Validate has nothing to add to load.
func (l *layers) Validate(*kong.Application) error { return nil }

// answers says whether a flag is a key of the configuration, and not one of another
// command that is only called so, which has the tag env:"-".
func (l *layers) answers(flag *kong.Flag) bool {
	return slices.Contains(l.names, flag.Name) && !slices.Contains(flag.Envs, "-")
}

// Resolve returns the value of a flag that the command line does not set. It
// tries the value on a spare target first, so that an error names the layer.
func (l *layers) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !l.answers(flag) {
		return nil, nil
	}
	value, source := l.lookup(flag.Name)
	if value == nil {
		return nil, nil
	}
	scan := kong.Scan().PushTyped(value, kong.FlagValueToken)
	if err := flag.Parse(scan, reflect.New(flag.Target.Type()).Elem()); err != nil {
		// Kong puts the flag before this, so it need not be there twice.
		return nil, fmt.Errorf("%s: %s", source, strings.TrimPrefix(err.Error(), "--"+flag.Name+": "))
	}
	return value, nil
}

// lookup returns a value in the form that kong reads, text or a list of texts,
// with its source; nil when neither layer has one.
func (l *layers) lookup(name string) (value any, source string) {
	value, source = l.env.Get(name), envName(name)
	if value == nil {
		value, source = l.file.Get(name), l.path
	}
	switch v := value.(type) {
	case nil:
		return nil, ""
	case []any:
		texts := make([]any, len(v))
		for i := range v {
			texts[i] = fmt.Sprint(v[i])
		}
		return texts, source
	default:
		if l.lists[name] {
			return []any{fmt.Sprint(v)}, source
		}
		return fmt.Sprint(v), source
	}
}

// source tells where the value of a flag came from.
func (l *layers) source(ctx *kong.Context, flag *kong.Flag) string {
	for _, p := range ctx.Path {
		if p.Flag == flag && !p.Resolved {
			return "--" + flag.Name
		}
	}
	if value, source := l.lookup(flag.Name); value != nil {
		return source
	}
	return "default"
}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

func splitList(s string) []any {
	var out []any
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func keysOf(m map[string]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// constant is a koanf.Provider of values that are already there.
type constant map[string]any

// Read returns the values.
func (c constant) Read() (map[string]any, error) { return c, nil }

// ReadBytes is for providers that need a parser.
func (c constant) ReadBytes() ([]byte, error) { return nil, errors.New("no bytes to read") }

// unknown is the complaint about a name, with the nearest of those that exist.
func unknown(what, name string, names []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return fmt.Sprintf("unknown %s %s", what, name)
	}
	return fmt.Sprintf("unknown %s %s: did you mean %s?", what, name, best)
}

// distance is the number of letters to insert, drop or change between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
