package sampleapp

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

const (
	parallelCalls = 2        // of one client at a time, streams apart
	maxQueued     = 10_000   // calls of one client that wait for their turn
	maxUploaded   = 16 << 20 // bytes of one client's stream items that wait to be read
)

// errBehind ends a client that sends faster than its calls are served. The SDK
// would stop reading the whole server connection instead.
var errBehind = fmt.Errorf("more than %d calls or %d bytes of stream items wait", maxQueued, maxUploaded)

// calls is what a client has asked for and not yet been told the end of.
type calls struct {
	mu      sync.Mutex
	over    bool
	running int
	queue   []job
	streams map[string]context.CancelFunc // result streams by invocation id
	uploads map[string]*upload            // by stream id
	held    int                           // bytes of stream items in uploads
}

// job is a call with its arguments bound.
type job struct {
	*call
	waits bool
	run   func() (any, error)
}

// invoked starts a call, or tells the client why not (the texts are those of
// core-client-protocol 5.4). It runs on the link's reader and does not block.
func (c *client) invoked(m *hubproto.Message) {
	f := c.hub.method(m.Target)
	streams := m.Type == hubproto.StreamInvocation
	k := &call{c: c, ctx: c.ctx, id: m.ID, target: m.Target}
	switch {
	case f == nil:
		k.fail("Failed to invoke '" + m.Target + "' due to an error on the server. HubException: Method does not exist.")
	case m.Unbound != nil, len(m.Arguments) != f.args:
		k.fail("Failed to invoke '" + m.Target + "' due to an error on the server.")
	case streams && !f.streaming:
		k.fail("The client attempted to invoke the non-streaming '" + m.Target + "' method with a streaming invocation.")
	case !streams && f.streaming:
		k.fail("The client attempted to invoke the streaming '" + m.Target + "' method with a non-streaming invocation.")
	case len(m.StreamIDs) != f.uploads:
		k.fail(fmt.Sprintf("An unexpected error occurred invoking '%s' on the server. HubException: Client sent %d stream(s), Hub method expects %d.",
			m.Target, len(m.StreamIDs), f.uploads))
	default:
		run, err := f.bind(k, m.Arguments)
		if err != nil {
			k.fail("Failed to invoke '" + m.Target + "' due to an error on the server.")
			return
		}
		for _, id := range m.StreamIDs {
			k.uploads = append(k.uploads, c.calls.upload(id, c.protocol()))
		}
		if streams {
			c.calls.stream(k, run)
		} else {
			c.calls.start(job{k, f.waits, run})
		}
	}
}

// fail answers a call that was not run, or whose method failed.
func (k *call) fail(text string) {
	if k.id != "" {
		k.c.write(&hubproto.Message{Type: hubproto.Completion, ID: k.id, Error: text, Failed: true})
	}
}

// start runs a job, now or when one of the client's calls has ended: in order,
// parallelCalls at a time. Only the link's reader calls it.
func (cs *calls) start(j job) {
	cs.mu.Lock()
	if cs.over {
		cs.mu.Unlock()
		return
	}
	if cs.running == parallelCalls || len(cs.queue) > 0 {
		behind := len(cs.queue) == maxQueued
		if !behind {
			cs.queue = append(cs.queue, j)
		}
		cs.mu.Unlock()
		if behind {
			j.c.broken(errBehind)
		}
		return
	}
	cs.running++
	cs.mu.Unlock()
	if j.waits {
		j.c.hub.app.work.Go(func() { cs.work(j) }) // ends with its client
		return
	}
	j.do()
	cs.mu.Lock()
	cs.running--
	cs.mu.Unlock()
}

// work runs a job and then those that waited for its end.
func (cs *calls) work(j job) {
	for {
		j.do()
		cs.mu.Lock()
		if len(cs.queue) == 0 || cs.over {
			cs.running--
			cs.queue = nil
			cs.mu.Unlock()
			return
		}
		j, cs.queue = cs.queue[0], cs.queue[1:]
		cs.mu.Unlock()
	}
}

// do runs the method and answers.
func (j job) do() {
	v, err := j.guard(j.run)
	j.c.calls.forget(j.uploads)
	if j.id == "" {
		return
	}
	var result hubproto.Raw
	if err == nil {
		result, err = j.c.protocol().AppendValue(nil, v)
	}
	if err != nil {
		j.fail("An unexpected error occurred invoking '" + j.target + "' on the server." + hubText(err))
		return
	}
	// Void methods answer null, as .NET servers do (core-client-protocol 5.2).
	j.c.write(&hubproto.Message{Type: hubproto.Completion, ID: j.id, Result: result})
}

// guard makes an error of a method's panic: it is the hub's fault and must not
// cost other clients anything.
func (k *call) guard(run func() (any, error)) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			k.c.hub.app.log.Error("hub method panicked", "method", k.target, "cause", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run()
}

// stream runs a method that answers with a stream, beside all other calls.
func (cs *calls) stream(k *call, run func() (any, error)) {
	ctx, cancel := context.WithCancel(k.ctx)
	k.ctx = ctx
	cs.mu.Lock()
	_, used := cs.streams[k.id]
	if cs.over || used {
		cs.mu.Unlock()
		cancel()
		if used {
			k.fail("Invocation ID '" + k.id + "' is already in use.")
		}
		return
	}
	if cs.streams == nil {
		cs.streams = map[string]context.CancelFunc{}
	}
	cs.streams[k.id] = cancel
	cs.mu.Unlock()
	k.c.hub.app.work.Go(func() { // ends with its stream, its cancel or its client
		_, err := k.guard(run)
		cs.mu.Lock()
		delete(cs.streams, k.id)
		cs.mu.Unlock()
		cs.forget(k.uploads)
		// A stream that the client cancelled ends without an error.
		if err != nil && ctx.Err() == nil {
			k.fail("An error occurred on the server while streaming results." + hubText(err))
		} else {
			k.c.write(&hubproto.Message{Type: hubproto.Completion, ID: k.id})
		}
		cancel()
	})
}

// cancel ends a result stream; an unknown id is late.
func (cs *calls) cancel(id string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cancel := cs.streams[id]; cancel != nil {
		cancel()
	}
}

// end forgets everything; what runs sees the end of its context.
func (cs *calls) end() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.over = true
	cs.queue, cs.uploads = nil, nil
}

func (cs *calls) upload(id string, p hubproto.Protocol) *upload {
	u := &upload{id: id, protocol: p, wake: make(chan struct{}, 1)}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.uploads == nil {
		cs.uploads = map[string]*upload{}
	}
	cs.uploads[id] = u
	return u
}

func (cs *calls) forget(uploads []*upload) {
	if len(uploads) == 0 {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, u := range uploads {
		if cs.uploads[u.id] == u {
			delete(cs.uploads, u.id)
		}
		for _, item := range u.items {
			cs.held -= len(item)
		}
		u.items = nil
	}
}

// item takes an item of an upload. One without a stream is dropped silently
// (core-client-protocol 5.4).
func (cs *calls) item(c *client, m *hubproto.Message) {
	cs.mu.Lock()
	u := cs.uploads[m.ID]
	behind := false
	if u != nil {
		u.items = append(u.items, slices.Clone(m.Item))
		cs.held += len(m.Item)
		behind = cs.held > maxUploaded
	}
	cs.mu.Unlock()
	if behind {
		c.broken(errBehind)
	} else if u != nil {
		u.stir()
	}
}

// uploaded takes the end of an upload; false when m is no such thing.
func (cs *calls) uploaded(m *hubproto.Message) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	u := cs.uploads[m.ID]
	if u == nil {
		return false
	}
	delete(cs.uploads, m.ID)
	u.over = true
	if m.Failed {
		u.err = hubError(m.Error)
	}
	u.stir()
	return true
}

// upload is a stream of items from a client to one call.
type upload struct {
	id       string
	protocol hubproto.Protocol
	wake     chan struct{} // has a value when something changed

	// Guarded by the mutex of calls.
	items []hubproto.Raw
	over  bool
	err   error
}

func (u *upload) stir() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// next reads the next item into v; false at the end of the stream.
func (k *call) next(u *upload, v any) (bool, error) {
	cs := &k.c.calls
	for {
		cs.mu.Lock()
		if len(u.items) > 0 {
			item := u.items[0]
			u.items = u.items[1:]
			cs.held -= len(item)
			cs.mu.Unlock()
			return true, u.protocol.Bind(item, v)
		}
		over, err := u.over, u.err
		cs.mu.Unlock()
		if over {
			return false, err
		}
		select {
		case <-u.wake:
		case <-k.ctx.Done():
			return false, k.ctx.Err()
		}
	}
}
