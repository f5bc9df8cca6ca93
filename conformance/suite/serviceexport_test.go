package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/conformance/transcripts"
)

// Relocate puts a transcript where an endpoint is, on hubs of its own.
var Relocate = relocate

// NotServiceCases are the recorded scenarios that no service can be led
// through, with the reason.
func NotServiceCases() (map[string]string, error) {
	all := map[string]string{}
	for _, f := range serviceFolders {
		text, err := fs.ReadFile(transcripts.Files, path.Join(f.name, notCases))
		if errors.Is(err, fs.ErrNotExist) {
			continue // all of them can
		}
		if err != nil {
			return nil, err
		}
		list, err := conformance.Known(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		for name, why := range list {
			all[name] = why
		}
	}
	return all, nil
}

// ServiceRules are the reasons of all rules of the service set but for those of
// its level REST.
func ServiceRules() (all []string) {
	for _, f := range serviceFolders {
		if f.name == "rest" {
			continue
		}
		for _, r := range f.rules(nil) { // none is asked
			if !slices.Contains(all, r.Why) {
				all = append(all, r.Why)
			}
		}
	}
	return all
}
