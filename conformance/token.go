package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"regexp"
	"time"
)

// onlyTime finds a member of a token that is nothing but a time.
var onlyTime = regexp.MustCompile(`"(\$\{unix[^{}]*\})"`)

// sign makes the token with the access key. It writes the JWT by hand, so that
// the payload is what the transcript says to the byte.
func (t *Token) sign(key string, names captures, now time.Time) (string, error) {
	if t.Forged {
		key += ", but another"
	}
	var mac hash.Hash
	switch t.Algorithm {
	case "HS256":
		mac = hmac.New(sha256.New, []byte(key))
	case "HS512":
		mac = hmac.New(sha512.New, []byte(key))
	default:
		return "", fmt.Errorf("sign token: unknown algorithm %q", t.Algorithm)
	}
	payload, err := names.expand(onlyTime.ReplaceAllString(t.Payload, "$1"), now)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"`+t.Algorithm+`","typ":"JWT"}`)) + "." + encode([]byte(payload))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil)), nil
}
