package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A player is one run of a transcript. Everything but the inbox and the places is
// its one goroutine's.
type player struct {
	ctx   context.Context
	stop  context.CancelFunc // ends ctx
	t     *Transcript
	o     Options
	now   time.Time // of captures, so that a token says the same each time
	names captures
	calls *Caller
	http  *http.Client

	inbox    *inbox
	apps     map[string]*ws.Conn           // by connection, as long as they are open
	clients  map[string]*ws.Conn           // likewise
	streams  map[string]context.CancelFunc // requests that are under way, by connection, and event streams by client
	carriers map[string]int                // how many a client has had
	gone     map[string]bool               // connections that the relay has ended
	ended    map[string]bool               // those whose end came in place of another message, as a rule allows
	givenUp  map[string]bool               // requests that the client gave up: an answer may cross that
	readers  sync.WaitGroup                // of what comes, and who hangs up

	home      place                 // where the hub is
	places    *places               // where its connections are
	connected map[string]*connected // clients that said Connect
	lastStep  map[string]time.Time  // when it was, by connection

	servers map[string]string // server id, by server connection
	placed  map[string]string // server connection that serves a client, by connection id, where it is not the recorded one
	surplus map[string][]byte // of a client's bytes, what came before it was looked for
}

// newPlayer returns a player that has said nothing yet. Its run ends it.
func newPlayer(ctx context.Context, t *Transcript, o Options) (*player, error) {
	var home place
	if o.Hub {
		var err error
		if home, err = placeOf(o.URL); err != nil {
			return nil, fmt.Errorf("replay %s: %w", t.Name, err)
		}
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	at, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", t.Name, err)
	}
	calls := &Caller{At: at, Header: o.Header}
	ctx, stop := context.WithCancel(ctx)
	p := &player{
		ctx: ctx, stop: stop, t: t, o: o, now: time.Now(), names: captures{}, inbox: newInbox(ctx.Done(), calls),
		calls: calls, http: calls.Client(&http.Transport{DisableCompression: true}),
		apps: map[string]*ws.Conn{}, clients: map[string]*ws.Conn{}, streams: map[string]context.CancelFunc{},
		carriers: map[string]int{}, gone: map[string]bool{}, ended: map[string]bool{}, givenUp: map[string]bool{},
		home: home, places: &places{last: home}, connected: map[string]*connected{}, lastStep: map[string]time.Time{},
		servers: map[string]string{}, placed: map[string]string{}, surplus: map[string][]byte{},
	}
	maps.Copy(p.names, o.Names)
	return p, nil
}

// run takes each step of the transcript and looks for what is left over, then
// hangs up. It runs once.
func (p *player) run(step func(at int, s Step) error, leftOver func() error) error {
	defer p.http.CloseIdleConnections()
	defer p.readers.Wait() // they end with ctx, which closes all that they read
	defer p.stop()
	for i, s := range p.t.Steps {
		err := step(i, s)
		p.lastStep[s.Conn] = time.Now()
		if d := (*Difference)(nil); errors.As(err, &d) {
			return d
		}
		if err != nil {
			return fmt.Errorf("replay %s: line %d: %w", p.t.Name, s.Line, err)
		}
	}
	return leftOver()
}

// step says what the transcript says, or waits for it.
func (p *player) step(at int, s Step) error {
	switch s.Who {
	case App:
		return p.app(s)
	case Client:
		return p.client(at, s)
	case Relay, Server:
		return p.expect(at, s)
	}
	return nil
}

// app does what an app server does.
func (p *player) app(s Step) error {
	switch said := s.Said.(type) {
	case Request:
		c, err := p.dial(s.Conn, said)
		if err != nil || c == nil {
			return err
		}
		p.apps[s.Conn] = c
		p.servers[s.Conn] = get(said.Header, "X-ASRS-Server-Id")
		p.readers.Go(func() { p.inbox.put(s.Conn, readFrames(c, p.inbox, s.Conn)) })
		return nil
	case Frame:
		frame, err := p.encode(said)
		if err != nil {
			return err
		}
		return p.write(p.apps, p.serving(s.Conn, said), ws.Binary, frame)
	}
	return endSocket(p.apps, s)
}

// encode is the frame that the app server sends.
func (p *player) encode(f Frame) ([]byte, error) {
	if f.Hex != nil {
		frame, err := p.names.expand(string(f.Hex), p.now)
		return []byte(frame), err
	}
	m := cloneMessage(f.Message)
	var missing error
	eachText(reflect.ValueOf(m), func(s string) string {
		s, err := p.names.expand(s, p.now)
		missing = errors.Join(missing, err)
		return s
	})
	return sp.Append(nil, m), missing
}

// client does what a client does.
func (p *player) client(at int, s Step) error {
	if c, ok := s.Said.(Connect); ok {
		return p.connect(at, s.Conn, c)
	}
	if c := p.connected[s.Conn]; c != nil {
		return p.byConnected(at, s, c)
	}
	switch said := s.Said.(type) {
	case Request:
		return p.request(s.Conn, said)
	case Data:
		return p.say(s.Conn, said)
	case Drop:
		if stop := p.streams[s.Conn]; stop != nil {
			p.givenUp[s.Conn] = true
			stop()
			return nil
		}
	}
	return endSocket(p.clients, s)
}

// say sends what a client says on its WebSocket.
func (p *player) say(conn string, d Data) error {
	data, err := p.names.expandBytes(d.Bytes, p.now)
	if err != nil {
		return err
	}
	op := ws.Text
	if d.Kind == Binary {
		op = ws.Binary
	}
	return p.write(p.clients, conn, op, data)
}

// write sends one WebSocket message. When the relay has ended the connection
// already, that it cannot be sent is no wonder.
func (p *player) write(open map[string]*ws.Conn, conn string, op byte, data []byte) error {
	c := open[conn]
	if c == nil {
		return errors.New("the connection is not open")
	}
	err := c.Write(op, data)
	switch {
	case err == nil || p.over(conn):
		return nil
	case p.ctx.Err() != nil: // which has closed the connection
		return fmt.Errorf("write what the other end does not read: %w", p.ctx.Err())
	}
	return err
}

// opClose is the opcode of a close frame (RFC 6455 section 5.2).
const opClose = 0x8

// endSocket closes or cuts a WebSocket. One that the relay has closed already
// needs nothing.
func endSocket(open map[string]*ws.Conn, s Step) error {
	c := open[s.Conn]
	if c == nil {
		return nil
	}
	switch said := s.Said.(type) {
	case Close:
		var payload []byte
		if said.Code != 0 {
			payload = append(binary.BigEndian.AppendUint16(nil, uint16(said.Code)), said.Reason...)
		}
		// Not Close, which would take the answer from the reader.
		_ = c.Write(opClose, payload)
	case Drop:
		delete(open, s.Conn)
		c.NetConn().Close()
	default:
		return fmt.Errorf("%s cannot be said there", s)
	}
	return nil
}

// tokenIn finds the client in a request's target.
var tokenIn = regexp.MustCompile(`[?&]id=\$\{(\w+)token\}`)

// carrier names the client that a request is about: c1, and c1-2 when it is the
// second request that carries it for good.
func (p *player) carrier(conn string, r Request) string {
	name := conn
	if found := tokenIn.FindStringSubmatch(r.Target); found != nil {
		name = found[1]
	}
	p.carriers[name]++
	if n := p.carriers[name]; n > 1 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	return name
}

// carriedClient names the client of a carrier: c1 of c1-2.
func carriedClient(carrier string) string {
	client, _, _ := strings.Cut(carrier, "-")
	return client
}

// hangUpAtEnd closes a WebSocket when ctx ends, as it does with the run at the
// latest. Nobody then waits in it any longer: neither its reader nor the player,
// who may be writing to an end that does not read.
func (p *player) hangUpAtEnd(c *ws.Conn) {
	p.readers.Go(func() {
		<-p.ctx.Done()
		c.NetConn().Close()
	})
}

// barrier is an ack id that no transcript has.
const barrier = 1<<30 + 1

// leftOver looks for messages that came and should not have. Every connection
// that is still open, of a server or of a client by WebSocket, answers a question
// first, and by then has sent all that it had to.
func (p *player) leftOver() error {
	for conn, c := range p.apps {
		if p.gone[conn] || !p.joined(conn) {
			continue
		}
		ask := sp.Append(nil, &sp.CheckConnectionExistenceWithAck{ConnectionID: "nobody", AckID: barrier})
		if c.Write(ws.Binary, ask) != nil {
			continue // the relay has ended it, and the inbox says so
		}
		if _, _, ok := p.inbox.take([]string{conn}, isBarrier, p.o.Patience); !ok {
			return p.differ(len(p.t.Steps), conn, "an answer to a last question", nil)
		}
	}
	p.settle()
	for _, conn := range p.inbox.conns() {
		for _, s := range p.inbox.rest(conn) {
			if !p.passedOver(conn, s) && !isEnd(s) {
				return p.differ(len(p.t.Steps), conn, "nothing more", s)
			}
		}
	}
	for client, rest := range p.surplus {
		if len(rest) > 0 {
			return p.differ(len(p.t.Steps), client, "nothing more", Data{Text, rest})
		}
	}
	return nil
}

func isBarrier(s Saying) bool {
	f, ok := s.(Frame)
	if !ok {
		return false
	}
	a, ok := f.Message.(*sp.Ack)
	return ok && a.AckID == barrier
}

func isEnd(s Saying) bool {
	switch s.(type) {
	case Close, Drop:
		return true
	}
	return false
}

// over says whether the relay has ended a connection.
func (p *player) over(conn string) bool {
	return p.gone[conn] || slices.ContainsFunc(p.inbox.rest(conn), isEnd)
}

// joined says whether the relay took the handshake of a server connection and
// was not told of its shutdown.
func (p *player) joined(conn string) bool {
	in := false
	for _, s := range p.t.Steps {
		if f, ok := s.Said.(Frame); ok && s.Conn == conn {
			switch m := f.Message.(type) {
			case *sp.HandshakeResponse:
				in = m.Error == ""
			case *sp.Ping:
				if len(m.Words) > 1 && m.Words[0] == "shutdown" && s.Who == App {
					return false
				}
			}
		}
	}
	return in
}
