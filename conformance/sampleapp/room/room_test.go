package room_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
)

// page writes down what it hears.
type page struct {
	heard []string
	err   error
}

func (p *page) People(here []room.Person) error {
	names := "people"
	for _, one := range here {
		names += " " + one.Name
	}
	p.heard = append(p.heard, names)
	return p.err
}

func (p *page) Said(name, text, id string) error {
	p.heard = append(p.heard, name+" says "+text)
	return p.err
}

var stays = func() bool { return true }

func TestEveryAppHears(t *testing.T) {
	r := room.New()
	one, two := &page{err: errors.New("away")}, &page{}
	r.Open(one)
	r.Open(two)
	if _, err := r.Enter(room.Person{ID: "2", Name: "Bob"}, stays); !errors.Is(err, one.err) {
		t.Errorf("error is %v", err)
	}
	one.err = nil
	here, err := r.Enter(room.Person{ID: "1", Name: "Ann"}, stays)
	if err != nil || len(here) != 2 || here[0].Name != "Ann" {
		t.Errorf("there are %v, %v", here, err)
	}
	if err := r.Say("2", "hi"); err != nil {
		t.Error(err)
	}
	r.Leave("1")
	r.Leave("1")
	if _, err := r.Enter(room.Person{ID: "3", Name: "Gone"}, func() bool { return false }); err != nil {
		t.Error(err)
	}
	want := []string{"people Bob", "people Ann Bob", "Bob says hi", "people Bob", "people Bob"}
	for _, p := range []*page{one, two} {
		if !slices.Equal(p.heard, want) {
			t.Errorf("heard %q, want %q", p.heard, want)
		}
	}
}

func TestTurnedAway(t *testing.T) {
	r := room.New()
	for name, p := range map[string]room.Person{
		"no name": {ID: "1"}, "long name": {ID: "1", Name: strings.Repeat("ö", 41)}, "long transport": {ID: "1", Name: "a", Transport: strings.Repeat("x", 41)},
	} {
		if _, err := r.Enter(p, stays); err != room.ErrName {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Enter(room.Person{ID: "1", Name: strings.Repeat("ö", 40)}, stays); err != nil {
		t.Error(err)
	}
	if err := r.Say("2", "x"); err != room.ErrOutside {
		t.Errorf("outside: %v", err)
	}
	if err := r.Say("1", strings.Repeat("x", 2001)); err != room.ErrTooLong {
		t.Errorf("too long: %v", err)
	}
}
