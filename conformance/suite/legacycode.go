package suite

import (
	"context"
	"time"
)

// A legacyAsk is a case that is code.
type legacyAsk struct {
	name, about, from string
	level             Level
	on                []string // transports: a case for each
	limit             time.Duration
	run               func(ctx context.Context, k *legacyClient)
}

// legacyTransports are all that there are.
var legacyTransports = []string{legacySocket, legacyStream, legacyFrame, legacyPolls}

// legacyRecorded is where most answers are from.
const legacyRecorded = "recorded from ASP.NET SignalR 2.4.4-preview1; legacy-client-protocol "

// legacyCode makes cases of asks. Each gets a client that has negotiated.
func legacyCode(asks []legacyAsk) (all []Case) {
	for _, a := range asks {
		for _, via := range a.on {
			c := Case{Name: a.name, Level: a.level, About: a.about, From: a.from, Limit: a.limit}
			if len(a.on) > 1 || via == legacyFrame {
				c.Name += "-" + legacyNames[via]
				c.About += ", on " + via
			}
			c.Run = func(ctx context.Context, t *T) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				k := &legacyClient{t: t, name: "c1", via: via, version: "2.1", tag: legacyTag()}
				if a.level == Hub {
					k.data = legacyHubs("chathub")
				}
				k.negotiate(ctx, "")
				legacyNeeds(ctx, t, k.door, "", via)
				a.run(ctx, k)
				if k.carrier != nil {
					k.carrier.stop()
				}
			}
			all = append(all, c)
		}
	}
	return all
}
