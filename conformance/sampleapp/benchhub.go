package sampleapp

import "github.com/signalrelay/signalrelay/relay/auth"

// newBenchHub makes the hub for measurements: the hot path only.
func newBenchHub(a *App) *hub {
	return newHub(a, auth.HubName(a.application, "BenchHub"), false, map[string]*method{
		"Echo": call1(func(_ *call, s *string) (any, error) { return s, nil }),
		"Broadcast": call1(func(k *call, s *string) (any, error) {
			return nil, k.sender().all(nil, "b", s)
		}),
	})
}
