package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

func TestBenchTargets(t *testing.T) {
	type target struct {
		Name, URL string
		PID       int
		ASPNET    bool // its clients and its app server
		Started   bool // by bench
	}
	const started = "Endpoint=http://{listen};AccessKey=" + developmentKey + ";Version=1.0;"
	core := target{Name: "relay", URL: started, Started: true}
	aspnet := target{Name: "relay, ASP.NET SignalR", URL: started, ASPNET: true, Started: true}
	for _, tc := range []struct {
		name string
		cmd  benchCmd
		want []target
	}{
		{"both", benchCmd{Flavour: "both"}, []target{core, aspnet}},
		{"core", benchCmd{Flavour: "core"}, []target{core}},
		{"aspnet", benchCmd{Flavour: "aspnet"}, []target{aspnet}},
		{"running", benchCmd{Flavour: "both", Target: "http://h/bench"}, []target{{Name: "target", URL: "http://h/bench"}}},
		{"running, its process given", benchCmd{Flavour: "core", Target: "x=http://h/bench", PID: 7}, []target{{Name: "x", URL: "http://h/bench", PID: 7}}},
		{"running, its process in the target", benchCmd{Flavour: "core", Target: "x=http://h/bench,8"}, []target{{Name: "x", URL: "http://h/bench", PID: 8}}},
		{"running, aspnet", benchCmd{Flavour: "aspnet", Target: "http://h/signalr"}, []target{{Name: "target", URL: "http://h/signalr", ASPNET: true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all, err := tc.cmd.targets("signalrelay", []string{"signalrelay", "sample-app"})
			if err != nil {
				t.Fatal(err)
			}
			var got []target
			for _, x := range all {
				own := slices.Equal(x.AppServer, []string{"signalrelay", "sample-app", "--flavour", "aspnet"})
				if own != (x.Flavour == bench.ASPNET) {
					t.Errorf("app server of %s: %q", x.Name, x.AppServer)
				}
				got = append(got, target{x.Name, x.URL, x.PID, own, x.Command != nil})
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, flavour := range []string{"core", "aspnet"} {
		c := benchCmd{Flavour: flavour, Target: "nowhere"}
		if got, err := c.targets("signalrelay", nil); err == nil {
			t.Errorf("%s: a target that is none: %+v", flavour, got)
		}
	}
}
