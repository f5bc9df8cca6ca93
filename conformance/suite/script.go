package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// Script makes a case of a transcript, which is played against the endpoint:
// its URL with the transcript's targets behind it. The name, what it is about
// and where it is from are the transcript's.
func Script(level Level, text []byte, rules []*conformance.Rule) (Case, error) {
	tr, err := conformance.Load(text)
	if err != nil {
		return Case{}, err
	}
	return Case{Name: tr.Name, Level: level, About: tr.About, From: provenance(tr), Run: func(ctx context.Context, t *T) {
		play(ctx, t, tr, rules, nil)
	}}, nil
}

// provenance says where a transcript is from.
func provenance(tr *conformance.Transcript) string {
	if tr.SDK == "" {
		return tr.From
	}
	return tr.From + " (" + tr.SDK + ")"
}

// play plays a transcript against the endpoint. What ignore says yes to is no part
// of it; nil says no.
func play(ctx context.Context, t *T, tr *conformance.Transcript, rules []*conformance.Rule, ignore func(conn string, said conformance.Saying) bool) {
	own := make([]*conformance.Rule, len(rules)) // they count, and others use them too
	for i, r := range rules {
		own[i] = &conformance.Rule{Why: r.Why, MayLack: r.MayLack, MayDiffer: r.MayDiffer}
	}
	err := conformance.Replay(ctx, tr, conformance.Options{
		URL: strings.TrimSuffix(t.Endpoint.URL.String(), "/"), AccessKey: t.Endpoint.AccessKey, Rules: own, Ignore: ignore,
	})
	for _, r := range own {
		if r.Used() > 0 {
			t.Allowed(r.Why)
		}
	}
	conclude(t, err)
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

// Scripts makes cases of the transcripts of a directory, in the order of their
// names.
func Scripts(level Level, files fs.FS, dir string, rules []*conformance.Rule) ([]Case, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		c, err := Script(level, text, rules)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, c)
	}
	return all, nil
}
