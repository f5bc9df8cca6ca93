package conformance

import (
	"bytes"
	"encoding/json"
	"slices"
)

// A stream runs beside whatever else a hub does for its client, so its messages
// keep their order among themselves only. So does a call that a client streams to: it
// ends when its streams have, before or after others. When the client cancels a
// stream, items are on their way (core-client-protocol 5.4). How many is a matter of
// chance: those that were recorded after that are not waited for, and those that come
// are passed over.

// called notes the streams that hub messages of a client begin and cancel, and the
// calls that it streams to.
func (r *recording) called(client string, text []byte, binary bool) {
	if !binary && !bytes.Contains(text, []byte(`"type":4`)) && !bytes.Contains(text, []byte(`"type":5`)) && !bytes.Contains(text, []byte(`"streamIds"`)) {
		return
	}
	cut := hubCutter{shaken: true, binary: binary, names: r.names}
	for _, m := range cut.cut(bytes.Clone(text)) {
		switch kind, id := r.hubCall(m); {
		case kind == hubStream, id != "" && r.streamsUp(m):
			r.streamed[client+"\n"+id] = true
		case kind == hubCancel:
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
func (r *recording) hubCall(m []byte) (kind int, id string) { return hubCall(r.filledIn(m)) }

// filledIn is a message of the transcript with the values of its captures, if it is
// in messagepack.
func (r *recording) filledIn(m []byte) []byte {
	if packed, ok := r.names.readPacked(m); ok && len(packed.text) == len(m) {
		return packed.full
	}
	return m
}

// streamsUp says whether a client streams to the call of a hub message, which then
// has the ids of those streams (core-client-protocol 5.4).
func (r *recording) streamsUp(m []byte) bool {
	if v, ok := unpack(r.filledIn(m)); ok {
		all, _ := v.([]any)
		if len(all) < 6 {
			return false
		}
		ids, _ := all[5].([]any)
		return len(ids) > 0
	}
	var has struct{ StreamIDs []string }
	return json.Unmarshal(bytes.TrimSuffix(m, []byte(separator)), &has) == nil && len(has.StreamIDs) > 0
}
