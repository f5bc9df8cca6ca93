// Package relay decides who gets which bytes.
//
// A [Hub] knows its clients, users and groups, and the [Backend]s (app servers
// today) that hold the other end of each client's stream. Bytes of one client
// go to its one Backend, in order; messages of Backends go to a [Target]:
// connections, groups, users or everybody. The bytes themselves are never
// looked into: a [Payload] arrives encoded once per hub protocol and every
// receiver shares it.
//
// The package imports the standard library only. It knows no HTTP, no
// WebSocket and no service protocol: those are its callers.
package relay

// A Claim is one statement of a client's token. Lists of claims keep their
// order and may repeat a type (service-protocol 4.1).
type Claim struct{ Type, Value string }

// A Header is one request header of a client, as the app will see it. Names
// of one list are unique without case (service-protocol 6.3).
type Header struct {
	Name   string
	Values []string
}

// An Encoding is one message as one hub protocol writes it, framed and
// complete. Data never changes once it is here.
type Encoding struct {
	Protocol string
	Data     []byte
}

// A Payload is one message, encoded once per hub protocol and shared by all
// its receivers.
type Payload []Encoding

// For returns the bytes for a hub protocol, nil when there are none. Protocol
// names compare without case (service-protocol 7.3).
func (p Payload) For(protocol string) []byte {
	for i := range p {
		if p[i].Protocol == protocol || equalFold(p[i].Protocol, protocol) {
			return p[i].Data
		}
	}
	return nil
}

// equalFold compares ASCII names without case.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}
