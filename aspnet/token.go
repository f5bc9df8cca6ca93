package aspnet

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/signalrelay/signalrelay/relay/auth"
)

// A connection token is 39 bytes, 52 characters of base64url: 16 of the
// connection id, 4 of the time it was made (Unix seconds), 1 of flags, 2 that
// name the node, 4 of the user, 12 of an HMAC over all that and the scope. So
// a negotiate leaves nothing behind, however often it is called, and a token
// is good for nobody but the user it was made for. JavaScript appends it to
// URLs unescaped (core-client-protocol 12.1), hence the alphabet.
const (
	tokenID, tokenTime, tokenFlags, tokenNode, tokenUser, tokenMAC = 0, 16, 20, 21, 23, 27
	tokenSize                                                      = 39
)

// What [Tokens.Read] refuses.
var (
	ErrToken = errors.New("connection token is not valid")
	ErrUser  = errors.New("connection token is another user's")
)

// Tokens makes and reads connection tokens, with keys that all nodes with the
// same access keys have: a client may negotiate with one and connect to
// another. It never changes and may be used concurrently.
type Tokens struct {
	keys [][]byte // the first signs
	node [2]byte
}

func newTokens(keys *auth.Keys, instanceID string) Tokens {
	t := Tokens{keys: keys.Derive("connection token")}
	sum := sha256.Sum256([]byte(instanceID))
	copy(t.node[:], sum[:])
	return t
}

// A Token is what a connection token says.
type Token struct {
	Text  string
	ID    [16]byte // random, of the connection; its flavour makes text of it
	Made  time.Time
	Flags byte // the flavour's
}

// Make makes a token for a new connection of a user in a scope: the hub, or
// whatever else a token must not be carried out of.
func (t *Tokens) Make(scope, user string, flags byte, now time.Time) Token {
	var b [tokenSize]byte
	rand.Read(b[:tokenTime])
	binary.BigEndian.PutUint32(b[tokenTime:], uint32(now.Unix()))
	b[tokenFlags] = flags
	copy(b[tokenNode:], t.node[:])
	mac(b[tokenUser:tokenMAC], t.keys[0], nil, user)
	mac(b[tokenMAC:], t.keys[0], b[:tokenMAC], scope)
	return decoded(b[:])
}

func decoded(b []byte) Token {
	c := Token{Text: base64.RawURLEncoding.EncodeToString(b), Flags: b[tokenFlags]}
	c.Made = time.Unix(int64(binary.BigEndian.Uint32(b[tokenTime:])), 0)
	copy(c.ID[:], b)
	return c
}

// Read checks a token that a client brought. It returns ErrToken or, for one
// of the same scope, ErrUser.
func (t *Tokens) Read(s, scope, user string) (Token, error) {
	var b, own [tokenSize]byte
	if len(s) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return Token{}, ErrToken
	}
	if _, err := base64.RawURLEncoding.Decode(b[:], []byte(s)); err != nil {
		return Token{}, ErrToken
	}
	for _, key := range t.keys {
		mac(own[tokenMAC:], key, b[:tokenMAC], scope)
		if !hmac.Equal(own[tokenMAC:], b[tokenMAC:]) {
			continue
		}
		mac(own[tokenUser:tokenMAC], key, nil, user)
		if !hmac.Equal(own[tokenUser:tokenMAC], b[tokenUser:tokenMAC]) {
			return Token{}, ErrUser
		}
		return decoded(b[:]), nil
	}
	return Token{}, ErrToken
}

// mac fills dst with an HMAC over head and name. Head is empty for users and
// never for scopes, so one cannot stand for the other.
func mac(dst, key, head []byte, name string) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{byte(len(head))})
	h.Write(head)
	h.Write([]byte(name))
	var sum [sha256.Size]byte
	copy(dst, h.Sum(sum[:0]))
}
