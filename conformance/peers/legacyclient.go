package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// Transports of ASP.NET SignalR, as requests name them.
const (
	WebSockets       = "webSockets"
	ServerSentEvents = "serverSentEvents"
	LongPolling      = "longPolling"
)

// A RefusedError is an answer to a request of a client that is not 200.
type RefusedError struct {
	Action string
	Status int
	Text   string // the body, or the beginning of it
}

// Error tells the action and its status.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %d %s", e.Action, e.Status, e.Text) }

// A ClosedError says that the server closed a client, in the server's words.
type ClosedError string

// Error tells the reason.
func (e ClosedError) Error() string { return "closed by the server: " + string(e) }

// A LegacyClient is a client of an ASP.NET SignalR 2.x app with the hub
// chatHub. It follows the redirect as Microsoft's do. It does not reconnect by
// itself: its user cuts it and calls Reconnect. Its methods may be called
// concurrently but for Cut and Reconnect, which are one goroutine's.
type LegacyClient struct {
	ID  string // connection id
	Via string // transport

	base, query string // where the redirect points to
	login       string // access token
	token       string // connection token
	http        *http.Client

	carrier *legacyCarrier // of the last connect or reconnect

	mu       sync.Mutex
	mark     string // cursor of the last message
	next     int
	waiting  map[string]chan legacyElement // calls by invocation id
	arrived  []string                      // messages in their order
	farewell error
}

// A legacyCarrier is one connect or reconnect and the goroutine that reads it.
type legacyCarrier struct {
	cut    func()
	socket *ws.Conn      // of WebSockets
	ended  chan struct{} // closed when it has ended
}

// A legacyDocument is what the server sends at a time: elements, or the result
// of a call alone, or a reason to close (legacy-client-protocol 4).
type legacyDocument struct {
	C string
	M []legacyElement
	I *string
	E *string
	R json.RawMessage
}

// A legacyElement is a call of a client's method or the result of a call.
type legacyElement struct {
	M string
	A []json.RawMessage
	I *string
	E *string
	R json.RawMessage
}

const (
	legacyHubs     = `[{"name":"chatHub"}]`
	legacyProtocol = "2.1"
)

// ConnectLegacy connects to an app by a transport and returns when the client
// has started. Only ctx bounds it, and it bounds nothing else.
func ConnectLegacy(ctx context.Context, app *App, via string) (*LegacyClient, error) {
	c, err := NegotiateLegacy(ctx, app, via)
	if err == nil {
		err = c.Connect(ctx, legacyHubs)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// NegotiateLegacy returns a client that has negotiated with the app and with
// the relay that the app redirects to, and not connected yet.
func NegotiateLegacy(ctx context.Context, app *App, via string) (*LegacyClient, error) {
	c := &LegacyClient{Via: via, http: &http.Client{Transport: &http.Transport{}}, waiting: map[string]chan legacyElement{}}
	var n struct{ RedirectURL, AccessToken, ConnectionToken, ConnectionID string }
	asked := url.Values{"clientProtocol": {legacyProtocol}, "connectionData": {legacyHubs}}
	if err := c.get(ctx, app.URL+"/signalr/negotiate?"+asked.Encode(), &n); err != nil {
		return nil, err
	}
	c.base, c.query, _ = strings.Cut(n.RedirectURL, "?")
	c.login = n.AccessToken
	if err := c.get(ctx, c.base+"/negotiate?"+c.query+"&"+asked.Encode(), &n); err != nil {
		return nil, err
	}
	c.ID, c.token = n.ConnectionID, n.ConnectionToken
	return c, nil
}

func (c *LegacyClient) get(ctx context.Context, target string, v any) error {
	body, err := c.ask(ctx, http.MethodGet, target, "")
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return fmt.Errorf("get %s: %w", target, err)
	}
	return nil
}

// ask returns the body of a 200. The context ends the body, too.
func (c *LegacyClient) ask(ctx context.Context, method, target, form string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	if c.login != "" {
		req.Header.Set("Authorization", "Bearer "+c.login)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, &RefusedError{Action: req.URL.Path, Status: resp.StatusCode, Text: string(text)}
	}
	return resp.Body, nil
}

// target is the URL of an action of the connection.
func (c *LegacyClient) target(action, hubs string) string {
	q := url.Values{
		"transport": {c.Via}, "clientProtocol": {legacyProtocol}, "connectionToken": {c.token}, "connectionData": {hubs},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if action == "reconnect" || action == "poll" {
		q.Set("messageId", c.mark)
	}
	return c.base + "/" + action + "?" + c.query + "&" + q.Encode()
}

// Connect connects a client that has negotiated, to hubs in the form of
// connectionData, and starts it.
func (c *LegacyClient) Connect(ctx context.Context, hubs string) error {
	if err := c.open(ctx, "connect", hubs); err != nil {
		return err
	}
	body, err := c.ask(ctx, http.MethodGet, c.target("start", hubs), "")
	if err != nil {
		return err
	}
	return body.Close()
}

// Reconnect brings a client back that was cut. It returns when the server has
// taken it back: on long polling that is with its first answer.
func (c *LegacyClient) Reconnect(ctx context.Context) error {
	return c.open(ctx, "reconnect", legacyHubs)
}

// Cut breaks the client's connection without a word and waits until it is
// broken here.
func (c *LegacyClient) Cut() {
	c.carrier.cut()
	<-c.carrier.ended
}

// Abort ends the client as a page that is left does, and waits for the end of
// its connection.
func (c *LegacyClient) Abort(ctx context.Context) error {
	body, err := c.ask(ctx, http.MethodPost, c.target("abort", legacyHubs), "")
	if err != nil {
		return err
	}
	body.Close()
	select {
	case <-c.carrier.ended:
	case <-ctx.Done():
		return fmt.Errorf("end of an aborted connection: %w", ctx.Err())
	}
	c.http.CloseIdleConnections()
	return nil
}

// Ended is closed when the connection has ended that the last connect or
// reconnect made.
func (c *LegacyClient) Ended() <-chan struct{} { return c.carrier.ended }

// Farewell is the reason that the server closed the client for, a
// [ClosedError], or nil if it gave none yet.
func (c *LegacyClient) Farewell() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.farewell
}

// Messages returns the arguments of the hub's "message" so far, in their order.
func (c *LegacyClient) Messages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrived[:len(c.arrived):len(c.arrived)]
}

// Call invokes a hub method with text arguments and returns its result as JSON,
// empty if there is none.
func (c *LegacyClient) Call(ctx context.Context, method string, arguments ...string) (string, error) {
	answer := make(chan legacyElement, 1)
	c.mu.Lock()
	c.next++
	id := strconv.Itoa(c.next)
	c.waiting[id] = answer
	c.mu.Unlock()
	if arguments == nil {
		arguments = []string{}
	}
	call, err := json.Marshal(struct {
		H, M string
		A    []string
		I    int
	}{"chatHub", method, arguments, c.next})
	if err != nil {
		return "", err
	}
	if err := c.say(ctx, call); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		if m.E != nil {
			return "", fmt.Errorf("%s: %s", method, *m.E)
		}
		return string(m.R), nil
	case <-ctx.Done():
		return "", fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (c *LegacyClient) say(ctx context.Context, text []byte) error {
	if c.Via == WebSockets {
		return c.carrier.socket.Write(ws.Text, text)
	}
	body, err := c.ask(ctx, http.MethodPost, c.target("send", legacyHubs), url.Values{"data": {string(text)}}.Encode())
	if err != nil {
		return err
	}
	return body.Close()
}

// open makes a carrier. What ends it later is told by Farewell only: a cut has
// no reason.
func (c *LegacyClient) open(ctx context.Context, action, hubs string) error {
	live, cut := context.WithCancel(context.Background())
	k := &legacyCarrier{cut: cut, ended: make(chan struct{})}
	stop := context.AfterFunc(ctx, cut) // until it is open
	read, err := c.carry(live, k, action, hubs)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		k.cut()
		return err
	}
	c.carrier = k
	go func() { // ends with the carrier
		defer close(k.ended)
		for read() == nil {
		}
		k.cut()
	}()
	return nil
}

// carry opens a carrier and returns what reads the next of it.
func (c *LegacyClient) carry(live context.Context, k *legacyCarrier, action, hubs string) (read func() error, err error) {
	switch c.Via {
	case WebSockets:
		k.socket, err = ws.Dial(live, c.target(action, hubs), http.Header{"Authorization": {"Bearer " + c.login}})
		var refused *ws.StatusError
		if errors.As(err, &refused) {
			return nil, &RefusedError{Action: action, Status: refused.Code, Text: refused.Body}
		} else if err != nil {
			return nil, err
		}
		end := k.cut
		k.cut = func() { end(); k.socket.NetConn().Close() }
		return func() error {
			_, p, err := k.socket.Read()
			if err != nil {
				return err
			}
			return c.take(p)
		}, nil
	case ServerSentEvents:
		body, err := c.ask(live, http.MethodGet, c.target(action, hubs), "")
		if err != nil {
			return nil, err
		}
		lines := bufio.NewReader(body)
		return func() error {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return err
			}
			if text, ok := strings.CutPrefix(string(line), "data: "); ok && text != "initialized\n" {
				return c.take([]byte(text))
			}
			return nil
		}, nil
	case LongPolling:
		poll := func() error {
			body, err := c.ask(live, http.MethodPost, c.target(action, hubs), "")
			if err != nil {
				return err
			}
			defer body.Close()
			action = "poll"
			text, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			return c.take(text)
		}
		return poll, poll()
	}
	return nil, fmt.Errorf("no transport is called %s", c.Via)
}

// take takes what the server sent at a time.
func (c *LegacyClient) take(text []byte) error {
	var d legacyDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("message %q: %w", text, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.C != "" {
		c.mark = d.C
	}
	switch {
	case d.I != nil:
		d.M = []legacyElement{{I: d.I, E: d.E, R: d.R}}
	case d.E != nil:
		c.farewell = ClosedError(*d.E)
		return c.farewell
	}
	for _, e := range d.M {
		switch {
		case e.I != nil && c.waiting[*e.I] != nil:
			c.waiting[*e.I] <- e
			delete(c.waiting, *e.I)
		case e.M == "message" && len(e.A) == 1:
			var text string
			if err := json.Unmarshal(e.A[0], &text); err != nil {
				return err
			}
			c.arrived = append(c.arrived, text)
		}
	}
	return nil
}
