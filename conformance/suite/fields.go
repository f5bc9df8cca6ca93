package suite

import (
	"net/http"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// field is the value of a header, empty where it is not there.
func field(fields []conformance.Field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// hasFields says whether an answer has the fields of a transcript, but for those
// that are named.
func hasFields(got, want []conformance.Field, except ...string) bool {
	return !slices.ContainsFunc(want, func(f conformance.Field) bool {
		v := field(got, f.Name)
		switch {
		case slices.ContainsFunc(except, func(name string) bool { return strings.EqualFold(f.Name, name) }):
			return false
		case f.Value == "(any)":
			return v == ""
		case f.Value == "(none)":
			return v != ""
		}
		return v != f.Value
	})
}

// The fields of preflights (the Fetch standard, section CORS protocol).
const (
	requestMethod  = "Access-Control-Request-Method"
	requestHeaders = "Access-Control-Request-Headers"
	allowMethods   = "Access-Control-Allow-Methods"
	allowHeaders   = "Access-Control-Allow-Headers"
)

// isPreflight says whether what a step waits for answers the question of a
// browser, and which method that is about.
func isPreflight(tr *conformance.Transcript, answer conformance.Step) (method string, ok bool) {
	for _, s := range tr.Steps {
		r, is := s.Said.(conformance.Request)
		if is && r.Method == http.MethodOptions && s.Conn == answer.Conn && s.Line < answer.Line {
			method, ok = field(r.Header, requestMethod), true
		}
	}
	return method, ok
}
