package auth

import "errors"

// The reasons to refuse a token. Each is complete as it stands and safe to
// log: none holds any part of a token or a key.
var (
	// ErrMalformed says that the text is no JWT, that its payload is no JSON
	// object, or that exp is missing or no number.
	ErrMalformed = errors.New("malformed token")
	// ErrAlgorithm says that the header names an algorithm other than HS256 and
	// HS512, "none" among them.
	ErrAlgorithm = errors.New("token algorithm is not HS256 or HS512")
	// ErrSignature says that no access key made the signature.
	ErrSignature = errors.New("token is not signed with an access key")
	// ErrExpired says that exp has passed, skew included.
	ErrExpired = errors.New("token has expired")
	// ErrAudience says that no audience names the endpoint, the hub and, where
	// hosts are configured, the host that is asked for.
	ErrAudience = errors.New("token is for another audience")
)
