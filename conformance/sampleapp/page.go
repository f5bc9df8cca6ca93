package sampleapp

import (
	_ "embed"
	"net/http"
)

//go:embed page/index.html
var page []byte

// servePage serves the demo page. Its script and style are in it, and it talks
// to whatever service negotiate names.
func servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src *; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(page)
}
