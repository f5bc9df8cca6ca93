package suite_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/suite"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// legacyScenarios are the recordings of Microsoft's SDK for ASP.NET that become
// transcripts: the last of a list, after those whose clients it goes on with.
var legacyScenarios = [][]string{
	{"open-anonymous"},
	{"open-anonymous", "invoke"},
	{"open-anonymous", "invoke-progress"},
	{"open-anonymous", "invoke-large"},
	{"open-anonymous", "second-client"},
	{"open-anonymous", "second-client", "sends"},
	{"open-anonymous", "second-client", "groups"},
	{"open-anonymous", "second-client", "backend-sends"},
	{"connected-hello"},
	{"open-fail-onconnected"},
	{"open-fail-hubexception"},
	{"open-authorized"},
	{"open-unauthorized"},
	{"open-claims-long"},
	{"open-unknown-hub"},
	{"open-empty-connectiondata"},
	{"data-large-in"},
}

const (
	legacyRecordings  = "../../testdata/legacyapp"
	legacyTranscripts = "../transcripts/aspnet"
)

// The transcripts of ASP.NET say what the recordings say: a transcript that was
// made to agree by hand would prove nothing.
func TestLegacyTranscriptsAreTheRecordings(t *testing.T) {
	for _, names := range legacyScenarios {
		name := names[len(names)-1]
		t.Run(name, func(t *testing.T) {
			tr, err := convertLegacy(names)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(legacyTranscripts, tr.Name+".txt")
			if *update {
				if err := os.WriteFile(file, tr.Text(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(tr.Text()), string(text)); d != "" {
				t.Errorf("- recording + file\n%s", d)
			}
		})
	}
}

// Every recorded scenario is a case, or is listed with the reason why not.
func TestLegacyScenariosAreCasesOrListed(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(legacyRecordings, "index.txt"))
	if err != nil {
		t.Fatal(err)
	}
	not, err := suite.NotServiceCases()
	if err != nil {
		t.Fatal(err)
	}
	converted := map[string]bool{}
	for _, names := range legacyScenarios {
		converted[names[len(names)-1]] = true
	}
	for name := range strings.FieldsSeq(string(index)) {
		if converted[name] == (not["legacy-"+name] != "") {
			t.Errorf("%s: converted %v, listed as no case: %q", name, converted[name], not["legacy-"+name])
		}
	}
}

// A legacyConverter turns what the SDK and a service said to each other into
// what a client does, for which the service would have said it. The client is
// not recorded: what it asks is what the protocol wants of it.
type legacyConverter struct {
	steps   []conformance.Step
	links   map[string]string // connection of the transcript, by container
	clients map[string]*legacyClient
	asked   int // HTTP requests
}

type legacyClient struct {
	name, query, token string
	hubs               []string
	user               string
	groups             map[string]bool
}

func convertLegacy(names []string) (*conformance.Transcript, error) {
	c := &legacyConverter{links: map[string]string{}, clients: map[string]*legacyClient{}}
	tr := &conformance.Transcript{
		Name: "legacy-" + names[len(names)-1], SDK: "Microsoft.Azure.SignalR.AspNet 1.25.1",
		From: "what the app says is recorded from ASP.NET SignalR 2.4.1; the client and the service are added after legacy-service-protocol 1 to 6",
	}
	var lines []legacyLine
	for _, name := range names {
		about, more, err := readLegacy(name)
		if err != nil {
			return nil, err
		}
		tr.About = about
		lines = append(lines, more...)
	}
	c.link("legacyapp")
	for _, l := range lines {
		c.link(strings.TrimPrefix(l.container, "legacyapp_"))
	}
	for _, l := range lines {
		for _, m := range l.messages {
			var err error
			if l.who == "app" {
				err = c.app(l, m)
			} else {
				err = c.service(l, m)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", tr.Name, err)
			}
		}
	}
	tr.Steps = c.steps
	return tr, nil
}

func (c *legacyConverter) say(who conformance.Speaker, conn string, said conformance.Saying) {
	c.steps = append(c.steps, conformance.Step{Who: who, Conn: conn, Said: said})
}

// link opens the server connection of a container, once.
func (c *legacyConverter) link(name string) {
	if name == "" || c.links[name] != "" {
		return
	}
	n := strconv.Itoa(len(c.links) + 1)
	conn, hub := "s"+n, "legacyapp_"+name
	c.links[name] = conn
	c.say(conformance.App, conn, conformance.Request{
		Method: "GET", Target: "/aspnetserver/?hub=" + hub + "&cid=cid" + n,
		Header: []conformance.Field{{Name: "Upgrade", Value: "websocket"}, {Name: "X-ASRS-Server-Id", Value: "server1"}, {Name: "X-Requested-With", Value: "XMLHttpRequest"}},
		Token:  &conformance.Token{Algorithm: "HS256", Payload: `{"nameid":"server1","nbf":"${unix+0m}","exp":"${unix+60m}","iat":"${unix+0m}","aud":"http://127.0.0.1/aspnetserver/?hub=` + hub + `"}`},
	})
	c.say(conformance.Relay, conn, conformance.Response{Status: 101})
	c.say(conformance.App, conn, conformance.Frame{Message: &serviceproto.HandshakeRequest{Version: 1}})
	c.say(conformance.Relay, conn, conformance.Frame{Message: &serviceproto.HandshakeResponse{ConnectionID: "cid" + n}})
}

// service makes a client do what the service told the app.
func (c *legacyConverter) service(l legacyLine, m serviceproto.Message) error {
	conn := c.links["legacyapp"]
	switch m := m.(type) {
	case *serviceproto.HandshakeResponse, *serviceproto.Ack:
		return nil // acks follow from what the app asks
	case *serviceproto.OpenConnection:
		return c.open(m)
	case *serviceproto.ConnectionData:
		client := c.clients[m.ConnectionID]
		if client == nil {
			return fmt.Errorf("data of %s, who is not there", m.ConnectionID)
		}
		c.say(conformance.Client, client.name, conformance.Data{Kind: conformance.Text, Bytes: repeats(m.Data)})
		c.say(conformance.Relay, conn, conformance.Frame{Message: &serviceproto.ConnectionData{ConnectionID: "${" + client.name + "}", Data: repeats(m.Data)}})
		return nil
	case *serviceproto.CloseConnection:
		client := c.clients[m.ConnectionID]
		if client == nil || m.Error != "" {
			return fmt.Errorf("the service closes %s of its own will", m.ConnectionID)
		}
		delete(c.clients, m.ConnectionID)
		c.request(client, "POST", "abort", nil)
		c.say(conformance.Relay, conn, conformance.Frame{Message: &serviceproto.CloseConnection{ConnectionID: "${" + client.name + "}"}})
		c.say(conformance.Relay, client.name, conformance.Close{Code: 1000})
		return nil
	}
	return fmt.Errorf("the service says %T of its own will", m)
}

// request is one HTTP request of a client and its answer.
func (c *legacyConverter) request(client *legacyClient, method, route string, answer []byte) {
	c.asked++
	conn := "h" + strconv.Itoa(c.asked)
	target := "/aspnetclient/" + route + "?" + client.query
	if route != "negotiate" {
		target = "/aspnetclient/" + route + "?transport=webSockets&" + client.query + "&connectionToken=${" + client.name + "token}"
	}
	c.say(conformance.Client, conn, conformance.Request{Method: method, Target: target, Token: &conformance.Token{Algorithm: "HS256", Payload: client.token}})
	r := conformance.Response{Status: 200, Body: answer}
	c.say(conformance.Relay, conn, r)
}

// open connects a client with the claims and the query that the service said.
func (c *legacyConverter) open(m *serviceproto.OpenConnection) error {
	q, err := url.ParseQuery(strings.TrimPrefix(m.Query, "?"))
	if err != nil {
		return err
	}
	if q.Get("connectionToken") == "" || c.clients[m.ConnectionID] != nil {
		return fmt.Errorf("a client as no service would make it: %s", m.Query)
	}
	client := &legacyClient{name: "c" + strconv.Itoa(len(c.clients)+1), groups: map[string]bool{}}
	var hubs []struct{ Name string }
	if err := json.Unmarshal([]byte(q.Get("connectionData")), &hubs); err != nil {
		return err
	}
	for _, h := range hubs {
		client.hubs = append(client.hubs, strings.ToLower(h.Name))
	}
	// The query of the client, less what each route has of its own.
	for pair := range strings.SplitSeq(strings.TrimPrefix(m.Query, "?"), "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "transport" && name != "connectionToken" {
			client.query += "&" + pair
		}
	}
	client.query = strings.TrimPrefix(client.query, "&")
	claims := slices.DeleteFunc(slices.Clone(m.Claims), func(a relay.Claim) bool { return ownOfToken[a.Type] })
	client.sign(claims)
	connect := []conformance.Field{{Name: "Upgrade", Value: "websocket"}}
	headers := slices.DeleteFunc(slices.Clone(m.Headers), func(h relay.Header) bool { return ownOfService[h.Name] })
	for _, h := range headers {
		for _, v := range h.Values {
			connect = append(connect, conformance.Field{Name: h.Name, Value: v})
		}
	}
	c.clients[m.ConnectionID] = client

	c.request(client, "GET", "negotiate", []byte(`{"Url":"/aspnetclient","ConnectionToken":"${`+client.name+`token}","ConnectionId":"${`+client.name+`}",`+
		`"KeepAliveTimeout":"(any)","DisconnectTimeout":"(any)","ConnectionTimeout":"(any)","TransportConnectTimeout":"(any)","LongPollDelay":"(any)",`+
		`"TryWebSockets":true,"ProtocolVersion":"2.0","...":""}`))
	c.say(conformance.Client, client.name, conformance.Request{
		Method: "GET", Target: "/aspnetclient/connect?transport=webSockets&" + client.query + "&connectionToken=${" + client.name + "token}",
		Header: connect, Token: &conformance.Token{Algorithm: "HS256", Payload: client.token},
	})
	c.say(conformance.Relay, client.name, conformance.Response{Status: 101})
	c.say(conformance.Relay, c.links["legacyapp"], conformance.Frame{Message: &serviceproto.OpenConnection{ConnectionID: "${" + client.name + "}", Claims: claims, Headers: headers}})
	c.say(conformance.Relay, client.name, conformance.Data{Kind: conformance.Text, Bytes: []byte(`{"S":1,"M":[],"...":""}`)})
	c.request(client, "GET", "start", []byte(`{"Response":"started"}`))
	return nil
}

// ownOfToken are the claims that every token has its own of, ownOfService the
// headers that a service has.
var (
	ownOfToken   = map[string]bool{"asrs.s.apn": true, "asrs.s.vn": true, "aud": true, "exp": true, "iat": true, "nbf": true, "iss": true, "acr": true}
	ownOfService = map[string]bool{"Host": true, "X-Forwarded-For": true, "Asrs-Instance-Id": true}
)

// short are the names that claims have in a token (legacy-service-protocol 1.3).
var short = map[string]string{
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": "nameid",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":           "unique_name",
	"http://schemas.microsoft.com/ws/2008/06/identity/claims/role":         "role",
}

// sign makes the payload of the client's token of its claims.
func (client *legacyClient) sign(claims []relay.Claim) {
	values := map[string][]string{}
	var order []string
	for _, a := range claims {
		name := a.Type
		if s := short[name]; s != "" {
			name = s
		}
		if values[name] == nil {
			order = append(order, name)
		}
		values[name] = append(values[name], a.Value)
	}
	b := []byte(`{"asrs.s.apn":"LegacyApp","asrs.s.vn":"1.25.1.0"`)
	if user := values["nameid"]; user != nil {
		client.user = user[0]
		b = fmt.Appendf(b, `,%q:%q`, auth.ClaimUser, user[0])
	}
	for _, name := range order {
		if name == auth.ClaimUser {
			continue // said above
		}
		v, _ := json.Marshal(values[name])
		if len(values[name]) == 1 {
			v, _ = json.Marshal(values[name][0])
		}
		b = fmt.Appendf(b, `,%q:%s`, name, v)
	}
	client.token = string(b) + `,"nbf":"${unix+0m}","exp":"${unix+60m}","iat":"${unix+0m}","aud":"http://127.0.0.1/aspnetclient"}`
}

// app makes the app say it, and the service do it.
func (c *legacyConverter) app(l legacyLine, m serviceproto.Message) error {
	conn := c.links[strings.TrimPrefix(l.container, "legacyapp_")]
	said := c.named(m)
	hub := strings.TrimPrefix(l.container, "legacyapp_")
	if _, ok := m.(*serviceproto.HandshakeRequest); ok {
		return nil
	}
	c.say(conformance.App, conn, conformance.Frame{Message: said})
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		return c.deliver(m.Data, func(id string, _ *legacyClient) bool { return id == m.ConnectionID })
	case *serviceproto.BroadcastData:
		return c.deliver(m.Payload[0].Data, func(id string, x *legacyClient) bool {
			return slices.Contains(x.hubs, hub) && !slices.Contains(m.Excluded, id)
		})
	case *serviceproto.GroupBroadcastData:
		return c.deliver(m.Payload[0].Data, func(id string, x *legacyClient) bool { return x.groups[m.Group] && !slices.Contains(m.Excluded, id) })
	case *serviceproto.UserData:
		return c.deliver(m.Payload[0].Data, func(_ string, x *legacyClient) bool { return x.user == m.UserID && slices.Contains(x.hubs, hub) })
	case *serviceproto.JoinGroupWithAck:
		return c.member(conn, m.ConnectionID, m.Group, true, m.AckID)
	case *serviceproto.LeaveGroupWithAck:
		return c.member(conn, m.ConnectionID, m.Group, false, m.AckID)
	case *serviceproto.CloseConnection:
		client := c.clients[m.ConnectionID]
		if client == nil {
			return fmt.Errorf("the app closes %s, who is not there", m.ConnectionID)
		}
		delete(c.clients, m.ConnectionID)
		text, _ := json.Marshal(map[string]string{"E": m.Error})
		c.say(conformance.Relay, client.name, conformance.Data{Kind: conformance.Text, Bytes: text})
		c.say(conformance.Relay, client.name, conformance.Close{Code: 1000})
		return nil
	}
	return fmt.Errorf("the app says %T", m)
}

// member is what a command about a group does, and its ack.
func (c *legacyConverter) member(conn, id, group string, in bool, ack int) error {
	status := 2 // not found (legacy-service-protocol 6.1)
	if client := c.clients[id]; client != nil {
		client.groups[group], status = in, 1
	}
	c.say(conformance.Relay, conn, conformance.Frame{Message: &serviceproto.Ack{AckID: ack, Status: status}})
	return nil
}

// deliver gives the receivers what is in the inner frame of a payload (section
// 4.1); a frame of messages has a cursor of the service's own.
func (c *legacyConverter) deliver(payload []byte, to func(string, *legacyClient) bool) error {
	var text []byte
	err := new(serviceproto.Splitter).Feed(payload, func(body []byte, _ bool) error {
		m, err := new(serviceproto.Decoder).Decode(slices.Clone(body))
		if err != nil {
			return err
		}
		text = bytes.Clone(m.(*serviceproto.ConnectionData).Data)
		return nil
	})
	if err != nil {
		return err
	}
	if rest, ok := bytes.CutPrefix(text, []byte(`{"C":"0",`)); ok {
		text = append([]byte(`{"C":"(any)",`), rest...)
	}
	for _, id := range slices.Sorted(maps.Keys(c.clients)) {
		if to(id, c.clients[id]) {
			c.say(conformance.Relay, c.clients[id].name, conformance.Data{Kind: conformance.Text, Bytes: repeats(text)})
		}
	}
	return nil
}

// named is a message with the clients of the transcript in place of those of
// the recording, except in payloads, which have their lengths in them.
func (c *legacyConverter) named(m serviceproto.Message) serviceproto.Message {
	name := func(id *string) {
		if client := c.clients[*id]; client != nil {
			*id = "${" + client.name + "}"
		}
	}
	switch m := m.(type) {
	case *serviceproto.ConnectionData:
		n := *m
		name(&n.ConnectionID)
		n.Data = repeats(n.Data)
		return &n
	case *serviceproto.CloseConnection:
		n := *m
		name(&n.ConnectionID)
		return &n
	case *serviceproto.JoinGroupWithAck:
		n := *m
		name(&n.ConnectionID)
		return &n
	case *serviceproto.LeaveGroupWithAck:
		n := *m
		name(&n.ConnectionID)
		return &n
	case *serviceproto.BroadcastData:
		n := *m
		n.Excluded = slices.Clone(m.Excluded)
		for i := range n.Excluded {
			name(&n.Excluded[i])
		}
		return &n
	case *serviceproto.GroupBroadcastData:
		n := *m
		n.Excluded = slices.Clone(m.Excluded)
		for i := range n.Excluded {
			name(&n.Excluded[i])
		}
		return &n
	}
	return m
}

// repeats writes letters that repeat as transcripts do.
func repeats(data []byte) []byte {
	var b []byte
	for i := 0; i < len(data); {
		n := 1
		for i+n < len(data) && data[i+n] == data[i] {
			n++
		}
		if n > 200 && data[i] > ' ' && data[i] < 0x7f {
			b = fmt.Appendf(b, "${%d*%c}", n, data[i])
		} else {
			b = append(b, data[i:i+n]...)
		}
		i += n
	}
	return b
}

// A legacyLine is a line of a recording that the app or the service said.
type legacyLine struct {
	who, container string
	messages       []serviceproto.Message
}

// manyBytes finds a byte that repeats in the hex of a recording.
var manyBytes = regexp.MustCompile(`\(([0-9a-f]{2})\*(\d+)\)`)

func readLegacy(name string) (about string, all []legacyLine, err error) {
	text, err := os.ReadFile(filepath.Join(legacyRecordings, name+".txt"))
	if err != nil {
		return "", nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "# "); ok {
			about = rest
		}
		who, rest, _ := strings.Cut(lines.Text(), "> ")
		if who != "app" && who != "service" {
			continue
		}
		rest, _, _ = strings.Cut(rest, "  ")
		words := strings.Fields(rest)
		l := legacyLine{who: who}
		l.container, _, _ = strings.Cut(words[0], "#")
		if len(words) < 3 {
			return "", nil, fmt.Errorf("a server connection ends")
		}
		frames, err := hex.DecodeString(manyBytes.ReplaceAllStringFunc(words[2], func(r string) string {
			found := manyBytes.FindStringSubmatch(r)
			n, _ := strconv.Atoi(found[2])
			return strings.Repeat(found[1], n)
		}))
		if err != nil {
			return "", nil, err
		}
		split := serviceproto.Splitter{Max: 1 << 26}
		err = split.Feed(frames, func(body []byte, _ bool) error {
			m, err := new(serviceproto.Decoder).Decode(slices.Clone(body))
			l.messages = append(l.messages, m)
			return err
		})
		if err != nil {
			return "", nil, err
		}
		all = append(all, l)
	}
	return about, all, lines.Err()
}
