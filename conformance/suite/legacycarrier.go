package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/ws"
)

// The transports, by the names that clients use.
const (
	legacySocket = "webSockets"
	legacyStream = "serverSentEvents"
	legacyFrame  = "foreverFrame"
	legacyPolls  = "longPolling"
)

// A legacyCarrier is what messages come by. Its goroutine puts them into events
// and closes that at its end; end then says how it ended.
type legacyCarrier struct {
	events chan string // JSON texts, keep-alives among them
	head   legacyAnswer
	socket *ws.Conn // of a WebSocket
	done   <-chan struct{}
	stop   context.CancelFunc // closes done
	closed chan struct{}      // when the goroutine is gone

	mu  sync.Mutex
	end string
}

// Ends of carriers.
const (
	legacyEnded = "the end of the answer"
	legacyCut   = "a connection that breaks off"
)

// legacyQueue is how many messages may wait to be looked at.
const legacyQueue = 4096

// newLegacyCarrier returns a carrier that stop ends, and with it ctx.
func newLegacyCarrier(ctx context.Context, stop context.CancelFunc) *legacyCarrier {
	return &legacyCarrier{events: make(chan string, legacyQueue), closed: make(chan struct{}), done: ctx.Done(), stop: stop}
}

// put keeps a message, or waits until there is room for it.
func (c *legacyCarrier) put(text string) {
	select {
	case c.events <- text:
	case <-c.done:
	}
}

// broke notes the end of a connection that could not be read any more.
func (c *legacyCarrier) broke(err error) {
	if errors.Is(err, conformance.ErrFlood) {
		c.ended(conformance.ErrFlood.Error())
		return
	}
	c.ended(legacyCut)
}

func (c *legacyCarrier) ended(how string) {
	c.mu.Lock()
	c.end = how
	c.mu.Unlock()
}

// how says how it ended; it is asked when events is closed.
func (c *legacyCarrier) how() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// cut drops the connection without a word.
func (c *legacyCarrier) cut() {
	c.stop()
	if c.socket != nil {
		c.socket.NetConn().Close()
	}
	<-c.closed
}

// readSocket is the goroutine of a WebSocket.
func (c *legacyCarrier) readSocket() {
	defer close(c.closed)
	defer close(c.events)
	for {
		op, p, err := c.socket.Read()
		var closed *ws.CloseError
		switch {
		case errors.As(err, &closed):
			c.ended(fmt.Sprintf("close %d %s", closed.Code, closed.Reason))
			return
		case err != nil:
			c.broke(err)
			return
		case op != ws.Text:
			c.ended("a message that is not text")
			return
		}
		c.put(string(p))
	}
}

// readStream is the goroutine of an event stream or a forever frame. What is not
// a message ends it.
func (c *legacyCarrier) readStream(body io.ReadCloser, via string) {
	defer close(c.closed)
	defer close(c.events)
	defer body.Close()
	in := bufio.NewReader(body)
	for {
		line, err := in.ReadString('\n')
		switch text := strings.TrimRight(line, "\r\n"); {
		case err == io.EOF && line == "":
			c.ended(legacyEnded)
			return
		case err != nil:
			c.broke(err)
			return
		case text == "":
		case via == legacyStream && strings.HasPrefix(text, "data: "):
			c.put(text[len("data: "):])
		case via == legacyFrame && strings.HasPrefix(text, "<script>r(c, ") && strings.HasSuffix(text, ");</script>"):
			c.put(text[len("<script>r(c, ") : len(text)-len(");</script>")])
		case via == legacyFrame: // the head of the document
		default:
			c.ended("a line that is no message: " + text)
			return
		}
	}
}

// readPolls is the goroutine of long polling. It goes on to ask as long as the
// answers are messages; a poll's keep-alives are blanks and are left out.
func (c *legacyCarrier) readPolls(ctx context.Context, k *legacyClient, first *http.Response, again func() *http.Response) {
	defer close(c.closed)
	defer close(c.events)
	defer func() { // a poll that fails ends the carrier, and the case sees it there
		if p := recover(); p != nil {
			v, ours := p.(*verdict)
			if !ours {
				panic(p)
			}
			c.ended(v.why)
		}
	}()
	for res := first; ; res = again() {
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		text := strings.TrimLeft(string(body), " ")
		switch {
		case err != nil:
			c.broke(err)
			return
		case res.StatusCode != http.StatusOK:
			c.ended(fmt.Sprintf("status %d %s", res.StatusCode, text))
			return
		}
		k.seen(text)
		c.put(text)
		if k.stopped() || ctx.Err() != nil {
			c.ended(legacyEnded)
			return
		}
	}
}

// legacyMessage is what a message may hold (legacy-client-protocol 4.2, 5.3).
type legacyMessage struct {
	C, G string
	E    json.RawMessage
	I    json.RawMessage // null, too, makes it a result
	M    []json.RawMessage
}
