package aspnetlegacy

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"

	"github.com/signalrelay/signalrelay/transport"
)

const (
	jsonType   = "application/json; charset=UTF-8"
	scriptType = "application/javascript; charset=UTF-8"
)

// A carriage is a transport by its name in the query.
type carriage struct {
	name   string
	kind   transport.Kind
	format transport.Format
}

var carriages = [...]carriage{
	{"webSockets", transport.WebSocket, transport.Format{UpgradeHeader: noSniff}},
	{"serverSentEvents", transport.EventStream, transport.Format{
		Preamble: "data: initialized\n\n", EventHead: "data: ", EventTail: "\n\n", StreamHeader: streamHeader,
	}},
	{"foreverFrame", transport.EventStream, transport.Format{
		EventHead: "<script>r(c, ", EventTail: ");</script>\r\n", Escape: escapeTags,
		StreamType: "text/html; charset=UTF-8", StreamHeader: streamHeader,
	}},
	{"longPolling", transport.LongPoll, transport.Format{
		Poll: transport.Response{Status: 200, Type: jsonType, Header: noSniff}, Join: join, Blank: " ",
	}},
}

// streamHeader has one line more than the real server's: for those who run
// behind nginx, which would keep the stream to itself.
var streamHeader = [][2]string{noSniff[0], {"X-Accel-Buffering", "no"}}

// carriageOf returns the transport of a name, without case; nil for none.
func carriageOf(name string) *carriage {
	for i := range carriages {
		if strings.EqualFold(carriages[i].name, name) {
			return &carriages[i]
		}
	}
	return nil
}

// formatFor returns the format for a request: a forever frame is told which
// frame it is, JSONP whom to call. False says that the request does not say.
func (r *request) formatFor() (*transport.Format, bool) {
	f := &r.via.format
	switch callback := r.query.get("callback"); {
	case r.via.name == "foreverFrame":
		id, err := strconv.ParseUint(r.query.get("frameId"), 10, 32)
		if err != nil {
			return nil, false
		}
		own := *f
		own.Preamble = frameHead(uint32(id))
		return &own, true
	case r.via.kind == transport.LongPoll && callback != "":
		own := *f
		own.Poll.Type, own.Blank = scriptType, "" // blanks are no script
		own.Join = func(mark string, messages [][]byte) ([]byte, int) {
			document, n := join(mark, messages)
			return []byte(callback + "(" + string(document) + ");"), n
		}
		return &own, true
	}
	return f, true
}

// frameHead begins the document of a forever frame. What follows calls r with
// the connection c, which is known by the number of the frame, as long as the
// page around it is there (legacy-client-protocol 4.4).
func frameHead(id uint32) string {
	n := strconv.FormatUint(uint64(id), 10)
	return "<!DOCTYPE html>\n<html>\n<head>\n<title>SignalR</title>\n<script>\n" +
		"var $ = window.parent.jQuery, t = $ ? $.signalR.transports.foreverFrame : null;\n" +
		"var c = t ? t.getConnection(\"" + n + "\") : null;\n" +
		"var r = c ? t.receive : function () {};\n" +
		"if (c) { t.started(c); }\n" +
		"</script>\n</head>\n<body>\r\n"
}

// escapeTags keeps a text from ending the script that it stands in.
func escapeTags(m []byte) []byte {
	if !bytes.ContainsAny(m, "<>") {
		return m
	}
	m = bytes.ReplaceAll(m, []byte{'<'}, []byte(`\u003c`))
	return bytes.ReplaceAll(m, []byte{'>'}, []byte(`\u003e`))
}

// join makes one document of the messages for a poll: all their elements
// under the cursor of the last (4.3). A farewell goes alone, since clients look
// at nothing else in it.
func join(mark string, messages [][]byte) (document []byte, n int) {
	if mark == "" {
		mark = start
	}
	if len(messages) > 0 && (len(messages) == 1 || isFarewell(messages[0])) {
		return messages[0], 1
	}
	size := messageFrom + len(messageTail)
	first := false
	for _, m := range messages {
		if isFarewell(m) {
			break
		}
		n++
		size += len(m)
		if c := cursorIn(m); c != "" {
			mark = c
		} else if isInit(m) {
			first, mark = true, initCursor(m)
		}
	}
	b := make([]byte, 0, size)
	b = append(append(b, messageHead...), mark...)
	b = append(b, '"')
	if first {
		b = append(b, `,"S":1`...)
	}
	b = append(b, `,"M":[`...)
	for _, m := range messages[:n] {
		if e := elements(m); len(e) > 0 {
			if b[len(b)-1] != '[' {
				b = append(b, ',')
			}
			b = append(b, e...)
		}
	}
	return append(b, messageTail...), n
}

// elements returns what stands in a message's M.
func elements(m []byte) []byte {
	if cursorIn(m) == "" {
		return nil // the init message has none
	}
	return m[messageFrom : len(m)-len(messageTail)]
}

const (
	farewellHead = `{"E":`
	initTail     = `","S":1,"M":[]}`
)

func isFarewell(m []byte) bool { return bytes.HasPrefix(m, []byte(farewellHead)) }

func isInit(m []byte) bool { return bytes.HasSuffix(m, []byte(initTail)) }

// initMessage is the first of a connection: the client is initialized and has
// seen what base says (4.4).
func initMessage(base string) []byte { return []byte(messageHead + base + initTail) }

func initCursor(m []byte) string { return string(m[len(messageHead) : len(m)-len(initTail)]) }

// isCallback says whether a name may be called back: names of JavaScript with
// dots between (legacy-client-protocol 1.4).
func isCallback(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		for i, c := range part {
			if c != '$' && c != '_' && !unicode.IsLetter(c) && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
		if part == "" || reserved[part] {
			return false
		}
	}
	return true
}

// reserved are the words of ECMAScript 5.1 that name nothing.
var reserved = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.SplitSeq("break case catch class const continue debugger default delete do else enum export extends false finally for "+
		"function if implements import in instanceof interface let new null package private protected public return static super switch this "+
		"throw true try typeof var void while with yield NaN", " ") {
		m[w] = true
	}
	return m
}()
