package sampleapp

import (
	"sort"
	"sync"
	"unicode/utf8"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

const (
	roomGroup = "demo room"
	maxName   = 40   // of a person, in characters
	maxSaid   = 2000 // in characters
)

// room is the chat of the demo page: who is in it, and what they say. It knows
// the people of this process.
type room struct {
	hub    *hub
	mu     sync.Mutex
	people map[string]person // by connection id
}

type person struct{ name, transport string }

// methods are Enter(name, transport), which answers with who is there and has
// everybody told, and Say(text).
func (r *room) methods() map[string]*method {
	return map[string]*method{
		"Enter": waiting(call2(func(k *call, name, transport string) (any, error) {
			if name == "" || utf8.RuneCountInString(name) > maxName || utf8.RuneCountInString(transport) > maxName {
				return nil, hubError("a name has 1 to 40 characters")
			}
			if err := k.sender().join(k.ctx, k.c.id, roomGroup); err != nil {
				return nil, err
			}
			r.mu.Lock()
			if r.people == nil {
				r.people = map[string]person{}
			}
			if !k.c.ended.Load() {
				r.people[k.c.id] = person{name, transport}
			}
			r.mu.Unlock()
			return r.list(), r.tell(k.sender())
		})),
		"Say": call1(func(k *call, text string) (any, error) {
			r.mu.Lock()
			who, in := r.people[k.c.id]
			r.mu.Unlock()
			switch {
			case !in:
				return nil, hubError("enter the room first")
			case utf8.RuneCountInString(text) > maxSaid:
				return nil, hubError("that is too long")
			}
			return nil, k.sender().group(roomGroup, nil, "said", who.name, text, k.c.id)
		}),
	}
}

// leave takes a client out, if it is in, and has the others told.
func (r *room) leave(c *client) {
	r.mu.Lock()
	_, in := r.people[c.id]
	delete(r.people, c.id)
	r.mu.Unlock()
	if in {
		// An error means that there is no way to the service, so nobody to tell.
		_ = r.tell(sender{hub: r.hub})
	}
}

func (r *room) tell(s sender) error { return s.group(roomGroup, nil, "people", r.list()) }

func (r *room) list() []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.people))
	for id := range r.people {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool {
		a, b := r.people[ids[i]], r.people[ids[j]]
		return a.name < b.name || a.name == b.name && ids[i] < ids[j]
	})
	all := make([]any, 0, len(ids))
	for _, id := range ids {
		p := r.people[id]
		all = append(all, hubproto.Object{{Name: "Id", Value: id}, {Name: "Name", Value: p.name}, {Name: "Transport", Value: p.transport}})
	}
	return all
}
