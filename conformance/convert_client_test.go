package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// goldenClient are recordings of clients of every kind with a server that had
// no service before it. Their transcripts put one: what the server said becomes
// what an app server says through the relay.
const goldenClient = "../../shared/golden/core-client.json"

// A clientFrame is one frame of these recordings.
type clientFrame struct {
	Scenario, Direction, Kind, Opcode, Meaning string
	Transport                                  string
	Conn                                       int
	Fin                                        *bool
	Text, Hex                                  string
}

func (f *clientFrame) bytes() []byte {
	if f.Text != "" {
		return []byte(f.Text)
	}
	b, _ := hex.DecodeString(f.Hex)
	return b
}

func (f *clientFrame) byClient() bool { return strings.HasPrefix(f.Direction, "client") }

// convertClients is convertAll for these recordings.
func convertClients(t *testing.T) map[string][]byte {
	text, err := os.ReadFile(goldenClient)
	if err != nil {
		t.Fatalf("-update needs the golden files beside the checkout: %v", err)
	}
	var all struct {
		Scenarios map[string]struct{ Client, Meaning string }
		Frames    []clientFrame
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	frames := map[string][]clientFrame{}
	for _, f := range all.Frames {
		frames[f.Scenario] = append(frames[f.Scenario], f)
	}
	unplayable := readList(t, clientTranscripts, "not-replayed.txt")
	texts := map[string][]byte{}
	for name, s := range all.Scenarios {
		if unplayable[name] != "" {
			continue
		}
		tr := &conformance.Transcript{
			Name: name, SDK: s.Client, About: s.Meaning,
			From: "a real client with a server of our own; the app server is added, and says what that server said",
		}
		if tr.Steps, err = convertClient(frames[name]); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		texts[name] = tr.Text()
	}
	return texts
}

// A clientConverter makes the steps of one scenario.
type clientConverter struct {
	steps    []conformance.Step
	hub      string // in lower case
	redirect bool   // the first negotiate is the app's and not replayed
	requests int
	pending  map[int]*pendingRequest // by TCP connection
	clients  []*recordedClient
	polls    []*pendingRequest  // that have no answer yet
	ending   bool               // a DELETE has no answer yet
	late     []conformance.Step // sends that crossed it
}

type pendingRequest struct {
	conn   string // h1 …; empty when it is not replayed
	method string
	client *recordedClient
	kind   string // negotiate, poll, events, send, socket, preflight
}

// A recordedClient is one connection of the client.
type recordedClient struct {
	token   string // as recorded
	name    string // c1 …
	id      string // ${c1}
	carrier string // where its data is: c1, or h1 when it did not negotiate
	open    bool   // the app server knows it
	ended   bool   // by the client or the server
	dropped bool   // its event stream broke, which is told last
}

func convertClient(frames []clientFrame) ([]conformance.Step, error) {
	c := &clientConverter{hub: "hub", pending: map[int]*pendingRequest{}}
	for _, f := range frames {
		if f.Kind == "http-request" && strings.Contains(string(f.bytes()[:min(len(f.bytes()), 40)]), " /client") {
			c.hub, c.redirect = "chat", true
		}
	}
	c.add(conformance.App, "s1", conformance.Request{
		Method: "GET", Target: "/server/?hub=" + c.hub + "&cid=cid1",
		Header: []conformance.Field{{Name: "Upgrade", Value: "websocket"}, {Name: "X-ASRS-Server-Id", Value: "server1"}},
		Token:  token("server", "server1", c.hub),
	})
	c.add(conformance.Relay, "s1", conformance.Response{Status: 101})
	c.frame(conformance.App, &sp.HandshakeRequest{Version: 1})
	c.frame(conformance.Relay, &sp.HandshakeResponse{ConnectionID: "cid1"})
	for i := range frames {
		if err := c.step(&frames[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", frames[i].Meaning, err)
		}
	}
	for _, client := range c.clients {
		if client.dropped && !client.ended {
			c.add(conformance.Client, client.carrier, conformance.Drop{})
			c.gone(client)
		}
	}
	return c.steps, nil
}

func token(audience, user, hub string) *conformance.Token {
	return &conformance.Token{Algorithm: "HS256", Payload: fmt.Sprintf(
		`{"nameid":%q,"exp":"${unix+60m}","aud":"http://127.0.0.1/%s/?hub=%s"}`, user, audience, hub)}
}

func (c *clientConverter) add(who conformance.Speaker, conn string, said conformance.Saying) {
	c.steps = append(c.steps, conformance.Step{Who: who, Conn: conn, Said: said})
}

func (c *clientConverter) frame(who conformance.Speaker, m sp.Message) {
	c.add(who, "s1", conformance.Frame{Message: m})
}

// fromClient adds what the app server gets of a client's bytes.
func (c *clientConverter) fromClient(client *recordedClient, data []byte) error {
	if !client.open {
		head, _, ok := bytes.Cut(data, []byte("\x1e"))
		var handshake struct{ Protocol string }
		if !ok || json.Unmarshal(head, &handshake) != nil {
			return errors.New("the first bytes are no handshake")
		}
		client.open = true
		c.frame(conformance.Relay, &sp.OpenConnection{ConnectionID: client.id, Protocol: handshake.Protocol})
	}
	c.frame(conformance.Relay, &sp.ConnectionData{ConnectionID: client.id, Data: data})
	return nil
}

// fromServer adds what the app server sends.
func (c *clientConverter) fromServer(client *recordedClient, data []byte) error {
	if !client.open {
		return errors.New("the server speaks before the handshake")
	}
	c.frame(conformance.App, &sp.ConnectionData{ConnectionID: client.id, Data: data})
	return nil
}

// gone adds what the app server gets when a client leaves.
func (c *clientConverter) gone(client *recordedClient) {
	if client.open && !client.ended {
		c.frame(conformance.Relay, &sp.CloseConnection{ConnectionID: client.id})
	}
	client.ended = true
}

// closed adds what the app server says when it ends a client.
func (c *clientConverter) closed(client *recordedClient) {
	if !client.ended {
		c.frame(conformance.App, &sp.CloseConnection{ConnectionID: client.id})
	}
	client.ended = true
}

func (c *clientConverter) step(f *clientFrame) error {
	p := c.pending[f.Conn]
	switch {
	case f.Kind == "http-request":
		return c.request(f)
	case p == nil:
		return errors.New("nothing was asked")
	case p.conn == "":
		return nil // the app's
	case f.Kind == "http-response":
		return c.response(p, f)
	case f.Kind == "http-body-chunk":
		return c.events(p, f)
	case f.Kind == "ws-frame":
		return c.socket(p.client, f)
	case f.Kind == "tcp-fin" && !f.byClient(), f.Kind == "http-body-end":
		if p.kind == "events" {
			return errors.New("the server ends an event stream of its own will")
		}
	case p.kind == "events":
		p.client.dropped = true
	case p.kind == "socket" && !p.client.ended:
		c.add(conformance.Client, p.client.carrier, conformance.Drop{})
		c.gone(p.client)
	}
	return nil
}

// notKept are headers that say nothing here.
var notKept = regexp.MustCompile(`(?i)^(connection|content-length|sec-.*|accept-encoding|accept-language|cache-control|pragma|referer|keep-alive|authorization)$`)

// order is a header's lines in their order.
func order(head []byte) (fields []conformance.Field) {
	lines := strings.Split(string(head), "\r\n")
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ": "); ok && !notKept.MatchString(name) {
			fields = append(fields, conformance.Field{Name: name, Value: value})
		}
	}
	return fields
}

func (c *clientConverter) request(f *clientFrame) error {
	raw := f.bytes()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	p := &pendingRequest{method: req.Method}
	c.pending[f.Conn] = p
	if c.redirect != strings.HasPrefix(req.URL.Path, "/client") {
		return nil
	}
	c.requests++
	p.conn = fmt.Sprint("h", c.requests)
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	r := conformance.Request{Method: req.Method, Header: order(head), Body: body, Token: token("client", "alice", c.hub)}
	if r.Target, err = c.target(req, p); err != nil {
		return err
	}
	switch {
	case req.Method == "OPTIONS":
		p.kind, r.Token = "preflight", nil
	case strings.HasSuffix(req.URL.Path, "/negotiate"):
		p.kind = "negotiate"
	case strings.EqualFold(req.Header.Get("Upgrade"), "websocket"):
		p.kind = "socket"
	case strings.HasPrefix(req.Header.Get("Accept"), "text/event-stream"):
		p.kind = "events"
	case req.Method == "POST":
		p.kind = "send"
	case req.Method == "GET":
		p.kind = "poll"
		c.polls = append(c.polls, p)
	case req.Method == "DELETE":
		p.kind = "end"
		for _, poll := range c.polls {
			c.add(conformance.Client, poll.conn, conformance.Drop{}) // maybe; see response
		}
		c.ending = true
	}
	if p.kind == "send" && c.ending {
		// It met the DELETE on its way; which of them is first is to be certain.
		c.late = append(c.late, conformance.Step{Who: conformance.Client, Conn: p.conn, Said: r})
		return nil
	}
	c.add(conformance.Client, p.conn, r)
	switch p.kind {
	case "send":
		if p.client.ended {
			return nil
		}
		return c.fromClient(p.client, body)
	case "end":
		c.gone(p.client)
	case "socket":
		if p.client == nil {
			n := len(c.clients) + 1
			p.client = &recordedClient{name: fmt.Sprint("c", n), id: fmt.Sprintf("${c%d}", n), carrier: p.conn}
			c.clients = append(c.clients, p.client)
		}
	}
	return nil
}

// target is where a request goes at the relay.
func (c *clientConverter) target(req *http.Request, p *pendingRequest) (string, error) {
	path, query := req.URL.Path, req.URL.RawQuery
	if !c.redirect {
		path = strings.Replace(path, "/hub", "/client/", 1)
		path = strings.Replace(path, "//", "/", 1)
		query = strings.TrimSuffix("hub="+c.hub+"&"+query, "&")
	}
	if id := req.URL.Query().Get("id"); id != "" {
		for _, client := range c.clients {
			if client.token == id {
				p.client = client
			}
		}
		if p.client == nil {
			return "", errors.New("an id that no negotiate gave")
		}
		query = strings.Replace(query, "id="+req.URL.Query().Get("id"), "id=${"+p.client.name+"token}", 1)
	}
	if access := req.URL.Query().Get("access_token"); access != "" {
		query = strings.Replace(query, "access_token="+access, "access_token=${jwt}", 1)
	}
	return path + "?" + query, nil
}

// comparedHeaders are those that clients act on.
var comparedHeaders = []string{
	"Content-Type", "Cache-Control", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
}

func (c *clientConverter) response(p *pendingRequest, f *clientFrame) error {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(f.bytes())), &http.Request{Method: p.method})
	if err != nil {
		return err
	}
	var body []byte
	if p.kind != "events" && p.kind != "socket" {
		if body, err = io.ReadAll(resp.Body); err != nil {
			return err
		}
	}
	if resp.StatusCode >= 400 && !(p.kind == "send" && resp.StatusCode == 404 && p.client.ended) {
		return fmt.Errorf("the server answers %d of its own will", resp.StatusCode)
	}
	r := conformance.Response{Status: resp.StatusCode}
	for _, name := range comparedHeaders {
		if v := resp.Header.Get(name); v != "" {
			r.Header = append(r.Header, conformance.Field{Name: name, Value: v})
		}
	}
	switch p.kind {
	case "negotiate":
		if r.Body, err = c.negotiated(p, body); err != nil {
			return err
		}
	case "poll":
		for i, poll := range c.polls {
			if poll == p {
				c.polls = append(c.polls[:i:i], c.polls[i+1:]...)
			}
		}
		// It was answered after all.
		for i, s := range c.steps {
			if _, drop := s.Said.(conformance.Drop); drop && s.Conn == p.conn {
				c.steps = append(c.steps[:i:i], c.steps[i+1:]...)
				break
			}
		}
		if resp.StatusCode == 204 {
			c.closed(p.client)
		}
		if r.Body = body; len(body) > 0 {
			if err := c.fromServer(p.client, body); err != nil {
				return err
			}
		}
	}
	if p.kind == "send" && resp.StatusCode == 404 {
		r.Body = body
	}
	c.add(conformance.Relay, p.conn, r)
	if p.kind == "end" {
		c.ending = false
		c.steps = append(c.steps, c.late...)
	}
	return nil
}

// negotiated makes a client of the answer to a negotiate.
func (c *clientConverter) negotiated(p *pendingRequest, body []byte) ([]byte, error) {
	var answer struct{ ConnectionID, ConnectionToken, Error, URL string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if answer.ConnectionID == "" {
		return nil, errors.New("the server refuses or redirects of its own will")
	}
	n := len(c.clients) + 1
	client := &recordedClient{token: answer.ConnectionToken, name: fmt.Sprint("c", n), id: fmt.Sprintf("${c%d}", n), carrier: fmt.Sprint("c", n)}
	text := string(body)
	if answer.ConnectionToken == "" { // version 0: the id is the token
		client.token = answer.ConnectionID
		text = strings.Replace(text, answer.ConnectionID, "${"+client.name+"token}", 1)
	} else {
		text = strings.Replace(text, answer.ConnectionID, client.id, 1)
		text = strings.Replace(text, answer.ConnectionToken, "${"+client.name+"token}", 1)
	}
	c.clients = append(c.clients, client)
	return []byte(text), nil
}

// events adds the events of a chunk.
func (c *clientConverter) events(p *pendingRequest, f *clientFrame) error {
	if p.kind != "events" {
		return errors.New("a body in chunks")
	}
	for _, event := range strings.Split(string(f.bytes()), "\n\n") {
		event = strings.TrimRight(event, "\r\n")
		if event == "" || event[0] == ':' {
			continue
		}
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.Contains(data, "\n") {
			return errors.New("an event of several lines")
		}
		if err := c.fromServer(p.client, []byte(data)); err != nil {
			return err
		}
		c.add(conformance.Relay, p.client.carrier, conformance.Data{Kind: conformance.Event, Bytes: []byte(data)})
	}
	return nil
}

// socket adds a WebSocket frame.
func (c *clientConverter) socket(client *recordedClient, f *clientFrame) error {
	if f.Fin != nil && !*f.Fin || f.Opcode == "continuation" {
		return errors.New("a message in fragments")
	}
	data := f.bytes()
	kind := conformance.Text
	switch f.Opcode {
	case "binary":
		kind = conformance.Binary
	case "text":
	case "close":
		var code conformance.Close
		if len(data) >= 2 {
			code = conformance.Close{Code: int(data[0])<<8 | int(data[1]), Reason: string(data[2:])}
		}
		if f.byClient() {
			c.add(conformance.Client, client.carrier, code)
			c.gone(client)
			return nil
		}
		c.closed(client)
		c.add(conformance.Relay, client.carrier, conformance.Close{Code: 1000})
		return nil
	default:
		return fmt.Errorf("a %s frame", f.Opcode)
	}
	if f.byClient() {
		c.add(conformance.Client, client.carrier, conformance.Data{Kind: kind, Bytes: data})
		return c.fromClient(client, data)
	}
	if err := c.fromServer(client, data); err != nil {
		return err
	}
	c.add(conformance.Relay, client.carrier, conformance.Data{Kind: kind, Bytes: data})
	return nil
}
