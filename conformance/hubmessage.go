package conformance

import (
	"bytes"
	"encoding/json"

	"github.com/tinylib/msgp/msgp"
)

// Types of hub messages (core-client-protocol 5.1). Pings and acks come by the
// clock.
const hubItem, hubCompletion, hubStream, hubCancel, hubPing, hubClose, hubAck = 2, 3, 4, 5, 6, 7, 8

// A hubCutter cuts a client's bytes into hub messages, so that it does not
// matter which of them shared a WebSocket message.
type hubCutter struct {
	binary bool // messagepack, after the handshake
	shaken bool
	// stream says that a message may come in pieces: rest is what has come of it.
	stream bool
	rest   []byte
	// names says that the bytes are those of a transcript, with captures in them.
	names captures
}

// cut returns the messages that are whole. Where nothing is kept the rest comes
// last, shown as it came.
func (h *hubCutter) cut(data []byte) (all [][]byte) {
	from := len(h.rest) // where none of what has come ends
	if h.stream {
		data, h.rest = append(h.rest, data...), nil
	}
	for ; len(data) > 0; from = 0 {
		n := 0
		if i := bytes.IndexByte(data[from:], separator[0]); i >= 0 {
			n = from + i + 1
		}
		if h.shaken && h.binary {
			n = h.packedSize(data)
		}
		if n <= 0 || n > len(data) {
			if h.stream {
				h.rest = data
				return all
			}
			n = len(data)
		}
		all = append(all, data[:n:n])
		data = data[n:]
		h.shaken = true
	}
	return all
}

// packedSize is packedSize for a message of a transcript too, whose captures are
// not as long as what they stand for.
func (h *hubCutter) packedSize(data []byte) int {
	if h.names != nil {
		if m, ok := h.names.readPacked(data); ok {
			return len(m.text)
		}
	}
	return packedSize(data)
}

// binary says whether a client's handshake asks for messagepack.
func (p *player) binary(conn string) bool {
	return bytes.Contains(p.handshake(conn), []byte(`"messagepack"`))
}

// stateful says whether a client's handshake may be for stateful reconnect, which
// wants version 2 (core-client-protocol 8.1).
func (p *player) stateful(conn string) bool {
	var says struct{ Version int }
	first, _, _ := bytes.Cut(p.handshake(conn), []byte(separator))
	return json.Unmarshal(first, &says) == nil && says.Version >= 2
}

// handshake is what a client says first in the transcript.
func (p *player) handshake(conn string) []byte {
	client := carriedClient(conn)
	for _, s := range p.t.Steps {
		if d, ok := s.Said.(Data); ok && s.Conn == client && s.Who == Client {
			return d.Bytes
		}
	}
	return nil
}

// hubType is the type of a hub message, 0 where it has none.
func hubType(m []byte) int {
	if n, head := packedLength(m); n > 0 && head+n == len(m) && isArray(m[head]) { // before json, since what ends it may look like a separator
		_, rest, err := msgp.ReadArrayHeaderBytes(m[head:])
		if err != nil {
			return 0
		}
		kind, _, _ := msgp.ReadIntBytes(rest) // 0 where there is no number
		return kind
	}
	if body, ok := bytes.CutSuffix(m, []byte(separator)); ok {
		var has struct{ Type int }
		if bytes.Contains(body, []byte(`"type"`)) && json.Unmarshal(body, &has) == nil {
			return has.Type
		}
	}
	return 0
}

// hubCall is the type of a hub message and the id of the call it belongs to, 0
// where it has none.
func hubCall(m []byte) (kind int, id string) {
	if v, ok := unpack(m); ok {
		all, _ := v.([]any)
		if len(all) < 3 {
			return 0, ""
		}
		kind, _ := all[0].(int64)
		id, _ := all[2].(string)
		return int(kind), id
	}
	var has struct {
		Type int
		ID   string `json:"invocationId"`
	}
	if json.Unmarshal(bytes.TrimSuffix(m, []byte(separator)), &has) != nil {
		return 0, ""
	}
	return has.Type, has.ID
}
