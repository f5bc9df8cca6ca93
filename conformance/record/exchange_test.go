package record

import (
	"errors"
	"net"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
)

// TestWhoBrokeOff has an answer break off while its client is there, and when the
// client has left, where the error is the same at times.
func TestWhoBrokeOff(t *testing.T) {
	left, there := make(chan struct{}), make(chan struct{})
	close(left)
	for _, c := range []struct {
		name string
		gone chan struct{}
		err  error
		who  conformance.Speaker
	}{
		{"the client left", left, net.ErrClosed, conformance.Client},
		{"the reader gave up", there, errGivenUp, conformance.Client},
		{"the server broke off", there, net.ErrClosed, conformance.Server},
		{"the server broke off in another way", there, errors.New("unexpected end"), conformance.Server},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Recorder{names: newNames()}
			x := &exchange{r: r, conn: "h1", gone: c.gone, request: r.add(conformance.Client, "h1", conformance.Request{Method: "GET"})}
			x.answeredWith(conformance.Response{Status: 200}, "", nil, c.err)
			last := r.entries[len(r.entries)-1]
			if _, is := last.Said.(conformance.Drop); !is || last.Who != c.who {
				t.Errorf("%s says %v, want %s to drop", last.Who, last.Said, c.who)
			}
		})
	}
}
