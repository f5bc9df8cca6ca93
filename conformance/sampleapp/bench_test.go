package sampleapp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/sampleapp"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// BenchmarkCalls measures one call of a hub method over a real socket, frames
// of 50 clients in each WebSocket message; the service's end is counted in.
func BenchmarkCalls(b *testing.B) {
	const clients = 50
	for _, c := range []struct{ name, method string }{{"echo", "Echo"}, {"broadcast", "SendAll"}} {
		b.Run(c.name, func(b *testing.B) {
			s := newStub(b)
			s.start(b, sampleapp.Options{})
			l := s.next(b)
			l.shake(b)
			var batch []byte
			for i := range clients {
				id := fmt.Sprintf("client-%02d-0123456789", i)
				l.open(b, alice(id, "json"))
				batch = serviceproto.Append(batch, &serviceproto.ConnectionData{
					ConnectionID: id,
					Data:         []byte(`{"type":1,"target":"` + c.method + `","invocationId":"7","arguments":["` + strings.Repeat("x", 64) + "\"]}\x1e"),
				})
			}
			frames := clients // an answer each
			if c.method != "Echo" {
				frames = 2 * clients // and a broadcast
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%clients > 0 {
					continue
				}
				l.Write(2, batch)
				for range frames {
					<-l.Frames
				}
			}
		})
	}
}
