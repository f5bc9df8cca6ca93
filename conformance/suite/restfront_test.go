package suite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/tinylib/msgp/msgp"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A restFront is the REST API of a service that has none. In each hub it is an
// app server that takes no clients, and it says to the service what it is asked
// for; what is not REST it passes on.
type restFront struct {
	service *suite.Endpoint
	past    http.Handler    // the service
	ctx     context.Context // of the test, as the front has no other end

	mu   sync.Mutex
	hubs map[string]*restHub
}

// A restHub is the front's connection to one hub. It takes the acks of it.
type restHub struct {
	pool *serverlink.Pool
	acks serverlink.Acks
}

// restWrong is what a front does that it should not. Nil changes nothing.
type restWrong struct {
	door   func(http.Handler) http.Handler // around all
	inside func(http.Handler) http.Handler // around what tokens are good for
}

// startREST puts a front before a service until the test ends.
func startREST(t *testing.T, service *suite.Endpoint, wrong restWrong) *suite.Endpoint {
	t.Helper()
	past := httputil.NewSingleHostReverseProxy(service.URL)
	past.ErrorLog = log.New(io.Discard, "", 0) // connections end in the middle
	f := &restFront{service: service, past: past, ctx: t.Context(), hubs: map[string]*restHub{}}
	var inside http.Handler = http.HandlerFunc(f.operate)
	if wrong.inside != nil {
		inside = wrong.inside(inside)
	}
	var door http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.EscapedPath(); {
		case path == "/api/v1/health":
		case strings.HasPrefix(path, "/api/hubs/"), strings.HasPrefix(path, "/api/v1/hubs/"):
			if why := refuseREST(r, service.AccessKey); why != "" {
				w.Header().Set("WWW-Authenticate", why)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			inside.ServeHTTP(w, r)
		default:
			f.past.ServeHTTP(w, r)
		}
	})
	if wrong.door != nil {
		door = wrong.door(door)
	}
	s := httptest.NewServer(door)
	t.Cleanup(func() {
		s.Close()
		for _, h := range f.hubs {
			h.pool.Close()
		}
	})
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &suite.Endpoint{URL: at, AccessKey: service.AccessKey}
}

// refuseREST says why the token of a request is not good for it, in the words of
// a challenge; nothing where it is (rest-and-serverless 1.10).
func refuseREST(r *http.Request, accessKey string) (challenge string) {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "Bearer"
	}
	invalid := func(why string) string {
		return fmt.Sprintf("Bearer error=\"invalid_token\", error_description=%q", why)
	}
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return []byte(accessKey), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	if err != nil {
		return invalid(err.Error())
	}
	if !slices.ContainsFunc(claims.Audience, func(a string) bool {
		u, err := url.Parse(a)
		return err == nil && u.EscapedPath() == r.URL.EscapedPath() && u.Hostname() == strings.Split(r.Host, ":")[0]
	}) {
		return invalid("The audience is invalid")
	}
	return ""
}

// hub is the connection to a hub.
func (f *restFront) hub(name string) (*restHub, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.hubs[name]; h != nil {
		return h, nil
	}
	at, err := auth.ParseConnectionString("Endpoint=" + f.service.URL.String() + ";AccessKey=" + f.service.AccessKey)
	if err != nil {
		return nil, err
	}
	keys, err := auth.NewKeys(f.service.AccessKey)
	if err != nil {
		return nil, err
	}
	h := &restHub{}
	h.pool = serverlink.NewPool(serverlink.Options{
		Hub: name, Links: 1, ServerID: "rest", Receiver: h, Log: slog.New(slog.DiscardHandler),
		URL: func(cid string) string { return at.ServerURL(name, cid) },
		Token: func() (string, error) {
			return keys.SignServer(at.ServerAudience(name), "rest", auth.Sign{Lifetime: time.Hour})
		},
		Handshake: serviceproto.HandshakeRequest{ConnectionType: serviceproto.ConnectionWeak},
	})
	h.pool.Start(f.ctx)
	f.hubs[name] = h
	select {
	case <-h.pool.Up():
		return h, nil
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	}
}

// Frame takes an ack.
func (h *restHub) Frame(_ *serverlink.Link, m serviceproto.Message) {
	if ack, ok := m.(*serviceproto.Ack); ok {
		h.acks.Answer(ack.AckID, ack.Status)
	}
}

// InstanceGone is nothing to who has no clients.
func (h *restHub) InstanceGone(*serverlink.Link, string) {}

// Closed comes with the end of the test.
func (h *restHub) Closed(*serverlink.Link) {}

// ask says what wants an ack and returns whether that was a yes.
func (h *restHub) ask(ctx context.Context, question func(id int) serviceproto.Message) (bool, error) {
	id, status := h.acks.Ask()
	defer h.acks.Forget(id)
	h.pool.Pick("").Send(question(id))
	select {
	case s := <-status:
		return s == serviceproto.StatusOK, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// hubNames are the names that a hub may have (rest-and-serverless 0).
var hubNames = regexp.MustCompile("^[A-Za-z][A-Za-z0-9_`,.[\\]]{0,127}$")

// A restCall is one request for a hub.
type restCall struct {
	hub   string
	door  string   // the path behind the hub without names: groups/connections, groups/:send
	names []string // that stand in it
	query url.Values
	v1    bool
}

// readCall takes the path of a request apart: first at its slashes, then each
// segment undone once (rest-and-serverless 0).
func readCall(r *http.Request) (c restCall, err error) {
	var path string
	if path, c.v1 = strings.CutPrefix(r.URL.EscapedPath(), "/api/v1/hubs/"); !c.v1 {
		path = strings.TrimPrefix(path, "/api/hubs/")
	}
	var door []string
	for i, segment := range strings.Split(path, "/") {
		name, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return c, err
		case i == 0:
			c.hub = name
		case i%2 == 1, strings.HasPrefix(segment, ":"):
			door = append(door, name)
		default:
			c.names = append(c.names, name)
		}
	}
	c.door, c.query = strings.Join(door, "/"), r.URL.Query()
	if !hubNames.MatchString(c.hub) {
		return c, errors.New("no name of a hub")
	}
	return c, nil
}

// operate does what is asked.
func (f *restFront) operate(w http.ResponseWriter, r *http.Request) {
	c, err := readCall(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	to, err := f.hub(auth.HubName(c.query.Get("application"), c.hub))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	door, sends := strings.CutSuffix(c.door, ":send")
	if sends = sends || c.v1 && r.Method == http.MethodPost; sends {
		w.WriteHeader(to.send(c, restSends[strings.TrimSuffix(door, "/")], w, r))
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	to.operate(w, r, c, restOperations[method+" "+c.door])
}

// send sends what a request brings and returns the status of its answer.
func (h *restHub) send(c restCall, to func(restCall, relay.Payload) serviceproto.Message, w http.ResponseWriter, r *http.Request) int {
	if to == nil || r.Method != http.MethodPost {
		return http.StatusNotFound
	}
	payload, status := restMessage(w, r)
	if status == http.StatusAccepted {
		h.pool.Pick("").Send(to(c, payload))
	}
	return status
}

// operate has the service do what a request is for, and answers with what came of
// it.
func (h *restHub) operate(w http.ResponseWriter, r *http.Request, c restCall, o restOperation) {
	if o.ask == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	yes, err := h.ask(r.Context(), func(id int) serviceproto.Message { return o.ask(c, id) })
	switch {
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
	case !yes && o.missing != "":
		w.Header().Set("x-ms-error-code", o.missing)
		w.WriteHeader(http.StatusNotFound)
	case c.v1 && o.v1 != 0:
		w.WriteHeader(o.v1)
	default:
		w.WriteHeader(o.status)
	}
}

// restSends are the messages to clients, by where they go.
var restSends = map[string]func(c restCall, p relay.Payload) serviceproto.Message{
	"": func(c restCall, p relay.Payload) serviceproto.Message {
		return &serviceproto.BroadcastData{Payload: p, Excluded: c.query["excluded"]}
	},
	"users": func(c restCall, p relay.Payload) serviceproto.Message {
		return &serviceproto.UserData{UserID: c.names[0], Payload: p}
	},
	"groups": func(c restCall, p relay.Payload) serviceproto.Message {
		return &serviceproto.GroupBroadcastData{Group: c.names[0], Payload: p, Excluded: c.query["excluded"]}
	},
	"connections": func(c restCall, p relay.Payload) serviceproto.Message {
		return &serviceproto.MultiConnectionData{ConnectionIDs: c.names, Payload: p}
	},
}

// A restOperation is a question or a command that the service acknowledges.
type restOperation struct {
	ask     func(c restCall, id int) serviceproto.Message
	status  int
	v1      int    // 0: the same
	missing string // code of a 404, "" for none
}

// restOperations are those of 2022-06-01 and v1 but for the sends
// (rest-and-serverless 1.2 and 1.7).
var restOperations = map[string]restOperation{
	"GET connections": {status: 200, missing: "Warning.Connection.NotExisted", ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CheckConnectionExistenceWithAck{ConnectionID: c.names[0], AckID: id}
	}},
	"GET groups": {status: 200, missing: "Warning.Group.NotExisted", ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CheckGroupExistenceWithAck{Group: c.names[0], AckID: id}
	}},
	"GET users": {status: 200, missing: "Warning.User.NotExisted", ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CheckUserExistenceWithAck{UserID: c.names[0], AckID: id}
	}},
	"GET users/groups": {status: 200, missing: "Info.User.NotInGroup", ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CheckUserInGroupWithAck{UserID: c.names[0], Group: c.names[1], AckID: id}
	}},
	"GET groups/users": {status: 200, missing: "Info.User.NotInGroup", ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CheckUserInGroupWithAck{UserID: c.names[1], Group: c.names[0], AckID: id}
	}},
	"PUT groups/connections": {status: 200, missing: "Error.Connection.NotExisted", ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.JoinGroupWithAck{ConnectionID: c.names[1], Group: c.names[0], AckID: id}
	}},
	"DELETE groups/connections": {status: 200, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.LeaveGroupWithAck{ConnectionID: c.names[1], Group: c.names[0], AckID: id}
	}},
	"DELETE connections/groups": {status: 200, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.LeaveGroupWithAck{ConnectionID: c.names[0], AllGroups: true, AckID: id}
	}},
	"PUT users/groups": {status: 200, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.UserJoinGroupWithAck{UserID: c.names[0], Group: c.names[1], TTL: c.ttl(), AckID: id}
	}},
	"PUT groups/users": {status: 202, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.UserJoinGroupWithAck{UserID: c.names[1], Group: c.names[0], TTL: c.ttl(), AckID: id}
	}},
	"DELETE users/groups": {status: 204, v1: 200, ask: func(c restCall, id int) serviceproto.Message {
		m := &serviceproto.UserLeaveGroupWithAck{UserID: c.names[0], AckID: id}
		if len(c.names) == 1 {
			m.AllGroups = true
		} else {
			m.Group = c.names[1]
		}
		return m
	}},
	"DELETE groups/users": {status: 202, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.UserLeaveGroupWithAck{UserID: c.names[1], Group: c.names[0], AckID: id}
	}},
	"DELETE connections": {status: 200, v1: 202, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CloseConnectionWithAck{ConnectionID: c.names[0], Reason: c.query.Get("reason"), AckID: id}
	}},
	"POST :closeConnections": {status: 204, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CloseConnectionsWithAck{Reason: c.query.Get("reason"), Excluded: c.query["excluded"], AckID: id}
	}},
	"POST groups/:closeConnections": {status: 204, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CloseGroupConnectionsWithAck{Group: c.names[0], Reason: c.query.Get("reason"), Excluded: c.query["excluded"], AckID: id}
	}},
	"POST users/:closeConnections": {status: 204, ask: func(c restCall, id int) serviceproto.Message {
		return &serviceproto.CloseUserConnectionsWithAck{UserID: c.names[0], Reason: c.query.Get("reason"), Excluded: c.query["excluded"], AckID: id}
	}},
}

// ttl is how many seconds a user's membership is kept, nil for as long as can be.
func (c restCall) ttl() *int {
	n, err := strconv.Atoi(c.query.Get("ttl"))
	if err != nil {
		return nil
	}
	return &n
}

// maxRESTBody is how much a message may have, in bytes (rest-and-serverless 0).
const maxRESTBody = 1 << 20

// restMessage reads what is to be sent. Its status is 202 if it can be
// (rest-and-serverless 1.4).
func restMessage(w http.ResponseWriter, r *http.Request) (relay.Payload, int) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRESTBody))
	if err != nil {
		return nil, http.StatusRequestEntityTooLarge
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // none is no kind that is known
	switch kind {
	case "application/json":
		var call struct {
			Target    string
			Arguments []json.RawMessage
		}
		if json.Unmarshal(text, &call) != nil || call.Target == "" {
			return nil, http.StatusBadRequest
		}
		return encodeCall(call.Target, call.Arguments), http.StatusAccepted
	case "application/octet-stream":
		p, err := readPayload(text)
		if err != nil {
			return nil, http.StatusBadRequest
		}
		return p, http.StatusAccepted
	}
	return nil, http.StatusUnsupportedMediaType
}

// encodeCall writes a call for each hub protocol.
func encodeCall(target string, arguments []json.RawMessage) relay.Payload {
	inJSON, packed := hubproto.Call("", target), hubproto.Call("", target)
	for _, a := range arguments {
		inJSON.Arguments = append(inJSON.Arguments, hubproto.Raw(a))
		d := json.NewDecoder(strings.NewReader(string(a)))
		d.UseNumber()
		var v any
		_ = d.Decode(&v) // it is an element of what was read
		raw, _ := hubproto.MessagePack.AppendValue(nil, packable(v))
		packed.Arguments = append(packed.Arguments, raw)
	}
	return relay.Payload{
		{Protocol: "json", Data: hubproto.JSON.Append(nil, inJSON)},
		{Protocol: "messagepack", Data: hubproto.MessagePack.Append(nil, packed)},
	}
}

// packable is a value of JSON as messagepack has it.
func packable(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = packable(v[i])
		}
	case map[string]any:
		var o hubproto.Object
		for name, member := range v {
			o = append(o, hubproto.Field{Name: name, Value: packable(member)})
		}
		return o
	}
	return v
}

// readPayload reads a map of hub protocols and the bytes for each.
func readPayload(body []byte) (p relay.Payload, err error) {
	n, body, err := msgp.ReadMapHeaderBytes(body)
	for ; n > 0 && err == nil; n-- {
		var e relay.Encoding
		if e.Protocol, body, err = msgp.ReadStringBytes(body); err == nil {
			e.Data, body, err = msgp.ReadBytesBytes(body, nil)
			p = append(p, e)
		}
	}
	return p, err
}
