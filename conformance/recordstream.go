package conformance

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
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

// pollKey finds the client of a poll: first group of ASP.NET Core SignalR, second
// of ASP.NET SignalR.
var pollKey = regexp.MustCompile(`[?&](?:id=\$\{(c[0-9]+token)\}|connectionToken=\$\{(c[0-9]+token)\})`)

// clientIn names the token of the client that a request of a recording is about.
func clientIn(target string) (key string, legacy bool) {
	found := pollKey.FindStringSubmatch(target)
	if found == nil {
		return "", false
	}
	return found[1] + found[2], found[2] != ""
}

// polls says whether a request waits for what the server says.
func polls(asked Request, legacy bool) bool {
	path, query, _ := strings.Cut(asked.Target, "?")
	if legacy {
		path = path[strings.LastIndexByte(path, '/')+1:]
		return path == "poll" || (path == "connect" || path == "reconnect") && strings.Contains("&"+query+"&", "&transport=longPolling&")
	}
	return asked.Method == "GET" && get(asked.Header, "Upgrade") == "" && !strings.HasPrefix(get(asked.Header, "Accept"), "text/event-stream")
}

// polled prepares a request that is about a client. It says whether the request
// is to be made: it is not when a poll is under way that stands for it.
func (r *recording) polled(conn string, asked Request) bool {
	key, legacy := clientIn(asked.Target)
	if key == "" {
		return true
	}
	st := r.pollsOf[key]
	if st == nil {
		st = &stream{client: strings.TrimSuffix(key, "token"), key: key, by: map[string]string{}, want: hubCutter{names: r.names}}
		r.pollsOf[key] = st
	}
	path, _, _ := strings.Cut(asked.Target, "?")
	if asked.Method == "DELETE" || legacy && strings.HasSuffix(path, "/abort") {
		st.bye = true
		r.leaving[conn] = st
	}
	if asked.Method == "POST" && bytes.Contains(asked.Body, []byte(`"protocol":"messagepack"`)) {
		st.got.binary, st.want.binary = true, true
	}
	if asked.Method == "POST" && !legacy {
		r.calls(st.client, asked.Body, st.got.binary)
	}
	st.over = st.over || asked.Method == "POST" && !legacy && r.closes(asked.Body, st.got.binary)
	if !polls(asked, legacy) {
		return true
	}
	r.polling[conn] = st
	under := st.open != "" && st.answered // a poll that no recorded one is behind
	st.asked, st.answered = asked, false
	if under {
		st.by[conn], st.stands = st.open, conn
		r.tend(false)
		return false
	}
	st.by[conn], st.open, st.stands = conn, conn, ""
	return true
}

// closes says whether hub messages close the connection.
func (r *recording) closes(text []byte, binary bool) bool {
	units, _ := unitsOf(text, &hubCutter{shaken: true, binary: binary, names: r.names})
	return slices.ContainsFunc(units, func(u unit) bool { return hubType(u.text) == hubClose })
}

// bothLeft says whether it may be answered so or so that a client leaves: the
// server has closed too, and either knows the connection still or does not
// (core-client-protocol 3.5).
func (r *recording) bothLeft(conn string, want, got Saying) bool {
	w, ok1 := want.(Response)
	g, ok2 := got.(Response)
	st := r.leaving[conn]
	fits := func(status int) bool { return status == 200 || status == 202 || status == 404 }
	return st != nil && st.over && ok1 && ok2 && fits(w.Status) && fits(g.Status)
}

// tend polls again where a poll that stands for a recorded one has been answered:
// servers need one to be under way before they do some things, such as to change
// groups. When all wait, that goes for every poll that has brought something: the
// server may have more to say than it keeps for one that does not poll.
func (r *recording) tend(all bool) {
	for _, st := range r.pollsOf {
		conn := st.open
		if conn == "" || st.answered || st.stands == "" && !all {
			continue
		}
		got, _, ok := r.inbox.take([]string{conn}, func(got Saying) bool {
			answer, is := got.(Response)
			return is && answer.Status == 200 && (st.stands != "" || len(answer.Body) > 0)
		}, 0)
		if ok {
			r.came(st, got.(Response).Body)
			_ = r.again(st, conn) // fails only for captures that are not known, which were
		}
	}
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

// again polls once more, from where the server got to.
func (r *recording) again(st *stream, conn string) error {
	asked := st.asked
	if st.mark != "" {
		r.names["mark"] = st.mark
		asked.Target = regexp.MustCompile(`([?&])messageId=[^&]*`).ReplaceAllString(asked.Target, "${1}messageId=$${mark}")
		asked.Target = strings.Replace(asked.Target, "/connect?", "/poll?", 1)
		if !strings.Contains(asked.Target, "messageId=") {
			asked.Target += "&messageId=${mark}"
		}
	}
	st.open = conn
	return r.ask(conn, asked)
}

// expectAnswer takes what answers a poll.
func (r *recording) expectAnswer(at int, s Step, want Response, st *stream) error {
	conn := st.by[s.Conn]
	if st.answered = true; st.bye {
		return nil
	}
	var wants []unit
	var head map[string]json.RawMessage
	if want.Status == 200 {
		wants, head = unitsOf(want.Body, &st.want)
		st.over = st.over || slices.ContainsFunc(wants, func(u unit) bool { return hubType(u.text) == hubClose })
	}
	all := len(wants)
	if wants = r.withoutCancelled(st.client, wants); len(wants) == 0 && all > 0 {
		return nil
	}
	if len(wants) == 0 && len(head) == 0 { // nothing that could be somewhere else
		got, ok := r.take(conn, r.o.Patience)
		for deadline := time.Now().Add(r.o.Patience); ok && want.Status != 200 && time.Now().Before(deadline); {
			answer, is := got.(Response)
			if !is || answer.Status != 200 || !r.came(st, answer.Body) {
				break
			}
			if err := r.again(st, conn); err != nil {
				return err
			}
			got, ok = r.take(conn, r.o.Patience)
		}
		if st.open == conn {
			st.open = ""
		}
		return r.judge(at, s, want, got, ok)
	}
	if len(wants) == 0 && len(head) == 1 { // a cursor alone, which another server may not have to tell
		if got, ok := r.take(conn, r.o.Patience/10); ok && st.open == conn {
			st.open = ""
			answer, is := got.(Response)
			if !is || answer.Status != 200 {
				return r.judge(at, s, want, got, ok)
			}
			r.came(st, answer.Body)
		}
	}
	next := func(deadline time.Time) (Saying, error) {
		if st.open == "" {
			if err := r.again(st, conn); err != nil {
				return nil, err
			}
		}
		got, ok := r.take(conn, time.Until(deadline))
		if !ok {
			return nil, nil
		}
		st.open = ""
		answer, is := got.(Response)
		if !is || answer.Status != 200 {
			return got, nil
		}
		r.came(st, answer.Body)
		want, answer := want, answer
		want.Body, answer.Body = nil, nil
		if wanted, diff := r.compare(want, answer); diff != "" {
			return got, r.differs(at, s, wanted, got, diff)
		}
		return nil, nil
	}
	kind := Text
	if st.want.binary {
		kind = Binary
	}
	return r.expectUnits(at, s, kind, wants, head, st, next)
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
		binary := packedSize(data.Bytes) == len(data.Bytes)
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

// judge compares what came with what was wanted.
func (r *recording) judge(at int, s Step, want, got Saying, ok bool) error {
	if !ok {
		return r.differ(at, s.Conn, s.String(), nil)
	}
	wanted, diff := r.compare(want, got)
	if diff == "" || r.sameEnd(want, got) || r.bothLeft(s.Conn, want, got) {
		r.gone[s.Conn] = r.gone[s.Conn] || isEnd(got)
		return nil
	}
	return r.differs(at, s, wanted, got, diff)
}

// differs makes a Difference, unless a rule allows it.
func (r *recording) differs(at int, s Step, wanted, got Saying, diff string) error {
	s.Said = wanted
	if rule := r.mayDiffer(s, got); rule != nil {
		rule.used.Add(1)
		return nil
	}
	d := r.differ(at, s.Conn, s.String(), got)
	d.Diff = diff
	if _, outside := r.outside[s.Conn]; outside || isResult(got) {
		d.Diff += ofTheApp
	}
	return d
}

// ofTheApp says what a recording cannot know.
const ofTheApp = "what an app tells of its state may rightly differ from run to run: then put (any) in the place of what differs\n"

// isResult says whether a hub message is the result of a call.
func isResult(s Saying) bool {
	d, _ := s.(Data)
	if v, ok := unpack(d.Bytes); ok {
		all, _ := v.([]any)
		return len(all) > 0 && all[0] == int64(hubCompletion)
	}
	var has struct {
		Type int
		R    json.RawMessage // of ASP.NET SignalR
	}
	return json.Unmarshal(bytes.TrimSuffix(d.Bytes, []byte(separator)), &has) == nil && (has.Type == hubCompletion || has.R != nil)
}
