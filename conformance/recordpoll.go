package conformance

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

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
	return asked.Method == http.MethodGet && get(asked.Header, "Upgrade") == "" && !strings.HasPrefix(get(asked.Header, "Accept"), "text/event-stream")
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
	if asked.Method == http.MethodDelete || legacy && strings.HasSuffix(path, "/abort") {
		st.bye = true
		r.leaving[conn] = st
	}
	if asked.Method == http.MethodPost && bytes.Contains(asked.Body, []byte(`"protocol":"messagepack"`)) {
		st.got.binary, st.want.binary = true, true
	}
	if asked.Method == http.MethodPost && !legacy {
		r.called(st.client, asked.Body, st.got.binary)
		if r.closes(asked.Body, st.got.binary) {
			st.over = true
			r.leaving[conn] = st // and may have dropped its event stream before
		}
	}
	if !polls(asked, legacy) {
		r.sending[conn] = st
		return true
	}
	r.polling[conn], st.last = st, conn
	under := st.open != "" && st.answered // a poll that no recorded one is behind
	st.asked, st.answered = asked, false
	if under {
		st.by[conn], st.stands = st.open, conn
		r.tend(false, nil)
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

// tend polls again where a poll that stands for a recorded one has been answered:
// servers need one to be under way before they do some things, such as to change
// groups. When all wait, that goes for every poll that has brought something: the
// server may have more to say than it keeps for one that does not poll. It may not
// even take what the client of sender sends before it has said that.
func (r *recording) tend(all bool, sender *stream) {
	for _, st := range r.pollsOf {
		conn, blocked := st.open, all && st == sender
		if blocked && conn == "" && st.answered && !st.bye && !st.over {
			_ = r.again(st, st.last) // a poll that no recorded one is behind yet
			continue
		}
		if conn == "" || st.answered && !blocked || st.stands == "" && !all {
			continue
		}
		got, _, ok := r.inbox.take([]string{conn}, func(got Saying) bool {
			answer, is := got.(Response)
			return is && answer.Status == http.StatusOK && (st.stands != "" || len(answer.Body) > 0)
		}, 0)
		if ok {
			r.came(st, got.(Response).Body)
			_ = r.again(st, conn) // fails only for captures that are not known, which were
		}
	}
}

// markIn finds the cursor in the target of a poll.
var markIn = regexp.MustCompile(`([?&])messageId=[^&]*`)

// again polls once more, from where the server got to.
func (r *recording) again(st *stream, conn string) error {
	asked := st.asked
	if st.mark != "" {
		r.names["mark"] = st.mark
		asked.Target = markIn.ReplaceAllString(asked.Target, "${1}messageId=$${mark}")
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
	if want.Status == http.StatusOK {
		wants, head = unitsOf(want.Body, &st.want)
		st.over = st.over || slices.ContainsFunc(wants, func(u unit) bool { return hubType(u.text) == hubClose })
	}
	all := len(wants)
	if wants = r.withoutCancelled(st.client, wants); len(wants) == 0 && all > 0 {
		return nil
	}
	if len(wants) == 0 && len(head) == 0 {
		return r.expectNoNews(at, s, want, conn, st)
	}
	if len(wants) == 0 && len(head) == 1 { // a cursor alone, which another server may not have to tell
		if got, ok := r.take(conn, r.o.Patience/10); ok && st.open == conn {
			st.open = ""
			answer, is := got.(Response)
			if !is || answer.Status != http.StatusOK {
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
		if !is || answer.Status != http.StatusOK {
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

// expectNoNews takes an answer to a poll that has nothing which could be somewhere
// else: one without messages, or the end, before which messages may come.
func (r *recording) expectNoNews(at int, s Step, want Response, conn string, st *stream) error {
	got, ok := r.take(conn, r.o.Patience)
	for deadline := time.Now().Add(r.o.Patience); ok && want.Status != http.StatusOK && time.Now().Before(deadline); {
		answer, is := got.(Response)
		if !is || answer.Status != http.StatusOK || !r.came(st, answer.Body) {
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
