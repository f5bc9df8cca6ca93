// Package serverlink keeps an app server connected to its service.
//
// A [Link] is one server connection: it dials, shakes hands, pings, and hands
// every frame of the service to the [Receiver] of its [Pool]. A Pool is the
// links of one hub: a fixed number that is replaced for ever, with back-off,
// and those that the service asked for. [Acks] pairs questions with the Acks
// that answer them.
//
// Both flavours of app use it: what the frames mean is theirs.
package serverlink
