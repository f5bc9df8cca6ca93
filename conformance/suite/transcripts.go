package suite

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/conformance"
)

// Transcripts makes cases of a file of transcripts, each of which begins with its
// name. One in which app servers speak, or that asks a REST API, is for a service,
// as those of [ServiceSet] are. One that package record made is for a hub like the
// one that was recorded; values are those of its captures that are not in it. One
// in which a server speaks is for a hub, as those of [CoreSet] are. What else there
// is, is played as it is.
func Transcripts(text []byte, values map[string]string) (all []Case, err error) {
	for _, part := range split(string(text)) {
		cases, err := transcript(part, values)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

// split cuts a file into its transcripts, each of which begins with its name.
// What stands before the first name belongs to the first, unless somebody speaks
// there.
func split(text string) []string {
	const name = "\n# name: "
	parts := strings.Split("\n"+text, name)
	for i := range parts[1:] {
		parts[i+1] = name + parts[i+1]
	}
	if len(parts) > 1 && !strings.Contains(parts[0], "> ") {
		parts[1] = parts[0] + parts[1]
		parts = parts[1:]
	}
	for i, part := range parts {
		parts[i] = strings.TrimPrefix(part, "\n")
	}
	return parts
}

// transcript makes cases of one transcript, of which there are several when it is
// for several transports.
func transcript(text string, values map[string]string) ([]Case, error) {
	tr, err := conformance.Load([]byte(text))
	if err != nil {
		return nil, err
	}
	if len(tr.Steps) == 0 {
		return nil, errors.New("nobody says anything in it")
	}
	if tr.Recorded() {
		return []Case{recordingCase(tr, values)}, nil
	}
	if len(values) > 0 {
		return nil, errors.New("only recordings have captures whose values are given")
	}
	switch {
	case speaks(tr, conformance.App), serviceLevel(tr) == REST && !speaks(tr, conformance.Server):
		c, err := ServiceScript([]byte(text))
		return []Case{c}, err
	case !speaks(tr, conformance.Server):
		return []Case{plainCase(tr)}, nil
	}
	var all []Case
	for _, variant := range perTransport(text) {
		tr, err := conformance.Load([]byte(variant))
		if err != nil {
			return nil, err
		}
		all = append(all, hubCase(Hub, tr))
	}
	return all, nil
}

func speaks(tr *conformance.Transcript, who conformance.Speaker) bool {
	return slices.ContainsFunc(tr.Steps, func(s conformance.Step) bool { return s.Who == who })
}

// plainCase is a case that plays what clients alone say.
func plainCase(tr *conformance.Transcript) Case {
	return Case{Name: tr.Name, Level: Hub, About: tr.About, From: provenance(tr), Run: func(ctx context.Context, t *T) {
		play(ctx, t, tr, nil, nil)
	}}
}

// recordingCase is a case that plays what package record made.
func recordingCase(tr *conformance.Transcript, values map[string]string) Case {
	return Case{Name: tr.Name, Level: Hub, About: tr.About, From: provenance(tr), Run: func(ctx context.Context, t *T) {
		conclude(t, conformance.ReplayRecording(ctx, tr, conformance.Options{
			URL: t.Endpoint.URL.String(), Header: t.Endpoint.Header, AccessKey: t.Endpoint.AccessKey, Names: values,
		}))
	}}
}
