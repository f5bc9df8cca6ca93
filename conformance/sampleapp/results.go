package sampleapp

import (
	"bytes"
	"context"

	"fmt"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// results is the calls of clients by a hub that want an answer
// (service-protocol 10). This app may be the caller, who waits, or the router:
// the app that the asked client is bound to, whose caller is elsewhere.
type results struct {
	hub *hub
	run string // in the middle of every invocation id

	mu    sync.Mutex
	last  int
	asked map[string]*asked // by invocation id
}

type asked struct {
	id         string // connection id
	instance   string // of the service that the client is on, when it was told
	routed     bool   // the caller is elsewhere
	answerWith chan answer
}

type answer struct {
	protocol hubproto.Protocol
	value    hubproto.Raw // nil: void
	err      error
}

func newResults(h *hub) *results {
	return &results{hub: h, run: strings.ReplaceAll(serverlink.GUID(), "-", ""), asked: map[string]*asked{}}
}

// ask calls a method of a client and binds its answer to v. The error of a
// client is a hubError.
func (s sender) ask(ctx context.Context, id string, v any, method string, args ...any) error {
	r := s.hub.results
	waits := &asked{id: id, answerWith: make(chan answer, 1)}
	r.mu.Lock()
	r.last++
	invocation := fmt.Sprintf("%s-%s-%d", id, r.run, r.last)
	r.asked[invocation] = waits
	r.mu.Unlock()
	defer r.take(invocation, id)

	p, err := payload(invocation, method, args, hubproto.All...)
	if err != nil {
		return err
	}
	err = s.send("clients", &serviceproto.ClientInvocation{
		InvocationID: invocation, ConnectionID: id, CallerServerID: s.hub.app.serverID, Payload: p, TracingID: s.hub.pool.Trace(),
	})
	if err != nil {
		return err
	}
	select {
	case a := <-waits.answerWith:
		if a.err != nil || a.value == nil {
			return a.err
		}
		return a.protocol.Bind(a.value, v)
	case <-ctx.Done():
		return dotnetError("The operation was canceled.")
	}
}

// take removes and returns the call that waits for a connection's answer.
func (r *results) take(invocation, id string) *asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.asked[invocation]
	if a == nil || a.id != id {
		return nil
	}
	delete(r.asked, invocation)
	return a
}

// route notes a call from elsewhere to a client of ours, whose payload the
// service delivers itself.
func (r *results) route(m *serviceproto.ClientInvocation) {
	if r.hub.client(m.ConnectionID) == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked[m.InvocationID] == nil {
		r.asked[strings.Clone(m.InvocationID)] = &asked{id: strings.Clone(m.ConnectionID), routed: true}
	}
}

// mapped notes which instance of the service the asked client is on.
func (r *results) mapped(m *serviceproto.ServiceMapping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.asked[m.InvocationID]; a != nil {
		a.instance = strings.Clone(m.InstanceID)
	}
}

// answered takes a completion that a client of ours sent. The service is told
// of both kinds; one for ourselves has no payload, and names us, not the
// caller, as the SDK does (service-protocol 10, 5).
func (r *results) answered(c *client, m *hubproto.Message) {
	a := r.take(m.ID, c.id)
	if a == nil {
		return
	}
	told := &serviceproto.ClientCompletion{
		InvocationID: m.ID, ConnectionID: c.id, CallerServerID: r.hub.app.serverID, Protocol: c.protoName, Data: []byte{}, TracingID: r.hub.pool.Trace(),
	}
	if a.routed {
		told.Data = c.protocol().Append(nil, m)
	}
	c.link.Load().Send(told)
	if !a.routed {
		a.answerWith <- answerOf(c.protocol(), m)
	}
}

func answerOf(p hubproto.Protocol, m *hubproto.Message) answer {
	if m.Failed {
		return answer{err: hubError(m.Error)}
	}
	return answer{protocol: p, value: bytes.Clone(m.Result)}
}

// completed takes an answer that another app server passed on.
func (r *results) completed(m *serviceproto.ClientCompletion) {
	p := hubproto.ByName(m.Protocol)
	if p == nil {
		return
	}
	var completion hubproto.Message
	body, size, _, err := p.Next(m.Data)
	if err != nil || size == 0 || p.Parse(body, &completion) != nil || completion.Type != hubproto.Completion || completion.ID != m.InvocationID {
		return
	}
	if a := r.take(m.InvocationID, m.ConnectionID); a != nil && !a.routed {
		a.answerWith <- answerOf(p, &completion)
	}
}

// failed takes the service's word that there will be no answer.
func (r *results) failed(invocation, text string) {
	r.end(func(key string, _ *asked) bool { return key == invocation }, func(*asked) error { return hubError(text) })
}

// gone ends the calls of a client that is no more.
func (r *results) gone(id string) {
	r.end(func(_ string, a *asked) bool { return a.id == id }, disconnected)
}

func (r *results) instanceGone(instance string) {
	r.end(func(_ string, a *asked) bool { return a.instance != "" && a.instance == instance }, disconnected)
}

func disconnected(a *asked) error {
	return hubError("Connection '" + a.id + "' is disconnected.")
}

func (r *results) end(which func(string, *asked) bool, why func(*asked) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for invocation, a := range r.asked {
		if which(invocation, a) {
			delete(r.asked, invocation)
			if !a.routed {
				a.answerWith <- answer{err: why(a)}
			}
		}
	}
}
