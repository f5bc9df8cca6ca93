package aspnet

import (
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// Profiles are the transport profiles of a flavour's clients, which differ in
// how long a client may stay without a poll: its token may say. They may be
// used concurrently.
type Profiles struct {
	usual transport.Profile
	byGap sync.Map // time.Duration to *transport.Profile
}

// NewProfiles returns profiles that are like usual but for their PollGap.
func NewProfiles(usual transport.Profile) *Profiles { return &Profiles{usual: usual} }

// Usual returns the profile of clients whose token says nothing.
func (p *Profiles) Usual() *transport.Profile { return &p.usual }

// WithGap returns the profile for a PollGap.
func (p *Profiles) WithGap(gap time.Duration) *transport.Profile {
	if p, ok := p.byGap.Load(gap); ok {
		return p.(*transport.Profile)
	}
	own := p.usual
	own.PollGap = gap
	stored, _ := p.byGap.LoadOrStore(gap, &own)
	return stored.(*transport.Profile)
}
