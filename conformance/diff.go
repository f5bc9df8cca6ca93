package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tinylib/msgp/msgp"

	"github.com/signalrelay/signalrelay/relay"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A Difference is the first message of a relay that is not as recorded.
type Difference struct {
	Scenario string
	Line     int // of the transcript
	Conn     string
	Want     string   // as the transcript has it
	Got      string   // what came, empty when nothing did
	Diff     string   // the members that differ, - wanted, + got
	Before   []Step   // the last few steps of the connection
	Waiting  []string // what else came there and was not looked for yet
}

// Error shows the difference with the steps before it.
func (d *Difference) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: line %d: %s differs\n", d.Scenario, d.Line, d.Conn)
	for _, s := range d.Before {
		fmt.Fprintf(&b, "      %s\n", indent(short(s.String())))
	}
	fmt.Fprintf(&b, "want  %s\n", indent(short(d.Want)))
	got := d.Got
	if got == "" {
		got = "nothing"
	}
	fmt.Fprintf(&b, "got   %s\n", indent(short(got)))
	if d.Diff != "" {
		b.WriteString(d.Diff)
	}
	for _, s := range d.Waiting {
		fmt.Fprintf(&b, "also  %s\n", indent(short(s)))
	}
	return b.String()
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n      ") }

func short(s string) string {
	if len(s) > 2000 {
		return s[:2000] + fmt.Sprintf("… (%d bytes)", len(s))
	}
	return s
}

// differ makes the Difference at a step.
func (p *player) differ(at int, conn, want string, got Saying) *Difference {
	d := &Difference{Scenario: p.t.Name, Conn: conn, Want: want}
	who := Relay
	if slices.ContainsFunc(p.t.Steps, func(s Step) bool { return s.Who == Server }) {
		who = Server
	}
	if at < len(p.t.Steps) {
		d.Line = p.t.Steps[at].Line
	}
	if got != nil {
		d.Got = Step{Who: who, Conn: conn, Said: got}.String()
	}
	for i := at - 1; i >= 0 && len(d.Before) < 4; i-- {
		if p.t.Steps[i].Conn == conn {
			d.Before = append(d.Before, p.t.Steps[i])
		}
	}
	slices.Reverse(d.Before)
	for _, s := range p.inbox.rest(conn) {
		if !p.passedOver(conn, s) {
			d.Waiting = append(d.Waiting, Step{Who: who, Conn: conn, Said: s}.String())
		}
	}
	return d
}

// compare returns what was wanted, with the captures it agrees on filled in, and
// how got differs.
func (p *player) compare(want, got Saying) (Saying, string) {
	switch w := want.(type) {
	case Frame:
		g, ok := got.(Frame)
		if !ok || w.Message == nil || g.Message == nil {
			break
		}
		wanted, came := cloneMessage(w.Message), cloneMessage(g.Message)
		sortHeaders(wanted)
		sortHeaders(came)
		p.names.bindValue(reflect.ValueOf(wanted), reflect.ValueOf(came), p.now)
		return Frame{Message: wanted}, cmp.Diff(wanted, came, loosely)
	case Response:
		g, ok := got.(Response)
		if !ok {
			break
		}
		shown := Response{Status: g.Status}
		for _, f := range w.Header {
			v := get(g.Header, f.Name)
			switch {
			case f.Value == anyValue && v != "":
				v = anyValue
			case f.Value == noValue && v == "":
				v = noValue
			}
			if v != "" {
				shown.Header = append(shown.Header, Field{f.Name, v})
			}
		}
		// The text of a refusal is the relay's own unless the transcript has one.
		if len(w.Body) > 0 || w.Status < http.StatusBadRequest {
			a, b := p.decode(w.Body, g.Body)
			if diff := cmp.Diff(a, b); diff != "" {
				return w, diff
			}
		}
		w.Body = nil
		return w, cmp.Diff(w, shown, loosely)
	case Data:
		g, ok := got.(Data)
		if !ok {
			break
		}
		a, b := p.decode(w.Bytes, g.Bytes)
		if w.Kind == Binary {
			a, b = p.decodePacked(w.Bytes, g.Bytes)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			return w, diff
		}
		return w, cmp.Diff(w.Kind, g.Kind)
	}
	if _, ok := got.(Response); ok {
		return want, "another kind of answer\n"
	}
	return want, cmp.Diff(want, got, loosely)
}

// In place of the value of a header, of a JSON member or element, or of a whole
// text, these say that it has any, and that it is not there.
const anyValue, noValue = "(any)", "(none)"

// others is the name of a member that lets an object have any members besides
// those that are listed.
const others = "..."

// loosely compares empty and nil alike and shows bytes as transcripts do.
var loosely = cmp.Options{
	cmp.Transformer("text", func(b []byte) string { return string(appendBytes(nil, b)) }),
	cmp.FilterPath(func(path cmp.Path) bool { return path.Last().Type() != reflect.TypeFor[[]byte]() }, cmpopts.EquateEmpty()),
}

// sortHeaders puts the headers of a message in the order of their names, which
// is of no meaning.
func sortHeaders(m sp.Message) {
	if o, ok := m.(*sp.OpenConnection); ok {
		slices.SortStableFunc(o.Headers, func(a, b relay.Header) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	}
}

// decode makes two texts comparable: as JSON values if both are, else as they
// are, with the captures of want bound.
func (p *player) decode(want, got []byte) (any, any) {
	if string(want) == anyValue && len(got) > 0 {
		return anyValue, anyValue
	}
	var a, b any
	cut := func(s []byte) []byte { return bytes.TrimSuffix(s, []byte(separator)) }
	if bytes.HasSuffix(want, []byte(separator)) == bytes.HasSuffix(got, []byte(separator)) &&
		json.Unmarshal(cut(want), &a) == nil && json.Unmarshal(cut(got), &b) == nil {
		return p.bindJSON(a, b), b
	}
	return p.names.bind(string(want), string(got), p.now), string(got)
}

// decodePacked is decode for messagepack: as values if both are one whole hub
// message, since a number has several encodings (core-client-protocol 5.3).
func (p *player) decodePacked(want, got []byte) (any, any) {
	if m, ok := p.names.readPacked(want); ok && len(m.text) == len(want) {
		a, ok1 := unpack(m.full)
		b, ok2 := unpack(got)
		if ok1 && ok2 {
			if m.open {
				a = p.bindJSON(a, b)
			}
			return a, b
		}
	}
	return p.decode(want, got)
}

// unpack decodes one hub message with its length.
func unpack(m []byte) (any, bool) {
	n, head := packedLength(m)
	if head == 0 || head+n != len(m) {
		return nil, false
	}
	v, rest, err := msgp.ReadIntfBytes(m[head:])
	return plain(v), err == nil && len(rest) == 0
}

// plain makes the numbers in a value int64 where they are whole.
func plain(v any) any {
	switch v := v.(type) {
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case float32:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// bindJSON is bind for every text of a JSON value.
func (p *player) bindJSON(want, got any) any {
	switch w := want.(type) {
	case string:
		g, _ := got.(string)
		return p.names.bind(w, g, p.now)
	case []any:
		g, _ := got.([]any)
		for i := range w {
			var v any
			if i < len(g) {
				v = g[i]
			}
			if w[i] == anyValue && i < len(g) {
				w[i] = v
				continue
			}
			w[i] = p.bindJSON(w[i], v)
		}
	case map[string]any:
		g, _ := got.(map[string]any)
		if _, open := w[others]; open {
			delete(w, others)
			maps.DeleteFunc(g, func(k string, _ any) bool { _, listed := w[k]; return !listed })
		}
		for k := range w {
			_, there := g[k]
			switch {
			case w[k] == noValue && !there:
				delete(w, k)
			case w[k] == anyValue && there:
				w[k] = g[k]
			default:
				w[k] = p.bindJSON(w[k], g[k])
			}
		}
	}
	return want
}
