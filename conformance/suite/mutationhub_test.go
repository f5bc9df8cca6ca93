package suite_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// hubMutations are servers whose hub knows its clients wrong, or keeps count wrong.
// Those that need longest come first.
var hubMutations = []mutation{
	{"a connection that was cut is there for ever", "stateful-abandoned", "409", wrong{answer: status(404, 409)}},
	{"a client is timed out that says other things than Ping", "client-not-timed-out", "said Ping once", wrong{says: timedOut(true)}},
	{"a client is timed out that never said Ping", "client-not-timed-out", "never said Ping", wrong{says: timedOut(false)}},
	{"a Ping of the server is a message that counts", "stateful-pings-of-server-do-not-count", "Echo2", wrong{says: after(aSequence, record(`{"type":3,"invocationId":"Echo2","result":"b"}`))}},

	// Who hears what.
	{"the first of those left out counts", "send-all-except-two", `"target":"message"`, wrong{hears: rewritten(`(\["[^"]+"),"[^"]+"\]`, "$1]")}},
	{"the first of those left out of a group counts", "group-except-two", `"target":"message"`, wrong{hears: rewritten(`(\["[^"]+"),"[^"]+"\]`, "$1]")}},
	{"others are those of other users", "send-others-same-user", "", wrong{says: instead("to-all-")}},
	{"others of a group are those of other users", "group-others-same-user", "", wrong{says: instead(called)}},
	{"groups have names without case", "group-in-that-case", `"m"`, wrong{hears: replaced(`["G`, `["g`)}},
	{"who leaves a group leaves another too", "group-leave-one", "", wrong{hears: each(func(m message) []message {
		if !strings.Contains(m.data, `"Leave"`) {
			return []message{m}
		}
		return []message{{op: m.op, data: strings.NewReplacer(`["g`, `["h`, `"invocationId":"l",`, "").Replace(m.data)}, m}
	})}},
	{"a client in two groups hears once", "exact-groups-of-one-client", "", wrong{says: once(called)}},
	{"a user without a name is everybody without a user", "send-user-of-no-name", `"target":"message"`, wrong{hears: replaced(`"SendUser","arguments":["",`, `"SendCaller","arguments":[`)}},
	{"any client answers for another", "client-result-of-a-stranger", "forged", wrong{says: replaced("because", "forged")}},

	// What a hub knows.
	{"a text is as long as its letters are many", "length-in-utf16", `"result":2`, wrong{says: replaced(`"result":3`, `"result":2`)}},
	{"a large number is rounded", "exact-long-number", "9007199254740992", wrong{says: replaced("9007199254740993", "9007199254740992")}},
	{"a value of a table is lost", "invoke-table-sse", `"yes":true}`, wrong{says: replaced(`,"nothing":null`, "")}},
	{"bytes of a table change in messagepack", "messagepack-table-websockets", "000100", wrong{says: replaced("\x00\x01\xff", "\x00\x01\x00")}},
	{"a client has no name", "name-of-client-websockets", `"result":null`, wrong{says: replaced(`"alice"`, "null")}},
	{"nobody has an empty name", "name-of-nobody", `"result":""`, wrong{says: replaced(`"result":null`, `"result":""`)}},
	{"what a hub keeps changes places", "collected-longpolling", "[1,3]", wrong{says: replaced("[3,1]", "[1,3]")}},
	{"what a hub keeps for one is kept for another", "collected-websockets", "[3,1,7]", wrong{says: replaced("[7]", "[3,1,7]")}},
	{"the header of the negotiate request", "header-of-client", "of-negotiate", wrong{says: replaced(`"blue"`, `"of-negotiate"`)}},
	{"the path of the service", "path-of-client", "/client/", wrong{says: replaced(`"/chat"`, `"/client/"`)}},
	{"a hub is not told of connections", "disconnect-after-drop", "7", wrong{says: rewritten(`("Stats\d+","result":")\d+`, "${1}7")}},
	{"a hub is not told of ends", "disconnect-after-drop", "7", wrong{says: rewritten(`("Stats\d+","result":"\d+) \d+`, "$1 7")}},
	{"a stream goes on without its client", "stream-of-a-client-that-left", "7", wrong{says: rewritten(`("Streams\d+","result":)\d+`, "${1}7")}},
	{"an upload goes on without its client", "upload-of-a-client-that-left", "7", wrong{says: rewritten(`("Streams\d+","result":)\d+`, "${1}7")}},

	// Stateful reconnect.
	{"a Ping of the client is a message that counts", "stateful-pings-do-not-count", `"sequenceId":3`, wrong{says: replaced(`"type":8,"sequenceId":1`, `"type":8,"sequenceId":3`)}},
	{"a message that comes again counts again", "stateful-ack-after-resume", "Ack 3", wrong{says: replaced(`"type":8,"sequenceId":2`, `"type":8,"sequenceId":3`)}},
	{"a resume leaves the groups", "stateful-group-stays", "", wrong{hears: instead("SendGroup")}},
	{"two seconds after a loss it is too late", "stateful-resume-late", "404", wrong{door: secondTime(2*time.Second, func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		return false
	})}},
	{"acknowledged to a client of version 1", "stateful-version-1", anAck, wrong{says: after(`"t0"`, record(`{"type":8,"sequenceId":1}`))}},
	{"a client of version 1 may resume", "stateful-version-1-does-not-resume", "101", wrong{door: secondTime(0, func(_ http.ResponseWriter, r *http.Request) bool {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "&id=", "&no=")
		return true
	})}},
	{"True is not true", "exact-stateful-negotiate-capital", "connectionId", wrong{answer: negotiated(`"useStatefulReconnect":true,`, "")}},
}

// rewritten is text with other text where an expression matches.
func rewritten(expr, with string) change {
	find := regexp.MustCompile(expr)
	return each(func(m message) []message {
		m.data = find.ReplaceAllString(m.data, with)
		return []message{m}
	})
}

// once says the first of the messages that hold a text.
func once(text string) change {
	return func() func(message) []message {
		n := 0
		return func(m message) []message {
			if strings.Contains(m.data, text) {
				if n++; n > 1 {
					return nil
				}
			}
			return []message{m}
		}
	}
}

// timedOut ends a connection at the first Ping of the server: that of a client that
// was answered something before, or that of one that was not.
func timedOut(talks bool) change {
	return func() func(message) []message {
		talked := false
		return func(m message) []message {
			talked = talked || strings.Contains(m.data, answered)
			if strings.Contains(m.data, aPing) && talked == talks {
				return []message{{op: cut}}
			}
			return []message{m}
		}
	}
}

// secondTime is asked when an id comes again, and late enough, in a GET. It may
// change the request, or answer it, and says whether it is to go on.
func secondTime(late time.Duration, change func(http.ResponseWriter, *http.Request) (goOn bool)) func(http.Handler) http.Handler {
	var mu sync.Mutex
	first := map[string]time.Time{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id := r.URL.Query().Get("id"); r.Method == http.MethodGet && id != "" {
				mu.Lock()
				at, again := first[id]
				if !again {
					first[id] = time.Now()
				}
				mu.Unlock()
				if again && time.Since(at) > late && !change(w, r) {
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
