package record_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/ws"
)

// A hubClient says and hears bytes on a WebSocket of the hub /chat.
type hubClient struct {
	t         *testing.T
	ctx       context.Context
	at, login string // of its connection
	id        string
	socket    *ws.Conn
	heard     string
}

// negotiateHub asks the hub /chat of an app for a connection, where the answer
// sends it too, and returns where the connection is.
func negotiateHub(ctx context.Context, t *testing.T, app, query string) (at, login, id string) {
	t.Helper()
	at = app + "/chat?negotiateVersion=1" + query
	for {
		path, query, _ := strings.Cut(at, "?")
		_, text := ask(ctx, t, http.MethodPost, strings.TrimSuffix(path, "/")+"/negotiate?"+query, login, "")
		var n struct{ URL, AccessToken, ConnectionID, ConnectionToken string }
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Fatalf("negotiate: %v: %s", err, text)
		}
		if n.URL == "" {
			return at + "&id=" + url.QueryEscape(n.ConnectionToken), login, n.ConnectionID
		}
		at, login = n.URL, n.AccessToken
	}
}

// connectHub negotiates, opens a WebSocket and shakes hands.
func connectHub(ctx context.Context, t *testing.T, app, query, handshake string) *hubClient {
	t.Helper()
	c := &hubClient{t: t, ctx: ctx}
	c.at, c.login, c.id = negotiateHub(ctx, t, app, query)
	c.open()
	c.say(ws.Text, handshake+"\x1e")
	c.hears("{}\x1e")
	return c
}

// open opens a WebSocket, in the place of the one it had.
func (c *hubClient) open() {
	c.t.Helper()
	var err error
	if c.socket, err = ws.Dial(c.ctx, c.at, http.Header{"Authorization": {"Bearer " + c.login}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *hubClient) say(op byte, text string) {
	c.t.Helper()
	if err := c.socket.Write(op, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits for what has the parts, one after the other, and returns what came
// before the last of them and with it.
func (c *hubClient) hears(parts ...string) (before string) {
	c.t.Helper()
	for _, part := range parts {
		for !strings.Contains(c.heard, part) {
			_, data, err := c.socket.Read()
			if err != nil {
				c.t.Fatalf("%v after %q", err, c.heard)
			}
			c.heard += string(data)
		}
		before, c.heard, _ = strings.Cut(c.heard, part)
	}
	return before + parts[len(parts)-1]
}

// stateful is cut off and comes back.
func stateful(ctx context.Context, t *testing.T, app string) {
	c := connectHub(ctx, t, app, "&useStatefulReconnect=true", `{"protocol":"json","version":2}`)
	call := `{"type":1,"invocationId":"1","target":"Echo","arguments":["a"]}` + "\x1e"
	c.say(ws.Text, call)
	c.hears(`"welcome"`, `"result":"a"`)
	c.socket.NetConn().Close()
	c.open()
	c.say(ws.Text, `{"type":9,"sequenceId":1}`+"\x1e"+call)
	c.hears(`{"type":9,"sequenceId":1}`, `"welcome"`, `"result":"a"`)
	c.say(ws.Text, strings.ReplaceAll(call, `"1"`, `"2"`))
	c.hears(`"invocationId":"2"`)
	c.socket.Close(1000, "")
}

// packedQuestion has the hub ask one client for another.
func packedQuestion(ctx context.Context, t *testing.T, app string) {
	const handshake = `{"protocol":"messagepack","version":1}`
	packed := func(m string) string { return string(rune(len(m))) + m }
	asked, asks := connectHub(ctx, t, app, "", handshake), connectHub(ctx, t, app, "", handshake)
	asked.hears("welcome")
	asks.say(ws.Binary, packed("\x96\x01\x80\xa1a\xa3Ask\x92"+string([]byte{0xa0 | byte(len(asked.id))})+asked.id+"\xa4why?\x90"))
	_, id, _ := strings.Cut(asked.hears("\xa8question"), "\x96\x01\x80")
	asked.say(ws.Binary, packed("\x95\x03\x80"+strings.TrimSuffix(id, "\xa8question")+"\x03\xa7because"))
	asks.hears("\xa7because")
	asks.socket.Close(1000, "")
	asked.socket.Close(1000, "")
}

// cancelledStream hears enough of a stream.
func cancelledStream(ctx context.Context, t *testing.T, app string) {
	c := connectHub(ctx, t, app, "", `{"protocol":"json","version":1}`)
	c.say(ws.Text, `{"type":4,"invocationId":"1","target":"Counter","arguments":[1000000,1]}`+"\x1e")
	c.hears(`"item":2}`)
	c.say(ws.Text, `{"type":5,"invocationId":"1"}`+"\x1e")
	c.hears(`"type":3,"invocationId":"1"`)
	c.say(ws.Text, `{"type":1,"invocationId":"2","target":"Echo","arguments":["a"]}`+"\x1e")
	c.hears(`"result":"a"`)
	c.socket.Close(1000, "")
}

// uploads streams to two calls at a time.
func uploads(ctx context.Context, t *testing.T, app string) {
	c := connectHub(ctx, t, app, "", `{"protocol":"json","version":1}`)
	c.hears(`"welcome"`)
	call := `{"type":1,"invocationId":"1","target":"Sum","arguments":[],"streamIds":["a"]}` + "\x1e"
	c.say(ws.Text, call+strings.NewReplacer(`"1"`, `"2"`, `"a"`, `"b"`).Replace(call))
	c.say(ws.Text, `{"type":2,"invocationId":"a","item":7}`+"\x1e"+`{"type":2,"invocationId":"b","item":9}`+"\x1e")
	c.say(ws.Text, `{"type":3,"invocationId":"a"}`+"\x1e"+`{"type":3,"invocationId":"b"}`+"\x1e")
	for all := ""; !strings.Contains(all, `"result":7`) || !strings.Contains(all, `"result":9`); { // in any order
		all += c.hears("\x1e")
	}
	c.socket.Close(1000, "")
}

// leavesEvents goes away from an event stream as the JavaScript client does: it ends
// the stream and says so, and nobody waits for the other.
func leavesEvents(ctx context.Context, t *testing.T, app string) {
	at, login, _ := negotiateHub(ctx, t, app, "")
	stream, leave := context.WithCancel(ctx)
	defer leave()
	req, err := http.NewRequestWithContext(stream, http.MethodGet, at+"&access_token="+login, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ask(ctx, t, http.MethodPost, at, login, `{"protocol":"json","version":1}`+"\x1e")
	for lines := bufio.NewScanner(resp.Body); lines.Scan() && !strings.Contains(lines.Text(), `"welcome"`); {
	}
	leave()
	ask(ctx, t, http.MethodPost, at, login, `{"type":7}`+"\x1e")
}
