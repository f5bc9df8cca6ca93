package suite

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// skipUnoffered skips a case that wants what the endpoint does not offer, and need
// not: one of the transports, stateful reconnect (core-client-protocol 3.2 and 8).
func skipUnoffered(ctx context.Context, t *T, tr *conformance.Transcript) {
	asks := slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool {
		c, ok := s.Said.(conformance.Connect)
		return ok && strings.Contains(c.Query, statefulQuery)
	})
	requested := slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool {
		r, ok := s.Said.(conformance.Request)
		return ok && transportOf(r) != ""
	})
	switch {
	case asks:
		if !negotiateCore(ctx, t, statefulQuery).UseStatefulReconnect {
			t.Skip(noStateful)
		}
	case requested:
		at := negotiateCore(ctx, t)
		for _, name := range transportsOf(tr) {
			at.offering(t, name)
		}
	}
}

const (
	statefulQuery = "useStatefulReconnect=true"
	noStateful    = "the endpoint does not offer stateful reconnect"
)

// transportsOf are the transports that a transcript uses.
func transportsOf(tr *conformance.Transcript) (all []string) {
	for _, s := range tr.Steps {
		name := ""
		switch said := s.Said.(type) {
		case conformance.Connect:
			name = said.Transport
		case conformance.Request:
			name = transportOf(said)
		}
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// transportOf is the transport that a request is of, empty for one that all have
// or none (core-client-protocol 3.1).
func transportOf(r conformance.Request) string {
	switch {
	case !strings.HasPrefix(r.Target, "?"): // negotiate, and what is behind the hub
	case r.Method == http.MethodDelete:
		return "LongPolling"
	case r.Method != http.MethodGet:
	case field(r.Header, "Upgrade") == "websocket":
		return "WebSockets"
	case field(r.Header, "Accept") == "text/event-stream":
		return "ServerSentEvents"
	default:
		return "LongPolling"
	}
	return ""
}

// noPacked is why a case is skipped that speaks messagepack: a hub has that if its
// app adds it.
const noPacked = "the hub has no messagepack"

// lacksPacked skips a case that failed, with err, since the hub refuses messagepack.
func lacksPacked(ctx context.Context, t *T, tr *conformance.Transcript, err error) {
	var d *conformance.Difference
	if errors.As(err, &d) && bytes.Contains(tr.Text(), []byte(`"protocol":"messagepack"`)) && refusesPacked(ctx, t.Endpoint) {
		t.Skip(noPacked)
	}
}

const askPacked = "# name: probe\n" +
	"client c1> connect " + eachBinary + "\n" +
	"client c1> text `{\"protocol\":\"messagepack\",\"version\":1}␞`\n" +
	"server c1> binary `{}␞`\n"

// refusesPacked says whether a handshake for messagepack is answered with an error.
func refusesPacked(ctx context.Context, e *Endpoint) bool {
	for _, text := range perTransport(askPacked) {
		tr, err := conformance.Load([]byte(text))
		if err != nil {
			panic(err) // it is ours
		}
		o := hubOptions(e, Core, tr)
		o.Patience = probeTime / 2
		var d *conformance.Difference
		if errors.As(conformance.Replay(ctx, tr, o), &d) {
			return d.Line == tr.Steps[len(tr.Steps)-1].Line && strings.Contains(d.Got, `"error"`)
		}
	}
	return false
}

// lacksContract skips a case that failed, with err, since the test hub lacks
// something: a method, or a request to its back end.
func lacksContract(ctx context.Context, t *T, tr *conformance.Transcript, err error) {
	var d *conformance.Difference
	if !errors.As(err, &d) || ctx.Err() != nil {
		return
	}
	for _, s := range tr.Steps {
		r, ok := s.Said.(conformance.Request)
		if ok && s.Conn == d.Conn && strings.HasPrefix(r.Target, "/backend/") && strings.Contains(d.Got, "> 404") {
			path, _, _ := strings.Cut(r.Target, "?")
			t.Skip("the test hub has no back end for " + r.Method + " " + path)
		}
	}
	skipWithout(ctx, t, methodsOf(tr)...)
}

// methodsOf are the methods of the hub that the clients of a transcript call.
func methodsOf(tr *conformance.Transcript) (all []string) {
	for _, s := range tr.Steps {
		d, ok := s.Said.(conformance.Data)
		if !ok || s.Who != conformance.Client {
			continue
		}
		for _, p := range []hubproto.Protocol{hubproto.JSON, hubproto.MessagePack} {
			f := hubproto.Framer{Protocol: p}
			f.Feed(bytes.Clone(d.Bytes), func(body []byte) error { // its error is that of the other protocol, or of a case for it
				var m hubproto.Message
				if p.Parse(body, &m) == nil && m.Target != "" && !slices.Contains(all, m.Target) {
					all = append(all, m.Target)
				}
				return nil
			})
		}
	}
	return all
}

// skipWithout skips a case unless the hub has the methods that it calls.
func skipWithout(ctx context.Context, t *T, methods ...string) {
	if name := missing(ctx, t.Endpoint, methods); name != "" {
		t.Skip("the test hub has no method " + name)
	}
}

// missing is the first of the methods that the hub does not have: it says of it
// what it says of a method that no hub has, and not of echo, which the probe has
// found. Empty means that there is none, or that it could not be found out. The
// calls have more arguments than any method takes, so that they do nothing.
func missing(ctx context.Context, e *Endpoint, methods []string) (name string) {
	if len(methods) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime/2)
	defer cancel()
	try(func() { name = firstUnknown(ctx, &T{Endpoint: e}, methods) }) // the verdict is about another question
	return name
}

func firstUnknown(ctx context.Context, t *T, methods []string) string {
	c := dialHub(ctx, t, hubproto.JSON)
	defer c.ws.NetConn().Close()
	arguments, err := hubproto.Values(hubproto.JSON, slices.Repeat([]any{toAll}, 7)...)
	if err != nil {
		t.Broken(err)
	}
	says := func(method string) string {
		c.say(t, hubproto.Call(method, method, arguments...))
		for {
			if m := c.next(t, hubproto.Completion, ""); m.ID == method {
				return strings.ReplaceAll(m.Error, method, "")
			}
		}
	}
	unknown := says("NoHubHasThis")
	if unknown == "" || says(echo) == unknown { // it says the same whatever is wrong
		return ""
	}
	for _, m := range methods {
		if says(m) == unknown {
			return m
		}
	}
	return ""
}
