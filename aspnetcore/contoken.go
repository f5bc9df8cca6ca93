package aspnetcore

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// A connection token is 36 bytes, 48 characters of base64url: 16 of the
// connection id, 4 of the time it was made (Unix seconds), 1 of flags, 2 that
// name the node, 13 of an HMAC over all that, the hub and the user. So a
// negotiate leaves nothing behind, however often it is called, and a token is
// good for nobody but the user it was made for. JavaScript appends it to URLs
// unescaped (core-client-protocol 12.1), hence the alphabet.
const (
	tokenID, tokenTime, tokenFlags, tokenNode, tokenMAC = 0, 16, 20, 21, 23
	tokenSize                                           = 36
)

// Flags of a connection token.
const (
	flagStateful = 1 << iota // stateful reconnect was granted
	flagVersion0             // the client knows one id only: the token is it (core-client-protocol 2.2)
)

var errToken = errors.New("connection token is not valid")

// tokens makes and reads the connection tokens of this node.
type tokens struct {
	key  [32]byte // of this process: connections do not outlive it
	node [2]byte
}

func newTokens(instanceID string) tokens {
	var t tokens
	rand.Read(t.key[:]) // never fails
	sum := sha256.Sum256([]byte(instanceID))
	copy(t.node[:], sum[:])
	return t
}

// A conToken is what a connection token says.
type conToken struct {
	text  string
	id    string // connection id
	made  time.Time
	flags byte
}

func (c conToken) stateful() bool { return c.flags&flagStateful != 0 }

func (t *tokens) make(hub, user string, flags byte, now time.Time) conToken {
	var b [tokenSize]byte
	rand.Read(b[:tokenTime])
	binary.BigEndian.PutUint32(b[tokenTime:], uint32(now.Unix()))
	b[tokenFlags] = flags
	copy(b[tokenNode:], t.node[:])
	t.mac(b[tokenMAC:], b[:tokenMAC], hub, user)
	return decoded(b[:])
}

func decoded(b []byte) conToken {
	c := conToken{text: base64.RawURLEncoding.EncodeToString(b), flags: b[tokenFlags]}
	c.made = time.Unix(int64(binary.BigEndian.Uint32(b[tokenTime:])), 0)
	if c.flags&flagVersion0 != 0 {
		c.id = c.text
	} else {
		c.id = base64.RawURLEncoding.EncodeToString(b[:tokenTime])
	}
	return c
}

// read checks a token that a client brought.
func (t *tokens) read(s, hub, user string) (conToken, error) {
	var b, mac [tokenSize]byte
	if len(s) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return conToken{}, errToken
	}
	if _, err := base64.RawURLEncoding.Decode(b[:], []byte(s)); err != nil {
		return conToken{}, errToken
	}
	t.mac(mac[tokenMAC:], b[:tokenMAC], hub, user)
	if !hmac.Equal(mac[tokenMAC:], b[tokenMAC:]) {
		return conToken{}, errToken
	}
	return decoded(b[:]), nil
}

func (t *tokens) mac(dst, head []byte, hub, user string) {
	h := hmac.New(sha256.New, t.key[:])
	h.Write(head)
	h.Write([]byte(hub))
	h.Write([]byte{0})
	h.Write([]byte(user))
	var sum [sha256.Size]byte
	copy(dst, h.Sum(sum[:0]))
}

func newConnectionID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
