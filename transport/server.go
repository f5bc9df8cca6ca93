package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Options configure a Server. The zero value is sane.
type Options struct {
	Logger         *slog.Logger  // nil: slog.Default
	MaxURI         int           // longest request target in bytes, 414 above; 0 means 12 KiB
	MaxHeader      int           // longest header block in bytes, 431 above; 0 means 16 KiB
	MaxBody        int           // largest body in bytes, 413 above; 0 means 4 MiB
	WriteTimeout   time.Duration // a socket that takes nothing for this long is lost; 0 means 10 s
	CloseTimeout   time.Duration // how long the peer's close frame is waited for; 0 means 5 s
	AllowedOrigins []string      // origins of pages that may use the server; empty or "*" means all

	// AdmitBody is asked before a body of more than 64 KiB, or of unknown
	// length, is read into memory; false is 413. Nil admits all.
	AdmitBody func(target, authorization string) bool
}

const (
	maxURI    = 12 << 10
	maxHead   = 16 << 10
	maxBody   = 4 << 20
	freeBody  = 64 << 10 // bodies up to this size need not be admitted
	readBytes = 32 << 10 // fasthttp refuses longer heads by itself, without our CORS headers
)

// A Handler serves one HTTP request: exactly one Reply or Carry.
type Handler func(x *Exchange)

// A Server accepts connections and runs its Handler. All methods may be
// called concurrently.
type Server struct {
	handler Handler
	o       Options
	log     *slog.Logger
	http    *fasthttp.Server
	stats   Stats

	stopping atomic.Bool
	wg       sync.WaitGroup // carriers, writers, finishes

	mu      sync.Mutex
	listen  []net.Listener
	conns   map[*Conn]struct{}
	sockets map[*socket]*Conn
	sweeper chan struct{} // closed to end the sweeper; nil before the first Serve
	swept   bool          // sweeper is closed
}

// NewServer returns a Server that serves nothing yet.
func NewServer(h Handler, o Options) *Server {
	def(&o.MaxURI, maxURI)
	def(&o.MaxHeader, maxHead)
	def(&o.MaxBody, maxBody)
	def(&o.WriteTimeout, 10*time.Second)
	def(&o.CloseTimeout, 5*time.Second)
	s := &Server{handler: h, o: o, log: o.Logger, conns: map[*Conn]struct{}{}, sockets: map[*socket]*Conn{}}
	if s.log == nil {
		s.log = slog.Default()
	}
	// The settings that the hijacks rely on have a test each (fasthttp_test.go).
	s.http = &fasthttp.Server{
		Handler: s.serve, HeaderReceived: s.admit, KeepHijackedConns: true, ReduceMemoryUsage: true,
		ReadBufferSize: readBytes, MaxRequestBodySize: o.MaxBody,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: idleTimeout,
		NoDefaultServerHeader: true, NoDefaultContentType: true, DisableHeaderNamesNormalizing: true,
		DisablePreParseMultipartForm: true, Logger: quiet{s.log}, ErrorHandler: s.refuse,
	}
	return s
}

// admit limits the body of a request whose head has been read.
func (s *Server) admit(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	const chunked = -1 // of all bodies of unknown length, requests have this
	if n := h.ContentLength(); n != chunked && n <= freeBody || s.o.AdmitBody == nil {
		return c
	}
	var authorization string
	for k, v := range h.All() { // names are as they came, and Peek looks for one spelling
		if strings.EqualFold(string(k), "Authorization") {
			authorization = string(v)
			break
		}
	}
	if !s.o.AdmitBody(string(h.RequestURI()), authorization) {
		c.MaxRequestBodySize = 1
	}
	return c
}

func def[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// quiet turns fasthttp's log into debug lines: what it has to say is the
// peers' doing.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("http", "message", fmt.Sprintf(format, args...))
}

// Serve accepts connections until the listener or the server is closed. It
// may be called with several listeners, plain or TLS.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopping.Load() {
		s.mu.Unlock()
		return l.Close()
	}
	s.listen = append(s.listen, l)
	if s.sweeper == nil {
		s.sweeper = make(chan struct{})
		s.wg.Add(1)
		go s.sweep(s.sweeper) // ends with Shutdown
	}
	s.mu.Unlock()
	return s.http.Serve(l)
}

// Stats returns the counters.
func (s *Server) Stats() *Stats { return &s.stats }

// Len returns the number of live Conns.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) add(c *Conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// sweep looks after everything that can take too long, once a second: one
// timer for all.
func (s *Server) sweep(stop chan struct{}) {
	defer s.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var all []*Conn
	for {
		select {
		case <-stop:
			return
		case now := <-t.C:
			s.mu.Lock()
			for c := range s.conns {
				all = append(all, c)
			}
			s.mu.Unlock()
			for _, c := range all {
				c.tick(now)
			}
			clear(all)
			all = all[:0]
		}
	}
}

// start starts the owner of a hijacked socket.
func (s *Server) start(k *carrier) {
	s.mu.Lock()
	s.sockets[k.sock] = k.conn
	s.mu.Unlock()
	s.wg.Add(1)
	go s.own(k) // ends with its socket
}

func (s *Server) own(k *carrier) {
	folds := false
	defer func() {
		if !folds {
			s.disown(k)
		}
	}()
	defer s.contain("carrier", k.conn)
	if k.kind == LongPoll {
		k.servePoll()
	} else if folds = k.serve(); folds {
		go s.park(k) // owns k from now on
	}
}

// park owns a carrier that has been idle for a while. Work makes a stack grow
// to 4 KiB and more, from where the runtime does not take it back; so an owner
// that has nothing to do hands over to a new goroutine, which only waits.
func (s *Server) park(k *carrier) {
	k.sock.readable() // whatever ends the wait, own finds out
	k.unfold()
	s.own(k)
}

func (s *Server) disown(k *carrier) {
	s.mu.Lock()
	delete(s.sockets, k.sock)
	s.mu.Unlock()
	s.wg.Done()
}

// contain keeps a panic to the connection it happened in.
func (s *Server) contain(where string, c *Conn) {
	p := recover()
	if p == nil {
		return
	}
	s.stats.Panics.Add(1)
	s.log.Error("panic", "where", where, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if c != nil {
		go c.Cut(ErrPanic) // whoever panicked may hold a lock of the Conn
	}
}

// Shutdown stops accepting, waits until every Conn and request has ended, and
// cuts what is left when ctx is done. Close Conns first: Shutdown does not.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping.Store(true)
	listen := s.listen
	s.mu.Unlock()
	err := s.http.ShutdownWithContext(ctx)
	for _, l := range listen { // also those that the HTTP server has not come to know
		l.Close()
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		s.mu.Lock()
		n := len(s.conns)
		left := make([]*Conn, 0, n)
		for c := range s.conns {
			left = append(left, c)
		}
		for k, c := range s.sockets {
			if n == 0 || ctx.Err() != nil {
				c.mu.Lock()
				k.close()
				c.mu.Unlock()
			}
		}
		s.mu.Unlock()
		if ctx.Err() != nil {
			for _, c := range left {
				c.Cut(ErrClosed)
			}
		}
		if n == 0 {
			tick.Stop()
			break
		}
		done := ctx.Done()
		if ctx.Err() != nil {
			done = nil // only a Receiver that does not return is left
		}
		select {
		case <-tick.C:
		case <-done:
		}
	}
	s.mu.Lock()
	if s.sweeper != nil && !s.swept {
		s.swept = true
		close(s.sweeper)
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// refuse answers a request that the HTTP server could not read.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	r := Response{Status: 400, Type: "text/plain", Body: []byte("Bad request")}
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small):
		r.Status, r.Body = 431, []byte("Request header fields too large")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		r.Status, r.Body = 413, []byte("Body too large")
	case errors.As(err, &timeout) && timeout.Timeout():
		r.Status, r.Body = 408, []byte("Request timeout")
	}
	newExchange(s, ctx).Reply(r)
}
