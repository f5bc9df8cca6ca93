package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// names are what stands for what a server or the app's login made up: c1 and
// c1token for a client, service1 for where it was sent, access1 for the token
// it was sent there with, request1 for the id of its sending, groups1 for a
// groups token, ask1 for the id of a server's question, and secret1 for what
// came with the client and is not the server's.
type names struct {
	of      map[string]string // by what they stand for
	cursors map[string]string // latest name of a cursor, by connection token and cursor
	asks    map[string]string // name of a question, by client and id
	counts  map[string]int    // by kind
}

func newNames() names {
	return names{of: map[string]string{}, cursors: map[string]string{}, asks: map[string]string{}, counts: map[string]int{}}
}

// shortest is the least that a name stands for, in bytes: a shorter text is no
// secret and would be found everywhere.
const shortest = 6

func (n *names) add(value, name string) {
	if len(value) >= shortest && n.of[value] == "" {
		n.of[value] = name
	}
}

// numbered is the next name of a kind.
func (n *names) numbered(kind string) string {
	n.counts[kind]++
	return fmt.Sprint(kind, n.counts[kind])
}

func (n *names) knows(value string) bool { return n.of[value] != "" }

// secret takes a value that came with the client.
func (n *names) secret(value string) {
	if !n.knows(value) && len(value) >= shortest {
		n.add(value, n.numbered("secret"))
	}
}

// requestID finds the id that an app gives each redirect (service-protocol 2.3,
// legacy-service-protocol 1.2), as it stands in the query.
var requestID = regexp.MustCompile(`[?&]asrs_request_id=([^&]*)`)

// redirect takes what differs from one redirect to the next.
func (n *names) redirect(to negotiation) {
	if !n.knows(to.access) {
		n.add(to.access, n.numbered("access"))
	}
	found := requestID.FindStringSubmatch(to.url)
	if found == nil || n.knows(found[1]) {
		return
	}
	name := n.numbered("request")
	n.add(found[1], name)
	if plain, err := url.QueryUnescape(found[1]); err == nil {
		n.add(plain, name)
	}
}

var (
	cursorAt = regexp.MustCompile(`^\s*\{"C":("(?:[^"\\]|\\.)*")`) // legacy-client-protocol 4.2: always first
	groupsAt = regexp.MustCompile(`"G":("(?:[^"\\]|\\.)*")`)
)

// cursor puts a capture in the place of the cursor of what the server says to
// this client, each time a new one: they need not be equal where they were when
// it was recorded. The caller holds mu.
func (x *exchange) cursor(data []byte) []byte {
	at := cursorAt.FindSubmatchIndex(data)
	if at == nil {
		return data
	}
	var cursor, groups string
	_ = json.Unmarshal(data[at[2]:at[3]], &cursor) // it is a text, as the expression has found
	head, _, _ := bytes.Cut(data, []byte(`"M":[`))
	if found := groupsAt.FindSubmatch(head); found != nil {
		if _ = json.Unmarshal(found[1], &groups); !x.r.names.knows(groups) {
			x.r.names.add(groups, x.r.names.numbered("groups"))
		}
	}
	name := x.r.names.numbered("cursor")
	x.r.names.cursors[x.legacyToken()+"\n"+cursor] = name
	return slices.Concat(data[:at[2]], []byte(`"${`+name+`}"`), data[at[3]:])
}

func (x *exchange) legacyToken() string { return x.to.Query().Get("connectionToken") }

// withCursor puts the capture in the place of the cursor that a client gives
// back, in a target or a form. The caller holds mu.
func (x *exchange) withCursor(query string) string {
	return eachPair(query, func(name, value string) (string, bool) {
		cursor := x.r.names.cursors[x.legacyToken()+"\n"+value]
		return cursor, cursor != "" && name == "messageId"
	})
}

// eachPair puts a capture in the place of the values of a query, with or without
// a path before it, that f names one for.
func eachPair(query string, f func(name, value string) (string, bool)) string {
	path, rest, ok := strings.Cut(query, "?")
	if !ok {
		path, rest = "", query
	}
	pairs := strings.Split(rest, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		if capture, is := f(name, plain); is {
			pairs[i] = name + "=${" + capture + "}"
		}
	}
	if rest = strings.Join(pairs, "&"); ok {
		return path + "?" + rest
	}
	return rest
}

var (
	questionAt = regexp.MustCompile(`^\{"type":1,"invocationId":"((?:[^"\\]|\\.)+)"`)
	answerAt   = regexp.MustCompile(`"invocationId":"((?:[^"\\]|\\.)+)"`)
)

// question puts captures in the place of the ids of a server's questions in the
// json protocol: an invocation that wants a result (core-client-protocol 5.4).
// In messagepack they stay as they are, since their length is written before
// them. The caller holds mu.
func (x *exchange) question(data []byte) []byte {
	return eachMessage(data, func(m []byte) []byte {
		at := questionAt.FindSubmatchIndex(m)
		if at == nil {
			return m
		}
		name := x.r.names.numbered("ask")
		x.r.names.asks[x.to.Query().Get("id")+"\n"+string(m[at[2]:at[3]])] = name
		return slices.Concat(m[:at[2]], []byte("${"+name+"}"), m[at[3]:])
	})
}

// result puts the captures in what the client answers. The caller holds mu.
func (x *exchange) result(data []byte) []byte {
	return eachMessage(data, func(m []byte) []byte {
		at := answerAt.FindSubmatchIndex(m)
		if at == nil || !bytes.Contains(m, []byte(`"type":3`)) {
			return m
		}
		name := x.r.names.asks[x.to.Query().Get("id")+"\n"+string(m[at[2]:at[3]])]
		if name == "" {
			return m
		}
		return slices.Concat(m[:at[2]], []byte("${"+name+"}"), m[at[3]:])
	})
}

// eachMessage changes the messages of the json protocol.
func eachMessage(data []byte, change func([]byte) []byte) []byte {
	if len(data) == 0 || data[len(data)-1] != separator || !bytes.Contains(data, []byte(`"invocationId"`)) {
		return data
	}
	var all []byte
	for m := range bytes.SplitAfterSeq(data, []byte{separator}) {
		all = append(all, change(m)...)
	}
	return all
}

// capture finds what conformance would take for a capture.
var capture = regexp.MustCompile(`\$\{[^{}"` + "`" + `]{1,64}\}`)

// quote makes text that looks like a capture stand for itself.
func quote(data []byte) []byte {
	if !capture.Match(data) {
		return data
	}
	return bytes.ReplaceAll(data, []byte("${"), []byte("${1*$}{"))
}

// A writer puts names in the place of what they stand for.
type writer struct {
	of       map[string]string
	replacer *strings.Replacer
	encoded  *strings.Replacer // for queries and forms
}

// percent finds a byte that is encoded.
var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

func (n *names) writer() *writer {
	values := slices.SortedFunc(maps.Keys(n.of), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) // the longest first
	})
	var pairs, encoded []string
	for _, value := range values {
		is := "${" + n.of[value] + "}"
		pairs = append(pairs, value, is)
		upper := url.QueryEscape(value)
		lower := percent.ReplaceAllStringFunc(upper, strings.ToLower) // as .NET does
		encoded = append(encoded, upper, is, lower, is, value, is)
	}
	return &writer{n.of, strings.NewReplacer(pairs...), strings.NewReplacer(encoded...)}
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
		fields[i].Value = w.replacer.Replace(fields[i].Value)
	}
	return fields
}
