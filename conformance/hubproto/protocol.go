package hubproto

import (
	"errors"
	"strings"
)

// Protocol is one encoding of hub messages. Implementations have no state and
// may be used concurrently.
type Protocol interface {
	// Name is what a handshake calls the protocol, in lower case.
	Name() string
	// Binary reports whether messages need a transport that carries bytes.
	Binary() bool
	// Next cuts the first message off b: its body without framing, and how many
	// bytes of b it took with framing. A size of 0 without an error means that
	// the message is not complete yet; need is then the least size of b worth
	// another try, 0 when that cannot be told. The error is ErrLength.
	Next(b []byte) (body []byte, size, need int, err error)
	// Parse reads a body into m, which is reset first. What m has of Raw aliases
	// body; strings are copies. A message of an unknown Type is no error: only
	// its Type is set. Every other error means that the peer broke the protocol.
	Parse(body []byte, m *Message) error
	// Append writes m with framing, in the shape of the .NET writer. Values must
	// be in the encoding of this protocol.
	Append(dst []byte, m *Message) []byte
	// AppendValue writes a Go value: nil, bool, int, int64, uint64, float64,
	// string, *string, []byte, []string, []int, []any, time.Time, Object, or
	// Raw, which must be of this protocol already.
	AppendValue(dst []byte, v any) ([]byte, error)
	// Bind reads a value into *string, **string, *bool, *int, *int64, *float64,
	// *[]byte, *[]string, *[]int, *map[string]Raw, *Raw or *any. Null binds to a
	// **string, a slice, a map and an any only; and never does a value change its
	// kind, as .NET does not convert either.
	Bind(r Raw, v any) error
}

// The hub protocols there are.
var (
	JSON        Protocol = jsonProtocol{}
	MessagePack Protocol = packProtocol{}
)

// All lists every protocol in the order in which the .NET server names them.
var All = []Protocol{JSON, MessagePack}

// ByName finds a protocol, without regard to case as the server does
// (core-client-protocol 4.1). It returns nil for an unknown name.
func ByName(name string) Protocol {
	for _, p := range All {
		if strings.EqualFold(p.Name(), name) {
			return p
		}
	}
	return nil
}

var (
	// ErrLength says that a length prefix is above 2 GiB or never ends.
	ErrLength = errors.New("impossible length prefix")
	// ErrTooLarge says that a message is larger than a Framer's limit.
	ErrTooLarge = errors.New("message is too large")
	// ErrSyntax says that a message is not of its protocol.
	ErrSyntax = errors.New("malformed hub message")
	// ErrBind says that a value is not of the wanted kind.
	ErrBind = errors.New("value is of another kind")
	// ErrValue says that AppendValue does not know a Go type.
	ErrValue = errors.New("value has no encoding")
)

// Values encodes Go values as the arguments of a message.
func Values(p Protocol, values ...any) ([]Raw, error) {
	all := make([]Raw, 0, len(values))
	for _, v := range values {
		raw, err := p.AppendValue(nil, v)
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return all, nil
}
