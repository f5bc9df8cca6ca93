package nodetest

import (
	"testing"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// Keys returns the access keys of a node: the public one of Microsoft's emulator.
func Keys(t testing.TB) *auth.Keys {
	t.Helper()
	k, err := auth.NewKeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Ended returns how many of a node's clients have ended in a category.
func Ended(node interface {
	Closes(func(relay.Category, int64))
}, c relay.Category) (n int64) {
	node.Closes(func(x relay.Category, m int64) {
		if x == c {
			n = m
		}
	})
	return n
}
