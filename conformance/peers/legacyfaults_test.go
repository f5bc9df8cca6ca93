package peers_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/peers"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

var withFaults = flag.Bool("faults", os.Getenv("SIGNALRELAY_FAULTS") != "",
	"run the fault tests of ASP.NET SignalR, which take more than a minute, without the peers, too ($SIGNALRELAY_FAULTS)")

// needTime skips a test that needs nothing but time.
func needTime(t *testing.T) {
	t.Helper()
	if !*withFaults && *peersDir == "" {
		t.Skip("no time: give -faults or SIGNALRELAY_FAULTS=1; this takes more than a minute")
	}
}

var legacyTransports = []string{peers.WebSockets, peers.ServerSentEvents, peers.LongPolling}

func startLegacyApp(t *testing.T, r *peers.Relay) *peers.App {
	t.Helper()
	addr, err := peers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return startLegacyAppAt(t, addr, r)
}

func startLegacyAppAt(t *testing.T, addr string, r *peers.Relay) *peers.App {
	t.Helper()
	a, err := peers.StartLegacyApp(t.Context(), relayBinary(t), addr, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Kill)
	return a
}

// legacyClients connects n clients by each transport.
func legacyClients(t *testing.T, app *peers.App, n int) (all []*peers.LegacyClient) {
	t.Helper()
	for range n {
		for _, via := range legacyTransports {
			c, err := peers.ConnectLegacy(t.Context(), app, via)
			if err != nil {
				t.Fatalf("connect by %s: %v", via, err)
			}
			t.Cleanup(c.Cut)
			all = append(all, c)
		}
	}
	return all
}

// echoes wants a call of a client to be answered.
func echoes(t *testing.T, c *peers.LegacyClient) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := c.Call(ctx, "Echo", c.ID)
	if want := `"` + c.ID + `"`; err != nil || got != want {
		t.Errorf("echo by %s: %s, %v, want %s", c.Via, got, err, want)
	}
}

// leave ends clients as pages do that are left, and wants the relay to be rid
// of them.
func leave(t *testing.T, r *peers.Relay, all []*peers.LegacyClient) {
	t.Helper()
	for _, c := range all {
		if err := c.Abort(t.Context()); err != nil {
			t.Errorf("abort by %s: %v", c.Via, err)
		}
	}
	soon(t, "no client at the relay", func(ctx context.Context) error {
		n, err := r.Metric(ctx, `signalrelay_connection_count{endpoint="Client"}`)
		if err == nil && n != 0 {
			err = fmt.Errorf("%v clients", n)
		}
		return err
	})
	consistent(t, r)
}

// refused wants a request to be answered with a status.
func refused(t *testing.T, what string, err error, status int) {
	t.Helper()
	var r *peers.RefusedError
	if !errors.As(err, &r) || r.Status != status {
		t.Errorf("%s: %v, want status %d", what, err, status)
	}
}

// unknown says whether an error tells that the relay does not know the
// connection.
func unknown(err error) error {
	var r *peers.RefusedError
	switch {
	case err == nil:
		return errors.New("it is known")
	case errors.As(err, &r) && r.Status == http.StatusNotFound:
		return nil
	}
	return err
}

// closed wants the server to have closed a client for a reason; empty is any.
func closed(t *testing.T, c *peers.LegacyClient, reason string) {
	t.Helper()
	select {
	case <-c.Ended():
	case <-time.After(20 * time.Second):
		t.Errorf("client by %s goes on", c.Via)
		return
	}
	var why peers.ClosedError
	if err := c.Farewell(); !errors.As(err, &why) || reason != "" && string(why) != reason {
		t.Errorf("client by %s: %v, want to be closed for %q", c.Via, err, reason)
	}
}

// One of two apps is killed: its clients are told and are unknown from then on
// (legacy-service-protocol 6.4), the other's do not notice. It comes back, and
// so do new clients. Then there is no app at all.
func TestLegacyAppGoes(t *testing.T) {
	needTime(t)
	t.Parallel()
	recordOutcome(t, peers.Subject{Peer: "apps that go", Against: onDemo})
	r := startRelay(t)
	going, staying := startLegacyApp(t, r), startLegacyApp(t, r)
	all := legacyClients(t, going, 4)
	count := func(ctx context.Context, a *peers.App) int {
		s, err := a.LegacyStats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s.Connects
	}
	var ofGoing int
	soon(t, "all clients at the apps", func(ctx context.Context) error {
		ofGoing = count(ctx, going)
		if n := count(ctx, staying); ofGoing+n != len(all) || ofGoing < 3 || n < 3 {
			return fmt.Errorf("they have %d and %d of %d", ofGoing, n, len(all))
		}
		return nil
	})

	going.Kill()
	soon(t, "the end of the clients of the app that was killed", func(context.Context) error {
		ended := slices.DeleteFunc(slices.Clone(all), func(c *peers.LegacyClient) bool { return c.Farewell() == nil })
		if len(ended) != ofGoing {
			return fmt.Errorf("%d of %d clients ended", len(ended), ofGoing)
		}
		return nil
	})
	var stayed []*peers.LegacyClient
	for _, c := range all {
		if c.Farewell() == nil {
			stayed = append(stayed, c)
			echoes(t, c)
			continue
		}
		closed(t, c, "Server offline")
		soon(t, "a client that is unknown", func(ctx context.Context) error { // until then it is told again
			return unknown(c.Reconnect(ctx))
		})
	}

	back := startLegacyAppAt(t, going.Addr, r)
	fresh := legacyClients(t, back, 4)
	soon(t, "a client at the app that came back", func(ctx context.Context) error {
		if count(ctx, back) == 0 {
			return errors.New("none")
		}
		return nil
	})
	stayed = append(stayed, fresh...)
	if err := staying.SendAll(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	for _, c := range stayed {
		echoes(t, c)
		soon(t, "the broadcast by "+c.Via, func(context.Context) error {
			if got := c.Messages(); !slices.Equal(got, []string{"all"}) {
				return fmt.Errorf("messages %q", got)
			}
			return nil
		})
	}

	late, err := peers.NegotiateLegacy(t.Context(), back, peers.WebSockets)
	if err != nil {
		t.Fatal(err)
	}
	back.Kill()
	staying.Kill()
	for _, c := range stayed {
		closed(t, c, "Server offline")
	}
	refused(t, "connect without an app", late.Connect(t.Context(), chatHub), http.StatusServiceUnavailable)
	leave(t, r, nil)
}

// A halfApp is a process that has server connections for its application and
// for none of its hubs, and refuses every client, as the SDK does when it does
// not know a hub (legacy-service-protocol 3.1).
type halfApp struct {
	mu      sync.Mutex
	refused []string // connection ids
}

const (
	unauthorized = "Unable to authorize request"
	halfLinks    = 2 // its server connections
	chatHub      = `[{"name":"chatHub"}]`
)

// Frame takes a frame of the relay.
func (h *halfApp) Frame(l *serverlink.Link, m serviceproto.Message) {
	if o, ok := m.(*serviceproto.OpenConnection); ok {
		h.mu.Lock()
		h.refused = append(h.refused, o.ConnectionID)
		h.mu.Unlock()
		l.Send(&serviceproto.CloseConnection{ConnectionID: o.ConnectionID, Error: unauthorized})
	}
}

// InstanceGone is not of interest.
func (h *halfApp) InstanceGone(*serverlink.Link, string) {}

// Closed is not of interest.
func (h *halfApp) Closed(*serverlink.Link) {}

// startHalfApp attaches one to a relay, for the application of the sample app.
func startHalfApp(t *testing.T, r *peers.Relay) *halfApp {
	t.Helper()
	const application = "SampleApp"
	service, err := auth.ParseConnectionString(r.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys(service.AccessKey)
	if err != nil {
		t.Fatal(err)
	}
	h := &halfApp{}
	hub := auth.HubName(application, application)
	pool := serverlink.NewPool(serverlink.Options{
		Hub: hub, Links: halfLinks, ServerID: "half", Receiver: h, Log: slog.New(slog.DiscardHandler),
		URL: func(cid string) string { return service.AspNetServerURL(hub, cid) },
		Token: func() (string, error) {
			return keys.SignServer(service.AspNetServerAudience(hub), "half", auth.Sign{NoIssuer: true})
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	pool.Start(ctx)
	t.Cleanup(func() {
		stop()
		pool.Drop()
	})
	select {
	case <-pool.Up():
	case <-time.After(20 * time.Second):
		t.Fatal("server connections are not up")
	}
	return h
}

// Of two processes of an application one has the hubs, the other has not.
// Clients go to the one that has them. Where nobody has, the app's error
// reaches the client.
func TestLegacyHubSets(t *testing.T) {
	needTime(t)
	t.Parallel()
	recordOutcome(t, peers.Subject{Peer: "apps with different hubs", Against: onDemo})
	r := startRelay(t)
	half := startHalfApp(t, r)
	app := startLegacyApp(t, r)
	all := legacyClients(t, app, 4)
	for _, c := range all {
		echoes(t, c)
	}
	half.mu.Lock()
	if len(half.refused) > 0 {
		t.Errorf("%d clients went to the process that does not have their hub", len(half.refused))
	}
	half.mu.Unlock()
	leave(t, r, all)

	for _, via := range legacyTransports {
		c, err := peers.NegotiateLegacy(t.Context(), app, via)
		if err != nil {
			t.Fatal(err)
		}
		turnedAway(t, c, `[{"name":"noHub"}]`, "") // by either of them
	}

	var late []*peers.LegacyClient
	for _, via := range legacyTransports {
		c, err := peers.NegotiateLegacy(t.Context(), app, via)
		if err != nil {
			t.Fatal(err)
		}
		late = append(late, c)
	}
	app.Kill()
	soon(t, "the server connections of one process only", func(ctx context.Context) error {
		n, err := r.Metric(ctx, `signalrelay_connection_count{endpoint="Server"}`)
		if err == nil && n != halfLinks {
			err = fmt.Errorf("%v server connections", n)
		}
		return err
	})
	for _, c := range late {
		turnedAway(t, c, chatHub, unauthorized)
	}
	leave(t, r, nil)
}

// turnedAway wants the app's reason to reach a client that connects.
func turnedAway(t *testing.T, c *peers.LegacyClient, hubs, reason string) {
	t.Helper()
	// The app may have refused the client before its start.
	if err := c.Connect(t.Context(), hubs); err != nil {
		refused(t, "start by "+c.Via, err, http.StatusNotFound)
	}
	closed(t, c, reason)
}

// away are the times that clients are away, and back says which of them are
// remembered: a relay waits 5 s longer than the 30 s that it tells clients.
var away = []struct {
	time time.Duration
	back bool
}{{2 * time.Second, true}, {8 * time.Second, true}, {20 * time.Second, true}, {60 * time.Second, false}}

// Clients are cut for a while, on each transport, while the app sends
// broadcasts all the time and messages to them alone: who comes back in time
// has lost nothing and got nothing twice, and the app hears of it. Who stays
// away for too long is unknown, and the app hears of that (6.3). Afterwards the
// relay is as it was before.
func TestLegacyCuts(t *testing.T) {
	needTime(t)
	t.Parallel()
	recordOutcome(t, peers.Subject{Peer: "clients that are cut off", Against: onDemo})
	r := startRelay(t)
	app := startLegacyApp(t, r)
	leave(t, r, legacyClients(t, app, len(away))) // what is made at the first use is there now
	before := sizeOf(t, r)
	start, err := app.LegacyStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	all := legacyClients(t, app, len(away))
	sent, quiet := broadcasts(t, app)
	var back sync.WaitGroup
	own := make([][]string, len(all)) // what was sent to one alone
	for i, c := range all {
		a := away[i/len(legacyTransports)]
		back.Go(func() { own[i] = cut(t, app, c, a.time, a.back) }) // ends when the client is back
	}
	back.Wait()
	quiet()
	var stayed []*peers.LegacyClient
	for i, c := range all {
		if !away[i/len(legacyTransports)].back {
			continue
		}
		stayed = append(stayed, c)
		want := slices.Sorted(slices.Values(append(own[i], *sent...)))
		var got []string
		soon(t, "the last message by "+c.Via, func(context.Context) error {
			if got = c.Messages(); len(got) < len(want) {
				return fmt.Errorf("%d of %d messages", len(got), len(want))
			}
			return nil
		})
		got = slices.Sorted(slices.Values(got))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages by %s (-sent +received):\n%s", c.Via, diff)
		}
		echoes(t, c)
	}
	t.Logf("%d broadcasts to each of %d clients", len(*sent), len(stayed))
	stats := func(name string, want peers.LegacyStats) {
		t.Helper()
		want.Connects += start.Connects
		want.Disconnects += start.Disconnects
		want.Reconnects += start.Reconnects
		soon(t, name, func(ctx context.Context) error {
			got, err := app.LegacyStats(ctx)
			if err == nil && got != want {
				err = fmt.Errorf("the app saw %+v, want %+v", got, want)
			}
			return err
		})
	}
	lost := len(all) - len(stayed)
	stats("comings and goings", peers.LegacyStats{Connects: len(all), Disconnects: lost, Reconnects: len(stayed)})
	leave(t, r, stayed)
	stats("the last goings", peers.LegacyStats{Connects: len(all), Disconnects: len(all), Reconnects: len(stayed)})
	notGrown(t, r, before)
}

// cut cuts a client for a while and returns what was sent to it alone
// meanwhile.
func cut(t *testing.T, app *peers.App, c *peers.LegacyClient, away time.Duration, back bool) (sent []string) {
	t.Helper()
	echoes(t, c)
	c.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), away)
	defer cancel()
	for n := range 10 {
		m := fmt.Sprintf("only-%s-%d", c.ID, n)
		if err := app.SendClient(t.Context(), c.ID, m); err != nil {
			t.Errorf("send to %s: %v", c.ID, err)
		}
		sent = append(sent, m)
	}
	<-ctx.Done() // that long it is away
	switch err := c.Reconnect(t.Context()); {
	case !back:
		refused(t, fmt.Sprintf("reconnect by %s after %v", c.Via, away), err, http.StatusNotFound)
	case err != nil:
		t.Errorf("reconnect by %s after %v: %v", c.Via, away, err)
	default:
		echoes(t, c)
	}
	return sent
}

// broadcasts has the app send broadcasts until quiet is called, which returns
// when the last one is sent; read sent after that only.
func broadcasts(t *testing.T, app *peers.App) (sent *[]string, quiet func()) {
	sent = new([]string)
	silent, ended := make(chan struct{}), make(chan struct{})
	quiet = sync.OnceFunc(func() { close(silent); <-ended })
	t.Cleanup(quiet)
	pace := time.NewTicker(50 * time.Millisecond)
	go func() { // ends with quiet
		defer close(ended)
		defer pace.Stop()
		for {
			m := fmt.Sprintf("b%06d", len(*sent))
			if err := app.SendAll(context.Background(), m); err != nil {
				t.Errorf("broadcast: %v", err)
				return
			}
			*sent = append(*sent, m)
			select {
			case <-silent:
				return
			case <-pace.C:
			}
		}
	}()
	return sent, quiet
}

// A size is what must not grow in a relay.
type size struct{ goroutines, heap float64 }

func sizeOf(t *testing.T, r *peers.Relay) (s size) {
	t.Helper()
	for name, value := range map[string]*float64{"go_goroutines": &s.goroutines, "go_memstats_heap_inuse_bytes": &s.heap} {
		var err error
		if *value, err = r.Metric(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// heapSlack is how much more memory may be in use: what waits for the next
// garbage collection.
const heapSlack = 8 << 20

// notGrown wants a relay without clients to have become no bigger.
func notGrown(t *testing.T, r *peers.Relay, before size) {
	t.Helper()
	var now size
	soon(t, "the relay as it was", func(context.Context) error {
		if now = sizeOf(t, r); now.goroutines > before.goroutines || now.heap > before.heap+heapSlack {
			return fmt.Errorf("it has %+v and had %+v", now, before)
		}
		return nil
	})
	t.Logf("goroutines %v, before %v; heap %v KiB, before %v KiB", now.goroutines, before.goroutines, now.heap/1024, before.heap/1024)
}
