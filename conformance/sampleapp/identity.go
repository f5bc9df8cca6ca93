package sampleapp

import (
	"net/url"
	"strings"

	"github.com/signalrelay/signalrelay/relay"
)

// Claim types that .NET looks for by default.
const (
	claimName   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	claimNameID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	claimRole   = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
)

// reserved are the claims of a token that are no claims of its user
// (service-protocol 1.8).
var reserved = map[string]bool{
	"aud": true, "exp": true, "iat": true, "nbf": true, "iss": true, "actort": true,
	"acr": true, "azp": true, "c_hash": true, "jti": true, "nonce": true,
}

// identity is who a client is, made of the claims of OpenConnection as the SDK
// makes it (1.8, "How the SDK turns OpenConnection claims back into a user").
type identity struct {
	claims   []relay.Claim
	user     *string // nil: none
	nameType string
	roleType string
}

func identityOf(claims []relay.Claim) identity {
	who := identity{nameType: claimName, roleType: claimRole}
	for _, c := range claims {
		kind, value := strings.Clone(c.Type), strings.Clone(c.Value)
		switch {
		case kind == "asrs.s.uid":
			if who.user == nil {
				who.user = &value
			}
		case kind == "asrs.s.nt":
			who.nameType = value
		case kind == "asrs.s.rt":
			who.roleType = value
		case strings.HasPrefix(kind, "asrs.s."), reserved[kind]:
		default:
			who.claims = append(who.claims, relay.Claim{Type: strings.TrimPrefix(kind, "asrs.u."), Value: value})
		}
	}
	if who.user == nil {
		who.user = who.claim(claimNameID)
	}
	return who
}

// claim is the first value of a type, nil when there is none.
func (who *identity) claim(kind string) *string {
	for i := range who.claims {
		if strings.EqualFold(who.claims[i].Type, kind) {
			return &who.claims[i].Value
		}
	}
	return nil
}

func (who *identity) inRole(role string) bool {
	for _, c := range who.claims {
		if c.Type == who.roleType && c.Value == role {
			return true
		}
	}
	return false
}

// header finds a header's first value without regard to case.
func header(headers []relay.Header, name string) (string, bool) {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) && len(h.Values) > 0 {
			return h.Values[0], true
		}
	}
	return "", false
}

// cloneHeaders copies headers out of the frame they alias.
func cloneHeaders(headers []relay.Header) []relay.Header {
	all := make([]relay.Header, len(headers))
	for i, h := range headers {
		all[i].Name = strings.Clone(h.Name)
		for _, v := range h.Values {
			all[i].Values = append(all[i].Values, strings.Clone(v))
		}
	}
	return all
}

// queryValue is what ASP.NET Core calls Request.Query[key]: keys without regard
// to case, several values joined by commas; nil when there is none.
func queryValue(query, key string) *string {
	values, _ := url.ParseQuery(strings.TrimPrefix(query, "?")) // what parses counts
	for name, all := range values {
		if strings.EqualFold(name, key) {
			text := strings.Join(all, ",")
			return &text
		}
	}
	return nil
}
