package suite

import (
	"context"
	"slices"

	"github.com/signalrelay/signalrelay/conformance"
)

// Transcript makes a case of any transcript: one in which app servers speak is
// for a service, as those of [ServiceSet] are; one that package record made is
// for a hub like the one that was recorded, with the values of captures that are
// not in it; what else there is, is played as it is.
func Transcript(text []byte, values map[string]string) (Case, error) {
	tr, err := conformance.Load(text)
	if err != nil {
		return Case{}, err
	}
	switch {
	case slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool { return s.Who == conformance.App }):
		return ServiceScript(text)
	case !tr.Recorded():
		return Script(Hub, text, nil)
	}
	return Case{Name: tr.Name, Level: Hub, About: tr.About, From: provenance(tr), Run: func(ctx context.Context, t *T) {
		conclude(t, conformance.ReplayRecording(ctx, tr, conformance.Options{
			URL: t.Endpoint.URL.String(), AccessKey: t.Endpoint.AccessKey, Names: values,
		}))
	}}, nil
}
