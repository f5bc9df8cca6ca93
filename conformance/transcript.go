package conformance

import (
	"net/http"
	"time"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// A Transcript is one recorded conversation.
type Transcript struct {
	Name  string // of the scenario and of its file
	SDK   string // version that was recorded
	About string // what happens, one line
	From  string // where the recording is from
	Steps []Step // in the order in which the recorder saw them
}

// A Speaker is one of the parties of a conversation.
type Speaker string

// The speakers. Server is another name of Relay, for conversations without an
// app server behind it. A Note is the recorder's own remark and has no
// connection.
const (
	App    Speaker = "app"
	Client Speaker = "client"
	Relay  Speaker = "relay"
	Server Speaker = "server"
	Note   Speaker = "note"
)

// judged says whether what the speaker says is compared.
func (s Speaker) judged() bool { return s == Relay || s == Server }

// A Step is one thing that was said.
type Step struct {
	Line int // in the text it was loaded from, from 1; 0 when it was not
	Who  Speaker
	Conn string // s1 a server connection, h1 an HTTP request, c1 a client; empty for a Note
	// After and Within bound when the relay says it, from the step before it on
	// its connection; 0 is no bound.
	After, Within time.Duration
	Said          Saying
}

// A Saying is what a Step says: one of Frame, Request, Response, Data, Close,
// Drop, Connect, Resume and Remark.
type Saying interface{ saying() }

// A Frame is one message of the service protocol. Captures stand in its strings
// and bytes.
type Frame struct {
	Message serviceproto.Message // nil when the frame does not parse
	// Hex is the whole frame, length first, where encoding Message would not
	// give these bytes; else nil.
	Hex []byte
}

// A Request is an HTTP request. One with the header "Upgrade: websocket" opens a
// WebSocket; the rest of that handshake is the replay's.
type Request struct {
	Method, Target string
	Header         []Field
	Token          *Token // nil for none
	Body           []byte
}

// A Field is one line of an HTTP header.
type Field struct{ Name, Value string }

// A Token is a JSON Web Token that the replay signs anew. It goes where the
// target says ${jwt}, else into the Authorization header. A payload member that
// is a string with nothing but a time, such as "${unix+60m}", is signed as a
// number.
type Token struct {
	Algorithm string // HS256, HS512 or none, or the whole header: JSON without a blank
	Payload   string // JSON
	Forged    bool   // signed with a key that is not the relay's
}

// A Response answers a Request. The header holds only what is compared.
type Response struct {
	Status int
	Header []Field
	Body   []byte
}

// Data is a WebSocket message or an event of a client's event stream.
type Data struct {
	Kind  DataKind
	Bytes []byte
}

// A DataKind says what carried a Data.
type DataKind string

// The kinds of Data.
const (
	Text   DataKind = "text"
	Binary DataKind = "binary"
	Event  DataKind = "event"
)

// A Close is a WebSocket close frame. Code 0 is one without a code.
type Close struct {
	Code   int
	Reason string
}

// A Drop is the end of a connection without a word.
type Drop struct{}

// A Connect is what a client of ASP.NET Core SignalR does until bytes flow:
// negotiate, follow where the answer sends it, open the transport, and poll if
// that is long polling. What its connection then says is Text or Binary, one hub
// message each, whatever carries it; its Data goes the same way. That an event
// stream ends, or a poll is answered 204, is Close 1000. A client that says
// Close ends a long polling connection with DELETE.
type Connect struct {
	Transport string // WebSockets, ServerSentEvents or LongPolling
	Query     string // of its URL, besides that of the hub
}

// A Resume opens another WebSocket for a client that is connected already, as
// stateful reconnect does.
type Resume struct{}

// A Remark is the recorder's.
type Remark string

func (Frame) saying()    {}
func (Request) saying()  {}
func (Response) saying() {}
func (Data) saying()     {}
func (Close) saying()    {}
func (Drop) saying()     {}
func (Connect) saying()  {}
func (Resume) saying()   {}
func (Remark) saying()   {}

// get returns the first value of a field, compared without case.
func get(fields []Field, name string) string {
	for _, f := range fields {
		if http.CanonicalHeaderKey(f.Name) == http.CanonicalHeaderKey(name) {
			return f.Value
		}
	}
	return ""
}
