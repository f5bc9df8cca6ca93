package suite

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// hear waits for a message of the client's. Pings and acks between do not count.
func (r *clientRun) hear(ctx context.Context, s clientStep, pattern string) {
	c := r.channel(s)
	// What is sent anew after a stateful reconnect comes after a Sequence, which is
	// the first of all (core-client-protocol 8.5).
	first := strings.Contains(pattern, `"type":9`)
	var got string
	var fits, has bool
	came := r.until(ctx, r.wait, func() bool {
		// A beat that is asked for may have come before what was asked for earlier.
		if i := slices.IndexFunc(c.beats, func(m string) bool { return r.fitsJSON(pattern, m) }); i >= 0 {
			got, has, fits = c.beats[i], true, true
			c.beats = slices.Delete(c.beats, i, i+1)
		}
		for len(c.in) > 0 && !has {
			m := c.in[0]
			c.in = c.in[1:]
			if fits = r.fitsJSON(pattern, m); fits || first || !isBeat(m) {
				got, has = m, true
			} else {
				c.beats = append(c.beats, m)
			}
		}
		return has || c.gone != ""
	})
	switch {
	case has:
		r.t.Said("client", s.name, "%s", shortened(got))
		if !fits {
			r.t.Fail(s.name+" says "+r.expand(pattern), shortened(got))
		}
	case came:
		r.t.Fail(s.name+" says "+r.expand(pattern), s.name+" "+c.gone)
	default:
		r.t.Fail(s.name+" says "+r.expand(pattern), "nothing within "+r.wait.String()+r.waiting())
	}
}

// ends waits for the client to end a connection. Where it only may, a message
// instead is left for the next step, and true says that it ended.
func (r *clientRun) ends(ctx context.Context, s clientStep, may bool) bool {
	c := r.channel(s)
	var said string
	came := r.until(ctx, r.wait, func() bool {
		for len(c.in) > 0 && (isBeat(c.in[0]) || !may && farewell(c.in[0])) {
			c.in = c.in[1:]
		}
		if len(c.in) > 0 {
			said = c.in[0]
			return true
		}
		return c.gone != ""
	})
	switch {
	case said != "" && may:
		return false
	case said != "":
		r.t.Fail(s.text, shortened(said))
	case !came:
		r.t.Fail(s.text, "nothing within "+r.wait.String()+r.waiting())
	}
	r.t.Said("client", s.name, "%s", c.gone)
	return may
}

// farewell says whether a message is a hub Close: some clients say it before
// they go (core-client-protocol 7.4).
func farewell(m string) bool {
	v, err := parseJSON(m)
	return err == nil && jsonText(member(v, "type")) == "7"
}

// quiet fails when anything comes that is no ping.
func (r *clientRun) quiet(ctx context.Context, d time.Duration) {
	var came string
	r.until(ctx, d, func() bool {
		came = r.unasked()
		return came != ""
	})
	if came != "" {
		r.t.Fail("nothing for "+d.String(), came)
	}
}

// unasked is what came and was not taken. mu is held.
func (r *clientRun) unasked() string {
	if s := r.strayed(nil); s != "" {
		return s
	}
	if len(r.early) > 0 {
		return r.early[0].String()
	}
	for _, name := range slices.Sorted(maps.Keys(r.channels)) {
		c := r.channels[name]
		if i := slices.IndexFunc(c.in, func(m string) bool { return !isBeat(m) && !farewell(m) }); i >= 0 {
			return name + " says " + shortened(c.in[i])
		}
	}
	return ""
}

// repeat goes through the last two steps again, least times, and up to most as
// long as the client goes on.
func (r *clientRun) repeat(ctx context.Context, n clientRepeat, before []clientStep) {
	last := before[len(before)-2:]
	want, ok := last[0].says.(clientRequest)
	if !ok {
		panic("only a request and its answer can be repeated")
	}
	for i := range n.most {
		if i >= n.least && !r.until(ctx, time.Second, func() bool { return slices.ContainsFunc(r.held, func(q *clientHeld) bool { return q.fits(want) }) }) {
			return
		}
		r.take(ctx, last[0], want, last, r.wait)
		r.do(last[1])
	}
}
