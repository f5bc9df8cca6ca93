// Package nodetest is what tests put around a node of the relay: the socket
// that it is served on, the requests that it is asked, the app servers behind
// it. It knows no flavour, so the tests of either can use it, and those of what
// is below both. Whole relays with whole apps are in conformance/relaytest.
package nodetest
