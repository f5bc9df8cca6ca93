package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what to measure. The zero value of everything but Targets is a good default.
type Options struct {
	Targets   []Target // the first is the one under test, the others are what it is compared with, unless Tested
	Scenarios []string // names, or the part of a name before its dash; empty = all
	Floor     string   // folder of the floor's source; built and added as target "floor"
	Kestrel   string   // path of dotnetpeer; its corehub is added as target "kestrel"
	AppServer []string // command of the app server behind connection strings; see Target.AppServer

	SkipNegotiation bool          // open WebSockets at the hub URL itself; ASP.NET SignalR has no such way
	Clients         int           // of broadcast, echo and connect; default 2,000
	EchoClients     int           // how many of the echo's invoke at the same time; default a tenth
	Size            int           // payload of broadcast and echo in bytes; default 64
	Rounds          int           // per target; default 3. Scenarios that restart their target take a third of it
	Duration        time.Duration // of one round of broadcast or echo; default 5 s
	IdleClients     int           // default 8,000
	GrowthClients   []int         // ascending; default 1,000 2,000 4,000 8,000 16,000
	LargeSize       int           // payload in bytes; default 1,000,000, which a hub limit of 1 MiB lets pass
	LargeClients    int           // default 1,000
	StalledClients  int           // who share the hub with the stalled client, or whom two app servers share; default 100
	Rest            time.Duration // more of it before idle memory is read; default none. An idle Go process collects every two minutes
	Settle          time.Duration // longest wait for memory and CPU to come to rest; default 10 s

	Progress io.Writer // one line per step; nil = none
	JSON     io.Writer // the Report as JSON; nil = none
}

// Target is a SignalR hub with the contract of BenchHub: Echo(string) returns its argument, Broadcast(string)
// calls "b" on every client.
//
// In Command and URL, {listen} stands for a free HOST:PORT of the server and {admin} for a second one, whose /metrics
// is asked for close categories; in AppServer, {app} for the app's own HOST:PORT and {conn} for the connection
// string, which is in the environment as SIGNALRELAY_CONNECTION as well. An app server of the scenario stalled-server
// is started with "--sticky required" behind its other arguments, and must then bind its clients to itself.
type Target struct {
	Name      string
	URL       string   // of the hub; or a connection string, then AppServer is started
	PID       int      // process whose cost is read; 0 = the one that listens on the URL's port
	Command   []string // starts the server; nil = it is running already and stays as it is
	AppServer []string // prints CONNECTED when its server connections are up, and serves /bench/negotiate, or /signalr/negotiate for ASPNET
	Flavour   Flavour  // of the clients; the hub is called benchHub in ASP.NET SignalR, which sends it along
	Tested    bool     // is under test as the first target is: compared with all that are not, and with those before it that are
	Limited   bool     // understands only WebSockets and frames under 64 KiB and stops for a stalled client: the floor
}

// ParseTarget reads NAME=URL or NAME=CONNECTION-STRING, either followed by ",PID" or not. Without NAME= the name is
// "target".
func ParseTarget(s string) (Target, error) {
	t := Target{Name: "target", URL: s}
	if i := strings.LastIndexByte(t.URL, ','); i >= 0 {
		pid, err := strconv.Atoi(t.URL[i+1:])
		if err != nil || pid <= 0 {
			return Target{}, fmt.Errorf("target: %q is not a process id", t.URL[i+1:])
		}
		t.URL, t.PID = t.URL[:i], pid
	}
	if name, rest, ok := strings.Cut(t.URL, "="); ok && !strings.ContainsAny(name, ":/?") && !strings.EqualFold(name, "Endpoint") {
		t.Name, t.URL = name, rest
	}
	if !t.isConnectionString() && !strings.HasPrefix(t.URL, "http://") && !strings.HasPrefix(t.URL, "https://") {
		return Target{}, errors.New("target: neither an http or https URL nor a connection string")
	}
	return t, nil
}

func (t Target) isConnectionString() bool {
	return strings.Contains(strings.ToLower(t.URL), "endpoint=") && strings.Contains(t.URL, ";")
}

func (o Options) withDefaults() (Options, error) {
	for _, d := range []struct {
		p *int
		v int
	}{{&o.Clients, 2000}, {&o.Size, 64}, {&o.Rounds, 3}, {&o.IdleClients, 8000}, {&o.LargeSize, 1_000_000}, {&o.LargeClients, 1000}, {&o.StalledClients, 100}} {
		if *d.p < 0 {
			return o, errors.New("a count is negative")
		}
		if *d.p == 0 {
			*d.p = d.v
		}
	}
	if o.EchoClients <= 0 {
		o.EchoClients = o.Clients / 10
	}
	o.EchoClients = max(1, min(o.EchoClients, o.Clients))
	if o.Duration <= 0 {
		o.Duration = 5 * time.Second
	}
	if o.Settle <= 0 {
		o.Settle = 10 * time.Second
	}
	if len(o.GrowthClients) == 0 {
		o.GrowthClients = []int{1000, 2000, 4000, 8000, 16000}
	}
	if o.GrowthClients[0] < 1 || !slices.IsSorted(o.GrowthClients) {
		return o, errors.New("growth: client counts must ascend from 1")
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o.Targets = slices.Clone(o.Targets)
	for i := range o.Targets {
		if o.Targets[i].AppServer == nil {
			o.Targets[i].AppServer = o.AppServer
		}
	}
	return o, nil
}
