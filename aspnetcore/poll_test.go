package aspnetcore_test

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// pending parks a poll and returns once it is there; its answer comes later.
func (s *service) pending(con, token string) chan nodetest.Reply {
	s.T.Helper()
	parked := s.Server.Stats().Carriers[3].Load() // LongPoll
	answer := make(chan nodetest.Reply, 1)
	go func() { // ends with the answer
		r, err := s.Try("GET", path(con), token, "")
		if err != nil {
			r.Body = err.Error()
		}
		answer <- r
	}()
	nodetest.Until(s.T, "poll is parked", func() bool { return s.Server.Stats().Carriers[3].Load() > parked })
	return answer
}

func TestEventStream(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con := s.negotiate(token)
	e, head := s.stream(con, token)
	got := map[string]string{}
	for _, n := range []string{"Content-Type", "Cache-Control", "Pragma", "Content-Encoding"} {
		got[n] = head.Header.Get(n)
	}
	if d := cmp.Diff(map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-cache,no-store", "Pragma": "no-cache", "Content-Encoding": "identity"}, got); d != "" || head.StatusCode != 200 {
		t.Error(head.Status, d)
	}
	if line, err := e.r.ReadString('\n'); line != ":\r\n" {
		t.Errorf("first line %q %v", line, err)
	}
	if r := s.Ask("POST", path(con), token, hello[:5]); r.Status != 200 || r.Body != "" {
		t.Errorf("%+v", r)
	}
	s.Ask("POST", path(con), token, hello[5:]+ping)
	id := a.opened(hello + ping).ConnectionID
	a.data(id, "{}"+rs, "{\"a\":\n1,\r\n\"b\":2}"+rs)
	for _, want := range []string{"{}" + rs, "{\"a\":\n1,\n\"b\":2}" + rs} {
		if m, err := e.next(); m != want {
			t.Errorf("%q, want %q: %v", m, want, err)
		}
	}
	a.Send(&serviceproto.CloseConnection{ConnectionID: id, Error: "x"})
	if m, err := e.next(); m != `{"type":7,"error":"Connection closed with an error."}`+rs {
		t.Errorf("%q %v", m, err)
	}
	if _, err := e.next(); err != io.EOF {
		t.Errorf("the stream does not end: %v", err)
	}
	if r := s.Ask("POST", path(con), token, ping); r.Status != 404 {
		t.Errorf("post after the end: %d", r.Status)
	}

	con = s.negotiate(token)
	e, _ = s.stream(con, token)
	s.Ask("POST", path(con), token, hello)
	id = a.opened(hello).ConnectionID
	e.c.Close() // no grace: an event stream does not come back
	a.Left(id)
}

func TestLongPolling(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con, id := s.polling(a, token)
	answer := s.pending(con, token)
	a.data(id, ping, ping)
	r := <-answer
	all := r.Body
	for len(all) < 2*len(ping) {
		all += s.Ask("GET", path(con), token, "").Body
	}
	if all != ping+ping || r.Status != 200 || r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q %+v", all, r)
	}
	for n, want := range map[string]string{"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"} {
		if r.Header.Get(n) != want {
			t.Errorf("%s: %q", n, r.Header.Get(n))
		}
	}
	// What comes between two polls waits.
	a.data(id, `{"x":1}`+rs, `{"x":2}`+rs)
	a.Settle()
	if r := s.Ask("GET", path(con), token, ""); r.Body != `{"x":1}`+rs+`{"x":2}`+rs {
		t.Errorf("%+v", r)
	}
	// A second poll takes the place of the first.
	first := s.pending(con, token)
	second := make(chan nodetest.Reply, 1)
	go func() { // ends with the answer
		r, _ := s.Try("GET", path(con), token, "")
		second <- r
	}()
	if r := <-first; r.Status != 204 || r.Body != "" {
		t.Errorf("the older poll: %+v", r)
	}
	a.data(id, ping)
	if r := <-second; r.Status != 200 || r.Body != ping {
		t.Errorf("the newer poll: %+v", r)
	}
	// Posts reach the app in their order.
	for _, p := range []string{"1", "2", "3"} {
		if r := s.Ask("POST", path(con), token, p+rs); r.Status != 200 || r.Body != "" {
			t.Errorf("%+v", r)
		}
	}
	if got := a.heard(id, 6); got != "1"+rs+"2"+rs+"3"+rs {
		t.Errorf("%q", got)
	}
	// The app's close comes with a poll, the next one hears of the end.
	a.data(id, `{"type":7}`+rs)
	a.Send(&serviceproto.CloseConnection{ConnectionID: id})
	a.Settle()
	if r := s.Ask("GET", path(con), token, ""); r.Status != 200 || r.Body != `{"type":7}`+rs {
		t.Errorf("%+v", r)
	}
	if r := s.Ask("GET", path(con), token, ""); r.Status != 204 {
		t.Errorf("%+v", r)
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if r := s.Ask(method, path(con), token, ping); r.Status != 404 || r.Body != "No Connection with that ID" {
			t.Errorf("%s: %+v", method, r)
		}
	}
}

// A client that has fetched its end is unknown at once, however long the
// session is busy with what came before.
func TestEndedWhileReceiving(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con, id := s.polling(a, token)
	answer := s.pending(con, token)
	release := sync.OnceFunc(s.HoldIn(id))
	defer release()
	heard := s.Server.Stats().BytesIn.Load()
	posted := make(chan struct{})
	go func() { // ends with release
		defer close(posted)
		s.Try("POST", path(con), token, ping)
	}()
	nodetest.Until(t, "the POST is being received", func() bool { return s.Server.Stats().BytesIn.Load() == heard+int64(len(ping)) })
	a.Send(&serviceproto.CloseConnection{ConnectionID: id})
	if r := <-answer; r.Status != 204 {
		t.Errorf("the poll that was there: %+v", r)
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if r := s.Ask(method, path(con), token, ping); r.Status != 404 || r.Body != "No Connection with that ID" {
			t.Errorf("%s: %+v", method, r)
		}
	}
	release()
	<-posted
}

// A client that is closed before its second poll hears of it there.
func TestCloseBeforeSecondPoll(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con := s.negotiate(token)
	for _, x := range [][2]string{{"GET", ""}, {"POST", hello}} {
		if r := s.Ask(x[0], path(con), token, x[1]); r.Status != 200 {
			t.Fatalf("%s: %+v", x[0], r)
		}
	}
	a.Send(&serviceproto.CloseConnection{ConnectionID: a.opened(hello).ConnectionID})
	a.Settle()
	if r := s.Ask("GET", path(con), token, ""); r.Status != 204 {
		t.Errorf("%+v", r)
	}
}

func TestDelete(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con, id := s.polling(a, token)
	answer := s.pending(con, token)
	if r := s.Ask("DELETE", path(con), token, ""); r.Status != 202 || r.Body != "" {
		t.Errorf("%+v", r)
	}
	if r := <-answer; r.Status != 204 {
		t.Errorf("the poll that was there: %+v", r)
	}
	a.Left(id)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if r := s.Ask(method, path(con), token, hello); r.Status != 404 || r.Body != "No Connection with that ID" {
			t.Errorf("%s: %+v", method, r)
		}
	}
	con, id = s.polling(a, token) // and without a poll
	if r := s.Ask("DELETE", path(con), token, ""); r.Status != 202 {
		t.Errorf("%+v", r)
	}
	a.Left(id)
	nodetest.Until(t, "gone", func() bool { return s.Clients() == 0 && s.Server.Len() == 1 })
}

// Python's signalrcore posts its handshake before the first poll.
func TestPostBeforePoll(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con := s.negotiate(token)
	if r := s.Ask("POST", path(con), token, hello); r.Status != 200 {
		t.Errorf("%+v", r)
	}
	id := a.opened(hello).ConnectionID
	a.data(id, "{}"+rs)
	a.Settle()
	if r := s.Ask("GET", path(con), token, "", "Accept", "Text"); r.Status != 200 || r.Body != "" {
		t.Errorf("first poll: %+v", r)
	}
	if r := s.Ask("GET", path(con), token, "", "Accept", "Text"); r.Status != 200 || r.Body != "{}"+rs {
		t.Errorf("second poll: %+v", r)
	}
}

func TestPollsThatRace(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	con, id := s.polling(a, token)
	const polls = 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	var bodies strings.Builder
	for range polls {
		wg.Go(func() {
			r, err := s.Try("GET", path(con), token, "")
			switch {
			case err == nil && r.Status == 200:
				mu.Lock()
				bodies.WriteString(r.Body)
				mu.Unlock()
			case err != nil || r.Status != 204 && r.Status != 404: // 404: it came after the end
				t.Errorf("%+v %v", r, err)
			}
		})
	}
	a.data(id, ping)
	a.Send(&serviceproto.CloseConnection{ConnectionID: id})
	wg.Wait()
	if got := bodies.String(); got != ping {
		t.Errorf("%q, want one ping", got)
	}
}

// The claim for the gap between two polls ends a client that has stopped.
func TestPollGap(t *testing.T) {
	t.Parallel() // it takes a second or two
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	short := s.token(auth.ClaimPollGap, "1", auth.ClaimUser, "short")
	con, id := s.polling(a, short)
	long, stays := s.polling(a, s.token(auth.ClaimUser, "long"))
	a.Left(id)
	if r := s.Ask("GET", path(con), short, ""); r.Status != 404 {
		t.Errorf("%+v", r)
	}
	a.data(stays, ping)
	if r := s.Ask("GET", path(long), s.token(auth.ClaimUser, "long"), ""); r.Body != ping {
		t.Errorf("%+v", r)
	}
	nodetest.Until(t, "counted", func() bool { return nodetest.Ended(s, relay.PingTimeout) == 1 })
}

// Swift's clients count 30 s on long polling too, where no hub pings.
func TestPingForSwift(t *testing.T) {
	s := serve(t, aspnetcore.Options{})
	a := s.app("a", serviceproto.HandshakeRequest{})
	token := s.token()
	swift := []string{"User-Agent", "Microsoft SignalR Client/Swift 1.0"}
	con := s.negotiate(token)
	s.Ask("GET", path(con), token, "", swift...)
	s.Ask("POST", path(con), token, hello, swift...)
	id := a.opened(hello).ConnectionID
	a.data(id, "{}"+rs)
	if r := s.Ask("GET", path(con), token, ""); r.Body != "{}"+rs {
		t.Fatalf("%+v", r)
	}
	other, _ := s.polling(a, token)
	for range 20 {
		s.Tick(time.Now())
	}
	if r := s.Ask("GET", path(con), token, ""); r.Body != ping {
		t.Errorf("%+v", r)
	}
	a.Settle() // it is not the app's business
	poll := s.pending(other, token)
	s.Ask("DELETE", path(other), token, "")
	if r := <-poll; r.Body != "" {
		t.Errorf("another client: %+v", r)
	}
}
