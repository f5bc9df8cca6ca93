package nodetest

import (
	"testing"
	"time"
)

// Patience bounds the wait for what must happen; only a failing test needs it.
const Patience = 10 * time.Second

// Until waits for what another goroutine is about to bring about, and fails the
// test after Patience.
func Until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !f(); {
		if time.Now().After(end) {
			t.Fatal("still not: " + what)
		}
		time.Sleep(time.Millisecond) // between two looks; the looks decide
	}
}

// Wait returns what comes by a channel, and fails the test after Patience.
func Wait[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(Patience):
		t.Fatal("still waiting: " + what)
	}
	return v
}
