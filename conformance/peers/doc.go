// Package peers runs Microsoft's own servers and clients against a relay, each
// as a process of its own, and reads what they say about it. It talks to all of
// them over TCP only, so what it finds holds for any relay binary.
//
//	relay (the built command) ◄── server connections ── app: azurehub, or the demo's Go sample app
//	 ▲                                                    ▲
//	  └──────────── clients: a battery of checks, or this package's Client ───────┘
//
// The programs are no part of this repository; the tests say where they look
// for them and skip aloud without.
package peers
