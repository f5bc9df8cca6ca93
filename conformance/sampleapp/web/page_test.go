package web_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
)

func TestPage(t *testing.T) {
	for _, c := range []struct {
		name       string
		page       web.Page
		has, lacks []string
	}{
		{"alone", web.Page{Connection: "const hubPath = '/x';\n", Transports: [][2]string{{"A", "a < b"}}},
			[]string{"const hubPath = '/x';", `<option value="A">a &lt; b</option>`}, []string{"<a href", "<!--", "/*CONNECTION*/"}},
		{"with a sibling", web.Page{Sibling: `/"x/`, SiblingText: "there"}, []string{`<a href="/&#34;x/">there</a>`}, []string{"<!--"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			c.page.Handler()(w, httptest.NewRequest("GET", "/", nil))
			body := w.Body.String()
			for _, part := range c.has {
				if !strings.Contains(body, part) {
					t.Errorf("the page lacks %s", part)
				}
			}
			for _, part := range c.lacks {
				if strings.Contains(body, part) {
					t.Errorf("the page has %s", part)
				}
			}
			if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("headers are %v", w.Header())
			}
		})
	}
}
