package conformance

import (
	"bytes"
	"encoding/json"
	"io"
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

// compare returns what was wanted, with the captures it agrees on filled in, and
// how got differs.
func (p *player) compare(want, got Saying) (Saying, string) {
	switch w := want.(type) {
	case Frame:
		if g, ok := got.(Frame); ok && w.Message != nil && g.Message != nil {
			return p.compareMessages(w.Message, g.Message)
		}
	case Response:
		if g, ok := got.(Response); ok {
			return p.compareResponses(w, g)
		}
	case Data:
		if g, ok := got.(Data); ok {
			diff := p.compareData(w, g)
			if filled, err := p.names.expandBytes(w.Bytes, p.now); err == nil {
				w.Bytes = filled // rules are given what was wanted, without names
			}
			return w, diff
		}
	}
	if _, ok := got.(Response); ok {
		return want, "another kind of answer\n"
	}
	return want, cmp.Diff(want, got, loosely)
}

func (p *player) compareMessages(want, got sp.Message) (Saying, string) {
	wanted, came := cloneMessage(want), cloneMessage(got)
	sortHeaders(wanted)
	sortHeaders(came)
	p.names.bindValue(reflect.ValueOf(wanted), reflect.ValueOf(came), p.now)
	return Frame{Message: wanted}, cmp.Diff(wanted, came, loosely)
}

// compareResponses looks at those headers only that are wanted, and at the body of
// a refusal only where one is wanted: its text is the relay's own.
func (p *player) compareResponses(want, got Response) (Saying, string) {
	shown := Response{Status: got.Status}
	for _, f := range want.Header {
		v := get(got.Header, f.Name)
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
	if len(want.Body) > 0 || want.Status < http.StatusBadRequest {
		a, b := p.decode(want.Body, got.Body)
		if diff := cmp.Diff(a, b); diff != "" {
			return want, diff
		}
	}
	want.Body = nil
	return want, cmp.Diff(want, shown, loosely)
}

func (p *player) compareData(want, got Data) string {
	decode := p.decode
	if want.Kind == Binary {
		decode = p.decodePacked
	}
	a, b := decode(want.Bytes, got.Bytes)
	if diff := cmp.Diff(a, b); diff != "" {
		return diff
	}
	return cmp.Diff(want.Kind, got.Kind)
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
	w, ended1 := bytes.CutSuffix(want, []byte(separator))
	g, ended2 := bytes.CutSuffix(got, []byte(separator))
	a, ok1 := decodeJSON(w)
	b, ok2 := decodeJSON(g)
	if ok1 && ok2 && ended1 == ended2 {
		return p.bindJSON(a, b), b
	}
	return p.names.bind(string(want), string(got), p.now), string(got)
}

// decodeJSON is one JSON value. Its numbers are int64 where that holds them, since
// a long one would lose digits as float64.
func decodeJSON(text []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return plain(v), true
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

// plain makes the numbers in a value int64 where they are whole, else float64. In
// JSON 1.0 is whole too; messagepack says which of them it means.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		switch {
		case err != nil: // beyond float64
			return v.String()
		case f == math.Trunc(f) && math.Abs(f) < 1<<53:
			return int64(f)
		}
		return f
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

// bindJSON is bind for every text of a JSON value. It also gives what any value may
// stand for the one that came, and takes out of want what is rightly not there, and
// of got what it may have besides.
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
			case w[k] == anyValue && there && g[k] != "":
				w[k] = g[k]
			default:
				w[k] = p.bindJSON(w[k], g[k])
			}
		}
	}
	return want
}
