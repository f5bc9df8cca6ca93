// Package serviceproto turns frames of the Azure SignalR service protocol into
// Go structs and back.
//
// The protocol runs between an app server's SDK and the service, over one
// WebSocket that both read as a byte stream: a length, then one MessagePack
// array whose first element is the message [Type] (service-protocol 3.2). A
// [Splitter] cuts the stream into frames, a [Decoder] reads one frame, and
// [Append] writes one:
//
//	chunk ──► Splitter.Feed ──► Decoder.Decode ──► *BroadcastData, *Ack, …
//	chunk ◄── Append, AppendConnectionDataHead ◄── *OpenConnection, …
//
// Nothing is copied on the way in: strings and byte slices of a decoded message
// point into the frame. Payloads are opaque, nobody here looks into them.
//
// Each message has one method, code, that lists its members in wire order and
// serves both directions, so what is written is what is read. Everything newer
// or older SDKs do differently is a member at the end that may be missing, an
// extension key that may be unknown, or an element nobody here knows; the
// decoder takes all of them.
package serviceproto
