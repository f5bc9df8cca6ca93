// Package conformance holds recorded conversations between app servers,
// clients and a relay, and plays them against a live one.
//
// A [Transcript] is text, one scenario a file, made to be read in review:
//
//	# name: connect-websockets-json
//	# sdk: 1.34.0
//
//	app s1> GET /server/?hub=chathub&cid=cid1
//	  X-ASRS-Server-Id: server1
//	  token HS256 {"nameid":"server1","exp":"${unix+60m}","aud":"http://127.0.0.1/server/?hub=chathub"}
//	relay s1> 101
//	app s1> HandshakeRequest Version=1
//	relay s1> HandshakeResponse ConnectionID=cid1
//	client c1> text `{"protocol":"json","version":1}␞`
//	relay s1> OpenConnection ConnectionID=${c1} Protocol=json
//	  claim asrs.s.uid alice
//	client c1> close 1000
//	note> what happened elsewhere
//
// Each line names who speaks, on which connection, and what is said. s1 is a
// server connection, h1 an HTTP request of a client, c1 a client whatever
// carries it; c1-2 is the second carrier of the same client. Lines that are
// indented belong to the one above.
//
// What differs from run to run is a capture: ${c1} and ${c1token} are what the
// relay answers to a negotiate, ${unix+60m} is a time within a minute or so of
// an hour from now, ${900000*q} stands for that many letters. Captures stand in
// text and inside hex bytes alike. ␞ is the separator of hub messages, 0x1e.
// Tokens are signed when they are played, with the relay's key or, where the line
// says forged, with another. The algorithm is HS256, HS512 or none; the whole header
// of the token may stand in its place. A body goes without its length where the
// request has the header "Transfer-Encoding: chunked".
//
// Where there is no app server behind the other end, it is called server, which is
// another name of relay. For a hub of ASP.NET Core SignalR (Options.Hub) targets
// are below its URL, a redirect is followed, and one line connects a client,
// whatever the transport:
//
//	client c1> connect LongPolling ?user=alice
//	client c1> text `{"protocol":"json","version":1}␞`
//	server c1> text `{}␞`
//	server c1> after 10s within 20s text `{"type":6}␞`
//	client h1> POST ?id=${c1token}
//	  body `{"type":7}␞`
//	server h1> 200
//	  X-Powered-By: (none)
//	client c1> drop
//
// What comes on it is one hub message a line, whatever the pieces were; the end of
// an event stream and a poll that is answered 204 are close 1000. resume opens
// another WebSocket for a client whose first was dropped. Such clients and what is
// asked with their ids share a place: that of the answer to negotiate.
//
// after and within bound when something comes, from the step before it on its
// connection. JSON is compared as values, whole numbers to the last digit: "(any)" is
// any value, "(none)" a member that must not be there, and a member "..." lets others
// be there. (any) and (none) serve as values of headers too, and (any) as a whole body. Messages in messagepack
// are compared as values if all captures that are parts of texts are known; one that
// stands for a whole value takes it from what came, and ${any} is any:
//
//	server c1> binary x"16960180${ask1}a87175657374696f6e91a377687990"
//
// [Load] and [Transcript.Text] read and write the text. [Replay] plays the app
// servers and the clients of a transcript over TCP and compares what the relay
// says, per connection and direction, with what it said when the transcript was
// recorded; [ReplayRecording] does so for what package record wrote down. Both need
// an address and perhaps an access key, so whatever serves the protocol can be on
// the other end. What else is right is said by a [Rule].
package conformance
