package legacy

import (
	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
)

// newOtherHub makes the hub that clients use beside chatHub.
func newOtherHub() *hub {
	return newHub("otherHub",
		call0("Ping", func(*call) (any, error) { return "pong", nil }),
		call1("SendAll", func(k *call, m *string) (any, error) { return nil, k.sender().all(nil, "message", m) }),
	)
}

// newBenchHub makes the hub for measurements: the hot path only.
func newBenchHub() *hub {
	return newHub("benchHub",
		call1("Echo", func(_ *call, s *string) (any, error) { return nullable(s), nil }),
		call1("Broadcast", func(k *call, s *string) (any, error) { return nil, k.sender().all(nil, "b", s) }),
	)
}

// newRoomHub makes the hub of the demo page: Enter(name, transport), which answers
// with who is there and has everybody told, and Say(text).
func newRoomHub(r *room.Room) *hub {
	h := newHub("roomHub",
		waiting(call2("Enter", func(k *call, name, transport string) (any, error) {
			p := room.Person{ID: k.c.id, Name: name, Transport: transport}
			if err := p.Check(); err != nil {
				return nil, &hubException{text: err.Error()}
			}
			if err := k.sender().join(k.c.id, room.Group); err != nil {
				return nil, err
			}
			here, err := r.Enter(p, func() bool { return !k.c.ended.Load() })
			return here, err
		})),
		call1("Say", func(k *call, text string) (any, error) {
			err := r.Say(k.c.id, text)
			if err == room.ErrOutside || err == room.ErrTooLong {
				err = &hubException{text: err.Error()}
			}
			return nil, err
		}),
	)
	h.disconnected = func(k *call) error {
		r.Leave(k.c.id)
		return nil
	}
	r.Open(audience{h})
	return h
}

// audience is the clients of a hub that are in the room.
type audience struct{ hub *hub }

// People calls people.
func (a audience) People(here []room.Person) error {
	return sender{hub: a.hub}.group(room.Group, nil, "people", here)
}

// Said calls said.
func (a audience) Said(name, text, id string) error {
	return sender{hub: a.hub}.group(room.Group, nil, "said", name, text, id)
}
