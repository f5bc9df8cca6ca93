package sampleapp

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/web"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// Handler serves the app's own HTTP: negotiate of /chat and /bench, what a back
// end asks of the app under /backend/, and the demo page. ?user=alice makes the
// caller alice, in the role tester and with the claim favourite=blue, and
// &expires=20 lets that login end in 20 seconds. Every origin is allowed, with
// credentials.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/chat/negotiate", a.negotiate(a.chat.hub))
	mux.Handle("/bench/negotiate", a.negotiate(a.hubs[0]))
	a.backend(mux)
	mux.HandleFunc("GET /{$}", page(a.sibling).Handler())
	return web.CORS(mux)
}

// redirect is the answer of negotiate, members in the SDK's order
// (service-protocol 2.2). The version is 0 and the list empty whatever the
// client asked for.
type redirect struct {
	NegotiateVersion    int      `json:"negotiateVersion"`
	URL                 string   `json:"url"`
	AccessToken         string   `json:"accessToken"`
	AvailableTransports []string `json:"availableTransports"`
}

// negotiate sends a client to the service.
func (a *App) negotiate(h *hub) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if !h.pool.Online() {
			web.Plain(w, http.StatusInternalServerError, "Azure SignalR Service is not connected yet, please try again later.")
			return
		}
		token, err := a.keys.SignClient(a.service.ClientAudience(h.name), a.claims(r), auth.Sign{})
		switch {
		case errors.Is(err, auth.ErrTooLong):
			web.Plain(w, http.StatusRequestEntityTooLarge, "AccessToken must not be longer than 4K.")
			return
		case err != nil:
			a.log.Error("no client token", "cause", err)
			web.Plain(w, http.StatusInternalServerError, "")
			return
		}
		query := "asrs_request_id=" + a.requests.next()
		if r.URL.RawQuery != "" || r.URL.ForceQuery {
			query = r.URL.RawQuery + "&" + query // a bare ? leaves && behind (2.3)
		}
		path := strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/negotiate")
		var body bytes.Buffer
		e := json.NewEncoder(&body)
		e.SetEscapeHTML(false)
		if err := e.Encode(redirect{URL: a.service.ClientURL(h.name, path, query), AccessToken: token, AvailableTransports: []string{}}); err != nil {
			web.Plain(w, http.StatusInternalServerError, "")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(bytes.TrimSuffix(body.Bytes(), []byte("\n")))
	})
}

// claims are those of the client token: system claims in the SDK's order
// (1.7), then the caller's.
func (a *App) claims(r *http.Request) (all []relay.Claim) {
	add := func(kind, value string) { all = append(all, relay.Claim{Type: kind, Value: value}) }
	query := r.URL.Query()
	user := query.Get("user")
	if user != "" {
		add("asrs.s.uid", user)
	}
	if a.sticky != "" {
		add("asrs.s.sn", a.serverID)
		add("asrs.s.ssticky", a.sticky)
	}
	if user == "" {
		return all
	}
	add("asrs.s.aut", "query")
	if seconds, err := strconv.Atoi(query.Get("expires")); err == nil && a.authExpire {
		add("asrs.s.coae", "true")
		add("asrs.s.aeo", strconv.FormatInt(time.Now().Unix()+int64(seconds), 10))
	}
	add(principal.ClaimNameID, user)
	add(principal.ClaimName, user)
	add(principal.ClaimRole, "tester")
	add("favourite", "blue")
	return all
}

// requestIDs makes request ids in the form of the SDK's: a connection, a
// request of it, and a number of the process.
type requestIDs struct{ last atomic.Uint32 }

func (ids *requestIDs) next() string {
	b := make([]byte, 12)
	rand.Read(b)
	connection := base32.HexEncoding.EncodeToString(b[:8])[:13]
	return fmt.Sprintf("%s-%08X-%08X", connection, ids.last.Add(1), b[8:])
}
