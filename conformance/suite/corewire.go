package suite

import "github.com/signalrelay/signalrelay/conformance/hubproto"

// coreWireCases are those that compare answers with each other, or look at the
// bytes of a transport, which a transcript does not show.
func coreWireCases(d *doors) []Case {
	return []Case{
		{
			Name: "ids-are-new", Level: Core, About: "No two connections have an id or a token in common, and the token is not the id.",
			From: "core-client-protocol 2.2", Run: askIDs,
		},
		{
			Name: "negotiate-get", Level: Core, About: "Negotiate is POST; but an app that leaves its clients to Azure SignalR Service redirects whatever the method.",
			From: "core-client-protocol 2.1; run with Microsoft.Azure.SignalR 1.34.0", Run: askGet,
		},
		{
			Name: "negotiate-transports", Level: Core, About: "Every transport is offered with the formats that it has, and in the order in which clients shall try them.",
			From: "core-client-protocol 2.2 and 2.4; recorded from ASP.NET Core SignalR 10.0", Run: askTransports,
		},
		{
			Name: "redirect-answer", Level: Core, About: "A negotiate answer that sends the client elsewhere has an absolute URL, a token for it, no connection, and the query of the client.",
			From: "core-client-protocol 2.3, service-protocol 2.2", Run: askRedirect,
		},
		{
			Name: "cors-preflight-names", Level: Hub, About: "A preflight allows the method and each of the headers that a browser asks for, or it does not go on.",
			From: "core-client-protocol 11.2; the Fetch standard, section CORS-preflight fetch", Run: askPreflight,
		},
		{
			Name: "messagepack-client-result", Level: Hub, About: "The hub asks a client that speaks messagepack.",
			From: "core-client-protocol 5.3 and 5.4", Run: askPackedClient,
		},
		{
			Name: "id-in-query-is-enough", Level: Core, About: "The token needs no more encoding than a query gives it.",
			From: "core-client-protocol 2.2", Run: askToken,
		},
		{
			Name: "sse-head", Level: Core, About: "The head of an event stream and a comment come at once, so that the client sees the head, and nobody keeps them.",
			From: "core-client-protocol 3.4", Run: askStreamHead,
		},
		{
			Name: "exact-sse-head", Level: Core, About: "The head of an event stream and its first bytes, as Microsoft's server writes them: proxies neither keep nor compress it.",
			From: "core-client-protocol 3.4; recorded from ASP.NET Core SignalR 10.0", Run: askExactStreamHead,
		},
		{
			Name: "sse-events", Level: Core, About: "A hub message is one event: its data, two line ends, and no other field. .NET clients up to 8 take nothing else, nor any other line end.",
			From: "core-client-protocol 3.4; run with Microsoft.AspNetCore.SignalR.Client 8.0.34", Run: askEvents,
		},
		{
			Name: "poll-handshake-first", Level: Core, About: "A handshake that was posted before the first poll is answered, as signalrcore does it.",
			From: "core-client-protocol 3.5; recorded from signalrcore 1.0.2", Run: d.before(askHandshakeFirst, "LongPolling"),
		},
		{
			Name: "send-before-transport", Level: Core, About: "What is sent before a transport is open is taken at once, and answered when one is.",
			From: "core-client-protocol 3.5 (what signalrcore does)", Run: askSentBefore,
		},
		{
			Name: "websocket-upgrade", Level: Core, About: "The answer to the upgrade has no subprotocol and no extension that the client did not offer.",
			From: "core-client-protocol 3.3, RFC 6455 section 4.2.2", Run: askUpgrade,
		},
		{
			Name: "websocket-whole-messages", Level: Hub, About: "A hub message in JSON, however long, does not go on in the next WebSocket message: JavaScript takes no part of one.",
			From: "core-client-protocol 3.7; recorded from @microsoft/signalr 10.0.11", Run: askWholeSocket(hubproto.JSON),
		},
		{
			Name: "websocket-whole-messages-messagepack", Level: Hub, About: "A hub message in messagepack, however long, does not go on in the next WebSocket message.",
			From: "core-client-protocol 3.7", Run: askWholeSocket(hubproto.MessagePack),
		},
		{
			Name: "sse-whole-messages", Level: Hub, About: "A hub message, however long, does not go on in the next line of an event, or in the next event.",
			From: "core-client-protocol 3.7; recorded from @microsoft/signalr 10.0.11", Run: askWholeEvents,
		},
		{
			Name: "poll-whole-messages", Level: Hub, About: "A hub message in JSON, however long, does not go on in the answer to the next poll.",
			From: "core-client-protocol 3.7; recorded from @microsoft/signalr 10.0.11", Run: d.before(askWholePolls(hubproto.JSON), "LongPolling"),
		},
		{
			Name: "poll-whole-messages-messagepack", Level: Hub, About: "A hub message in messagepack, however long, does not go on in the answer to the next poll.",
			From: "core-client-protocol 3.7", Run: d.before(askWholePolls(hubproto.MessagePack), "LongPolling"),
		},
		{
			Name: "poll-taken-over", Level: Core, About: "A poll that comes while another waits takes over: the one that waited is answered 204.",
			From: "core-client-protocol 3.5", Run: d.before(askTakenOver, "LongPolling"),
		},
		{
			Name: "websocket-fragments", Level: Core, About: "A message may come in several frames, with a ping between them, which is answered.",
			From: "core-client-protocol 3.3, RFC 6455 section 5.4", Run: askFragments,
		},
	}
}
