package legacy

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
)

// event is what a hub does when a client comes, is back or goes.
type event func(*call) error

// hub is one hub of the app. Its methods are found without regard to case and by
// the number of their arguments.
type hub struct {
	app       *App       // set by App.add
	home      *container // set by App.add
	name      string     // as declared: so it stands in calls of clients and in groups (5)
	protected bool       // only for clients with a login
	methods   map[string][]*method

	connected, reconnected, disconnected event // may be nil
	waits                                bool  // they may block
}

func newHub(name string, methods ...*method) *hub {
	h := &hub{name: name, methods: map[string][]*method{}}
	for _, m := range methods {
		key := strings.ToLower(m.name)
		h.methods[key] = append(h.methods[key], m)
	}
	return h
}

// method finds a method by its name and the number of arguments.
func (h *hub) method(name string, args int) *method {
	for _, m := range h.methods[strings.ToLower(name)] {
		if m.args == args {
			return m
		}
	}
	return nil
}

// call is one running hub method or event.
type call struct {
	c     *client
	hub   *hub
	id    []byte // of the invocation, as JSON
	state map[string]json.RawMessage
	set   []member // of the state, by the method
}

// hubException is an error whose text and data clients may see.
type hubException struct {
	text string
	data any // nil: none
}

func (e *hubException) Error() string { return e.text }

// dotnetError is an error in the words of .NET, which callers compare.
type dotnetError string

func (e dotnetError) Error() string { return string(e) }

// invocationIn is what a client calls (legacy-client-protocol 5.1).
type invocationIn struct {
	H, M string
	A    []json.RawMessage
	I, S json.RawMessage
}

// maxState is the longest client state that is taken, in bytes
// (legacy-client-protocol 5.1).
const maxState = 4096

// invoked runs a message of the client. What is no call of a hub of the app gets
// no answer (3.5).
func (c *client) invoked(text []byte) {
	var in invocationIn
	err := json.Unmarshal(text, &in)
	h := c.app.hub(in.H)
	if err == nil && h == nil {
		err = fmt.Errorf("hub %q is unknown", in.H)
	}
	k := &call{c: c, hub: h, id: invocationID(in.I)}
	if err == nil && in.S != nil {
		if len(in.S) > maxState {
			err = errors.New("state is too long")
		} else {
			err = json.Unmarshal(in.S, &k.state)
		}
	}
	if err != nil {
		c.app.log.Debug("message of a client passed over", "connection", c.id, "cause", err)
		return
	}
	m := h.method(in.M, len(in.A))
	if m == nil {
		k.complete(&in, nil, h.unresolved(in.M))
		return
	}
	if h.protected && !c.who.Authenticated() {
		k.complete(&in, nil, dotnetError("Caller is not authorized to invoke the "+m.name+" method on "+h.name+"."))
		return
	}
	run := func() {
		var result any
		err := k.guard(func() (err error) {
			result, err = m.run(k, in.A)
			return err
		})
		k.complete(&in, result, err)
	}
	if m.waits {
		c.app.work.Go(run) // ends when the method does, which waits no longer than the app lives
	} else {
		run()
	}
}

// invocationID is the id of an invocation as its completion has it: a string,
// whatever the client sent, or null without one.
func invocationID(raw json.RawMessage) []byte {
	switch {
	case raw == nil, string(raw) == "null":
		return []byte("null")
	case raw[0] == '"':
		return raw
	case string(raw) == "true":
		return []byte(`"True"`)
	case string(raw) == "false":
		return []byte(`"False"`)
	}
	return strconv.AppendQuote(nil, string(raw))
}

// unresolved is the error of a call that no method answers.
func (h *hub) unresolved(name string) error {
	why := "No method found with that name."
	if some := h.methods[strings.ToLower(name)]; len(some) > 0 {
		name, why = some[0].name, fmt.Sprintf("%d candidates take other numbers of arguments.", len(some))
	}
	return dotnetError("'" + name + "' method could not be resolved. " + why)
}

// complete answers a call.
func (k *call) complete(in *invocationIn, result any, err error) {
	out := completion{state: k.set, id: k.id}
	if err == nil && result != nil {
		out.result, err = appendJSON(nil, result)
	}
	var shown *hubException
	switch {
	case err == nil:
	case errors.As(err, &shown):
		out.failed, out.shown, out.text = true, true, shown.text
		if shown.data != nil {
			out.data, _ = appendJSON(nil, shown.data) // data of ours, which can be written
		}
	case k.c.app.o.DetailedErrors:
		out.failed, out.text = true, err.Error()
	default:
		out.failed, out.text = true, "There was an error invoking Hub method '"+in.H+"."+in.M+"'."
	}
	k.c.tell(out.append(nil))
}

// guard makes an error of a method's panic: it is the hub's fault and must not
// cost other clients anything.
func (k *call) guard(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			k.c.app.log.Error("hub method panicked", "hub", k.hub.name, "cause", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run()
}

// get is a value of the caller's state, nil when there is none; names are
// compared without case.
func (k *call) get(name string) json.RawMessage {
	for _, m := range k.set {
		if strings.EqualFold(m.name, name) {
			return m.value
		}
	}
	for key, v := range k.state {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// put changes the caller's state. A value that it has already is no change.
func (k *call) put(name string, value json.RawMessage) {
	if string(k.get(name)) == string(value) {
		return
	}
	for i := range k.set {
		if strings.EqualFold(k.set[i].name, name) {
			k.set[i].value = value
			return
		}
	}
	k.set = append(k.set, member{name, value})
}

// idText is the invocation's id.
func (k *call) idText() string {
	var id string
	_ = json.Unmarshal(k.id, &id) // null leaves it empty
	return id
}
