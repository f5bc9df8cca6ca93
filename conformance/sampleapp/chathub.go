package sampleapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
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
	room         room
}

func newChatHub(a *App) *chatHub {
	c := &chatHub{here: map[string]*client{}, ended: map[string]string{}}
	methods := map[string]*method{}
	for _, some := range []map[string]*method{c.values(), c.sends(), c.streams(), c.room.methods()} {
		for name, m := range some {
			methods[name] = m
		}
	}
	c.hub = newHub(a, auth.HubName(a.application, "ChatHub"), true, methods)
	c.room.hub = c.hub
	c.hub.connected, c.hub.disconnected = c.connected, c.disconnected
	return c
}

func (h *chatHub) connected(c *client) error {
	h.mu.Lock()
	h.connects++
	h.here[c.id] = c
	h.mu.Unlock()
	if v := queryValue(c.query, "refuse"); v != nil && *v == "yes" {
		h.mu.Lock()
		delete(h.here, c.id)
		h.mu.Unlock()
		return HubError("not you")
	}
	return sender{h.hub, c.link.Load()}.client(c.id, "welcome", c.id)
}

func (h *chatHub) disconnected(c *client, err error) {
	h.room.leave(c)
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

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// values are the methods that answer with a value.
func (h *chatHub) values() map[string]*method {
	return map[string]*method{
		"Echo":   call1(func(_ *call, s *string) (any, error) { return s, nil }),
		"Add":    call2(func(_ *call, a, b int) (any, error) { return a + b, nil }),
		"Mirror": call1(mirror),
		"Same":   call1(func(_ *call, t hubproto.Raw) (any, error) { return t, nil }),
		"Backwards": call1(func(_ *call, b []byte) (any, error) {
			slices.Reverse(b)
			return b, nil
		}),
		"Nothing": call0(func(*call) (any, error) { return nil, nil }),
		"Fail":    call0(func(*call) (any, error) { return nil, HubError("told you so") }),
		"Crash":   call0(func(*call) (any, error) { return nil, errors.New("secret detail") }),
		"Big":     call1(big),
		// .NET counts UTF-16 units.
		"Length":        call1(func(_ *call, s string) (any, error) { return utf16Length(s), nil }),
		"MyId":          call0(func(k *call) (any, error) { return k.c.id, nil }),
		"MyUser":        call0(func(k *call) (any, error) { return k.c.who.user, nil }),
		"MyName":        call0(func(k *call) (any, error) { return k.c.who.claim(k.c.who.nameType), nil }),
		"Claim":         call1(func(k *call, kind string) (any, error) { return k.c.who.claim(kind), nil }),
		"InRole":        call1(func(k *call, role string) (any, error) { return k.c.who.inRole(role), nil }),
		"Authenticated": call0(func(k *call) (any, error) { return len(k.c.who.claims) > 0, nil }),
		"Query":         call1(func(k *call, key string) (any, error) { return queryValue(k.c.query, key), nil }),
		"Header": call1(func(k *call, name string) (any, error) {
			for _, header := range k.c.headers {
				if strings.EqualFold(header.Name, name) {
					return strings.Join(header.Values, ","), nil
				}
			}
			return nil, nil
		}),
		"Path": call0(func(k *call) (any, error) { return text(queryValue(k.c.query, "asrs.op")), nil }),
		"Abort": call0(func(k *call) (any, error) {
			k.c.abort()
			return nil, nil
		}),
		"Collect": call1(func(k *call, i int) (any, error) {
			k.c.bag.add(i)
			return nil, nil
		}),
		"Collected": call0(func(k *call) (any, error) { return k.c.bag.all(), nil }),
		"Streams":   call0(func(*call) (any, error) { return int(h.streamsEnded.Load()), nil }),
		"Stats":     call0(func(*call) (any, error) { return h.stats(), nil }),
	}
}

// mirror swaps the coordinates of a point.
func mirror(k *call, members map[string]hubproto.Raw) (any, error) {
	if members == nil {
		return nil, errors.New("no point")
	}
	var x, y int
	var label *string
	for name, raw := range members {
		var err error
		switch strings.ToLower(name) {
		case "x":
			err = k.c.protocol().Bind(raw, &x)
		case "y":
			err = k.c.protocol().Bind(raw, &y)
		case "label":
			err = k.c.protocol().Bind(raw, &label)
		}
		if err != nil {
			return nil, err
		}
	}
	return hubproto.Object{{Name: "X", Value: y}, {Name: "Y", Value: x}, {Name: "Label", Value: label}}, nil
}

// maxBig is the longest text that Big makes, in bytes.
const maxBig = 64 << 20

func big(_ *call, n int) (any, error) {
	if n < 0 || n > maxBig {
		return nil, fmt.Errorf("%d bytes are out of range", n)
	}
	return strings.Repeat("z", n), nil
}

func utf16Length(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// bag keeps numbers for one client.
type bag struct {
	mu      sync.Mutex
	numbers []int
}

func (b *bag) add(i int) {
	b.mu.Lock()
	b.numbers = append(b.numbers, i)
	b.mu.Unlock()
}

func (b *bag) all() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int{}, b.numbers...)
}

// sends are the methods that send to clients or change groups.
func (h *chatHub) sends() map[string]*method {
	return map[string]*method{
		"SendAll":    call1(func(k *call, m *string) (any, error) { return nil, k.sender().all(nil, "message", m) }),
		"SendOthers": call1(func(k *call, m *string) (any, error) { return nil, k.sender().all([]string{k.c.id}, "message", m) }),
		"SendCaller": call1(func(k *call, m *string) (any, error) { return nil, k.sender().client(k.c.id, "message", m) }),
		"SendClient": call2(func(k *call, id string, m *string) (any, error) { return nil, k.sender().client(id, "message", m) }),
		"SendClients": call2(func(k *call, ids []string, m *string) (any, error) {
			return nil, k.sender().clients(ids, "message", m)
		}),
		"SendAllExcept": call2(func(k *call, ids []string, m *string) (any, error) {
			return nil, k.sender().all(ids, "message", m)
		}),
		"SendUser": call2(func(k *call, user string, m *string) (any, error) { return nil, k.sender().user(user, "message", m) }),
		"SendUsers": call2(func(k *call, users []string, m *string) (any, error) {
			return nil, k.sender().users(users, "message", m)
		}),
		"Join":      waiting(call1(func(k *call, g string) (any, error) { return nil, k.sender().join(k.ctx, k.c.id, g) })),
		"JoinOther": waiting(call2(func(k *call, id, g string) (any, error) { return nil, k.sender().join(k.ctx, id, g) })),
		"Leave":     waiting(call1(func(k *call, g string) (any, error) { return nil, k.sender().leave(k.ctx, k.c.id, g) })),
		"SendGroup": call2(func(k *call, g string, m *string) (any, error) { return nil, k.sender().group(g, nil, "message", m) }),
		"SendGroups": call2(func(k *call, groups []string, m *string) (any, error) {
			return nil, k.sender().groups(groups, "message", m)
		}),
		"SendOthersInGroup": call2(func(k *call, g string, m *string) (any, error) {
			return nil, k.sender().group(g, []string{k.c.id}, "message", m)
		}),
		"SendGroupExcept": call3(func(k *call, g string, ids []string, m *string) (any, error) {
			return nil, k.sender().group(g, ids, "message", m)
		}),
		"Burst": waiting(call1(burst)),
		"Tick":  call2(tick),
		"Ask": waiting(call2(func(k *call, id, q string) (any, error) {
			a, err := h.ask(k.ctx, k.sender(), id, q)
			if err != nil {
				return "error: " + err.Error(), nil
			}
			return a, nil
		})),
	}
}

// ask has a client answer a question.
func (h *chatHub) ask(ctx context.Context, s sender, id, q string) (a *string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = s.ask(ctx, id, &a, "question", q)
	return a, err
}

// burst sends n messages as fast as they are taken.
func burst(k *call, n int) (any, error) {
	for i := range n {
		if err := k.ctx.Err(); err != nil {
			return nil, err
		}
		if err := k.sender().client(k.c.id, "message", fmt.Sprintf("b%d", i)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// tick returns at once; then n messages follow, one every delay milliseconds.
func tick(k *call, n, delay int) (any, error) {
	k.c.hub.app.work.Go(func() { // ends with its client at the latest
		every := time.NewTicker(max(time.Duration(delay)*time.Millisecond, 1))
		defer every.Stop()
		for i := range n {
			if k.sender().client(k.c.id, "message", fmt.Sprintf("t%d", i)) != nil {
				return
			}
			select {
			case <-every.C:
			case <-k.c.ctx.Done():
				return
			}
		}
	})
	return nil, nil
}

// streams are the methods that take or give streams.
func (h *chatHub) streams() map[string]*method {
	return map[string]*method{
		"Counter": streaming(call2(h.counter)),
		"CounterFail": streaming(call1(func(k *call, after int) (any, error) {
			for i := range after {
				if err := k.emit(i); err != nil {
					return nil, err
				}
			}
			return nil, HubError("stream broke")
		})),
		"Sum": uploading(1, call0(func(k *call) (any, error) {
			sum := 0
			err := each(k, func(i int) error {
				sum += i
				return nil
			})
			return sum, err
		})),
		"Relay": uploading(1, call0(func(k *call) (any, error) {
			n := 0
			err := each(k, func(m *string) error {
				n++
				return k.sender().client(k.c.id, "message", m)
			})
			return n, err
		})),
		"Double": streaming(uploading(1, call0(func(k *call) (any, error) {
			defer h.streamsEnded.Add(1)
			return nil, each(k, func(i int) error { return k.emit(2 * i) })
		}))),
	}
}

func (h *chatHub) counter(k *call, count, delay int) (any, error) {
	defer h.streamsEnded.Add(1)
	for i := range count {
		if err := k.emit(i); err != nil {
			return nil, err
		}
		if delay > 0 {
			select {
			case <-time.After(time.Duration(delay) * time.Millisecond):
			case <-k.ctx.Done():
				return nil, k.ctx.Err()
			}
		}
	}
	return nil, nil
}

// each calls f for every item of the call's only upload.
func each[T any](k *call, f func(T) error) error {
	for {
		var item T
		ok, err := k.next(k.uploads[0], &item)
		if !ok || err != nil {
			return err
		}
		if err := f(item); err != nil {
			return err
		}
	}
}
