package transport

import "strings"

// CORS as the browsers' clients need it (core-client-protocol 11.2): they send
// credentials, so the origin is echoed and never "*", on every response, and a
// preflight comes before each POST.

const preflightAge = "600"

// allows says whether a page of this origin may use the server.
func (o *Options) allows(origin string) bool {
	if len(o.AllowedOrigins) == 0 {
		return true
	}
	for _, a := range o.AllowedOrigins {
		if a == "*" || strings.EqualFold(a, origin) {
			return true
		}
	}
	return false
}

// corsLines returns the header lines of a response to this origin, each with
// its line end; empty for a request that has none or whose origin may not.
func (o *Options) corsLines(origin string) string {
	if origin == "" || !o.allows(origin) {
		return ""
	}
	return "Access-Control-Allow-Origin: " + origin + "\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n"
}
