package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalrelay/signalrelay/relay"
)

const (
	// DefaultLifetime is how long an issued token is good when [Sign] names no
	// time; it is the SDK's default too.
	DefaultLifetime = time.Hour
	// MaxIssued is the longest token the SDK hands to a client, in bytes
	// (service-protocol 2.4).
	MaxIssued = 4096
)

// ErrTooLong says that a token would be longer than MaxIssued. An app answers
// its client's negotiate with 413 then.
var ErrTooLong = errors.New("token is longer than 4096 bytes")

// Sign says how a token is issued. The zero value does as the SDK does by
// default.
type Sign struct {
	Now       time.Time     // the clock's reading; zero: the system's
	Lifetime  time.Duration // from Now to exp, whole seconds; 0: DefaultLifetime; below 0: already expired
	Algorithm string        // HS256 or HS512; "": HS256
	NoIssuer  bool          // leaves iss out, as the SDK for ASP.NET does (legacy-service-protocol 1.3)
}

// SignClient issues a client's token for an audience, see
// [ConnectionString.ClientAudience]. Claims are written as the SDK writes them:
// system claims (asrs.s.) as they are, an app's claims under their short names,
// those that collide with a member of every token as asrs.u., repeats as one
// array (service-protocol 1.7 and 1.8). It fails with ErrTooLong and on an
// unknown algorithm.
func (k *Keys) SignClient(audience string, claims []relay.Claim, o Sign) (string, error) {
	token, err := k.sign(audience, renamed(claims), o)
	if err == nil && len(token) > MaxIssued {
		return "", ErrTooLong
	}
	return token, err
}

// SignServer issues an app server's token for an audience, see
// [ConnectionString.ServerAudience]. It fails on an unknown algorithm.
func (k *Keys) SignServer(audience, serverID string, o Sign) (string, error) {
	return k.sign(audience, []relay.Claim{{Type: "nameid", Value: serverID}}, o)
}

func (k *Keys) sign(audience string, claims []relay.Claim, o Sign) (string, error) {
	method := jwt.SigningMethodHS256
	switch o.Algorithm {
	case "", "HS256":
	case "HS512":
		method = jwt.SigningMethodHS512
	default:
		return "", fmt.Errorf("sign token: %w", ErrAlgorithm)
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	now := Check{Now: o.Now}.now()
	t := jwt.NewWithClaims(method, &issued{
		claims: claims, now: now.Unix(), expires: now.Add(o.Lifetime).Unix(), noIssuer: o.NoIssuer, audience: audience,
	})
	// The SDK writes a hash that changes with every process, so any number is as
	// good; this one gives nothing of the key away (service-protocol 1.4).
	h := fnv.New32a()
	h.Write([]byte(audience))
	t.Header["kid"] = strconv.FormatInt(int64(int32(h.Sum32())), 10)
	token, err := t.SignedString(k.all[0])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// issued is the payload of a token in the SDK's order: claims, nbf, exp, iat,
// iss, aud.
type issued struct {
	jwt.MapClaims // always empty: lends the methods that jwt asks for
	claims        []relay.Claim
	now, expires  int64
	noIssuer      bool
	audience      string
}

// MarshalJSON writes repeats of a claim as one array at the place of the first.
func (p *issued) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	written := make(map[string]bool, len(p.claims))
	for i, c := range p.claims {
		if written[c.Type] {
			continue
		}
		written[c.Type] = true
		values := []string{c.Value}
		for _, later := range p.claims[i+1:] {
			if later.Type == c.Type {
				values = append(values, later.Value)
			}
		}
		b = appendJSON(b, c.Type)
		b = append(b, ':')
		if len(values) == 1 {
			b = appendJSON(b, c.Value)
		} else {
			b = appendJSON(b, values)
		}
		b = append(b, ',')
	}
	b = fmt.Appendf(b, `"nbf":%d,"exp":%d,"iat":%d,`, p.now, p.expires, p.now)
	if !p.noIssuer {
		b = append(b, `"iss":"azure-signalr",`...)
	}
	b = append(b, `"aud":`...)
	return append(appendJSON(b, p.audience), '}'), nil
}

// appendJSON appends a string or a list of strings, which have no way to fail.
func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(b, text...)
}

// collisions are the members of a token that an app's claim must not be taken
// for (service-protocol 1.8).
var collisions = map[string]bool{
	"aud": true, "exp": true, "iat": true, "nbf": true, "iss": true, "actort": true,
	"acr": true, "azp": true, "c_hash": true, "jti": true, "nonce": true,
}

// renamed gives an app's claims the names they have in a token. The first sub
// stays: it may be the user id.
func renamed(claims []relay.Claim) []relay.Claim {
	out := make([]relay.Claim, 0, len(claims))
	subject := false
	for _, c := range claims {
		short, long := shortNames[c.Type]
		switch {
		case collisions[c.Type], c.Type == "sub" && subject:
			c.Type = userPrefix + c.Type
		case c.Type == "sub":
			subject = true
		case long:
			c.Type = short
		}
		out = append(out, c)
	}
	return out
}
