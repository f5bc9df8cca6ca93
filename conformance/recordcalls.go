package conformance

import (
	"bytes"
	"slices"
)

// A stream runs beside whatever else a hub does for its client, so its messages
// keep their order among themselves only. When the client cancels it, items are on
// their way (core-client-protocol 5.4). How many is a matter of chance: those that
// were recorded after that are not waited for, and those that come are passed over.

// calls notes the streams that hub messages of a client begin and cancel.
func (r *recording) calls(client string, text []byte, binary bool) {
	if !binary && !bytes.Contains(text, []byte(`"type":4`)) && !bytes.Contains(text, []byte(`"type":5`)) {
		return
	}
	cut := hubCutter{shaken: true, binary: binary, names: r.names}
	for _, m := range cut.cut(bytes.Clone(text)) {
		switch kind, id := r.hubCall(m); kind {
		case hubStream:
			r.streamed[client+"\n"+id] = true
		case hubCancel:
			r.cancelled[client+"\n"+id] = true
		}
	}
}

// byCall gives messages of a stream its id.
func (r *recording) byCall(client string, units []unit) []unit {
	if len(r.streamed) == 0 {
		return units
	}
	for i, u := range units {
		if kind, id := r.hubCall(u.text); (kind == hubItem || kind == hubCompletion) && r.streamed[client+"\n"+id] {
			units[i].call = id
		}
	}
	return units
}

// withoutCancelled leaves out the items of streams that their client has
// cancelled.
func (r *recording) withoutCancelled(client string, units []unit) []unit {
	if len(r.cancelled) == 0 {
		return units
	}
	return slices.DeleteFunc(units, func(u unit) bool {
		kind, id := r.hubCall(u.text)
		return kind == hubItem && r.cancelled[client+"\n"+id]
	})
}

// hubCall is hubCall for a message of the transcript too.
func (r *recording) hubCall(m []byte) (kind int, id string) {
	if packed, ok := r.names.readPacked(m); ok && len(packed.text) == len(m) {
		m = packed.full
	}
	return hubCall(m)
}
