package record

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// A server's questions are invocations that want a result (core-client-protocol
// 5.4). Their ids are counted by the app, so a capture takes their place, there
// and in the answer. In messagepack it stands for the text with its head, since
// another id may have another length.

var (
	questionAt = regexp.MustCompile(`^\{"type":1,"invocationId":"((?:[^"\\]|\\.)+)"`)
	answerAt   = regexp.MustCompile(`"invocationId":"((?:[^"\\]|\\.)+)"`)
)

// Types of hub messages.
const hubInvocation, hubCompletion = 1, 3

// serverSays is what a server says to a client as it is noted. The caller holds
// mu.
func (x *exchange) serverSays(data []byte) []byte {
	asked := func(id string) string {
		name := x.r.names.numbered("ask")
		x.r.names.asks[x.askKey(id)] = name
		return name
	}
	if all, ok := packedWith(data, hubInvocation, asked); ok {
		return all
	}
	return eachMessage(x.cursor(quote(data)), func(m []byte) []byte {
		at := questionAt.FindSubmatchIndex(m)
		if at == nil {
			return m
		}
		return slices.Concat(m[:at[2]], []byte("${"+asked(string(m[at[2]:at[3]]))+"}"), m[at[3]:])
	})
}

// clientSays is what a client says as it is noted. The caller holds mu.
func (x *exchange) clientSays(data []byte) []byte {
	asked := func(id string) string { return x.r.names.asks[x.askKey(id)] }
	if all, ok := packedWith(data, hubCompletion, asked); ok {
		return all
	}
	return eachMessage(quote(data), func(m []byte) []byte {
		at := answerAt.FindSubmatchIndex(m)
		if at == nil || !bytes.Contains(m, []byte(`"type":3`)) {
			return m
		}
		name := asked(string(m[at[2]:at[3]]))
		if name == "" {
			return m
		}
		return slices.Concat(m[:at[2]], []byte("${"+name+"}"), m[at[3]:])
	})
}

// askKey finds a question: ids count for one client.
func (x *exchange) askKey(id string) string { return x.to.Query().Get("id") + "\n" + id }

// eachMessage changes the messages of the json protocol.
func eachMessage(data []byte, change func([]byte) []byte) []byte {
	if len(data) == 0 || data[len(data)-1] != separator || !bytes.Contains(data, []byte(`"invocationId"`)) {
		return data
	}
	var all []byte
	for m := range bytes.SplitAfterSeq(data, []byte{separator}) {
		all = append(all, change(m)...)
	}
	return all
}

// packedWith puts captures in the place of the ids of messages of a type, where
// name has one. It is not ok when the data is not of the messagepack protocol.
func packedWith(data []byte, kind int, name func(id string) string) (all []byte, ok bool) {
	if !packed(data) {
		return nil, false
	}
	var plain []byte
	for len(data) > 0 {
		n, head := packedSize(data)
		m := data[:n]
		data = data[n:]
		if from, to, id := packedID(m, head, kind); id != "" {
			if is := name(id); is != "" {
				all = append(append(all, quote(append(plain, m[:from]...))...), "${"+is+"}"...)
				plain, m = nil, m[to:]
			}
		}
		plain = append(plain, m...)
	}
	return append(all, quote(plain)...), true
}

// packedID finds the invocation id in a message of a type, which is the third
// of its values after their number. It is empty when there is none.
func packedID(m []byte, head, kind int) (from, to int, id string) {
	n, rest, err := msgp.ReadArrayHeaderBytes(m[head:])
	if err != nil || n < 3 {
		return 0, 0, ""
	}
	is, rest, err := msgp.ReadIntBytes(rest)
	if err != nil || is != kind {
		return 0, 0, ""
	}
	if rest, err = msgp.Skip(rest); err != nil { // its headers
		return 0, 0, ""
	}
	id, after, err := msgp.ReadStringBytes(rest)
	if err != nil {
		return 0, 0, ""
	}
	return len(m) - len(rest), len(m) - len(after), id
}
