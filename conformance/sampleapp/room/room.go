// Package room is the chat of the demo pages: who is in it, and what they say.
// It knows the people of one process, whatever app they came by.
package room

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Group is the group of an app's hub whose members are the people of the room.
const Group = "demo room"

const (
	maxName = 40   // of a person, in characters
	maxSaid = 2000 // in characters
)

// The reasons to turn somebody away. Their texts are for people.
var (
	ErrName    = errors.New("a name has 1 to 40 characters")
	ErrOutside = errors.New("enter the room first")
	ErrTooLong = errors.New("that is too long")
)

// Person is somebody in the room.
type Person struct {
	ID        string `json:"id"` // of the connection
	Name      string `json:"name"`
	Transport string `json:"transport"` // what the connection came by
}

// Check tells what is wrong with the name.
func (p Person) Check() error {
	if p.Name == "" || utf8.RuneCountInString(p.Name) > maxName || utf8.RuneCountInString(p.Transport) > maxName {
		return ErrName
	}
	return nil
}

// Audience is the pages in Group at one app. An error means that the app has no
// way to them.
type Audience interface {
	// People tells who is there.
	People(here []Person) error
	// Said tells what somebody said.
	Said(name, text, id string) error
}

// Room may be used by any number of goroutines.
type Room struct {
	mu     sync.Mutex
	apps   []Audience
	people map[string]Person // by connection id
}

// New makes an empty room.
func New() *Room { return &Room{people: map[string]Person{}} }

// Open adds an app, whose pages hear everything from now on.
func (r *Room) Open(app Audience) {
	r.mu.Lock()
	r.apps = append(r.apps, app)
	r.mu.Unlock()
}

// Enter takes somebody in, if present, asked under the lock of the room, is
// still true, has everybody told, and returns who is there.
func (r *Room) Enter(p Person, present func() bool) ([]Person, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	if present() {
		r.people[p.ID] = p
	}
	r.mu.Unlock()
	here := r.list()
	return here, r.all(func(a Audience) error { return a.People(here) })
}

// Say tells everybody what a person says.
func (r *Room) Say(id, text string) error {
	r.mu.Lock()
	who, in := r.people[id]
	r.mu.Unlock()
	switch {
	case !in:
		return ErrOutside
	case utf8.RuneCountInString(text) > maxSaid:
		return ErrTooLong
	}
	return r.all(func(a Audience) error { return a.Said(who.Name, text, id) })
}

// Leave takes a connection out, if it is in, and has the others told.
func (r *Room) Leave(id string) {
	r.mu.Lock()
	_, in := r.people[id]
	delete(r.people, id)
	r.mu.Unlock()
	if in {
		// An error means that there is no way to the service, so nobody to tell.
		here := r.list()
		_ = r.all(func(a Audience) error { return a.People(here) })
	}
}

func (r *Room) all(tell func(Audience) error) error {
	r.mu.Lock()
	apps := slices.Clone(r.apps)
	r.mu.Unlock()
	var errs error
	for _, a := range apps {
		errs = errors.Join(errs, tell(a))
	}
	return errs
}

// list is who is there, by name.
func (r *Room) list() []Person {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Person, 0, len(r.people))
	for _, p := range r.people {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Person) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
