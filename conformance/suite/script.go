package suite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	from := tr.From
	if tr.SDK != "" {
		from = tr.SDK + ": " + from
	}
	return Case{Name: tr.Name, Level: level, About: tr.About, From: from, Run: func(ctx context.Context, t *T) {
		err := conformance.Replay(ctx, tr, conformance.Options{
			URL: strings.TrimSuffix(t.Endpoint.URL.String(), "/"), AccessKey: t.Endpoint.AccessKey, Rules: rules,
		})
		var d *conformance.Difference
		switch {
		case err == nil:
		case errors.As(err, &d):
			for _, s := range d.Before {
				t.Said(string(s.Who), s.Conn, "%s", s.String())
			}
			panic(&verdict{outcome: Failed, want: d.Want, got: d.Got, why: d.Diff})
		default:
			t.Broken(err)
		}
	}}, nil
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
