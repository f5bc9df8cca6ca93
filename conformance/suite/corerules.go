package suite

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// exactPrefix is how the names of cases begin that want what Microsoft's server writes,
// to the letter. All others leave to a server what the protocol leaves to it.
const exactPrefix = "exact-"

// hubRules are the ways of being right that were not recorded. They are made anew
// for each run of a case, so that the result can say which of them were needed.
func hubRules(tr *conformance.Transcript) []*conformance.Rule {
	rules := []*conformance.Rule{voidRule(tr), frameRule()}
	if !strings.HasPrefix(tr.Name, exactPrefix) {
		rules = append(rules, textRule(), refusalRule(), preflightRule(tr), endRule(tr))
	}
	return rules
}

// voidRule lets a method without a result be answered without one, which is what
// the published protocol says; Microsoft's server answers with null.
func voidRule(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "a method without a result may be answered without one (core-client-protocol 5.2; HubProtocol.md of dotnet/aspnetcore, Overview)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Data)
			g, ok2 := got.(conformance.Data)
			if !ok1 || !ok2 || !mayBeOfKind(tr.Name, w, g) {
				return false
			}
			if bytes.Equal(w.Bytes, nullPacked) {
				return isVoid(g.Bytes) && callsVoid(tr, want.Conn, "")
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

// nullPacked is the answer to call 1 in messagepack with the result null
// (core-client-protocol 5.3).
var nullPacked = []byte("\x07\x95\x03\x80\xa11\x03\xc0")

// isVoid says whether a message is the answer to call 1 in messagepack without a
// result, however wide its numbers are.
func isVoid(m []byte) bool {
	packed, ok := readPacked(m)
	return ok && packed.Type == hubproto.Completion && packed.ID == "1" && packed.Result == nil && !packed.Failed
}

// readPacked reads one whole message in messagepack.
func readPacked(m []byte) (packed hubproto.Message, ok bool) {
	body, size, _, err := hubproto.MessagePack.Next(m)
	ok = err == nil && size == len(m) && size > 0 && hubproto.MessagePack.Parse(bytes.Clone(body), &packed) == nil
	return packed, ok
}

// record reads a hub message in JSON, with its separator.
func record(m []byte) (value any, ok bool) {
	body, ok := bytes.CutSuffix(m, []byte("\x1e"))
	return value, ok && json.Unmarshal(body, &value) == nil
}

// completion reads a Completion in JSON, nil if it is none.
func completion(m []byte) map[string]any {
	value, _ := record(m)
	members, _ := value.(map[string]any)
	if members["type"] != 3.0 {
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

// textRule lets a server say an error in its own words. What a HubException tells
// the caller has to be in them, and nothing of any other exception.
func textRule() *conformance.Rule {
	return &conformance.Rule{
		Why: "what an error says is up to the server, but for what a HubException tells (TransportProtocols.md of dotnet/aspnetcore, NOTE on errors); the exact-… cases compare it",
		MayDiffer: func(scenario string, want conformance.Step, got conformance.Saying) bool {
			switch w := want.Said.(type) {
			case conformance.Data:
				g, ok := got.(conformance.Data)
				return ok && mayBeOfKind(scenario, w, g) && sameButText(w.Bytes, g.Bytes)
			case conformance.Response:
				g, ok := got.(conformance.Response)
				return ok && w.Status == http.StatusOK && g.Status == w.Status && hasFields(g.Header, w.Header) && sameButText(w.Body, g.Body)
			}
			return false
		},
	}
}

// sameButText says whether two messages are errors and differ in their texts only,
// where got has what want tells.
func sameButText(want, got []byte) bool {
	if bytes.HasSuffix(want, []byte("\x1e")) != bytes.HasSuffix(got, []byte("\x1e")) {
		return false
	}
	a, text, ok1 := withoutText(want)
	b, says, ok2 := withoutText(got)
	_, told, _ := strings.Cut(text, "HubException: ")
	return ok1 && ok2 && reflect.DeepEqual(a, b) && says != "" && strings.Contains(says, told) && !strings.Contains(says, appSecret)
}

// appSecret is in the text of the test hub's exception that is no HubException.
const appSecret = "secret"

// withoutText takes the text from an error in either protocol, or from a negotiate
// answer; ok is false of everything else.
func withoutText(m []byte) (rest any, text string, ok bool) {
	var members map[string]any
	if json.Unmarshal(bytes.TrimSuffix(m, []byte("\x1e")), &members) == nil {
		text, ok = members["error"].(string)
		delete(members, "error")
		return members, text, ok
	}
	packed, ok := readPacked(m)
	if !ok || !packed.Failed {
		return nil, "", false
	}
	text, packed.Error = packed.Error, ""
	return packed, text, true
}

// refusalRule lets a server refuse a method that means nothing with any status of
// that class.
func refusalRule() *conformance.Rule {
	return &conformance.Rule{
		Why: "which status of 4xx a request has that means nothing is not laid down (TransportProtocols.md of dotnet/aspnetcore); exact-put compares it",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			return ok1 && ok2 && w.Status == http.StatusMethodNotAllowed && g.Status/100 == 4 && hasFields(g.Header, w.Header)
		},
	}
}

// preflightRule lets a preflight be answered 200.
func preflightRule(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "a preflight may be answered 200 (core-client-protocol 11.2)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			_, preflight := isPreflight(tr, want)
			return ok1 && ok2 && preflight && w.Status == http.StatusNoContent && g.Status == http.StatusOK && hasFields(g.Header, w.Header)
		},
	}
}

// frameRule lets a WebSocket message in JSON be of the other kind than Microsoft's:
// which kind carries it is not laid down. JavaScript is particular about json, and
// framesCase asks for that. What is in messagepack is bytes: it cannot be a text,
// and JavaScript takes none.
func frameRule() *conformance.Rule {
	return &conformance.Rule{
		Why: "text or bytes, a WebSocket message in JSON says the same (TransportProtocols.md of dotnet/aspnetcore, Transfer Formats); " + strings.Join(framesCases, " and ") + " compare it",
		MayDiffer: func(scenario string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Data)
			g, ok2 := got.(conformance.Data)
			return ok1 && ok2 && w.Kind != g.Kind && mayBeOfKind(scenario, w, g) && alike(w.Bytes, g.Bytes)
		},
	}
}

const framesCase = "handshake-binary-frame"

var framesCases = []string{framesCase, "exact-handshake-messagepack"}

// mayBeOfKind says whether a message may be text or bytes as got is.
func mayBeOfKind(scenario string, want, got conformance.Data) bool {
	_, isJSON := record(got.Bytes)
	return want.Kind == got.Kind || isJSON && !slices.Contains(framesCases, scenario)
}

// alike says whether two messages in JSON are the same, as far as the names in
// want do not stand for something.
func alike(want, got []byte) bool {
	a, ok1 := record(want)
	b, ok2 := record(got)
	return ok1 && ok2 && alikeJSON(a, b)
}

func alikeJSON(want, got any) bool {
	switch w := want.(type) {
	case string:
		return w == "(any)" && got != "" || strings.Contains(w, "${") || w == got
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, alikeJSON)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		w = maps.Clone(w)
		_, open := w["..."]
		delete(w, "...")
		for name, value := range w {
			is, there := g[name]
			if there == (value == "(none)") || there && !alikeJSON(value, is) {
				return false
			}
		}
		maps.DeleteFunc(w, func(_ string, v any) bool { return v == "(none)" })
		return open || len(w) == len(g)
	}
	return want == got
}
