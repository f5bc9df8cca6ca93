package sampleapp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// keptEndings is of how many clients the hub remembers how they ended.
const keptEndings = 4096

// askTimeout is how long a client may take to answer a hub's question.
const askTimeout = 10 * time.Second

// chatHub has every feature of a hub that a client can see. What its methods do
// is the contract of the batteries that run against it.
type chatHub struct {
	hub          *hub
	streamsEnded atomic.Int64
	mu           sync.Mutex
	connects     int
	disconnects  int
	lastError    string
	here         map[string]*client
	ended        map[string]string // how a connection ended
	endedInOrder []string
	room         *room.Room
}

func newChatHub(a *App) *chatHub {
	c := &chatHub{here: map[string]*client{}, ended: map[string]string{}, room: a.room}
	methods := map[string]*method{}
	for _, some := range []map[string]*method{c.values(), c.sends(), c.streams(), roomMethods(a.room)} {
		for name, m := range some {
			methods[name] = m
		}
	}
	c.hub = newHub(a, auth.HubName(a.application, "ChatHub"), true, methods)
	a.room.Open(audience{c.hub})
	c.hub.connected, c.hub.disconnected = c.connected, c.disconnected
	return c
}

func (h *chatHub) connected(c *client) error {
	h.mu.Lock()
	h.connects++
	h.here[c.id] = c
	h.mu.Unlock()
	if v := principal.QueryValue(c.query, "refuse"); v != nil && *v == "yes" {
		h.mu.Lock()
		delete(h.here, c.id)
		h.mu.Unlock()
		return hubError("not you")
	}
	return sender{h.hub, c.link.Load()}.client(c.id, "welcome", c.id)
}

func (h *chatHub) disconnected(c *client, err error) {
	h.room.Leave(c.id)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.here, c.id)
	h.disconnects++
	how := "clean"
	h.lastError = ""
	if err != nil {
		how, h.lastError = "error: "+err.Error(), err.Error()
	}
	h.ended[c.id] = how
	if h.endedInOrder = append(h.endedInOrder, c.id); len(h.endedInOrder) > keptEndings {
		delete(h.ended, h.endedInOrder[0])
		h.endedInOrder = h.endedInOrder[1:]
	}
}

func (h *chatHub) stats() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("%d %d %s", h.connects, h.disconnects, h.lastError)
}

func (h *chatHub) endedHow(id string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	how, ok := h.ended[id]
	return how, ok
}

func (h *chatHub) connections() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, len(h.here))
	for id := range h.here {
		ids = append(ids, id)
	}
	return ids
}

// abort ends a connection that lives in this process.
func (h *chatHub) abort(id string) bool {
	h.mu.Lock()
	c := h.here[id]
	h.mu.Unlock()
	if c == nil {
		return false
	}
	c.abort()
	return true
}
