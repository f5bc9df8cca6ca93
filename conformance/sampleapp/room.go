package sampleapp

import (
	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
)

// roomMethods are Enter(name, transport), which answers with who is there and
// has everybody told, and Say(text).
func roomMethods(r *room.Room) map[string]*method {
	return map[string]*method{
		"Enter": waiting(call2(func(k *call, name, transport string) (any, error) {
			p := room.Person{ID: k.c.id, Name: name, Transport: transport}
			if err := p.Check(); err != nil {
				return nil, hubError(err.Error())
			}
			if err := k.sender().join(k.ctx, k.c.id, room.Group); err != nil {
				return nil, err
			}
			here, err := r.Enter(p, func() bool { return !k.c.ended.Load() })
			return people(here), err
		})),
		"Say": call1(func(k *call, text string) (any, error) {
			err := r.Say(k.c.id, text)
			if err == room.ErrOutside || err == room.ErrTooLong {
				err = hubError(err.Error())
			}
			return nil, err
		}),
	}
}

// audience is the clients of a hub that are in the room.
type audience struct{ hub *hub }

// People calls people.
func (a audience) People(here []room.Person) error {
	return sender{hub: a.hub}.group(room.Group, nil, "people", people(here))
}

// Said calls said.
func (a audience) Said(name, text, id string) error {
	return sender{hub: a.hub}.group(room.Group, nil, "said", name, text, id)
}

// people are persons as a hub protocol writes them.
func people(here []room.Person) []any {
	all := make([]any, 0, len(here))
	for _, p := range here {
		all = append(all, hubproto.Object{{Name: "Id", Value: p.ID}, {Name: "Name", Value: p.Name}, {Name: "Transport", Value: p.Transport}})
	}
	return all
}
