package suite

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/hubproto"
)

// endRule lets a server end a connection with less ceremony than Microsoft's. To a
// client that said Close nothing needs to be said any more. One that broke the
// protocol, in the handshake or later, may be cut off without a word. The code of
// either end is the server's to choose, and so is the reason of any.
func endRule(tr *conformance.Transcript) *conformance.Rule {
	return &conformance.Rule{
		Why: "a connection may be ended without a last message where the client has said Close or broken the protocol (HubProtocol.md of dotnet/aspnetcore, Overview and Errors), and with any reason; the exact-… cases compare it",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			end, ok := got.(conformance.Close)
			if !ok {
				return false
			}
			at := slices.IndexFunc(tr.Steps, func(s conformance.Step) bool { return s.Line == want.Line })
			switch w := want.Said.(type) {
			case conformance.Data:
				return isLastWord(tr, at)
			case conformance.Close:
				return end.Code == w.Code || brokeOrLeft(tr, at)
			}
			return false
		},
	}
}

// The texts of Microsoft's server for what is no handshake
// (core-client-protocol 4.2). Who sent one that is refused has to hear why.
var noHandshake = []string{"An unexpected error occurred during connection handshake.", "Handshake was canceled."}

// isLastWord says whether what the server says at a step may be left out, as the
// end that follows tells a client as much.
func isLastWord(tr *conformance.Transcript, at int) bool {
	said, _ := tr.Steps[at].Said.(conformance.Data)
	rest, text, failed := withoutText(said.Bytes)
	if !failed {
		return isClose(said.Bytes) && isClose(saidBefore(tr, at))
	}
	switch m := rest.(type) {
	case hubproto.Message:
		return m.Type == hubproto.Close && m.AllowReconnect
	case map[string]any:
		return m["type"] == 7.0 && m["allowReconnect"] == true || m["type"] == nil && slices.Contains(noHandshake, text)
	}
	return false
}

// saidBefore is all that the client said on the connection of a step before it.
func saidBefore(tr *conformance.Transcript, at int) (all []byte) {
	for _, s := range tr.Steps[:at] {
		if d, ok := s.Said.(conformance.Data); ok && s.Who == conformance.Client && s.Conn == tr.Steps[at].Conn {
			all = append(all, d.Bytes...)
		}
	}
	return all
}

// brokeOrLeft says whether the end of a connection at a step follows an error of
// it, or the client's Close.
func brokeOrLeft(tr *conformance.Transcript, at int) bool {
	if isClose(saidBefore(tr, at)) {
		return true
	}
	for _, s := range slices.Backward(tr.Steps[:at]) {
		if d, ok := s.Said.(conformance.Data); ok && s.Who == conformance.Server && s.Conn == tr.Steps[at].Conn {
			_, _, failed := withoutText(d.Bytes)
			return failed
		}
	}
	return false
}

// isClose says whether a message is Close in either protocol, of the server or of
// @microsoft/signalr (core-client-protocol 5.3), also behind others.
func isClose(m []byte) bool {
	if bytes.HasSuffix(m, []byte("\x04\x93\x07\xc0\xc2")) || bytes.HasSuffix(m, []byte("\x03\x92\x07\xc0")) {
		return true
	}
	records := strings.Split(strings.TrimSuffix(string(m), "\x1e"), "\x1e")
	var last struct{ Type int }
	return json.Unmarshal([]byte(records[len(records)-1]), &last) == nil && last.Type == int(hubproto.Close)
}
