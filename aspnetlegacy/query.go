package aspnetlegacy

import (
	"strings"

	"github.com/signalrelay/signalrelay/transport"
)

// A form is a query or a form body as the real server reads it: names without
// case, the values of one name joined with commas, ';' as good as '&'
// (legacy-server-recordings, "Seen later"). Bodies are forms whatever their
// Content-Type says, if they have one (legacy-client-protocol 1.5).
type form []field

type field struct{ name, value string }

func parseForm(raw string) (f form) {
	for raw != "" {
		part := raw
		if i := strings.IndexAny(raw, "&;"); i >= 0 {
			part, raw = raw[:i], raw[i+1:]
		} else {
			raw = ""
		}
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		f = append(f, field{transport.Unescape(name), transport.Unescape(value)}) // .NET leaves most of its JSON unescaped (1.4)
	}
	return f
}

// get returns the value of a field, empty if there is none.
func (f form) get(name string) string {
	value, found := "", false
	for _, x := range f {
		switch {
		case !strings.EqualFold(x.name, name):
		case found:
			value += "," + x.value
		default:
			value, found = x.value, true
		}
	}
	return value
}
