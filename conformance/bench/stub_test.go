package bench_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// stub is the smallest server with the contract of BenchHub, on all three transports.
type stub struct {
	says               phrases
	noSSE, noBroadcast bool
	negotiates         atomic.Int64
	slow, orphaned     atomic.Int64 // clients closed as SlowClient and as ServerConnectionClosed

	mu    sync.Mutex
	next  int
	conns map[string]*stubConn
}

// stubConn is a connection of any transport: out takes what its carrier sends. It is cut when out is full.
type stubConn struct {
	out    chan string
	cut    chan struct{}
	cutter sync.Once
	polled bool
	polls  int    // answered, of a client of ASP.NET SignalR
	app    string // process id of the app server it is bound to, if any
	orphan bool   // is through with that
}

// phrases are what a stub says. In some of them an argument is put.
type phrases struct {
	hello   []string // before anything else
	result  string   // of Echo
	call    string   // to everybody
	done    string   // to who had everybody called
	refusal string   // of the same
	goodbye string   // when the app server is gone
}

var corePhrases = phrases{
	hello:   []string{"{}\x1e", "{\"type\":6}\x1e"}, // the second is a keep-alive, which nobody may count
	result:  "{\"type\":3,\"invocationId\":\"1\",\"result\":%s}\x1e",
	call:    "{\"type\":1,\"target\":\"b\",\"arguments\":[%s]}\x1e",
	refusal: "{\"type\":7,\"error\":\"no broadcasts here\"}\x1e",
	goodbye: "{\"type\":7,\"allowReconnect\":true}\x1e",
}

func newStub() *stub { return &stub{says: corePhrases, conns: map[string]*stubConn{}} }

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/app/negotiate": // an app that offloads
		fmt.Fprintf(w, `{"negotiateVersion":0,"url":"http://%s/service?hub=bench","accessToken":"secret","availableTransports":[]}`, r.Host)
		return
	case path == "/error/negotiate":
		io.WriteString(w, `{"error":"not today"}`)
		return
	case strings.HasPrefix(path, "/service"):
		if r.Header.Get("Authorization") != "Bearer secret" || r.URL.Query().Get("hub") != "bench" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
	}
	if strings.HasSuffix(r.URL.Path, "/negotiate") {
		s.negotiate(w)
		return
	}
	if r.Header.Get("Upgrade") != "" {
		s.webSocket(w, r, r.URL.Query().Get("id"))
		return
	}
	c := s.conn(r.URL.Query().Get("id"))
	switch {
	case c == nil:
		http.Error(w, "No Connection with that ID", http.StatusNotFound)
	case r.Method == http.MethodPost:
		p, _ := io.ReadAll(r.Body)
		s.message(c, p)
	case r.Header.Get("Accept") == "text/event-stream":
		c.stream(w, r, ":\r\n", "data: %s\r\n\r\n")
	case !c.polled:
		c.polled = true
	default:
		c.poll(w, r)
	}
}

func (s *stub) conn(id string) *stubConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[id]
}

// stream sends what there is as events, until the client goes.
func (c *stubConn) stream(w http.ResponseWriter, r *http.Request, preamble, event string) {
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, preamble)
	for {
		http.NewResponseController(w).Flush()
		select {
		case m := <-c.out:
			fmt.Fprintf(w, event, m)
		case <-r.Context().Done():
			return
		}
	}
}

// poll answers with the next that there is.
func (c *stubConn) poll(w http.ResponseWriter, r *http.Request) {
	select {
	case m := <-c.out:
		io.WriteString(w, m)
	case <-r.Context().Done():
	}
}

// newConn makes a connection and returns its id.
func (s *stub) newConn() string {
	s.negotiates.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := fmt.Sprint("t ", s.next) // the blank must be escaped in the URL
	s.conns[id] = &stubConn{out: make(chan string, 64), cut: make(chan struct{})}
	return id
}

func (s *stub) negotiate(w http.ResponseWriter) {
	id := s.newConn()
	transports := `[{"transport":"WebSockets"},{"transport":"ServerSentEvents"},{"transport":"LongPolling"}]`
	if s.noSSE {
		transports = `[{"transport":"WebSockets"}]`
	}
	fmt.Fprintf(w, `{"negotiateVersion":1,"connectionId":"x","connectionToken":%q,"availableTransports":%s}`, id, transports)
}

func (s *stub) webSocket(w http.ResponseWriter, r *http.Request, id string) {
	s.mu.Lock()
	c := s.conns[id]
	if c != nil {
		c.app = r.URL.Query().Get("app")
	}
	if c == nil && id == "" {
		s.next++
		id = fmt.Sprint("direct ", s.next)
		c = &stubConn{out: make(chan string, 64), cut: make(chan struct{})}
		s.conns[id] = c
	}
	s.mu.Unlock()
	if c == nil {
		http.Error(w, "No Connection with that ID", http.StatusNotFound)
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	go func() { // ends with the connection
		defer nc.Close()
		for {
			select {
			case m := <-c.out:
				if _, err := nc.Write(serverFrame(m)); err != nil {
					return
				}
			case <-c.cut:
				return
			}
		}
	}()
	go func() { // a write that blocks for ever is ended by this
		<-c.cut
		nc.Close()
	}()
	defer func() {
		s.mu.Lock()
		delete(s.conns, id)
		s.mu.Unlock()
		c.end()
	}()
	for {
		op, p, err := clientFrame(rw.Reader)
		if err != nil || op == 0x88 {
			return
		}
		s.message(c, p)
	}
}

// end reports whether it was the first to.
func (c *stubConn) end() (first bool) {
	c.cutter.Do(func() { close(c.cut); first = true })
	return first
}

func (s *stub) message(c *stubConn, p []byte) {
	argument := func() string { return string(p[bytes.IndexByte(p, '[')+1 : bytes.LastIndexByte(p, ']')]) }
	switch {
	case bytes.Contains(p, []byte(`"protocol"`)):
		c.hello(s.says)
	case c.orphan:
	case c.app != "" && suspended(c.app):
		// A client that is told leaves by itself; every other one is cut without a word.
		c.orphan = true
		if s.orphaned.Add(1)%2 == 1 {
			c.out <- s.says.goodbye
		} else {
			c.end()
		}
	case bytes.Contains(p, []byte(`"Echo"`)):
		c.out <- fmt.Sprintf(s.says.result, argument())
	case bytes.Contains(p, []byte(`"Broadcast"`)) && !s.noBroadcast:
		s.broadcast(fmt.Sprintf(s.says.call, argument()))
		if s.says.done != "" {
			c.out <- s.says.done
		}
	case bytes.Contains(p, []byte(`"Broadcast"`)):
		c.out <- s.says.refusal
	}
}

func (c *stubConn) hello(says phrases) {
	for _, m := range says.hello {
		c.out <- m
	}
}

// broadcast cuts off who has no room for more.
func (s *stub) broadcast(m string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		select {
		case c.out <- m:
		default:
			if c.end() {
				s.slow.Add(1)
			}
		}
	}
}

// suspended reads the state in /proc/PID/stat, which is T for a process that SIGSTOP has stopped.
func suspended(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && bytes.Contains(b, []byte(") T "))
}

// metrics is the admin page: closes by category, as the relay has it.
func (s *stub) metrics(w http.ResponseWriter, _ *http.Request) {
	for category, n := range map[string]int64{"SlowClient": s.slow.Load(), "ServerConnectionClosed": s.orphaned.Load()} {
		fmt.Fprintf(w, "signalrelay_connection_close_count_total{connection_close_category=%q,endpoint=\"Client\"} %d\n", category, n)
	}
}

func serverFrame(m string) []byte {
	switch n := len(m); {
	case n < 126:
		return append([]byte{0x81, byte(n)}, m...)
	case n < 1<<16:
		return append([]byte{0x81, 126, byte(n >> 8), byte(n)}, m...)
	default:
		return append(binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(n)), m...)
	}
}

func clientFrame(r *bufio.Reader) (op byte, p []byte, err error) {
	var h [14]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1] & 0x7f)
	switch n {
	case 126:
		io.ReadFull(r, h[2:4])
		n = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		io.ReadFull(r, h[2:10])
		n = binary.BigEndian.Uint64(h[2:])
	}
	key := h[10:14]
	io.ReadFull(r, key)
	p = make([]byte, n)
	_, err = io.ReadFull(r, p)
	for i := range p {
		p[i] ^= key[i&3]
	}
	return h[0], p, err
}

// TestMain lets the test binary be the processes that bench starts: the stub, or an app server in front of one.
func TestMain(m *testing.M) {
	if len(os.Args) >= 3 && os.Args[1] == "serve-stub" {
		s, aspnet := newStub(), newASPNETStub()
		if len(os.Args) == 4 {
			go func() { fmt.Println(http.ListenAndServe(os.Args[3], http.HandlerFunc(s.metrics))) }() // ends with the process
		}
		fmt.Println(http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("clientProtocol") {
				aspnet.ServeHTTP(w, r)
			} else {
				s.ServeHTTP(w, r)
			}
		})))
		os.Exit(1)
	}
	if len(os.Args) >= 3 && os.Args[1] == "serve-app" {
		app := "" // a sticky one binds its clients
		if strings.Join(os.Args[3:], " ") == "--sticky required" {
			app = fmt.Sprint("&app=", os.Getpid())
		}
		l, err := net.Listen("tcp", os.Args[2])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		endpoint, _, _ := strings.Cut(strings.TrimPrefix(os.Getenv("SIGNALRELAY_CONNECTION"), "Endpoint="), ";")
		fmt.Println("CONNECTED")
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/bench/negotiate":
				fmt.Fprintf(w, `{"negotiateVersion":0,"url":"%s/service?hub=bench%s","accessToken":"secret"}`, endpoint, app)
			case "/signalr/negotiate":
				fmt.Fprintf(w, `{"ProtocolVersion":"2.0","RedirectUrl":"%s/service?hub=bench%s","AccessToken":"secret"}`, endpoint, app)
			default:
				http.NotFound(w, r)
			}
		}))
	}
	os.Exit(m.Run())
}
