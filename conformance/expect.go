package conformance

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// handshaken answers a hub handshake (core-client-protocol 4.2).
var handshaken = []byte("{}" + separator)

// expect takes from a connection what a step of the relay says must come.
func (p *player) expect(at int, s Step) error {
	if data, ok := s.Said.(Data); ok && data.Kind != Event {
		cut := &hubCutter{shaken: !bytes.HasPrefix(data.Bytes, handshaken), binary: data.Kind == Binary, names: p.names}
		for _, m := range cut.cut(bytes.Clone(data.Bytes)) {
			if err := p.expectOne(at, s, Data{data.Kind, m}); err != nil {
				return err
			}
		}
		return nil
	}
	return p.expectOne(at, s, s.Said)
}

// expectOne takes one thing. What a rule lets stand for it counts as it.
func (p *player) expectOne(at int, s Step, want Saying) error {
	if p.ignored(s.Conn, want) {
		return nil
	}
	if isEnd(want) && p.ended[s.Conn] {
		delete(p.ended, s.Conn)
		return nil
	}
	s.Said = want
	got, on, ok := p.take(s, want)
	if !ok {
		if r := p.mayLack(s); r != nil {
			r.used.Add(1)
			return nil
		}
		return p.differ(at, s.Conn, s.String(), nil)
	}
	if early := time.Since(p.lastStep[s.Conn]); early < s.After {
		d := p.differ(at, s.Conn, s.String(), got)
		d.Diff = fmt.Sprintf("after %v\n", early.Round(time.Millisecond))
		return d
	}
	wanted, diff := p.compare(want, got)
	if diff != "" {
		if r := p.mayLack(s); r != nil {
			r.used.Add(1)
			p.inbox.back(on, got)
			return nil
		}
		if err := p.differs(at, s, wanted, got, diff); err != nil {
			return err
		}
	}
	if isEnd(got) {
		p.gone[s.Conn], p.ended[s.Conn] = true, !isEnd(want)
	}
	return nil
}

// take waits for what may be the answer to want, and says where it came.
func (p *player) take(s Step, want Saying) (Saying, string, bool) {
	patience := p.o.Patience
	if s.Within > 0 {
		patience = s.Within - time.Since(p.lastStep[s.Conn])
	}
	f, _ := want.(Frame)
	switch m := f.Message.(type) {
	case *sp.OpenConnection:
		return p.takeOpen(s.Conn, want, patience)
	case *sp.ConnectionData:
		if !m.Partial {
			return p.takeData(s.Conn, want, m, patience)
		}
	}
	if p.mayLack(s) != nil {
		patience /= 10
	}
	conn := p.serving(s.Conn, want)
	return p.inbox.take([]string{conn}, p.fits(conn, want), patience)
}

// fits says what may be the answer to want: what comes next in its flow.
func (p *player) fits(conn string, want Saying) func(Saying) bool {
	if f, ok := want.(Frame); ok && f.Message != nil && f.Message.Type() == sp.TypeOpenConnection {
		if _, err := p.names.expand(clientOf(f), p.now); err != nil {
			// Nobody has told this client's id yet: it is whoever is new.
			return func(got Saying) bool {
				g, ok := got.(Frame)
				return ok && g.Message != nil && g.Message.Type() == sp.TypeOpenConnection
			}
		}
	}
	flow := p.flow(conn, want)
	return func(got Saying) bool {
		return got == flooded || !p.passedOver(conn, got) && p.flow(conn, got) == flow
	}
}

// takeOpen waits for a new client. Which connection of the same app server gets
// it is the relay's choice (service-protocol 3.7); the player goes along.
func (p *player) takeOpen(conn string, want Saying, patience time.Duration) (Saying, string, bool) {
	conns := []string{conn}
	for other, server := range p.servers {
		if other != conn && server == p.servers[conn] && p.apps[other] != nil {
			conns = append(conns, other)
		}
	}
	got, on, ok := p.inbox.take(conns, p.fits(conn, want), patience)
	if ok && on != conn {
		p.placed[clientOf(got)] = on
	}
	return got, on, ok
}

// takeData waits for bytes of a client, for each slice as long as patience says.
// How they are sliced means nothing (service-protocol 7.6), so what came too early
// is kept.
func (p *player) takeData(conn string, want Saying, m *sp.ConnectionData, patience time.Duration) (Saying, string, bool) {
	conn = p.serving(conn, want)
	id, _ := p.names.expand(m.ConnectionID, p.now)
	text, _ := p.names.expand(string(m.Data), p.now)
	came := &sp.ConnectionData{ConnectionID: id}
	data := p.surplus[id]
	for len(data) < len(text) {
		got, _, ok := p.inbox.take([]string{conn}, p.fits(conn, want), patience)
		if !ok {
			return Frame{Message: &sp.ConnectionData{ConnectionID: id, Data: data}}, conn, len(data) > 0
		}
		f, _ := got.(Frame)
		next, ok := f.Message.(*sp.ConnectionData)
		if !ok {
			return got, conn, true
		}
		data = append(data[:len(data):len(data)], next.Data...)
		next.Data = nil
		came = next
	}
	came.Data, p.surplus[id] = data[:len(text)], data[len(text):]
	return Frame{Message: came}, conn, true
}

// serving is the server connection on which a message about one client goes.
func (p *player) serving(conn string, s Saying) string {
	id, _ := p.names.expand(clientOf(s), p.now)
	if on := p.placed[id]; on != "" && p.servers[on] == p.servers[conn] {
		return on
	}
	return conn
}

// clientOf is the client that a service message is about, empty for none.
func clientOf(s Saying) string {
	f, ok := s.(Frame)
	if !ok || f.Message == nil || f.Message.Type() == sp.TypeHandshakeResponse {
		return ""
	}
	if id := reflect.ValueOf(f.Message).Elem().FieldByName("ConnectionID"); id.IsValid() {
		return id.String()
	}
	return ""
}

// flow names the part of a connection that keeps its order: for a server
// connection each client, acks and the rest (service-protocol 7.4); for a client
// everything, but for the acks of the hub protocol, which come by the clock.
func (p *player) flow(conn string, s Saying) string {
	if d, ok := s.(Data); ok && hubType(d.Bytes) == hubAck && p.stateful(conn) {
		return "ack"
	}
	f, ok := s.(Frame)
	if !ok || f.Message == nil {
		return ""
	}
	if f.Message.Type() == sp.TypeAck {
		return "ack"
	}
	if f.Message.Type() == sp.TypePing {
		return "ping"
	}
	if id := clientOf(s); id != "" {
		id, _ = p.names.expand(id, p.now)
		return "client " + id
	}
	return ""
}

// ignored says which messages are no part of a scenario: pings without words,
// pings whose word the relay never said on this connection in the transcript,
// the pings of the hub protocol and the acks of a client with stateful reconnect,
// which come by the clock, and answers to requests that the client gave up.
func (p *player) ignored(conn string, s Saying) bool {
	switch s := s.(type) {
	case Frame:
		m, ok := s.Message.(*sp.Ping)
		if !ok {
			return false
		}
		if len(m.Words) == 0 {
			return true
		}
		return !slices.ContainsFunc(p.t.Steps, func(step Step) bool {
			f, _ := step.Said.(Frame)
			said, ok := f.Message.(*sp.Ping)
			return ok && step.Who.judged() && step.Conn == conn && len(said.Words) > 0 && said.Words[0] == m.Words[0]
		})
	case Response:
		return p.givenUp[conn]
	case Data:
		kind := hubType(s.Bytes)
		return (kind == hubPing || kind == hubAck && p.stateful(conn)) && !p.timed(conn, kind)
	}
	return false
}

// passedOver says which messages that came are not looked at: what is ignored,
// and what the options say.
func (p *player) passedOver(conn string, s Saying) bool {
	return p.ignored(conn, s) || p.o.Ignore != nil && p.o.Ignore(conn, s)
}

// timed says whether a step waits for a message of a type, within a time.
func (p *player) timed(conn string, kind int) bool {
	return slices.ContainsFunc(p.t.Steps, func(s Step) bool {
		d, ok := s.Said.(Data)
		return ok && s.Who.judged() && s.Conn == conn && s.Within > 0 && hubType(d.Bytes) == kind
	})
}
