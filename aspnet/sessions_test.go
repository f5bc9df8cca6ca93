package aspnet_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
)

const keep = time.Minute

// An id that has ended is remembered for as long as its token can connect.
func TestSessionsRememberEnds(t *testing.T) {
	for _, c := range []struct {
		name        string
		age         time.Duration // of the token when its session ends
		after       time.Duration // from the end to the attempt
		remembered  bool          // at the end
		added       bool          // by the attempt, once somebody else has ended
		rememberAll int           // then
	}{
		{"at once", 0, 0, true, false, 2},
		{"within its time", 0, keep - time.Second, true, false, 2},
		{"after its time", 0, keep + time.Second, true, true, 1},
		{"in the middle of its time", keep / 2, keep/2 - time.Second, true, false, 2},
		{"a session that lived longer", 2 * keep, 0, false, true, 1},
		{"at the border", keep, 0, false, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, primary)
				s := aspnet.NewSessions[*int](n, keep)
				made := time.Now()
				x := new(int)
				if !s.Add("x", x) || s.Get("x") != x || n.Clients() != 1 {
					t.Fatal("not added")
				}
				if s.Add("x", new(int)) || s.Get("x") != x {
					t.Error("added twice")
				}
				time.Sleep(c.age)
				s.Retire("x", x, made)
				s.Retire("x", x, made)
				if live, ended := s.Len(); live != 0 || ended == 1 != c.remembered || n.Clients() != 0 || s.Get("x") != nil {
					t.Errorf("%d live, %d ended, %d clients", live, ended, n.Clients())
				}
				time.Sleep(c.after)
				other := new(int)
				s.Add("other", other)
				s.Retire("other", other, time.Now())
				if _, ended := s.Len(); ended != c.rememberAll {
					t.Errorf("%d ends are remembered, want %d", ended, c.rememberAll)
				}
				if added := s.Add("x", x); added != c.added {
					t.Errorf("added: %v", added)
				}
			})
		})
	}
}

// Only the session that has an id can give it up.
func TestSessionsRetireOfAnother(t *testing.T) {
	n := newNode(t, primary)
	s := aspnet.NewSessions[*int](n, keep)
	x := new(int)
	s.Add("x", x)
	s.Retire("x", new(int), time.Now())
	s.Retire("y", x, time.Now())
	if live, ended := s.Len(); live != 1 || ended != 0 || n.Clients() != 1 {
		t.Errorf("%d live, %d ended, %d clients", live, ended, n.Clients())
	}
	seen := 0
	s.Each(func(got *int) {
		if seen++; got != x {
			t.Error("another session")
		}
		s.Retire("x", got, time.Time{}) // it may change the registry
	})
	if live, ended := s.Len(); seen != 1 || live != 0 || ended != 0 {
		t.Errorf("%d seen, %d live, %d ended", seen, live, ended)
	}
}

// Of many that want an id one gets it, and the count of clients is right.
func TestSessionsConcurrently(t *testing.T) {
	n := newNode(t, primary)
	s := aspnet.NewSessions[*int](n, keep)
	const ids = 200
	added := make([]int, ids)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range ids {
				id, x := fmt.Sprint(i), new(int)
				if s.Add(id, x) {
					mu.Lock()
					added[i]++
					mu.Unlock()
					if i%2 == 0 {
						s.Retire(id, x, time.Now())
					}
				}
				s.Get(id)
				s.Each(func(*int) {})
			}
		})
	}
	wg.Wait()
	for i, n := range added {
		if n != 1 {
			t.Errorf("id %d was added %d times", i, n)
		}
	}
	if live, ended := s.Len(); live != ids/2 || ended != ids/2 || n.Clients() != ids/2 {
		t.Errorf("%d live, %d ended, %d clients", live, ended, n.Clients())
	}
}
