package record

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
)

var (
	cursorAt = regexp.MustCompile(`^\s*\{"C":("(?:[^"\\]|\\.)*")`) // legacy-client-protocol 4.2: always first
	groupsAt = regexp.MustCompile(`"G":("(?:[^"\\]|\\.)*")`)
)

// cursor puts a capture in the place of the cursor of what the server says to
// this client, each time a new one: they need not be equal where they were when
// it was recorded. The caller holds mu.
func (x *exchange) cursor(data []byte) []byte {
	at := cursorAt.FindSubmatchIndex(data)
	if at == nil {
		return data
	}
	var cursor, groups string
	_ = json.Unmarshal(data[at[2]:at[3]], &cursor) // it is a text, as the expression has found
	head, _, _ := bytes.Cut(data, []byte(`"M":[`))
	if found := groupsAt.FindSubmatch(head); found != nil {
		if _ = json.Unmarshal(found[1], &groups); !x.r.names.knows(groups) {
			x.r.names.add(groups, x.r.names.numbered("groups"))
		}
	}
	name := x.r.names.numbered("cursor")
	x.r.names.cursors[x.legacyToken()+"\n"+cursor] = name
	return slices.Concat(data[:at[2]], []byte(`"${`+name+`}"`), data[at[3]:])
}

func (x *exchange) legacyToken() string { return x.to.Query().Get("connectionToken") }

// withCursor puts the capture in the place of the cursor that a client gives
// back, in a target or a form. The caller holds mu.
func (x *exchange) withCursor(query string) string {
	return eachPair(query, func(name, value string) (string, bool) {
		cursor := x.r.names.cursors[x.legacyToken()+"\n"+value]
		return cursor, cursor != "" && name == "messageId"
	})
}
