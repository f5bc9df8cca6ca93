package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// RecordedFrom begins the From of every transcript that package record made.
const RecordedFrom = "recorded by signalrelay record"

// Recorded says whether package record made the transcript: [ReplayRecording]
// then plays it.
func (t *Transcript) Recorded() bool { return strings.HasPrefix(t.From, RecordedFrom) }

// ReplayRecording plays what package record made against the URL of a hub or of
// the mount of the hubs. It is Replay but for these:
//
//   - targets are below Options.URL; ${origin}/x is at its host, and ${service1}/x
//     where a negotiate answer sent the client;
//   - captures in targets and forms are percent-encoded, since tokens of ASP.NET
//     SignalR have signs in them that a query must not have;
//   - keep-alives of ASP.NET SignalR are no part of a conversation either;
//   - an event stream may end in either way;
//   - how messages share events and answers to polls means nothing, and results
//     of ASP.NET SignalR may come before or after other messages;
//   - streams of hub messages may come before or after other messages, and what they
//     bring after their client has cancelled them means nothing;
//   - a client that opens another WebSocket has lost its last one before, even where
//     the recorder learned of that later;
//   - what an app tells of itself outside its hubs, by GET, is asked for until it
//     is as recorded, but for the order of its lines: it may list ids, which are
//     others each time.
//
// Options.Names has the values of ${secret1} and so on, which came with the client
// that was recorded and are not in the transcript. Hub and BackEnd are not used.
func ReplayRecording(ctx context.Context, t *Transcript, o Options) error {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" {
		return fmt.Errorf("replay %s: no address of a hub: %q", t.Name, o.URL)
	}
	o.URL, o.Hub = strings.TrimSuffix(o.URL, "/"), false
	played := *t
	played.Steps = inOrder(t.Steps)
	p, err := newPlayer(ctx, &played, o)
	if err != nil {
		return err
	}
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the client's own steps follow
	p.calls.received.Add(-2 * recordedSize(t))                                                           // what was recorded is no flood
	p.names["origin"] = base.Scheme + "://" + base.Host
	r := &recording{
		player: p, base: o.URL, pollsOf: map[string]*stream{}, polling: map[string]*stream{}, carriedBy: map[string]*stream{},
		sending: map[string]*stream{}, leaving: map[string]*stream{}, outside: map[string]Request{}, closing: map[string]bool{}, streamed: map[string]bool{}, cancelled: map[string]bool{},
	}
	return r.run(r.step, r.leftOver)
}

// recordedSize is how much the server said, in bytes.
func recordedSize(t *Transcript) (n int64) {
	for _, s := range t.Steps {
		switch said := s.Said.(type) {
		case Response:
			n += int64(len(said.Body)) + kept
		case Data:
			n += int64(len(said.Bytes)) + kept
		}
	}
	return n
}

// A recording is a player of what was recorded.
type recording struct {
	*player
	base      string
	pollsOf   map[string]*stream // by the name of the client's token
	polling   map[string]*stream // by the connection of a poll
	carriedBy map[string]*stream // by the connection of a carrier
	sending   map[string]*stream // by the connection of a request that is no poll
	leaving   map[string]*stream // by the connection of the request that ends it
	outside   map[string]Request // GETs of what is no hub
	closing   map[string]bool    // carriers that the client has closed or dropped
	streamed  map[string]bool    // streams of hub messages, by client and id
	cancelled map[string]bool    // those that the client has cancelled
}

// step says what the recording says, or waits for it.
func (r *recording) step(at int, s Step) error {
	switch s.Who {
	case App:
		return errors.New("an app server has no part in a recording")
	case Client:
		return r.client(at, s)
	case Relay, Server:
		return r.expect(at, s)
	}
	return nil
}

// client does what a client does.
func (r *recording) client(at int, s Step) error {
	switch said := s.Said.(type) {
	case Request:
		if !r.polled(s.Conn, said) {
			return nil
		}
		if said.Method == http.MethodGet && strings.HasPrefix(said.Target, "${origin}/") {
			r.outside[s.Conn] = said
		}
		return r.ask(s.Conn, said)
	case Drop:
		if st := r.polling[s.Conn]; st != nil {
			s.Conn = st.by[s.Conn]
			st.open = ""
		} else {
			r.closing[s.Conn] = true
			if c := r.clients[s.Conn]; c != nil && r.fellSilent(s.Conn, c) {
				return nil
			}
		}
	case Close:
		r.closing[s.Conn] = true
	case Data:
		r.called(carriedClient(s.Conn), said.Bytes, said.Kind == Binary)
	}
	return r.player.client(at, s)
}

// fellSilent ends a WebSocket without a word, but so that the server has all that
// was said before: a connection that is cut while something from the server waits
// in it is reset, and takes the client's last words along. It waits until the
// server has seen it.
func (r *recording) fellSilent(conn string, c *ws.Conn) bool {
	half, ok := c.NetConn().(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return false
	}
	_, _, seen := r.inbox.take([]string{conn}, isEnd, r.o.Patience/5)
	return seen
}

// ask makes a request: below base, or where its target names a host, there.
func (r *recording) ask(conn string, asked Request) (err error) {
	if asked.Target, err = r.encoded(asked.Target); err != nil {
		return err
	}
	if IsForm(get(asked.Header, "Content-Type"), asked.Body) {
		body, err := r.encoded(string(asked.Body))
		if err != nil {
			return err
		}
		asked.Body = []byte(body)
	}
	r.o.URL = r.base
	if scheme, rest, ok := strings.Cut(asked.Target, "://"); ok && (scheme == "http" || scheme == "https") {
		path := strings.TrimLeftFunc(rest, func(c rune) bool { return c != '/' && c != '?' })
		r.o.URL, asked.Target = scheme+"://"+strings.TrimSuffix(rest, path), path
	}
	return r.request(conn, asked)
}

// IsForm says whether the body of a request is a form: .NET clients of ASP.NET
// SignalR send theirs without a content type (legacy-client-protocol 1.5).
func IsForm(contentType string, body []byte) bool {
	return strings.HasPrefix(contentType, "application/x-www-form-urlencoded") || contentType == "" && bytes.HasPrefix(body, []byte("data="))
}

// plainNames are captures that stand in a target as they are.
var plainNames = regexp.MustCompile(`^(origin|service[0-9]+|request[0-9]+|jwt)$`)

// encoded fills in the captures of a target or a form. It leaves the id by which
// the player knows a client, which is made of letters that need no encoding.
func (r *recording) encoded(s string) (string, error) {
	var missing error
	from := 0
	var b strings.Builder
	for _, at := range captureIn.FindAllStringIndex(s, -1) {
		b.WriteString(s[from:at[0]])
		from = at[1]
		name := s[at[0]+2 : at[1]-1]
		value, _, isTime, ok := r.names.lookup(name)
		switch {
		case name == "jwt", isTime, tokenIn.MatchString(s[max(0, at[0]-4):at[1]]):
			b.WriteString(s[at[0]:at[1]])
		case !ok:
			missing = errors.Join(missing, notKnown(name))
		case plainNames.MatchString(name):
			b.WriteString(value)
		default:
			b.WriteString(url.QueryEscape(value))
		}
	}
	return b.String() + s[from:], missing
}

// expect takes from a connection what a step of the server says must come.
func (r *recording) expect(at int, s Step) error {
	switch want := s.Said.(type) {
	case Data:
		if r.closing[s.Conn] {
			return nil
		}
		return r.expectData(at, s, want)
	case Response:
		if st := r.polling[s.Conn]; st != nil {
			return r.expectAnswer(at, s, want, st)
		}
	}
	began := time.Now()
	for {
		got, ok := r.take(s.Conn, r.o.Patience)
		if ok && r.nothingNew(s.Conn, got) {
			continue
		}
		asked, again := r.outside[s.Conn]
		if !ok || !again || time.Since(began) > outsidePatience*r.o.Patience || r.agrees(s, got) {
			return r.judge(at, s, s.Said, got, ok)
		}
		select {
		case <-time.After(askAgain):
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
		if err := r.ask(s.Conn, asked); err != nil {
			return err
		}
	}
}

// outsidePatience is how many times Options.Patience an app is asked outside its
// hubs: what it says of a client that was cut off changes when the server gives
// that up, which is after 15 s (core-client-protocol 3.6).
const outsidePatience = 4

// askAgain is the time between two requests for what an app says outside its
// hubs.
const askAgain = 20 * time.Millisecond

// take takes what comes next on a connection.
func (r *recording) take(conn string, patience time.Duration) (Saying, bool) {
	fits := func(got Saying) bool { return !r.byClock(conn, got) }
	began := time.Now()
	for {
		left := patience - time.Since(began)
		if got, _, ok := r.inbox.take([]string{conn}, fits, min(left, tendEvery)); ok || left < tendEvery {
			return got, ok
		}
		r.tend(time.Since(began) > patience/10, r.sending[conn])
	}
}

// tendEvery is the time between two looks at polls while something else is
// waited for.
const tendEvery = 50 * time.Millisecond

// byClock says what is left out because nobody knows when it comes, or whether:
// keep-alives of both flavours (legacy-client-protocol 4.2), and what the server
// said before it knew that the client had closed.
func (r *recording) byClock(conn string, s Saying) bool {
	d, ok := s.(Data)
	return ok && (r.closing[conn] || string(d.Bytes) == "{}") || r.ignored(conn, s)
}

// lastWords is how long the end of a recording waits for what should not come: a
// server that doubles its last message does so at once.
const lastWords = 100 * time.Millisecond

// leftOver looks for what came and should not have.
func (r *recording) leftOver() error {
	select {
	case <-time.After(lastWords):
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	for _, conn := range r.inbox.conns() {
		for _, s := range r.inbox.rest(conn) {
			if !r.byClock(conn, s) && !r.nothingNew(conn, s) && !isEnd(s) {
				if st := r.polling[conn]; st != nil && st.bye {
					continue
				}
				return r.differ(len(r.t.Steps), conn, "nothing more", s)
			}
		}
	}
	for _, all := range []map[string]*stream{r.pollsOf, r.carriedBy} {
		for name, st := range all {
			if st.have = r.withoutCancelled(st.client, st.have); len(st.have) > 0 && !st.bye && !r.closing[name] {
				return r.differ(len(r.t.Steps), name, "nothing more", Data{Text, st.have[0].text})
			}
		}
	}
	return nil
}
