package legacy

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay"
)

// Pace makes an app's clocks run scale times as fast as the SDK's, apart from
// ack, which is how long it waits for an Ack.
func Pace(scale int, ack time.Duration) pace {
	n := time.Duration(scale)
	return pace{ack: ack, links: serverlink.Timing{
		Handshake: 15 * time.Second / n, Silence: 30 * time.Second / n, Ping: 5 * time.Second / n, Status: 10 * time.Second / n, Retry: time.Second / n,
	}}
}

// NewRecorded makes the application that the transcripts were recorded with: the
// hubs chat, news and secret, and a login in the query. What its hubs have to
// tell goes to log.
func NewRecorded(o Options, p pace, log func(string)) (*App, error) {
	o.ApplicationName = "LegacyApp"
	a, err := newApp(o, p)
	if err != nil {
		return nil, err
	}
	a.login = recordedLogin
	r := recorded{log}
	secret := r.hub("secret", "SecretHub", call0("Ping", func(*call) (any, error) { return "secret pong", nil }))
	secret.protected = true
	news := r.hub("news", "NewsHub", call0("Ping", func(*call) (any, error) { return "pong", nil }))
	for _, h := range []*hub{r.hub("chat", "ChatHub", r.chat(news)...), news, secret} {
		if err := a.add(h); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// BackendSends does what the recorded application's back end did, in its order;
// each tells a failure.
func (a *App) BackendSends() []func() error {
	s := sender{hub: a.hub("chat")}
	const one, two, away = "legacyClient0000000001", "legacyClient0000000002", "elsewhere0000000000001"
	return []func() error{
		func() error { return s.all(nil, "message", "b1") },
		func() error { return s.all([]string{one, two}, "message", "b2") },
		func() error { return s.client(one, "message", "b3") },
		func() error { return s.client(away, "message", "b4") },
		func() error { return s.clients([]string{one, two}, "message", "b5") },
		func() error { return s.group("room", nil, "message", "b6") },
		func() error { return s.group("room", []string{one}, "message", "x") },
		func() error { return s.groups([]string{"room", "hall"}, "message", "b7") },
		func() error { return s.user("alice", "message", "b8") },
		func() error { return s.users([]string{"alice", "bob"}, "message", "b9") },
		func() error { return s.join(one, "room") },
		func() error { return s.leave(one, "room") },
		func() error { return s.join(away, "room") },
	}
}

// recordedLogin makes ?user=alice a login with claims of many kinds.
func recordedLogin(r *http.Request) *login {
	q := r.URL.Query()
	user := q.Get("user")
	if user == "" {
		return nil
	}
	kind := q.Get("aut")
	if kind == "" {
		kind = "query"
	}
	return &login{authType: kind, name: user + " name", claims: []relay.Claim{
		{Type: principal.ClaimNameID, Value: user}, {Type: principal.ClaimName, Value: user + " name"},
		{Type: principal.ClaimRole, Value: "admin"}, {Type: principal.ClaimRole, Value: "ops"},
		{Type: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", Value: user + "@x"},
		{Type: "custom", Value: "c1"}, {Type: "exp", Value: "777"},
	}}
}

// recorded makes the hubs of the recorded application.
type recorded struct{ log func(string) }

func (r recorded) hub(name, class string, methods ...*method) *hub {
	h := newHub(name, methods...)
	h.waits = true
	h.connected = func(k *call) error {
		r.log(class + " OnConnected " + k.c.id)
		return r.arrival(k)
	}
	h.reconnected = func(k *call) error {
		r.log(class + " OnReconnected " + k.c.id)
		return nil
	}
	h.disconnected = func(k *call) error {
		r.log(class + " OnDisconnected " + k.c.id + " stopCalled=True")
		if off := principal.QueryValue(k.c.query, "off"); off == nil || *off != "send" {
			return nil
		}
		err := errors.Join(k.sender().all(nil, "message", "gone"), k.sender().leave(k.c.id, "lobby"))
		r.log("removed")
		return err
	}
	return h
}

// arrival is OnConnected, by the query parameter on.
func (r recorded) arrival(k *call) error {
	on := principal.QueryValue(k.c.query, "on")
	if on == nil {
		return nil
	}
	switch *on {
	case "describe":
		r.log(describe(k.c))
	case "fail":
		return errors.New("no entry")
	case "hubfail":
		return &hubException{text: "hub says no"}
	case "hello":
		if err := k.sender().join(k.c.id, "lobby"); err != nil {
			return err
		}
		r.log("joined lobby")
		return errors.Join(k.sender().group("lobby", nil, "message", "to lobby"), k.caller("message", "welcome"),
			k.sender().all(nil, "message", "all hello"), k.others("message", "others hello"))
	}
	return nil
}

// describe is what the recorded hubs log of a client. The fabricated request has
// no URL (legacy-service-protocol 3.4).
func describe(c *client) string {
	d := struct {
		ID      string   `json:"id"`
		Auth    bool     `json:"auth"`
		Type    any      `json:"type"`
		Name    *string  `json:"name"`
		Admin   bool     `json:"admin"`
		Claims  []string `json:"claims"`
		Query   []string `json:"query"`
		Headers []string `json:"headers"`
		URL     string   `json:"url"`
		Cookies int      `json:"cookies"`
	}{
		ID: c.id, Auth: c.who.Authenticated(), Name: c.who.Name(), Admin: c.who.InRole("admin"), Claims: []string{}, Query: []string{}, Headers: []string{},
		URL: "UriFormatException: Invalid URI: The format of the URI could not be determined.", Cookies: len(c.cookies()),
	}
	if c.who.AuthType != "" {
		d.Type = c.who.AuthType
	}
	for _, claim := range c.who.Claims {
		d.Claims = append(d.Claims, claim.Type+"="+claim.Value)
	}
	for pair := range strings.SplitSeq(c.query, "&") {
		text, err := url.QueryUnescape(pair)
		if err != nil {
			text = pair
		}
		d.Query = append(d.Query, text)
	}
	for _, h := range c.headers {
		d.Headers = append(d.Headers, h.Name+"="+strings.Join(h.Values, ","))
	}
	b, err := appendJSON(nil, d)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// chat are the methods of the recorded chat hub; those of the contract that it
// shares are taken from there.
func (r recorded) chat(news *hub) []*method {
	told := func(done string, err error) (any, error) {
		if err != nil {
			return "TimeoutException: " + err.Error(), nil
		}
		return done, nil
	}
	own := []*method{
		call0("Null", func(*call) (any, error) { return nil, nil }),
		call0("Fail", func(*call) (any, error) {
			return nil, &hubException{"told you so", struct {
				Code int `json:"code"`
			}{42}}
		}),
		call0("FailNoData", func(*call) (any, error) { return nil, &hubException{text: "plain"} }),
		call1("SetState", func(k *call, v json.RawMessage) (any, error) {
			k.put("k", v)
			return nil, nil
		}),
		call0("GetState", func(k *call) (any, error) { return k.get("a"), nil }),
		call1("SetAndCall", func(k *call, v json.RawMessage) (any, error) {
			k.put("k2", v)
			return nil, k.caller("message", "with state")
		}),
		waiting(call1("Join", func(k *call, g string) (any, error) { return told("joined", k.sender().join(k.c.id, g)) })),
		waiting(call1("Leave", func(k *call, g string) (any, error) { return told("left", k.sender().leave(k.c.id, g)) })),
		waiting(call2("JoinOther", func(k *call, id, g string) (any, error) { return told("joined", k.sender().join(id, g)) })),
		waiting(call1("JoinAndSend", func(k *call, g string) (any, error) {
			if err := k.sender().join(k.c.id, g); err != nil {
				return nil, err
			}
			return nil, errors.Join(k.sender().group(g, nil, "message", "inside"), k.caller("message", "for you"))
		})),
		call1("Progress", func(k *call, n int) (any, error) {
			for i := range n {
				if err := k.report(i + 1); err != nil {
					return nil, err
				}
			}
			return n, nil
		}),
		call1("SendOtherHub", func(k *call, m string) (any, error) { return nil, sender{news, k.c}.all(nil, "message", m) }),
	}
	mine := map[string]bool{}
	for _, m := range own {
		mine[m.name] = true
	}
	contract := &chatHub{}
	for _, some := range [][]*method{contract.values(), contract.sends(), contract.groupSends()} {
		for _, m := range some {
			if !mine[m.name] {
				own = append(own, m)
			}
		}
	}
	return own
}
