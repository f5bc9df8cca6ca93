package suite

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// voidRule lets a method without a result be answered without one, which is what
// the published protocol says; Microsoft's server answers with null. It is made
// anew for each run of a case, so that the result can say that it was needed.
func voidRule(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "a method without a result may be answered without one (core-client-protocol 5.2; HubProtocol.md of dotnet/aspnetcore, Overview)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Data)
			g, ok2 := got.(conformance.Data)
			if !ok1 || !ok2 || w.Kind != g.Kind {
				return false
			}
			if bytes.Equal(w.Bytes, nullPacked) {
				return bytes.Equal(g.Bytes, voidPacked) && callsVoid(tr, want.Conn, "")
			}
			a, b := completion(w.Bytes), completion(g.Bytes)
			if result, ok := a["result"]; !ok || result != nil {
				return false
			}
			id, _ := a["invocationId"].(string)
			delete(a, "result")
			return reflect.DeepEqual(a, b) && callsVoid(tr, want.Conn, id)
		},
	}
}

// The answer to call 1 in messagepack with the result null, and with none
// (core-client-protocol 5.3).
var nullPacked, voidPacked = []byte("\x07\x95\x03\x80\xa11\x03\xc0"), []byte("\x06\x94\x03\x80\xa11\x02")

// completion reads a Completion in JSON, nil if it is none.
func completion(m []byte) (members map[string]any) {
	body, ok := bytes.CutSuffix(m, []byte("\x1e"))
	if !ok || json.Unmarshal(body, &members) != nil || members["type"] != 3.0 {
		return nil
	}
	return members
}

// voidMethods are those of the test hub that have no result, but for the sends.
var voidMethods = []string{"Nothing", "Join", "JoinOther", "Leave", "Burst", "Tick", "Collect", "Abort"}

// callsVoid says whether the call with an id, or the only one in messagepack, is
// of a method without a result.
func callsVoid(tr *conformance.Transcript, conn, id string) bool {
	for _, s := range tr.Steps {
		d, ok := s.Said.(conformance.Data)
		if !ok || s.Who != conformance.Client || s.Conn != conn {
			continue
		}
		if id == "" && bytes.Contains(d.Bytes, []byte("\xa7Nothing")) {
			return true
		}
		for m := range bytes.SplitSeq(d.Bytes, []byte("\x1e")) {
			var call struct{ InvocationID, Target string }
			if json.Unmarshal(m, &call) == nil && call.InvocationID == id && id != "" {
				return strings.HasPrefix(call.Target, "Send") || slices.Contains(voidMethods, call.Target)
			}
		}
	}
	return false
}
