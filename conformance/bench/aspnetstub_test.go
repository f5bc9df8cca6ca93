package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// aspnetStub is the same for ASP.NET SignalR 2.x.
type aspnetStub struct {
	*stub
	noWebSockets, noStart bool
	aborts                atomic.Int64
}

var aspnetPhrases = phrases{
	hello:   []string{`{"C":"d-1","S":1,"M":[]}`, `{"C":"d-2","M":[]}`}, // the second is no message
	result:  `{"R":%s,"I":"0"}`,
	call:    `{"C":"d-3","M":[{"H":"benchHub","M":"b","A":[%s]}]}`,
	done:    `{"I":"0"}`,
	refusal: `{"E":"no broadcasts here"}`,
	goodbye: `{"E":"Server offline"}`,
}

func newASPNETStub() *aspnetStub {
	s := newStub()
	s.says = aspnetPhrases
	return &aspnetStub{stub: s}
}

func (s *aspnetStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("clientProtocol") != "2.1" || q.Get("connectionData") != `[{"Name":"benchHub"}]` {
		http.Error(w, "not what a client asks", http.StatusInternalServerError)
		return
	}
	switch path := r.URL.Path; {
	case path == "/app/negotiate":
		fmt.Fprintf(w, `{"ProtocolVersion":"2.0","RedirectUrl":"http://%s/service?hub=bench","AccessToken":"secret","TryWebSockets":true}`, r.Host)
		return
	case path == "/error/negotiate":
		io.WriteString(w, `{"ProtocolVersion":"2.0","Error":"not today"}`)
		return
	case strings.HasPrefix(path, "/service") && (r.Header.Get("Authorization") != "Bearer secret" || q.Get("hub") != "bench"):
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	case strings.HasSuffix(path, "/negotiate"):
		fmt.Fprintf(w, `{"Url":"/signalr","ConnectionToken":%q,"ConnectionId":"x","TryWebSockets":%v,"ProtocolVersion":"2.0"}`, s.newConn(), !s.noWebSockets)
		return
	}
	if c := s.conn(q.Get("connectionToken")); c == nil {
		http.Error(w, "no connection with that token", http.StatusNotFound)
	} else {
		s.serve(w, r, c)
	}
}

func (s *aspnetStub) serve(w http.ResponseWriter, r *http.Request, c *stubConn) {
	q := r.URL.Query()
	action := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/'):]
	if action == "/connect" {
		c.hello(s.says)
	}
	switch {
	case action == "/start" && s.noStart:
		io.WriteString(w, `{ "Response": "not yet" }`)
	case action == "/start":
		io.WriteString(w, `{ "Response": "started" }`)
	case action == "/abort" && r.Method == http.MethodPost:
		s.aborts.Add(1)
		c.end()
	case action == "/connect" && q.Get("transport") == "webSockets":
		c.out <- "{}" // a keep-alive, which nobody may count
		s.webSocket(w, r, q.Get("connectionToken"))
	case action == "/connect" && q.Get("transport") == "serverSentEvents":
		c.stream(w, r, "data: initialized\n\n", "data: %s\n\n")
	case action == "/connect" && q.Get("transport") == "longPolling",
		action == "/poll" && q.Get("messageId") == fmt.Sprint("d-", c.polls) && r.Method == http.MethodPost:
		c.polls++
		io.WriteString(w, "  ") // keep-alives
		c.poll(w, r)
	default:
		http.Error(w, "not what a client does", http.StatusBadRequest)
	}
}
