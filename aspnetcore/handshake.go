package aspnetcore

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/transport"
)

// maxHandshake is the size up to which a handshake request is waited for, as
// a hub would by default (core-client-protocol 4.1).
const maxHandshake = 32 << 10

const (
	badHandshake = "An unexpected error occurred during connection handshake."
	noServer     = "No server available."
	noBinary     = "Cannot use the '%' protocol on the current transport. The transport does not support 'Binary' transfer format."
)

// shake reads the hub handshake as far as needed to know the hub protocol,
// and hands the client to its hub. The answer is the hub's (service-protocol
// 7.2); what follows the request goes with it.
func (s *session) shake(p []byte, f transport.Frame) error {
	st := s.start
	if st == nil {
		return nil // refused; the close is on its way
	}
	st.early = append(st.early, p...)
	end := bytes.IndexByte(st.early, recordSeparator) + 1
	if end == 0 {
		if len(st.early) > maxHandshake {
			s.refuse(badHandshake, relay.HandshakeError)
		}
		return nil
	}
	h, err := parseHandshake(st.early[:end-1])
	if err != nil {
		s.refuse(badHandshake, relay.HandshakeError)
		return nil
	}
	kind := framingOf(h.Protocol)
	if kind == packed && s.conn.Kind() == transport.EventStream { // the hub cannot know
		s.refuse(strings.Replace(noBinary, "%", h.Protocol, 1), relay.HandshakeError)
		return nil
	}

	// Outputs may come before Connect returns.
	s.out.Lock()
	s.protocol, s.framing = h.Protocol, kind
	s.asText = kind == text || kind == opaque && f.Text
	if st.stateful && h.Version >= 2 && s.conn.Kind() == transport.WebSocket && kind != opaque {
		s.stateful = &stateful{}
		s.conn.SetGrace(statefulGrace)
	}
	s.out.Unlock()

	early, rest := st.early, []byte(nil)
	if s.stateful != nil { // what follows is counted first
		early, rest = st.early[:end:end], st.early[end:]
	} else {
		s.border.pass(kind, st.early[end:])
	}
	c, err := s.hub.Connect(s.a.Context, relay.Connect{
		ID: s.id, User: st.token.User, HasUser: st.token.HasUser, Protocol: h.Protocol,
		ServerID: st.token.ServerID, Sticky: aspnet.Stickiness(st.token.Sticky),
		Opening: relay.Opening{Claims: st.token.Claims, Headers: st.headers, Query: st.query, Handshake: st.early[:end:end], Early: early},
	}, s)
	s.start = nil
	if err != nil {
		s.a.Logger.Debug("client not connected", "hub", s.hub.Name, "connection", s.id, "error", err)
		s.refuse(noServer, relay.NoAvailableServerConnection)
		return nil
	}
	s.client.Store(c)
	if len(rest) > 0 {
		return s.takeCounted(c, rest, true)
	}
	return nil
}

type handshake struct {
	Protocol string `json:"protocol"`
	Version  int    `json:"version"`
}

var errNoProtocol = errors.New("no protocol")

// parseHandshake reads a handshake request without its separator. Text behind
// the object is ignored, as .NET does. Names of the protocols that every app
// has are folded to how apps write them: the SDK answers with the name as we
// spell it (service-protocol 6.6).
func parseHandshake(p []byte) (h handshake, err error) {
	if err = json.NewDecoder(bytes.NewReader(p)).Decode(&h); err != nil {
		return h, err
	}
	if h.Protocol == "" {
		return h, errNoProtocol
	}
	for _, known := range [...]string{"json", "messagepack", "blazorpack"} {
		if strings.EqualFold(h.Protocol, known) {
			h.Protocol = known // all sessions share the one text
		}
	}
	return h, nil
}

// refuse ends a session that has not joined a hub with a handshake error;
// s.in is held.
func (s *session) refuse(text string, c relay.Category) {
	s.start = nil
	s.Close(relay.Reason{Category: c, Text: text})
}

const statefulGrace = 15 * time.Second // core-client-protocol 8.6
