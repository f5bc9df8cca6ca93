package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// ErrHubClose says that the server said goodbye with a hub Close; the text behind
// it ends with "reconnect true" where the client was invited to come back.
var ErrHubClose = errors.New("hub closed the connection")

// A Client is a hub client on a WebSocket with the json protocol. It negotiates
// with the app, follows the redirect and negotiates again, as Microsoft's do.
// Unlike theirs it hides nothing: when its connection ends, that is its end.
type Client struct {
	ID string // connection id

	conn  *ws.Conn
	ended chan struct{} // closed when the connection has ended
	err   error         // why; set before ended is closed

	mu      sync.Mutex
	next    int
	waiting map[string]chan hubproto.Message // calls by invocation id
	arrived []string                         // messages in their order
}

type negotiation struct {
	URL             string `json:"url"`
	AccessToken     string `json:"accessToken"`
	ConnectionID    string `json:"connectionId"`
	ConnectionToken string `json:"connectionToken"`
	Error           string `json:"error"`
}

// Connect connects to a hub and returns after its handshake. It has no limit of
// its own for the negotiates and the handshake but ctx.
func Connect(ctx context.Context, hub string) (*Client, error) {
	app, err := negotiate(ctx, hub, "")
	if err != nil {
		return nil, err
	}
	service, err := negotiate(ctx, app.URL, app.AccessToken)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(app.URL)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("id", service.ConnectionToken)
	u.RawQuery = q.Encode()
	conn, err := ws.Dial(ctx, u.String(), http.Header{"Authorization": {"Bearer " + app.AccessToken}})
	if err != nil {
		return nil, err
	}
	c := &Client{ID: service.ConnectionID, conn: conn, ended: make(chan struct{}), waiting: map[string]chan hubproto.Message{}}
	shaken := make(chan struct{})
	go c.read(shaken) // ends with the connection
	request := hubproto.AppendHandshakeRequest(nil, hubproto.HandshakeRequest{Protocol: "json", Version: 1})
	if err := conn.Write(ws.Text, request); err != nil {
		conn.NetConn().Close()
		return nil, err
	}
	select {
	case <-shaken:
		return c, nil
	case <-c.ended:
		return nil, c.err
	case <-ctx.Done():
		conn.NetConn().Close()
		return nil, ctx.Err()
	}
}

// negotiate is one step of core-client-protocol 2.
func negotiate(ctx context.Context, hub, token string) (n negotiation, err error) {
	u, err := url.Parse(hub)
	if err != nil {
		return n, err
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/negotiate"
	q := u.Query()
	q.Set("negotiateVersion", "1")
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return n, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return n, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return n, fmt.Errorf("negotiate: %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&n); err != nil {
		return n, fmt.Errorf("negotiate: %w", err)
	}
	if n.Error != "" {
		return n, fmt.Errorf("negotiate: %s", n.Error)
	}
	return n, nil
}

func (c *Client) read(shaken chan struct{}) {
	defer close(c.ended)
	f := hubproto.Framer{}
	for {
		_, p, err := c.conn.Read()
		if err == nil {
			err = f.Feed(p, func(body []byte) error {
				if f.Protocol == nil {
					f.Protocol = hubproto.JSON
					defer close(shaken)
					return accepted(body)
				}
				return c.take(body)
			})
		}
		if err != nil {
			c.err = err
			c.conn.NetConn().Close()
			return
		}
	}
}

func accepted(body []byte) error {
	text, refused, err := hubproto.ParseHandshakeResponse(body)
	if err == nil && refused {
		err = fmt.Errorf("handshake refused: %s", text)
	}
	return err
}

func (c *Client) take(body []byte) error {
	var m hubproto.Message
	if err := hubproto.JSON.Parse(body, &m); err != nil {
		return err
	}
	switch m.Type {
	case hubproto.Close:
		return fmt.Errorf("%w: %q, reconnect %v", ErrHubClose, m.Error, m.AllowReconnect)
	case hubproto.Completion:
		m.Result = append(hubproto.Raw(nil), m.Result...)
		c.mu.Lock()
		answer := c.waiting[m.ID]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		if answer == nil {
			return fmt.Errorf("completion %q that nobody waits for", m.ID)
		}
		answer <- m
	case hubproto.Invocation:
		if m.Target != "message" || len(m.Arguments) != 1 {
			return nil // "welcome"
		}
		var text string
		if err := hubproto.JSON.Bind(m.Arguments[0], &text); err != nil {
			return err
		}
		c.mu.Lock()
		c.arrived = append(c.arrived, text)
		c.mu.Unlock()
	}
	return nil
}

// Call invokes a hub method with text arguments and returns its result, which is text or
// nothing.
func (c *Client) Call(ctx context.Context, method string, arguments ...string) (result string, err error) {
	values := make([]any, len(arguments))
	for i, a := range arguments {
		values[i] = a
	}
	raw, err := hubproto.Values(hubproto.JSON, values...)
	if err != nil {
		return "", err
	}
	answer := make(chan hubproto.Message, 1)
	c.mu.Lock()
	c.next++
	id := strconv.Itoa(c.next)
	c.waiting[id] = answer
	c.mu.Unlock()
	if err := c.conn.Write(ws.Text, hubproto.JSON.Append(nil, hubproto.Call(id, method, raw...))); err != nil {
		return "", err
	}
	select {
	case m := <-answer:
		if m.Failed {
			return "", fmt.Errorf("%s: %s", method, m.Error)
		}
		var text *string // null where the method returns nothing
		if m.Result != nil {
			err = hubproto.JSON.Bind(m.Result, &text)
		}
		if text != nil {
			result = *text
		}
		return result, err
	case <-c.ended:
		return "", c.err
	case <-ctx.Done():
		return "", fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// Messages returns the arguments of the hub's "message" so far, in their order.
func (c *Client) Messages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrived[:len(c.arrived):len(c.arrived)]
}

// Ended is closed when the connection has ended; Err then says why.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Err is why the connection ended; it may be called once it has.
func (c *Client) Err() error { return c.err }

// Close ends the connection and waits for that.
func (c *Client) Close() {
	c.conn.Close(1000, "")
	<-c.ended
}
