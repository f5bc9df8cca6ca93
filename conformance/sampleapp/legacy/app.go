package legacy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	// Connections is how many server connections the application and each hub
	// keep up; 0 means 5, a negative number none: the app then only negotiates.
	Connections int
	// ApplicationName is the application's at the service; "" means SampleApp. It
	// must not be the name of a hub (2.1).
	ApplicationName string
	// ServerID names the process at the service; "" makes one up.
	ServerID string
	// Sticky is disabled, preferred or required; "" means disabled.
	Sticky string
	// DetailedErrors lets clients see the text of every error of a hub.
	DetailedErrors bool
	// MaxPollInterval is how long the service waits for a client's next long
	// poll, 1 to 300 seconds; 0 leaves it to the service.
	MaxPollInterval int
	// Diagnostic makes every client a diagnostic client.
	Diagnostic bool
	// Algorithm of tokens is HS256 or HS512; "" means HS256.
	Algorithm string
	// Room is the chat of the demo page, which may be another app's too; nil
	// means one of its own.
	Room *room.Room
	// Sibling is the address of a page of the same chat for the demo page to
	// point to; "" means none.
	Sibling string
	// Logger gets what an operator wants to know; nil means slog.Default.
	Logger *slog.Logger
}

// App is an app server with the hubs chatHub, otherHub, benchHub and roomHub. Its
// methods may be called concurrently.
type App struct {
	service    *auth.ConnectionString // by pointer: it formats with the key masked
	keys       *auth.Keys
	o          Options
	sticky     string // Preferred or Required, as tokens have it; "" when disabled
	log        *slog.Logger
	login      func(*http.Request) *login
	containers []*container // the application's first, then one for each hub
	hubs       map[string]*hub
	chat       *chatHub
	connected  chan struct{}
	pace       pace

	life context.Context // until Run ends: hub methods wait no longer
	stop context.CancelFunc
	work sync.WaitGroup // hub methods with a goroutine

	mu      sync.RWMutex
	clients map[string]*client
}

// pace is how long things last, which tests shorten.
type pace struct {
	links serverlink.Timing
	ack   time.Duration
}

// New makes an app. It does nothing before Run, apart from Handler.
func New(o Options) (*App, error) {
	a, err := newApp(o, pace{ack: ackTimeout})
	if err != nil {
		return nil, err
	}
	if a.o.Room == nil {
		a.o.Room = room.New()
	}
	a.chat = newChatHub()
	for _, h := range []*hub{a.chat.hub, newOtherHub(), newBenchHub(), newRoomHub(a.o.Room)} {
		if err := a.add(h); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// newApp makes an app without hubs.
func newApp(o Options, p pace) (*App, error) {
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
		service: &service, keys: keys, o: o, log: o.Logger, login: queryLogin, hubs: map[string]*hub{},
		connected: make(chan struct{}), pace: p, clients: map[string]*client{},
	}
	a.life, a.stop = context.WithCancel(context.Background())
	switch strings.ToLower(o.Sticky) {
	case "", "disabled":
	case "preferred":
		a.sticky = "Preferred"
	case "required":
		a.sticky = "Required"
	default:
		return nil, fmt.Errorf("sticky mode %q is none of disabled, preferred, required", o.Sticky)
	}
	if o.MaxPollInterval < 0 || o.MaxPollInterval > 300 {
		return nil, fmt.Errorf("poll interval %d is not from 1 to 300 seconds", o.MaxPollInterval)
	}
	if o.Connections == 0 {
		a.o.Connections = 5
	}
	a.o.Connections = max(a.o.Connections, 0)
	if a.o.ApplicationName == "" {
		a.o.ApplicationName = "SampleApp"
	}
	if a.o.ServerID == "" {
		a.o.ServerID = serverlink.ServerID()
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.containers = []*container{newContainer(a, a.o.ApplicationName)}
	return a, nil
}

// add gives the app a hub.
func (a *App) add(h *hub) error {
	key := strings.ToLower(h.name)
	if key == strings.ToLower(a.o.ApplicationName) {
		return fmt.Errorf("application has the name of hub %s", h.name)
	}
	if strings.Contains(h.name, ".") || a.hubs[key] != nil {
		return fmt.Errorf("hub name %q is invalid or taken", h.name)
	}
	h.app, h.home = a, newContainer(a, h.name)
	a.hubs[key] = h
	a.containers = append(a.containers, h.home)
	return nil
}

// application is the container that serves no hub of its own.
func (a *App) application() *container { return a.containers[0] }

// hub finds a hub without regard to case.
func (a *App) hub(name string) *hub {
	if h := a.hubs[name]; h != nil {
		return h
	}
	return a.hubs[strings.ToLower(name)]
}

// client finds a client that lives in this process.
func (a *App) client(id string) *client {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.clients[id]
}

// Connected is closed when all wanted server connections were up at once for
// the first time.
func (a *App) Connected() <-chan struct{} { return a.connected }

// Links tells how many server connections are up and how many are wanted.
func (a *App) Links() (up, wanted int) {
	for _, c := range a.containers {
		up += len(c.pool.All())
		wanted += a.o.Connections
	}
	return up, wanted
}

// Run keeps the server connections up until ctx ends; then it breaks them without
// a word, as the SDK does when its process is told to stop (6.5). It may be
// called once. The error is always nil: a service that is away is waited for.
func (a *App) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	for _, c := range a.containers {
		c.pool.Start(ctx)
	}
	watching.Go(func() {
		for _, c := range a.containers {
			select {
			case <-c.pool.Up():
			case <-ctx.Done():
				return
			}
		}
		close(a.connected)
	})
	<-ctx.Done()
	a.stop()
	for _, c := range a.containers {
		c.pool.Drop()
	}
	watching.Wait()
	a.work.Wait()
	return nil
}
