package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"regexp"
	"strings"
	"time"
)

// Signature signs the text of a JSON Web Token, which is its head, a dot and its
// payload. Algorithm is HS256 or HS512; it is an error for any other.
func Signature(algorithm, key, text string) ([]byte, error) {
	var mac hash.Hash
	switch algorithm {
	case "HS256":
		mac = hmac.New(sha256.New, []byte(key))
	case "HS512":
		mac = hmac.New(sha512.New, []byte(key))
	default:
		return nil, fmt.Errorf("unknown algorithm %q", algorithm)
	}
	mac.Write([]byte(text))
	return mac.Sum(nil), nil
}

// onlyTime finds a member of a token that is nothing but a time.
var onlyTime = regexp.MustCompile(`"(\$\{unix[^{}]*\})"`)

// sign makes the token with the access key. It writes the JWT by hand, so that
// the payload is what the transcript says to the byte.
func (t *Token) sign(key string, names captures, now time.Time) (string, error) {
	if t.Forged {
		key += ", but another"
	}
	header, algorithm, err := t.header()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	payload, err := names.expand(onlyTime.ReplaceAllString(t.Payload, "$1"), now)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	if algorithm == "none" { // what nobody must take (RFC 8725 3.1)
		return text + ".", nil
	}
	signature, err := Signature(algorithm, key, text)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text + "." + encode(signature), nil
}

// header is the header of the token and the algorithm in it.
func (t *Token) header() (text, algorithm string, err error) {
	if !strings.HasPrefix(t.Algorithm, "{") {
		return `{"alg":"` + t.Algorithm + `","typ":"JWT"}`, t.Algorithm, nil
	}
	var h struct{ Alg string }
	if err := json.Unmarshal([]byte(t.Algorithm), &h); err != nil {
		return "", "", fmt.Errorf("header: %w", err)
	}
	return t.Algorithm, h.Alg, nil
}
