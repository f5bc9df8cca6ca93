package auth

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/relay"
)

// System claims of a client token: written by the SDK, read by the service and,
// except for ClaimUser and the types of the identity, dropped by the app's SDK
// again (service-protocol 1.7). All are passed through in OpenConnection.
const (
	ClaimUser             = "asrs.s.uid"     // user id, may be empty
	ClaimServer           = "asrs.s.sn"      // id of the app server that negotiated
	ClaimSticky           = "asrs.s.ssticky" // Preferred or Required
	ClaimDiagnostic       = "asrs.s.dc"      // true: a diagnostic client
	ClaimHandshakeTimeout = "asrs.s.cht"     // 1 to 30 seconds
	ClaimDetailedErrors   = "asrs.s.derror"  // True: clients may see error texts
	ClaimPollGap          = "asrs.s.ttl"     // 1 to 300 seconds
	ClaimTransports       = "asrs.s.htt"     // decimal bit mask, see Transports
	ClaimCloseOnExpiry    = "asrs.s.coae"    // true: ClaimExpiresOn ends the connection
	ClaimExpiresOn        = "asrs.s.aeo"     // Unix seconds
	ClaimApplication      = "asrs.s.apn"     // name of an ASP.NET application (legacy-service-protocol 1.3)
	ClaimSDKVersion       = "asrs.s.vn"      // of the SDK of an ASP.NET application, four numbers

	systemPrefix = "asrs.s."
	userPrefix   = "asrs.u."
)

// Sticky says how strongly a client belongs to the app server that negotiated
// for it (service-protocol 12.3).
type Sticky uint8

// The sticky modes.
const (
	StickyNone      Sticky = iota // any app server will do
	StickyPreferred               // that server while it is there
	StickyRequired                // that server or nobody
)

// Transports is a set of the transports a client may use.
type Transports uint8

// The transports, with the bits of the claim.
const (
	WebSockets Transports = 1 << iota
	ServerSentEvents
	LongPolling

	AllTransports = WebSockets | ServerSentEvents | LongPolling
)

// A Token is what a checked token says. It is its caller's alone and nothing
// changes it later. The strings of Claims share one buffer, so keeping one of
// them keeps all; the other fields stand for themselves.
type Token struct {
	// Claims are all claims in the token's order, arrays flattened, values as
	// text. A claim with a long .NET name comes under that name first and then
	// under its own (service-protocol 1.8, "Names on the way in").
	Claims []relay.Claim
	// User is the user id: asrs.s.uid, else sub, else nameid. HasUser tells the
	// empty user id from none at all.
	User    string
	HasUser bool
	// Expires is exp, to the second.
	Expires time.Time

	// System claims. One that is absent or out of its range leaves its zero, and
	// Transports complete: a signed token is not refused for an option.

	ServerID         string        // the app server that negotiated, "" when Sticky is StickyNone
	Sticky           Sticky        // how strongly the client belongs to it
	HandshakeTimeout time.Duration // for the hub handshake, 1 to 30 s; 0: not said
	PollGap          time.Duration // longest time between two polls, 1 to 300 s; 0: not said
	Transports       Transports    // those the client may use
	CloseAt          time.Time     // when to close with allowReconnect, zero for never (service-protocol 8.8)
	Diagnostic       bool          // a diagnostic client (service-protocol 6.5)
	DetailedErrors   bool          // close messages may hold the real error
	Application      string        // name of the ASP.NET application in its own case, "" for ASP.NET Core
	SDKVersion       string        // of the SDK of that application as it is written, "1.25.1.0"
}

// Get returns the first value of a claim, "" when there is none.
func (t *Token) Get(claim string) string {
	for _, c := range t.Claims {
		if c.Type == claim {
			return c.Value
		}
	}
	return ""
}

// parseToken reads a payload whose signature is good.
func parseToken(object string) (*Token, error) {
	t := &Token{
		Claims:     make([]relay.Claim, 0, 16),
		Transports: AllTransports,
	}
	for name, value := range members(object) {
		if name == "exp" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, ErrMalformed
			}
			t.Expires = unix(seconds)
		}
		long := longNames[name]
		for element := range elements(value) {
			v := text(element)
			if long != "" {
				t.Claims = append(t.Claims, relay.Claim{Type: long, Value: v})
			}
			t.Claims = append(t.Claims, relay.Claim{Type: name, Value: v})
		}
	}
	if t.Expires.IsZero() {
		return nil, ErrMalformed
	}
	t.readSystemClaims()
	return t, nil
}

func (t *Token) readSystemClaims() {
	var closeOnExpiry bool
	var closeAt time.Time
	rank := math.MaxInt // of the claim that User is from
	for _, c := range t.Claims {
		if r, ok := userRank[c.Type]; ok && r < rank {
			rank, t.HasUser, t.User = r, true, c.Value
		}
		if !strings.HasPrefix(c.Type, systemPrefix) {
			continue
		}
		switch c.Type {
		case ClaimServer:
			t.ServerID = strings.Clone(c.Value)
		case ClaimSticky:
			t.Sticky = parseSticky(c.Value)
		case ClaimHandshakeTimeout:
			t.HandshakeTimeout = seconds(c.Value, 30)
		case ClaimPollGap:
			t.PollGap = seconds(c.Value, 300)
		case ClaimTransports:
			if n, err := strconv.ParseUint(c.Value, 10, 32); err == nil {
				t.Transports = Transports(n) & AllTransports
			}
		case ClaimCloseOnExpiry:
			closeOnExpiry = strings.EqualFold(c.Value, "true")
		case ClaimExpiresOn:
			if n, err := strconv.ParseInt(c.Value, 10, 64); err == nil {
				closeAt = unix(float64(n))
			}
		case ClaimDiagnostic:
			t.Diagnostic = strings.EqualFold(c.Value, "true")
		case ClaimDetailedErrors:
			t.DetailedErrors = strings.EqualFold(c.Value, "true")
		case ClaimApplication:
			t.Application = strings.Clone(c.Value)
		case ClaimSDKVersion:
			t.SDKVersion = strings.Clone(c.Value)
		}
	}
	t.User = strings.Clone(t.User)
	if t.ServerID == "" || t.Sticky == StickyNone {
		t.ServerID, t.Sticky = "", StickyNone
	}
	if closeOnExpiry {
		t.CloseAt = closeAt
	}
}

// userRank orders the claims that may name the user, the best first.
var userRank = map[string]int{ClaimUser: 0, "sub": 1, "nameid": 2, nameIdentifier: 3}

func parseSticky(s string) Sticky {
	switch {
	case strings.EqualFold(s, "Required"):
		return StickyRequired
	case strings.EqualFold(s, "Preferred"):
		return StickyPreferred
	}
	return StickyNone
}

// seconds is text as a duration when it is a whole number from 1 to most, else 0.
func seconds(text string, most int) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && 1 <= n && n <= most {
		return time.Duration(n) * time.Second
	}
	return 0
}

// unix is a time that any number can name: what lies past year 9999 or before
// 1970 becomes that limit. It is never the zero time.
func unix(seconds float64) time.Time {
	return time.Unix(int64(min(max(seconds, 0), 253402300799)), 0)
}

func (t *Token) expiredAt(now time.Time, skew time.Duration) bool {
	return !now.Before(t.Expires.Add(skew))
}

// hasAudience reports whether an audience of t names e and, when there are any,
// one of hosts.
func (t *Token) hasAudience(e endpoint, hosts []string) bool {
	for _, c := range t.Claims {
		if c.Type != "aud" {
			continue
		}
		if a, ok := parseAudience(c.Value); ok && a.names(e) && a.onHost(hosts) {
			return true
		}
	}
	return false
}
