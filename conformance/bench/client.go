package bench

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// What a hub message is. The values are the digits of the types of ASP.NET Core's (core-client-protocol 5.1).
const (
	invocation = '1'
	completion = '3'
	hubClose   = '7'
)

// closeError is the hub's last word (core-client-protocol 7.1, legacy-service-protocol 4.4): it ends the connection.
type closeError struct {
	AllowReconnect bool   `json:"allowReconnect"`
	text           string // of the message, its beginning
}

func (e *closeError) Error() string { return e.text }

// beginning is as much of a message as an error tells.
func beginning(m []byte) string { return string(m[:min(len(m), 200)]) }

// client is one WebSocket client of a fleet. Its fields belong to the goroutine that reads it.
type client struct {
	s         *subject
	i         int   // its number in the fleet
	at        grant // where it takes its leave, in ASP.NET SignalR
	conn      *ws.Conn
	rest      []byte // of a hub message that came in parts
	sent      time.Time
	latencies []time.Duration
}

// dial upgrades the i-th client's connection to a WebSocket.
func (s *subject) dial(ctx context.Context, i int, g grant, adjust func(*net.Dialer)) (*client, error) {
	d := ws.Dialer{Net: dialer(i, g.url.Hostname())}
	if adjust != nil {
		adjust(&d.Net)
	}
	h := http.Header{}
	if g.token != "" {
		h.Set("Authorization", "Bearer "+g.token)
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	conn, err := d.Dial(ctx, g.url.String(), h)
	if err != nil {
		return nil, err
	}
	return &client{s: s, i: i, conn: conn}, nil
}

// read calls on for every hub message until the connection ends.
func (c *client) read(on func(kind byte) error) error {
	if p := c.rest; p != nil {
		c.rest = nil
		if err := c.s.dialect.feed(c, p, on); err != nil {
			return err
		}
	}
	for {
		_, p, err := c.conn.Read()
		if err != nil {
			return err
		}
		if err := c.s.dialect.feed(c, p, on); err != nil {
			return err
		}
	}
}
