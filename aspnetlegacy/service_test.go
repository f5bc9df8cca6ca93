package aspnetlegacy_test

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetlegacy"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/nodetest"
	"github.com/signalrelay/signalrelay/transport"
)

const (
	application = "Shop"
	audience    = "http://localhost/aspnetclient"
)

// TestMain looks for goroutines that outlived their service.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(nodetest.Patience); ; {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "signalrelay/transport.") && !strings.Contains(string(stacks), "signalrelay/relay") {
			break
		}
		if time.Now().After(end) {
			fmt.Printf("goroutines are left:\n%s\n", stacks)
			code = 1
			break
		}
		time.Sleep(time.Millisecond) // between two looks; the looks decide
	}
	os.Exit(code)
}

// A service is an adapter that listens.
type service struct {
	*aspnetlegacy.Adapter
	nodetest.Site
}

func serve(t testing.TB, o aspnetlegacy.Options) *service {
	return serveNode(t, aspnet.Options{}, o)
}

func serveNode(t testing.TB, n aspnet.Options, o aspnetlegacy.Options) *service {
	n.Keys, n.InstanceID, n.Logger = nodetest.Keys(t), "node-1", slog.New(slog.DiscardHandler)
	s := &service{Adapter: aspnetlegacy.New(aspnet.NewNode(relay.New(), n), o)}
	s.Bind(transport.NewServer(s.Serve, transport.Options{Logger: n.Logger, CloseTimeout: time.Second / 2, AdmitBody: s.AdmitBody}))
	t.Cleanup(s.nothingKept) // once the node is down
	s.Site = nodetest.Serve(t, s.Server, s.Relay)
	t.Cleanup(s.Adapter.Close)
	return s
}

// nothingKept waits until the adapter remembers no client, but by the ids that
// must not connect again.
func (s *service) nothingKept() {
	s.T.Helper()
	nodetest.Until(s.T, "nothing kept of any client", func() bool {
		messages, size := s.Kept()
		return s.Clients() == 0 && s.Logins() == 0 && messages == 0 && size == 0
	})
}

// token signs a client's access token. Claims are type, value pairs.
func (s *service) token(claims ...string) string {
	s.T.Helper()
	return s.sign(auth.Sign{NoIssuer: true}, claims...)
}

// expired signs one whose time is over.
func (s *service) expired(claims ...string) string {
	s.T.Helper()
	return s.sign(auth.Sign{NoIssuer: true, Now: time.Now().Add(-2 * time.Hour)}, claims...)
}

func (s *service) sign(o auth.Sign, claims ...string) string {
	s.T.Helper()
	list := []relay.Claim{{Type: "asrs.s.apn", Value: application}, {Type: "asrs.s.vn", Value: "1.25.1.0"}}
	for i := 0; i+1 < len(claims); i += 2 {
		c := relay.Claim{Type: claims[i], Value: claims[i+1]}
		switch c.Type {
		case "asrs.s.apn":
			list[0] = c
		case "asrs.s.vn":
			list[1] = c
		default:
			list = append(list, c)
		}
	}
	t, err := s.Keys.SignClient(audience, list, o)
	if err != nil {
		s.T.Fatal(err)
	}
	return t
}

// carriers counts the sockets that carry a connection, of these kinds or all.
func (s *service) carriers(kinds ...transport.Kind) (n int64) {
	if kinds == nil {
		kinds = []transport.Kind{transport.WebSocket, transport.EventStream, transport.LongPoll}
	}
	for _, k := range kinds {
		n += s.Server.Stats().Carriers[k].Load()
	}
	return n
}
