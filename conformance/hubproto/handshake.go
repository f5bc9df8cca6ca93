package hubproto

import "fmt"

// HandshakeRequest is the first message of a client, always JSON
// (core-client-protocol 4.1).
type HandshakeRequest struct {
	Protocol string
	Version  int // 1; 2 when stateful reconnect was negotiated
}

// ParseHandshakeRequest reads a request without its Separator. Unknown members
// are passed over, the last of repeated ones counts, and so does nothing behind
// the object.
func ParseHandshakeRequest(body []byte) (r HandshakeRequest, err error) {
	var protocol, version bool
	err = eachMember(body, func(s *scanner, name []byte) error {
		switch string(name) {
		case "protocol":
			protocol = true
			r.Protocol, err = s.text()
			return err
		case "version":
			version = true
			n, err := s.integer()
			r.Version = int(n)
			return err
		}
		return s.skip(0)
	})
	if err == nil && (!protocol || !version) {
		err = fmt.Errorf("%w: handshake without protocol or version", ErrSyntax)
	}
	return r, err
}

// AppendHandshakeRequest writes a request with its Separator.
func AppendHandshakeRequest(dst []byte, r HandshakeRequest) []byte {
	dst = appendText(append(dst, `{"protocol":`...), r.Protocol)
	return fmt.Appendf(dst, `,"version":%d}`+"\x1e", r.Version)
}

// ParseHandshakeResponse reads a response without its Separator. Refused says
// that it has an error, which may be empty text. A member "type" is an error:
// what came is a hub message (core-client-protocol 4.2).
func ParseHandshakeResponse(body []byte) (text string, refused bool, err error) {
	err = eachMember(body, func(s *scanner, name []byte) error {
		switch string(name) {
		case "error":
			refused = true
			text, err = s.text()
			return err
		case "type":
			return fmt.Errorf("%w: hub message in place of the handshake response", ErrSyntax)
		}
		return s.skip(0)
	})
	return text, refused, err
}

// AppendHandshakeResponse writes a response with its Separator; an empty text
// means success.
func AppendHandshakeResponse(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, "{}\x1e"...)
	}
	dst = appendText(append(dst, `{"error":`...), text)
	return append(dst, "}\x1e"...)
}
