package relay

import "sync/atomic"

// Stats counts what a Relay does. Read the fields at any time; they only grow.
type Stats struct {
	Opened      atomic.Int64 // clients that joined a hub
	Moved       atomic.Int64 // clients given from one app server to another
	MessagesIn  atomic.Int64 // pieces of client streams passed to Backends
	MessagesOut atomic.Int64 // messages handed to clients, one for each receiver
	BytesIn     atomic.Int64
	BytesOut    atomic.Int64 // as MessagesOut, by the size of the first encoding
}

func (s *Stats) sent(receivers int, p Payload) {
	s.MessagesOut.Add(int64(receivers))
	if len(p) > 0 {
		s.BytesOut.Add(int64(receivers) * int64(len(p[0].Data)))
	}
}
