package conformance_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/aspnetcore"
	"github.com/signalrelay/signalrelay/conformance"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
	"github.com/signalrelay/signalrelay/transport"
)

var update = flag.Bool("update", false, "convert testdata anew from the golden files beside the checkout")

// patience is for a machine that does other things too.
const patience = 5 * time.Second

const (
	transcripts       = "../testdata/transcripts/aspnetcore"
	clientTranscripts = "../testdata/transcripts/coreclient"
	handWritten       = "../testdata/transcripts/service"
	accessKey         = "an access key of the relay under test, long enough"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

// readList reads one of the lists beside the transcripts.
func readList(t *testing.T, dir, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	list, err := conformance.Known(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// startRelay serves a relay of our own until the test ends and returns its URL.
func startRelay(t *testing.T) string {
	t.Helper()
	keys, err := auth.NewKeys(accessKey)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	core := aspnetcore.New(aspnet.NewNode(relay.New(), aspnet.Options{Keys: keys, Logger: log, InstanceID: "relay-1"}), aspnetcore.Options{})
	srv := transport.NewServer(core.Serve, transport.Options{Logger: log})
	core.Bind(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		core.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		srv.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

func TestReplay(t *testing.T) {
	if *update {
		write(t, transcripts, convertAll(t))
	}
	replayAll(t, transcripts, allowed())
}

func TestReplayClients(t *testing.T) {
	if *update {
		write(t, clientTranscripts, convertClients(t))
	}
	replayAll(t, clientTranscripts, allowedOfClients())
}

func TestReplayHandWritten(t *testing.T) {
	replayAll(t, handWritten, allowedByHand())
}

// replayAll replays the transcripts of a folder, each with a relay of its own.
func replayAll(t *testing.T, dir string, rules []*conformance.Rule) {
	known := readList(t, dir, "known-differences.txt")
	texts := transcriptTexts(t, dir)
	t.Run("scenario", func(t *testing.T) {
		for name, text := range texts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tr, err := conformance.Load(text)
				if err != nil {
					t.Fatal(err)
				}
				err = conformance.Replay(t.Context(), tr, conformance.Options{
					URL: startRelay(t), AccessKey: accessKey, Rules: rules, Patience: patience,
				})
				reason := known[name]
				var d *conformance.Difference
				switch {
				case err == nil && reason != "":
					t.Errorf("agrees, but known-differences.txt lists it: %s", reason)
				case errors.As(err, &d) && reason != "":
					t.Logf("known: %s", reason)
				case err != nil:
					t.Error(err)
				}
			})
		}
	})
	for name := range known {
		if texts[name] == nil {
			t.Errorf("known-differences.txt lists %s, which is not there", name)
		}
	}
	for _, r := range rules {
		if r.Used() == 0 && !t.Failed() {
			t.Errorf("not needed any more: %s", r.Why)
		}
	}
}

// allowed are the differences that are ways of being right.
func allowed() []*conformance.Rule {
	return []*conformance.Rule{{
		Why: "the counters in a status ping are optional (service-protocol 5.1)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, g := firstWords(want.Said), firstWords(got)
			return w != "" && w == g
		},
	}, {
		Why: "a service that forwards only whole hub messages may leave ConnectionReconnect out (service-protocol 11.2)",
		MayLack: func(_ string, want conformance.Step) bool {
			f, _ := want.Said.(conformance.Frame)
			_, ok := f.Message.(*serviceproto.ConnectionReconnect)
			return ok
		},
	}, {
		Why: "a service need not ask for tracing (service-protocol 5.1)",
		MayLack: func(_ string, want conformance.Step) bool {
			return strings.HasPrefix(firstWords(want.Said), "d-m ")
		},
	}, {
		Why: "a client that got its hub's own Close is not told a second time (service-protocol 8.4)",
		MayLack: func(scenario string, want conformance.Step) bool {
			d, _ := want.Said.(conformance.Data)
			return scenario == "shutdown-off-only-finack" && strings.Contains(string(d.Bytes), "ServerOffline")
		},
	}, {
		Why: "the caller of a forwarded completion may be named: the SDK looks at the invocation id alone (service-protocol 10)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, _ := want.Said.(conformance.Frame)
			g, _ := got.(conformance.Frame)
			a, ok1 := w.Message.(*serviceproto.ClientCompletion)
			b, ok2 := g.Message.(*serviceproto.ClientCompletion)
			if !ok1 || !ok2 {
				return false
			}
			named := *a
			named.CallerServerID = b.CallerServerID
			return cmp.Equal(&named, b)
		},
	}}
}

// firstWords are the first two words of a ping.
func firstWords(s conformance.Saying) string {
	f, _ := s.(conformance.Frame)
	if m, ok := f.Message.(*serviceproto.Ping); ok && len(m.Words) > 1 {
		return m.Words[0] + " " + m.Words[1]
	}
	return ""
}

// allowedByHand are those for transcripts that do not say all that a new client
// brings along.
func allowedByHand() []*conformance.Rule {
	return []*conformance.Rule{{
		Why: "of a new client only what the transcript lists is compared",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, _ := want.Said.(conformance.Frame)
			g, _ := got.(conformance.Frame)
			a, ok1 := w.Message.(*serviceproto.OpenConnection)
			b, ok2 := g.Message.(*serviceproto.OpenConnection)
			if !ok1 || !ok2 || a.ConnectionID != b.ConnectionID || a.Protocol != b.Protocol {
				return false
			}
			for _, c := range a.Claims {
				if !slices.Contains(b.Claims, c) {
					return false
				}
			}
			for _, h := range a.Headers {
				if !slices.ContainsFunc(b.Headers, func(o relay.Header) bool { return cmp.Equal(h, o) }) {
					return false
				}
			}
			return true
		},
	}, {
		Why: "the app server may be told why a client was closed (service-protocol 8.1)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, _ := want.Said.(conformance.Frame)
			g, _ := got.(conformance.Frame)
			a, ok1 := w.Message.(*serviceproto.CloseConnection)
			b, ok2 := g.Message.(*serviceproto.CloseConnection)
			if !ok1 || !ok2 || a.Error != "" {
				return false
			}
			told := *a
			told.Error = b.Error
			return cmp.Equal(&told, b, cmpopts.EquateEmpty())
		},
	}}
}

// allowedOfClients are those for the transcripts of clients, whose app server
// was not recorded.
func allowedOfClients() []*conformance.Rule {
	return append(allowedByHand()[:1], &conformance.Rule{
		Why: "a preflight's answer may name only the method that was asked for (core-client-protocol 11.2)",
		MayDiffer: func(_ string, want conformance.Step, got conformance.Saying) bool {
			w, ok1 := want.Said.(conformance.Response)
			g, ok2 := got.(conformance.Response)
			if !ok1 || !ok2 || w.Status != g.Status {
				return false
			}
			for _, f := range w.Header {
				v := field(g.Header, f.Name)
				if v != f.Value && !(f.Name == allowMethods && v != "" && slices.Contains(strings.Split(f.Value, ", "), v)) {
					return false
				}
			}
			return field(w.Header, allowMethods) != ""
		},
	})
}

const allowMethods = "Access-Control-Allow-Methods"

func field(fields []conformance.Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
