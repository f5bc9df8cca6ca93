package suite

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// provenance says where a transcript is from.
func provenance(tr *conformance.Transcript) string {
	if tr.SDK == "" {
		return tr.From
	}
	return tr.From + " (" + tr.SDK + ")"
}

// play plays a transcript against the endpoint: its URL with the transcript's
// targets behind it. The rules are those of this run, and what ignore says yes to
// is no part of the transcript; nil says no.
func play(ctx context.Context, t *T, tr *conformance.Transcript, rules []*conformance.Rule, ignore func(conn string, said conformance.Saying) bool) {
	err := conformance.Replay(ctx, tr, conformance.Options{
		URL: strings.TrimSuffix(t.Endpoint.URL.String(), "/"), Header: t.Endpoint.Header, AccessKey: t.Endpoint.AccessKey, Rules: rules, Ignore: ignore,
	})
	allow(t, rules)
	conclude(t, err)
}

// allow notes which rules of a replay were needed.
func allow(t *T, rules []*conformance.Rule) {
	for _, r := range rules {
		if r.Used() > 0 {
			t.Allowed(r.Why)
		}
	}
}

// conclude ends a case as its replay ended.
func conclude(t *T, err error) {
	var d *conformance.Difference
	var lost *net.OpError
	switch {
	case err == nil:
	case errors.As(err, &d):
		for _, s := range d.Before {
			t.Said(string(s.Who), s.Conn, "%s", said(s.String()))
		}
		for _, s := range d.Waiting {
			t.Said(string(conformance.Note), d.Conn, "came too: %s", said(s))
		}
		panic(&verdict{outcome: Failed, want: d.Want, got: d.Got, why: d.Diff})
	case errors.As(err, &lost), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		t.Failf("the endpoint ended a connection: %v", err)
	default:
		t.Broken(err)
	}
}

// said is a step without its speaker and connection.
func said(step string) string {
	_, what, _ := strings.Cut(step, "> ")
	return what
}
