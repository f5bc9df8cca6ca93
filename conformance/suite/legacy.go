package suite

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed cases/legacy/*.txt
var legacyFiles embed.FS

// LegacySet is the cases for an endpoint of ASP.NET SignalR 2.x. They follow a
// redirect as a client of 2.4 does, so the endpoint may have a service behind
// it; where that answers otherwise than a server of its own would, and may, a
// case takes both answers there.
func LegacySet() *Set {
	return &Set{
		Name:  "legacy",
		About: "a server of ASP.NET SignalR 2.x, or an app of it with a service behind",
		Cases: slices.Concat(legacyScripts(), legacyCarrierCases(), legacyLifeCases(), legacyHubCases()),
		Probe: legacyProbe,
	}
}

// legacyScripts are the cases that are text. The files are ours, so one that
// cannot be read is a broken program.
func legacyScripts() (all []Case) {
	for _, s := range allLegacyScripts() {
		all = append(all, s.cases()...)
	}
	return all
}

// legacyLists are files of the directory that hold no cases: the recordings that
// cases in code are about, those that nothing is asked of, and where the relay
// differs.
var legacyLists = []string{"recorded.txt", "not-cases.txt", "known-relay.txt"}

func allLegacyScripts() (all []*legacyScript) {
	files, err := legacyFiles.ReadDir("cases/legacy")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		if slices.Contains(legacyLists, f.Name()) {
			continue
		}
		text, err := legacyFiles.ReadFile(path.Join("cases/legacy", f.Name()))
		if err != nil {
			panic(err)
		}
		scripts, err := loadLegacyScripts(string(text))
		if err != nil {
			panic(fmt.Errorf("%s: %w", f.Name(), err))
		}
		all = append(all, scripts...)
	}
	return all
}

// legacyProbe negotiates, and asks for the hub contract: a call of chatHub's Echo.
func legacyProbe(ctx context.Context, e *Endpoint) (lacks map[Level]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	var first legacyAnswer
	v := try(func() { first = legacyKnock(ctx, &T{Endpoint: e}, "", "").first })
	came, has := first.String(), membersOf([]byte(first.body))
	if v != nil {
		came = v.got
	}
	const none = "no endpoint of ASP.NET SignalR 2"
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("negotiate: %w", ctx.Err())
	case has.isCore() || v != nil && isCoreHub(ctx, e):
		return nil, errors.New(none + butCore)
	case came == "":
		return nil, fmt.Errorf("%s: %s", none, legacyShort(v.why))
	case v != nil || !has.isLegacy() && !has.hasIDs():
		return nil, fmt.Errorf("%s: negotiate answers %s", none, legacyShort(came))
	}
	if why := legacyLacksHub(ctx, e); why != "" {
		lacks = map[Level]string{Hub: why}
	}
	return lacks, nil
}

// legacyLacksHub says why the hub contract is not there, or nothing. A server
// that has it and is wrong in other ways has it.
func legacyLacksHub(ctx context.Context, e *Endpoint) (why string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k := &legacyClient{t: &T{Endpoint: e}, name: "c1", via: legacyStream, version: "2.1", data: legacyHubs("chathub", "otherhub")}
	if v := try(func() { k.negotiate(ctx, "") }); v != nil {
		return "the endpoint has not the test hubs: negotiate says " + legacyShort(v.got+v.why)
	}
	var got string
	try(func() {
		k.begins(ctx)
		k.call(ctx, `{"H":"chathub","M":"Echo","A":["probe"],"I":0}`)
		got = k.next(ctx, &k.results)
	})
	if strings.Contains(got, `"E"`) {
		return "the endpoint has not the test hubs: Echo says " + legacyShort(got)
	}
	return ""
}

// legacyTag is a word that nobody else says.
func legacyTag() string { return legacyTagged + strings.ToLower(rand.Text()[:10]) }
