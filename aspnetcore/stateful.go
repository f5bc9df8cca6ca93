package aspnetcore

import (
	"errors"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/transport"
)

// Stateful reconnect is a matter between the client and us: the hub knows
// nothing of it (service-protocol 11.1, core-client-protocol 8). Messages of
// type 1 to 5 are counted in both directions, their numbers are not on the
// wire. We keep what we sent until the client acknowledges it, and send it
// again on its next socket.

const (
	// maxUnacked is how much may wait for acknowledgement, which comes once
	// a second. Self-hosted servers push back at 100 kB; we cannot, for the
	// app's connection serves others too.
	maxUnacked = 16 << 20
	// resumeTimeout is how long a socket that resumes may take for its
	// Sequence: JavaScript leaves silent ones behind (8.7).
	resumeTimeout = 5 * time.Second
)

var (
	errUnacked  = errors.New("client does not acknowledge")
	errSequence = errors.New("sequence id is ahead of what was received")
)

// stateful is the state of one client's stateful reconnect.
type stateful struct {
	// Guarded by session.out.
	lastSent int64    // number of the last message sent
	unacked  [][]byte // the messages lastSent-len(unacked)+1 to lastSent
	size     int      // bytes of unacked

	// Guarded by session.in, resumed by session.out as well.
	received int64  // highest number received
	running  int64  // number of the message received last; below received while the client repeats itself
	acked    int64  // what we acknowledged last
	rest     []byte // the beginning of a message
	resumed  time.Time
}

// sent counts and keeps one message; session.out is held.
func (t *stateful) sent(f framing, m []byte) error {
	if k := f.typeOf(m); k < 1 || k > typeCancel {
		return nil
	}
	t.lastSent++
	t.unacked = append(t.unacked, m)
	if t.size += len(m); t.size > maxUnacked && len(t.unacked) > 1 {
		return errUnacked
	}
	return nil
}

// ack forgets what the client has; session.out is held.
func (t *stateful) ack(id int64) {
	first := t.lastSent - int64(len(t.unacked)) + 1
	for len(t.unacked) > 0 && first <= id {
		t.size -= len(t.unacked[0])
		t.unacked[0] = nil
		t.unacked = t.unacked[1:]
		first++
	}
	if len(t.unacked) == 0 {
		t.unacked = nil
	}
}

// takeCounted takes bytes of a stateful client: only whole messages, each
// once, and none that concern the counting, go to the app. First says that they
// are a new socket's.
func (s *session) takeCounted(c *relay.Client, p []byte, first bool) error {
	t := s.stateful
	if first {
		t.rest = nil
	}
	if len(t.rest) > 0 {
		p = append(t.rest, p...)
		t.rest = nil
	}
	var forward []byte
	for len(p) > 0 {
		n, err := s.framing.first(p)
		if err != nil {
			return err
		}
		if n == 0 {
			if int64(len(p)) > s.a.o.MaxMessage {
				return transport.ErrTooLarge
			}
			t.rest = append([]byte(nil), p...)
			break
		}
		m := p[:n]
		p = p[n:]
		ours, err := s.takeOne(m)
		if err != nil { // it may begin anew (core-client-protocol 8.5)
			s.hangup(relay.Reason{Category: relay.BadRequest, Text: "Connection closed with an error.", AllowReconnect: true})
			return nil
		}
		if !ours {
			forward = append(forward, m...)
		}
	}
	if len(forward) == 0 {
		return nil
	}
	return s.pass(c, forward, s.mayMove()) // only whole messages are passed, so the border stands
}

// takeOne says whether a message is for us alone.
func (s *session) takeOne(m []byte) (ours bool, err error) {
	t := s.stateful
	s.out.Lock()
	defer s.out.Unlock()
	switch k := s.framing.typeOf(m); {
	case k == typeAck:
		if id, ok := s.framing.counterOf(m); ok {
			t.ack(id)
		}
		return true, nil
	case k == typeSequence:
		id, ok := s.framing.counterOf(m)
		if !ok || id > t.received+1 {
			return true, errSequence
		}
		t.running = id - 1
		t.resumed = time.Time{}
		return true, nil
	case k >= 1 && k <= typeCancel:
		if t.running++; t.running <= t.received {
			t.acked = -1 // .NET needs to hear again that we have it (8.3)
			return true, nil
		}
		t.received = t.running
	}
	return false, nil
}

// resume prepares a session for its next socket, if it may have one. A socket
// that still looks alive ends, as with self-hosted servers (8.6).
func (s *session) resume() {
	s.out.Lock()
	defer s.out.Unlock()
	t := s.stateful
	if t == nil || s.closing || !s.answered {
		return
	}
	// Sequence comes first: JavaScript drops everything before it.
	again := []transport.Queued{{Data: s.framing.counter(typeSequence, t.lastSent-int64(len(t.unacked))+1), Text: s.asText}}
	for _, m := range t.unacked {
		again = append(again, transport.Queued{Data: m, Text: s.asText})
	}
	s.conn.Restart(again)
	t.resumed = time.Now()
}

// tickStateful acknowledges what has come, once a second.
func (s *session) tickStateful(now time.Time) {
	s.out.Lock()
	defer s.out.Unlock()
	t := s.stateful
	if t == nil || s.closing || !s.answered {
		return
	}
	if !t.resumed.IsZero() && now.Sub(t.resumed) > resumeTimeout && s.conn.Carried() {
		s.lost(transport.ErrTimeout)
		return
	}
	if t.received != t.acked && s.conn.Carried() {
		t.acked = t.received
		s.send(s.framing.counter(typeAck, t.received), 0)
	}
}
