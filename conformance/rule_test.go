package conformance_test

import (
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
)

// An end that stands for a message stands for the end that follows, but for no other
// message, and in as many replays at a time as there are.
func TestRuleForAnEnd(t *testing.T) {
	t.Parallel()
	url := serveSockets(t, func(c net.Conn, over <-chan struct{}) {
		c.Write([]byte{0x88, 2, 0x03, 0xe8}) // close 1000
		<-over
	})
	const connect = "client c1> connect WebSockets\n"
	rule := &conformance.Rule{MayDiffer: func(_ string, _ conformance.Step, got conformance.Saying) bool {
		_, end := got.(conformance.Close)
		return end
	}}
	for name, c := range map[string]struct {
		steps string
		right bool
	}{
		"alone":                   {connect + "server c1> text `bye`\n", true},
		"and the end":             {connect + "server c1> text `bye`\nserver c1> close 1000\n", true},
		"and another message":     {connect + "server c1> text `bye`\nserver c1> text `bye`\n", false},
		"and two ends":            {connect + "server c1> text `bye`\nserver c1> close 1000\nserver c1> close 1000\n", false},
		"the end by itself twice": {connect + "server c1> close 1000\nserver c1> close 1000\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := loadSteps(t, c.steps)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					err := conformance.Replay(t.Context(), tr, conformance.Options{URL: url, Hub: true, Patience: patience / 5, Rules: []*conformance.Rule{rule}})
					var d *conformance.Difference
					if right := err == nil; right != c.right || !right && !errors.As(err, &d) {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}
