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
// says forged, with another.
//
// [Load] and [Transcript.Text] read and write the text. [Replay] plays the app
// servers and the clients of a transcript over TCP and compares what the relay
// says, per connection and direction, with what it said when the transcript was
// recorded. It needs an address and an access key, so whatever serves the
// protocol can be on the other end.
package conformance
