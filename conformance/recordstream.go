package conformance

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// A stream is what a server says to one client of a recording by one carrier, or
// by polls. How it is cut means nothing: what one event or one answer to a poll
// holds depends on how fast everybody is. So it is compared message by message,
// and who polls polls until all is there.
type stream struct {
	client string // that it is for
	have   []unit // came and was not looked for
	head   map[string]json.RawMessage
	mark   string // cursor of what came last

	// Of polls.

	key       string // name of the client's token
	asked     Request
	open      string            // connection of the poll without an answer, empty for none
	last      string            // connection of the last recorded poll
	stands    string            // connection of the recorded poll that the one under way stands for, empty for itself
	answered  bool              // the recorded answer to the last recorded poll was looked for
	by        map[string]string // poll that stands for a recorded one
	bye       bool              // the client said it leaves: what polls are answered then is a matter of chance
	over      bool              // one end closed by a hub message: whether the server knows the connection still is, too
	got, want hubCutter
}

// A unit is one message of a stream. Of ASP.NET SignalR it is an element of M,
// or what has none.
type unit struct {
	text []byte
	call string // id of what it is the result of, or of the stream that it is of; empty where its place counts
}

// nothingNew says whether a message of ASP.NET SignalR tells nothing but a
// cursor, which it then keeps.
func (r *recording) nothingNew(conn string, s Saying) bool {
	data, ok := s.(Data)
	if !ok || len(data.Bytes) == 0 {
		return false
	}
	units, head := unitsOf(data.Bytes, &hubCutter{})
	if st := r.carriedBy[conn]; st != nil && len(units) == 0 && len(head) == 1 {
		st.keep(nil, head)
	}
	return len(units) == 0 && len(head) == 1
}

// came keeps what an answer brought and says whether that was anything.
func (r *recording) came(st *stream, body []byte) bool {
	units, head := unitsOf(body, &st.got)
	st.keep(r.byCall(st.client, units), head)
	return len(units) > 0
}

func (st *stream) keep(units []unit, head map[string]json.RawMessage) {
	st.have = append(st.have, units...)
	if mark := head["C"]; mark != nil {
		_ = json.Unmarshal(mark, &st.mark) // what is no text is no cursor
	}
	if st.head == nil {
		st.head = map[string]json.RawMessage{}
	}
	maps.Copy(st.head, head)
}

// expectData takes what a carrier brings.
func (r *recording) expectData(at int, s Step, want Data) error {
	st := r.carriedBy[s.Conn]
	if st == nil {
		st = &stream{client: carriedClient(s.Conn)}
		r.carriedBy[s.Conn] = st
	}
	cut := hubCutter{shaken: !bytes.HasPrefix(want.Bytes, handshaken), binary: want.Kind == Binary, names: r.names}
	wants, head := unitsOf(want.Bytes, &cut)
	wants = slices.DeleteFunc(wants, func(u unit) bool { return r.byClock(s.Conn, Data{want.Kind, u.text}) })
	next := func(deadline time.Time) (Saying, error) {
		got, ok := r.take(s.Conn, time.Until(deadline))
		if !ok {
			return nil, nil
		}
		data, is := got.(Data)
		if !is || data.Kind != want.Kind {
			return got, nil
		}
		// WebSocket messages come cut; those in an event are text.
		binary := data.Kind == Binary && packedSize(data.Bytes) == len(data.Bytes)
		units, head := unitsOf(data.Bytes, &hubCutter{shaken: binary, binary: binary})
		st.keep(r.byCall(st.client, units), head)
		return nil, nil
	}
	return r.expectUnits(at, s, want.Kind, wants, head, st, next)
}

// expectUnits takes messages from a stream, one after the other. Next brings
// more of them; a saying that it returns is none, and no more will come.
func (r *recording) expectUnits(at int, s Step, kind DataKind, wants []unit, head map[string]json.RawMessage, st *stream, next func(time.Time) (Saying, error)) error {
	deadline := time.Now().Add(r.o.Patience)
	wants = r.byCall(st.client, r.withoutCancelled(st.client, wants))
	for {
		st.have = r.withoutCancelled(st.client, st.have)
		for len(wants) > 0 {
			i := slices.IndexFunc(st.have, func(u unit) bool { return u.call == wants[0].call })
			if i < 0 {
				break
			}
			got := Data{kind, st.have[i].text}
			st.have = slices.Delete(st.have, i, i+1)
			if wanted, diff := r.compare(Data{kind, wants[0].text}, got); diff != "" {
				if err := r.differs(at, s, wanted, got, diff); err != nil {
					return err
				}
			}
			wants = wants[1:]
		}
		if len(wants) == 0 && st.knows(head) {
			break
		}
		switch end, err := next(deadline); {
		case err != nil:
			return err
		case end != nil:
			return r.differs(at, s, s.Said, end, "")
		case time.Now().After(deadline):
			if len(wants) > 0 {
				s.Said = Data{kind, wants[0].text}
			}
			return r.differ(at, s.Conn, s.String(), nil)
		}
	}
	if head == nil {
		return nil
	}
	if name, ok := captureOf(head["C"]); ok && st.mark != "" {
		r.names[name] = st.mark
	}
	came := st.head
	st.head = nil
	if wanted, diff := r.compare(Data{Text, headText(head)}, Data{Text, headText(came)}); diff != "" {
		return r.differs(at, s, wanted, Data{kind, headText(came)}, diff)
	}
	return nil
}

// knows says whether something came for all that is to be said of the stream.
func (st *stream) knows(head map[string]json.RawMessage) bool {
	for name := range head {
		if st.head[name] == nil && (name != "C" || st.mark == "") {
			return false
		}
	}
	return true
}

// headText is what ASP.NET SignalR says of a stream but its cursor.
func headText(head map[string]json.RawMessage) []byte {
	rest := map[string]json.RawMessage{}
	maps.Copy(rest, head)
	delete(rest, "C")
	text, err := json.Marshal(rest)
	if err != nil {
		return nil // cannot be: all of it was JSON
	}
	return text
}

// captureOf is the capture that a JSON text is.
func captureOf(text json.RawMessage) (name string, ok bool) {
	var s string
	if json.Unmarshal(text, &s) != nil || !strings.HasPrefix(s, "${") || !strings.HasSuffix(s, "}") {
		return "", false
	}
	return s[2 : len(s)-1], true
}

// unitsOf cuts what a server says into messages. Head is what a message of
// ASP.NET SignalR says besides: cursor, groups token and so on, nil where there
// is no such message.
func unitsOf(text []byte, cut *hubCutter) (units []unit, head map[string]json.RawMessage) {
	if len(text) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if text[len(text)-1] != separator[0] && !(cut.binary && cut.shaken) && json.Unmarshal(text, &members) == nil {
		elements, ok := members["M"]
		var all []json.RawMessage
		if !ok || json.Unmarshal(elements, &all) != nil {
			return []unit{{text, callOf(members)}}, nil
		}
		for _, e := range all {
			var members map[string]json.RawMessage
			_ = json.Unmarshal(e, &members) // what is no object is no result
			call := ""
			if members["H"] == nil {
				call = callOf(members)
			}
			units = append(units, unit{e, call})
		}
		delete(members, "M")
		return units, members
	}
	for _, m := range cut.cut(bytes.Clone(text)) {
		if kind := hubType(m); kind == hubPing || kind == hubAck {
			continue
		}
		units = append(units, unit{text: m})
	}
	return units, nil
}

// callOf is the id of the call that something is the result of.
func callOf(members map[string]json.RawMessage) string { return string(members["I"]) }
