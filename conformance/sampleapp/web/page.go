package web

import (
	_ "embed"
	"html"
	"net/http"
	"strings"
)

//go:embed page/page.html
var shell string

// Page is the demo page with one way to talk to a service. Script and style are
// in the page, and it talks to whatever service negotiate names.
type Page struct {
	// Connection is a script that defines hubPath and the class Hub: start(url,
	// transport), invoke(method, …arguments), stop(), id, handlers, and onclose,
	// onaway and onwire, which the page sets.
	Connection string
	// Transports are those to choose from, each a name of Hub's and its label.
	Transports [][2]string
	// Sibling is the address of a page of the same chat and SiblingText what the
	// link to it says; "" means none.
	Sibling, SiblingText string
}

// Handler serves the page.
func (p Page) Handler() http.HandlerFunc {
	var link, options string
	if p.Sibling != "" {
		link = `<a href="` + html.EscapeString(p.Sibling) + `">` + html.EscapeString(p.SiblingText) + `</a>`
	}
	for _, t := range p.Transports {
		options += `            <option value="` + html.EscapeString(t[0]) + `">` + html.EscapeString(t[1]) + "</option>\n"
	}
	page := []byte(strings.NewReplacer("<!--SIBLING-->", link, "<!--TRANSPORTS-->", options, "/*CONNECTION*/\n", p.Connection).Replace(shell))
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src *; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(page)
	}
}
