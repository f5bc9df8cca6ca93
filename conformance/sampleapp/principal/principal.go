// Package principal tells who a client is and what it asked with, from the
// members of OpenConnection.
package principal

import (
	"net/url"
	"strings"

	"github.com/signalrelay/signalrelay/relay"
)

// Claim types that .NET looks for by default.
const (
	ClaimName   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	ClaimNameID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	ClaimRole   = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
)

// reserved are the claims of a token that are no claims of its user
// (service-protocol 1.8, legacy-service-protocol 3.3).
var reserved = map[string]bool{
	"aud": true, "exp": true, "iat": true, "nbf": true, "iss": true, "actort": true,
	"acr": true, "azp": true, "c_hash": true, "jti": true, "nonce": true,
}

// Principal is who a client is, made of the claims of OpenConnection as the SDKs
// make it (service-protocol 1.8, legacy-service-protocol 3.3).
type Principal struct {
	Claims   []relay.Claim
	User     *string // id of the user at the service; nil: none
	AuthType string  // how the user logged in, as .NET calls it; "" without claims

	nameType string
	roleType string
}

// Of makes a principal of claims, which it copies.
func Of(claims []relay.Claim) Principal {
	who := Principal{AuthType: "Bearer", nameType: ClaimName, roleType: ClaimRole}
	for _, c := range claims {
		kind, value := strings.Clone(c.Type), strings.Clone(c.Value)
		switch {
		case kind == "asrs.s.uid":
			if who.User == nil {
				who.User = &value
			}
		case kind == "asrs.s.aut":
			who.AuthType = value
		case kind == "asrs.s.nt":
			who.nameType = value
		case kind == "asrs.s.rt":
			who.roleType = value
		case strings.HasPrefix(kind, "asrs.s."), reserved[kind]:
		default:
			who.Claims = append(who.Claims, relay.Claim{Type: strings.TrimPrefix(kind, "asrs.u."), Value: value})
		}
	}
	if who.User == nil {
		who.User = who.Claim(ClaimNameID)
	}
	if len(who.Claims) == 0 {
		who.AuthType = ""
	}
	return who
}

// Authenticated tells whether the client has a login.
func (who *Principal) Authenticated() bool { return len(who.Claims) > 0 && who.AuthType != "" }

// Claim is the first value of a type, nil when there is none.
func (who *Principal) Claim(kind string) *string {
	for i := range who.Claims {
		if strings.EqualFold(who.Claims[i].Type, kind) {
			return &who.Claims[i].Value
		}
	}
	return nil
}

// Name is the value of the claim that holds the user's name, nil without one.
func (who *Principal) Name() *string { return who.Claim(who.nameType) }

// InRole tells whether a claim gives the user a role.
func (who *Principal) InRole(role string) bool {
	for _, c := range who.Claims {
		if c.Type == who.roleType && c.Value == role {
			return true
		}
	}
	return false
}

// Header finds a header's first value without regard to case.
func Header(headers []relay.Header, name string) (string, bool) {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) && len(h.Values) > 0 {
			return h.Values[0], true
		}
	}
	return "", false
}

// CloneHeaders copies headers out of the frame they alias.
func CloneHeaders(headers []relay.Header) []relay.Header {
	all := make([]relay.Header, len(headers))
	for i, h := range headers {
		all[i].Name = strings.Clone(h.Name)
		for _, v := range h.Values {
			all[i].Values = append(all[i].Values, strings.Clone(v))
		}
	}
	return all
}

// QueryValue is what .NET calls Query[key]: keys without regard to case, several
// values joined by commas; nil when there is none.
func QueryValue(query, key string) *string {
	values, _ := url.ParseQuery(strings.TrimPrefix(query, "?")) // what parses counts
	var all []string
	for name, some := range values {
		if strings.EqualFold(name, key) {
			all = append(all, some...)
		}
	}
	if all == nil {
		return nil
	}
	text := strings.Join(all, ",")
	return &text
}
