package suite_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// wireMutations are about bytes and their pieces, WebSockets besides messages, and
// polls that wait.
var wireMutations = []mutation{
	{"a poll that waits for 8 s is answered 204", "poll-waits", "204 after 8s", wrong{door: onPoll(endedAfter(8 * time.Second))}},
	{"a poll whose client goes away takes what comes along", "poll-given-up", "", wrong{door: onPoll(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, done := context.WithCancel(context.WithoutCancel(r.Context())) // the proxy looks for itself where nothing can be done
			defer done()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	})}},

	// Letters.
	{"each WebSocket message is read as UTF-8 of its own", "letters-in-pieces-websockets", "k\uFFFD", wrong{hears: letterwise}},
	{"each POST is read as UTF-8 of its own", "letters-in-pieces-longpolling", "k\uFFFD", wrong{hears: letterwise}},
	{"each frame of a message is read as UTF-8 of its own", "websocket-fragments-of-letters", "k\uFFFD", wrong{hears: replaced(), pieces: validUTF8}},
	{"a long text is read as UTF-8 in pieces of 4 KiB", "long-text-websockets", "\uFFFD", wrong{hears: inPiecesOf4KiB}},
	{"a long text is written as UTF-8 in pieces of 4 KiB", "long-text-sse", "\uFFFD", wrong{says: inPiecesOf4KiB}},

	// The length of a message in messagepack.
	{"a length of two bytes is not understood", "messagepack-length-of-two-bytes-websockets", "", wrong{hears: without(128, 16<<10)}},
	{"a length of two bytes has its bytes changed", "messagepack-length-of-two-bytes-websockets", `x"0180"`, wrong{says: replaced("\x80\x01\x95", "\x01\x80\x95")}},
	{"no message has a length of three bytes", "messagepack-length-of-three-bytes-websockets", "", wrong{says: without(16<<10, 2<<20)}},
	{"a length of three bytes is not understood by POST", "messagepack-length-of-three-bytes-longpolling", "", wrong{hears: without(16<<10, 2<<20)}},
	{"a length in pieces is not joined", "messagepack-length-in-pieces-websockets", "", wrong{hears: without(1, 2)}},

	// WebSockets.
	{"a pong that nobody asked for ends the connection", "websocket-pong", "", wrong{hears: onOp(opPong, message{op: opClose, data: "\x03\xea"})}},
	{"an empty WebSocket message ends the connection", "message-empty", "close 1000", wrong{hears: each(func(m message) []message {
		if m.op < opClose && m.data == "" {
			m = message{op: opClose, data: "\x03\xea"}
		}
		return []message{m}
	})}},
	{"a close frame with 1001 is not answered", "websocket-close", "timeout", wrong{hears: each(func(m message) []message {
		if m.op == opClose && strings.HasPrefix(m.data, "\x03\xe9") {
			return nil
		}
		return []message{m}
	})}},
	{"Connection has to be Upgrade alone", "websocket-upgrade-words", "keep-alive, Upgrade and Upgrade: websocket 400", wrong{door: refusing(http.StatusBadRequest, func(r *http.Request) bool {
		return r.Header.Get("Upgrade") != "" && !strings.EqualFold(r.Header.Get("Connection"), "upgrade")
	})}},
	{"upgrades mind case", "websocket-upgrade-words", "WebSocket 400", wrong{door: refusing(http.StatusBadRequest, func(r *http.Request) bool {
		return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && r.Header.Get("Upgrade") != "websocket"
	})}},
	{"WebSockets have no token in the query", "redirect-token-in-query-websockets", "", wrong{door: refusing(http.StatusUnauthorized, func(r *http.Request) bool {
		return r.Header.Get("Upgrade") != "" && r.Header.Get("Authorization") == "" && r.URL.Query().Has("id")
	})}},
	{"event streams have no token in the query", "redirect-token-in-query-sse", "401", wrong{door: refusing(http.StatusUnauthorized, func(r *http.Request) bool {
		return r.Header.Get("Accept") == "text/event-stream" && r.Header.Get("Authorization") == "" && r.URL.Query().Has("id")
	})}},
	{"a send without its length is 411", "exact-send-chunked", "411", wrong{door: refusing(http.StatusLengthRequired, func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.ContentLength < 0
	})}},
}

// letterwise hears each message as UTF-8, whatever the next brings.
var letterwise = each(func(m message) []message {
	if m.op < opClose {
		m.data = validUTF8(m.data)
	}
	return []message{m}
})

func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// inPiecesOf4KiB takes messages for text piece by piece.
var inPiecesOf4KiB = each(func(m message) []message {
	var all strings.Builder
	for rest := m.data; rest != ""; {
		n := min(4<<10, len(rest))
		all.WriteString(validUTF8(rest[:n]))
		rest = rest[n:]
	}
	m.data = all.String()
	return []message{m}
})

// without leaves out messages of some sizes, in bytes.
func without(least, most int) change {
	return each(func(m message) []message {
		if m.op < opClose && least <= len(m.data) && len(m.data) < most {
			return nil
		}
		return []message{m}
	})
}

// refusing answers some requests with a status.
func refusing(status int, which func(*http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if which(r) {
				w.WriteHeader(status)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// onPoll is for polls only.
func onPoll(door func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		polls := door(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Query().Has("id") && r.Header.Get("Upgrade") == "" && r.Header.Get("Accept") != "text/event-stream" {
				polls.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// endedAfter answers 204 to a request that has waited for so long.
func endedAfter(long time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), long)
			defer cancel()
			answer, done := httptest.NewRecorder(), make(chan struct{})
			go func() { // ends with ctx
				defer close(done)
				defer func() { _ = recover() }() // the proxy's way of giving up
				next.ServeHTTP(answer, r.WithContext(ctx))
			}()
			<-done
			if ctx.Err() == context.DeadlineExceeded {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			io.Copy(w, answer.Body) // or the client has gone
		})
	}
}
