package legacy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
)

// hubsOf are the hubs that a query's connectionData lists; none are listed by an
// empty list or without it (2.6). The texts of the errors are the SDK's.
func (a *App) hubsOf(query string) ([]*hub, error) {
	text := principal.QueryValue(query, "connectionData")
	if text == nil || *text == "" {
		return nil, nil
	}
	var listed []struct{ Name string }
	if err := json.Unmarshal([]byte(*text), &listed); err != nil {
		return nil, fmt.Errorf("connectionData: %w", err)
	}
	var hubs []*hub
	for _, l := range listed {
		h := a.hub(l.Name)
		if h == nil {
			return nil, dotnetError("'" + l.Name + "' Hub could not be resolved.")
		}
		if slices.Contains(hubs, h) {
			return nil, dotnetError("Duplicate Hub names found.")
		}
		hubs = append(hubs, h)
	}
	return hubs, nil
}
