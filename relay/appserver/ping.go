package appserver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// Words of pings (service-protocol 5).
const (
	wordStatus   = "status"
	wordServers  = "servers"
	wordShutdown = "shutdown"
	wordOffline  = "offline"
	wordTarget   = "target"
)

// wantEvery is how long an app has to open a connection that it was asked for,
// and new clients to fill it.
const wantEvery = 30 * time.Second

// ping answers what a ping asks. One without a question is a keep-alive.
func (c *Conn) ping(words []string) {
	for i := 0; i+1 < len(words); i += 2 {
		switch words[i] {
		case wordStatus:
			c.send(c.status())
			return
		case wordServers:
			ids := c.hub.Servers()
			slices.Sort(ids) // the SDK compares the text between its endpoints
			stamp := strconv.FormatInt(time.Now().UnixNano(), 10)
			c.send(&serviceproto.Ping{Words: []string{wordServers, stamp + ":" + strings.Join(ids, ";")}})
			return
		case wordShutdown:
			if strings.HasPrefix(words[i+1], "fin:") {
				c.finish(words[i+1])
			}
			return
		}
	}
}

func (c *Conn) status() *serviceproto.Ping {
	clients := c.hub.Len()
	active := "0"
	if clients > 0 {
		active = "1"
	}
	return &serviceproto.Ping{Words: []string{
		wordStatus, active,
		"clientcount", strconv.Itoa(clients),
		"servercount", strconv.Itoa(c.hub.Routes()),
	}}
}

// finish begins the graceful shutdown of an app server (service-protocol 8.4).
// It gets no new clients. With fin:1 its clients move to other servers; with
// fin:2 they leave by themselves; with fin:0 their hub closes them as soon as
// it reads our finack.
func (c *Conn) finish(fin string) {
	r := c.route.Load()
	r.Drain(fin == "fin:1")
	if fin == "fin:0" && c.fin.Load() == 0 {
		c.fin.Store(time.Now().UnixNano())
	}
	c.send(&serviceproto.Ping{Words: []string{wordShutdown, "finack"}})
	c.log.Info("server is shutting down", "mode", fin, "clients", r.Len())
}

// Tick keeps the connection alive and notices when the other side is not.
func (c *Conn) Tick(now time.Time) {
	if c.gone.Load() {
		return
	}
	at := now.UnixNano()
	r := c.route.Load()
	quiet := time.Duration(at - c.heard.Load())
	switch {
	case r == nil && now.Sub(c.since) > handshakeTimeout:
		c.conn.Cut(fmt.Errorf("no handshake within %s", handshakeTimeout))
		return
	case quiet > silence:
		c.conn.Cut(fmt.Errorf("silent for %s", quiet.Round(time.Second)))
		return
	}
	// The sweeper ticks once a second, a little early at times.
	if r != nil && time.Duration(at-c.pinged.Load()) > pingEvery-time.Second/2 {
		c.pinged.Store(at)
		c.send(&serviceproto.Ping{})
	}
	if most := c.o.ClientsPerServer; r != nil && most > 0 && r.Len() > most && time.Duration(at-c.wanted.Load()) > wantEvery {
		c.wanted.Store(at)
		c.send(&serviceproto.Ping{Words: []string{wordTarget, c.o.InstanceID}})
	}
	if fin := c.fin.Load(); fin != 0 && time.Duration(at-fin) > finTimeout {
		c.fin.Store(at)
		r.Hangup(relay.Reason{Category: relay.ServerConnectionClosed, AllowReconnect: true})
	}
}
