package record

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// A writer puts names in the place of what they stand for.
type writer struct {
	of       map[string]string
	replacer *strings.Replacer
	encoded  *strings.Replacer // for queries, forms and headers
}

var (
	percent  = regexp.MustCompile(`%[0-9A-F]{2}`)
	nameLike = regexp.MustCompile(`^(service|access|request|groups|cursor|secret|cookie)[0-9]*$`) // would be found in captures
)

func (n *names) writer() *writer {
	values := slices.SortedFunc(maps.Keys(n.of), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) // the longest first
	})
	w := &writer{of: map[string]string{}}
	var pairs, encoded []string
	for _, value := range values {
		if len(value) < shortest || nameLike.MatchString(value) {
			continue
		}
		w.of[value] = n.of[value]
		is := "${" + n.of[value] + "}"
		for _, form := range inJSON(value) {
			pairs = append(pairs, form, is)
		}
		upper := url.QueryEscape(value)
		lower := percent.ReplaceAllStringFunc(upper, strings.ToLower) // as .NET does
		encoded = append(encoded, upper, is, lower, is, value, is)
	}
	w.replacer, w.encoded = strings.NewReplacer(pairs...), strings.NewReplacer(encoded...)
	return w
}

// escapedIn finds what writers of JSON escape besides what they must:
// System.Text.Json these, Go some of them, and some writers slashes.
var escapedIn = regexp.MustCompile("[+&'<>`]")

// inJSON is how a text may be written in JSON and elsewhere.
func inJSON(value string) []string {
	forms := []string{value}
	escaped := func(format string) string {
		return escapedIn.ReplaceAllStringFunc(value, func(c string) string { return fmt.Sprintf(format, c[0]) })
	}
	for _, form := range []string{escaped(`\u%04X`), escaped(`\u%04x`), strings.ReplaceAll(value, "/", `\/`)} {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

// step is an entry as it stands in the transcript.
func (w *writer) step(e *entry) conformance.Step {
	s := e.Step
	switch said := s.Said.(type) {
	case conformance.Request:
		said.Target, said.Header = w.query(said.Target), w.fields(said.Header)
		if e.form {
			said.Body = []byte(w.query(string(said.Body)))
		} else {
			said.Body = w.bytes(said.Body)
		}
		if said.Token != nil {
			token := *said.Token
			token.Payload = w.replacer.Replace(token.Payload)
			said.Token = &token
		}
		s.Said = said
	case conformance.Response:
		said.Header, said.Body = w.fields(said.Header), w.bytes(said.Body)
		s.Said = said
	case conformance.Data:
		said.Bytes = w.bytes(said.Bytes)
		s.Said = said
	case conformance.Close:
		said.Reason = w.replacer.Replace(said.Reason)
		s.Said = said
	case conformance.Remark:
		s.Said = conformance.Remark(w.encoded.Replace(string(said)))
	}
	return s
}

func (w *writer) query(query string) string {
	return w.encoded.Replace(eachPair(query, func(_, value string) (string, bool) {
		name := w.of[value]
		return name, name != ""
	}))
}

func (w *writer) bytes(b []byte) []byte { return []byte(w.replacer.Replace(string(b))) }

func (w *writer) fields(fields []conformance.Field) []conformance.Field {
	fields = slices.Clone(fields)
	for i := range fields {
		fields[i].Value = w.encoded.Replace(fields[i].Value)
	}
	return fields
}
