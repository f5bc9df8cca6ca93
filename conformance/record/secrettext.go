package record

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/signalrelay/signalrelay/conformance"
)

// A secretPattern finds secrets by the names before them: its groups are a name and
// what it has, as that is written. Nothing is found where there is no sign, which is
// looked for first since it costs less.
type secretPattern struct {
	sign string
	*regexp.Regexp
	names *regexp.Regexp              // of secrets
	plain func(written string) string // what is written
}

// secretMember finds the names of members of JSON that open a door. There, key and
// code are mostly something else.
var secretMember = regexp.MustCompile(`(?i)(` + secretWord + `)`)

var (
	// Members of JSON, parts of an address, and parts of a form that is no query.
	jsonMember  = secretPattern{`"`, regexp.MustCompile(`"([\w.:-]{2,64})"\s*:\s*"((?:[^"\\]|\\.)+)"`), secretMember, inJSONText}
	addressPart = secretPattern{"=", regexp.MustCompile(`(?:[?&;]|\\u0026)([\w.-]{2,64})=([^?&;#"'<>\s\\]+)`), secretPart, asWritten}
	formPart    = secretPattern{` name="`, regexp.MustCompile(` name="([^"\r\n]{2,64})"(?:\r\n[^\r\n]+)*\r\n\r\n([^\r\n]+)`), secretPart, asWritten}

	// The first two where they are values in a query or a form.
	memberInQuery  = secretPattern{"%22", regexp.MustCompile(`%22([\w.:-]{2,64})%22(?:\+|%20)*%3[Aa](?:\+|%20)*%22((?:%5[Cc]%..|[^&%]|%2[013-9A-Fa-f]|%[013-9A-Fa-f][0-9A-Fa-f])+)%22`), secretMember, inQuery}
	addressInQuery = secretPattern{"=", regexp.MustCompile(`(?:;|%3[BFbf]|%26)([\w.-]{2,64})(?:=|%3[Dd])((?:[^&;#%]|%2[0-57-9A-Fa-f]|%[013-9A-Fa-f][0-9A-Fa-f])+)`), secretPart, inQuery}
)

// Secrets that are known by how they look, wherever they are: JSON Web Tokens,
// and passwords in connection strings and addresses.
var secretLike = []struct {
	sign string
	*regexp.Regexp
}{
	{"eyJ", regexp.MustCompile(`(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*)`)},
	{"=", regexp.MustCompile(`(?i)(?:AccessKey|AccountKey|Password|Pwd)=([^;"'\s&\\\x00-\x1f]+)`)},
	{"://", regexp.MustCompile(`://[^/\s:@"'<>\x00-\x1f]*:([^/\s:@"'<>\x00-\x1f]+)@`)},
}

func asWritten(written string) string { return written }

func inQuery(written string) string {
	if plain, err := url.QueryUnescape(written); err == nil {
		return plain
	}
	return written
}

// inJSONText is what a text in JSON says. It is as it is written where it could not
// stand in JSON otherwise.
func inJSONText(written string) string {
	var plain string
	if json.Unmarshal([]byte(`"`+written+`"`), &plain) != nil ||
		strings.ContainsFunc(plain, func(c rune) bool { return c == '"' || c == '\\' || unicode.IsControl(c) }) {
		return written
	}
	return plain
}

// hide puts captures in the place of the secrets in what was said that have a name
// before them, and takes those that may be anywhere.
func (n *names) hide(e *entry) {
	var texts []string
	switch said := e.Said.(type) {
	case conformance.Request:
		said.Target = n.hidden(said.Target, anyText, memberInQuery, addressInQuery)
		patterns := []secretPattern{jsonMember, addressPart, formPart}
		if e.form { // or JSON that is sent as one
			patterns = []secretPattern{memberInQuery, addressInQuery, jsonMember}
		}
		said.Body = []byte(n.hidden(string(said.Body), anyText, patterns...))
		for _, f := range said.Header {
			texts = append(texts, f.Value)
		}
		e.Said, texts = said, append(texts, said.Target, string(said.Body))
	case conformance.Response:
		said.Body = []byte(n.hidden(string(said.Body), n.findable, jsonMember, addressPart))
		e.Said, texts = said, append(texts, string(said.Body))
	case conformance.Data:
		is := anyText
		if e.Who == server {
			is = n.findable
		}
		said.Bytes = []byte(n.hidden(string(said.Bytes), is, jsonMember, addressPart))
		e.Said, texts = said, append(texts, string(said.Bytes))
	}
	for _, like := range secretLike {
		for _, text := range texts {
			if !strings.Contains(text, like.sign) {
				continue
			}
			for _, found := range like.FindAllStringSubmatch(text, -1) {
				if !strings.HasPrefix(found[1], "${") {
					n.secret(found[1])
				}
			}
		}
	}
}

func anyText(string) bool { return true }

// findable says whether a replay can take a value from what the server says, if it
// is the first to say it.
func (n *names) findable(value string) bool {
	return n.knows(value) || !strings.ContainsFunc(value, func(c rune) bool { return c == '&' || unicode.IsSpace(c) })
}

// hidden puts captures in the place of the secrets that patterns find, if is says
// so. It leaves messagepack, in which texts have their lengths before them.
func (n *names) hidden(text string, is func(value string) bool, patterns ...secretPattern) string {
	if beginsPacked([]byte(text)) {
		return text
	}
	for _, p := range patterns {
		if !strings.Contains(text, p.sign) {
			continue
		}
		var b strings.Builder
		from := 0
		for _, at := range p.FindAllStringSubmatchIndex(text, -1) {
			name, written := text[at[2]:at[3]], text[at[4]:at[5]]
			if !p.names.MatchString(name) || captureLike.FindString(written) == written {
				continue
			}
			if value := p.plain(written); is(value) {
				b.WriteString(text[from:at[4]] + "${" + n.secret(value) + "}")
				from = at[5]
			}
		}
		text = b.String() + text[from:]
	}
	return text
}
