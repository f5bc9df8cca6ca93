package sampleapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/room"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
	"github.com/signalrelay/signalrelay/relay/auth"
)

// Options say how an app behaves. The zero value of every field but the
// ConnectionString is usable.
type Options struct {
	// ConnectionString tells where the service is. It needs an AccessKey.
	ConnectionString string
	// Connections is how many server connections each hub keeps up; 0 means 5,
	// a negative number none: the app then only negotiates.
	Connections int
	// ApplicationName is put before the names of the hubs, so that apps can
	// share a service.
	ApplicationName string
	// ServerID names the process at the service; "" makes one up.
	ServerID string
	// Sticky is disabled, preferred or required; "" means disabled.
	Sticky string
	// Shutdown is off, wait or migrate: what happens to the clients when the app
	// stops (service-protocol 8.4); "" means off.
	Shutdown string
	// ShutdownTimeout bounds a shutdown; 0 means 10 seconds.
	ShutdownTimeout time.Duration
	// AuthExpire closes clients when their login ends.
	AuthExpire bool
	// HubMaxMessage is the largest hub message that a client may send, in bytes
	// with framing; 0 means 1 MiB.
	HubMaxMessage int
	// Room is the chat of the demo page, which may be another app's too; nil
	// means one of its own.
	Room *room.Room
	// Sibling is the address of a page of the same chat for the demo page to
	// point to; "" means none.
	Sibling string
	// Logger gets what an operator wants to know; nil means slog.Default.
	Logger *slog.Logger
}

// shutdown is what a fin ping says (service-protocol 5.2).
type shutdown int

const (
	shutdownOff     shutdown = 0 // clients are closed
	shutdownMigrate shutdown = 1 // clients move to another app server
	shutdownWait    shutdown = 2 // clients may take their time
)

// App is an app server with the hubs ChatHub and BenchHub. Its methods may be
// called concurrently.
type App struct {
	service     *auth.ConnectionString // by pointer: it formats with the key masked
	keys        *auth.Keys
	serverID    string
	connections int
	application string
	sticky      string // Preferred or Required, as tokens have it; "" when disabled
	shutdown    shutdown
	grace       time.Duration
	authExpire  bool
	log         *slog.Logger

	hubMaxMessage int

	room      *room.Room
	sibling   string
	chat      *chatHub
	hubs      []*hub
	acks      serverlink.Acks
	work      sync.WaitGroup // running hub methods
	connected chan struct{}
	requests  requestIDs
}

// New makes an app. It does nothing before Run, apart from Handler.
func New(o Options) (*App, error) {
	service, err := auth.ParseConnectionString(o.ConnectionString)
	if err != nil {
		return nil, err
	}
	if service.AccessKey == "" {
		return nil, errors.New("connection string has no AccessKey")
	}
	keys, err := auth.NewKeys(service.AccessKey)
	if err != nil {
		return nil, err
	}
	a := &App{
		service: &service, keys: keys, serverID: o.ServerID, connections: max(o.Connections, 0), application: o.ApplicationName,
		grace: o.ShutdownTimeout, authExpire: o.AuthExpire, log: o.Logger, hubMaxMessage: o.HubMaxMessage, connected: make(chan struct{}),
		room: o.Room, sibling: o.Sibling,
	}
	switch strings.ToLower(o.Sticky) {
	case "", "disabled":
	case "preferred":
		a.sticky = "Preferred"
	case "required":
		a.sticky = "Required"
	default:
		return nil, fmt.Errorf("sticky mode %q is none of disabled, preferred, required", o.Sticky)
	}
	switch strings.ToLower(o.Shutdown) {
	case "", "off":
	case "wait":
		a.shutdown = shutdownWait
	case "migrate":
		a.shutdown = shutdownMigrate
	default:
		return nil, fmt.Errorf("shutdown mode %q is none of off, wait, migrate", o.Shutdown)
	}
	if o.Connections == 0 {
		a.connections = 5
	}
	if a.serverID == "" {
		a.serverID = serverlink.ServerID()
	}
	if a.grace == 0 {
		a.grace = 10 * time.Second
	}
	if a.hubMaxMessage == 0 {
		a.hubMaxMessage = 1 << 20
	}
	if a.room == nil {
		a.room = room.New()
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.chat = newChatHub(a)
	a.hubs = []*hub{newBenchHub(a), a.chat.hub}
	return a, nil
}

// Connected is closed when all wanted server connections were up at once for
// the first time.
func (a *App) Connected() <-chan struct{} { return a.connected }

// Links tells how many server connections are up and how many are wanted.
func (a *App) Links() (up, wanted int) {
	for _, h := range a.hubs {
		up += len(h.pool.All())
		wanted += a.connections
	}
	return up, wanted
}

// Run keeps the server connections up until ctx ends; then it leaves the
// service in the mode of Options.Shutdown. It may be called once. The error is
// always nil: a service that is away is waited for.
func (a *App) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	beat, rest := context.WithCancel(context.WithoutCancel(ctx))
	for _, h := range a.hubs {
		h.pool.Start(ctx)
		watching.Go(func() { h.heartbeat(beat) })
	}
	watching.Go(func() {
		for _, h := range a.hubs {
			select {
			case <-h.pool.Up():
			case <-ctx.Done():
				return
			}
		}
		close(a.connected)
	})
	<-ctx.Done()

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.grace)
	defer cancel()
	var leaving sync.WaitGroup
	for _, h := range a.hubs {
		leaving.Go(func() { h.leave(grace) })
	}
	leaving.Wait()
	rest()
	watching.Wait()
	a.work.Wait()
	return nil
}
