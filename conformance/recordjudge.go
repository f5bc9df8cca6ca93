package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// judge compares what came with what was wanted.
func (r *recording) judge(at int, s Step, want, got Saying, ok bool) error {
	if !ok {
		return r.differ(at, s.Conn, s.String(), nil)
	}
	wanted, diff := r.compare(want, got)
	if diff == "" || r.sameEnd(want, got) || r.bothLeft(s.Conn, want, got) || r.sameLines(s.Conn, want, got) {
		r.gone[s.Conn] = r.gone[s.Conn] || isEnd(got)
		return nil
	}
	return r.differs(at, s, wanted, got, diff)
}

// agrees says whether what came is what a step says.
func (r *recording) agrees(s Step, got Saying) bool {
	_, diff := r.compare(s.Said, got)
	return diff == "" || r.sameLines(s.Conn, s.Said, got)
}

// sameLines says whether an app tells the same outside its hubs, in another order.
func (r *recording) sameLines(conn string, want, got Saying) bool {
	_, outside := r.outside[conn]
	w, ok1 := want.(Response)
	g, ok2 := got.(Response)
	text, err := r.names.expand(string(w.Body), r.now)
	if !outside || !ok1 || !ok2 || err != nil {
		return false
	}
	w.Body, g.Body = sortedLines(text), sortedLines(string(g.Body))
	_, diff := r.compare(w, g)
	return diff == ""
}

func sortedLines(text string) []byte {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n"))
}

// differs is the player's, which does not know what an app may tell of itself.
func (r *recording) differs(at int, s Step, wanted, got Saying, diff string) error {
	if _, outside := r.outside[s.Conn]; outside || isResult(got) {
		diff += ofTheApp
	}
	return r.player.differs(at, s, wanted, got, diff)
}

// ofTheApp says what a recording cannot know.
const ofTheApp = "what an app tells of its state may rightly differ from run to run: then put (any) in the place of what differs\n"

// isResult says whether a message is the result of a call.
func isResult(s Saying) bool {
	d, _ := s.(Data)
	var has struct{ R json.RawMessage } // of ASP.NET SignalR
	return hubType(d.Bytes) == hubCompletion || json.Unmarshal(d.Bytes, &has) == nil && has.R != nil
}

// sameEnd says whether both are ends of something that is no WebSocket: whether
// the last chunk of a stream comes before its connection ends is a matter of
// chance.
func (r *recording) sameEnd(want, got Saying) bool {
	w, ok1 := want.(Close)
	g, ok2 := got.(Close)
	return isEnd(want) && isEnd(got) && (!ok1 || w.Code == 0) && (!ok2 || g.Code == 0)
}

// bothLeft says whether it may be answered so or so that a client leaves: one end has
// closed in another way too, and the server either knows the connection still or
// does not (core-client-protocol 3.5).
func (r *recording) bothLeft(conn string, want, got Saying) bool {
	w, ok1 := want.(Response)
	g, ok2 := got.(Response)
	st := r.leaving[conn]
	fits := func(status int) bool {
		return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNotFound
	}
	return st != nil && st.over && ok1 && ok2 && fits(w.Status) && fits(g.Status)
}
