package legacy_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/legacy"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/stubservice"
	"github.com/signalrelay/signalrelay/relay/auth"
	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

const chatHub = "legacyapp_chat"

// fast is how many times faster than the SDK's the clocks of these tests run.
const fast = 20

// TestServerConnections is the scenario server-connections.
func TestServerConnections(t *testing.T) {
	r := newReplay(t, legacy.Options{ServerID: "me", Algorithm: "HS512"}, 0, 1, time.Second)
	keys, err := auth.NewKeys(stubservice.Key)
	if err != nil {
		t.Fatal(err)
	}
	guid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	recorded := readTranscript(t, "server-connections")
	cids := map[string]bool{}
	for _, hub := range []string{"legacyapp_legacyapp", chatHub, "legacyapp_news", "legacyapp_secret"} {
		for range 5 {
			name, err := r.next(hub)
			if err != nil {
				t.Fatal(err)
			}
			l := r.links[name]
			q := l.Request.URL.Query()
			if l.Request.URL.Path != "/aspnetserver/" || !guid.MatchString(q.Get("cid")) || len(q) != 2 {
				t.Errorf("%s asks for %s", name, l.Request.URL)
			}
			cids[q.Get("cid")] = true
			h := l.Request.Header
			if h.Get("X-ASRS-Server-Id") != "me" || h.Get("X-Requested-With") != "XMLHttpRequest" || h.Get("Asrs-User-Agent") == "" {
				t.Errorf("headers are %v", h)
			}
			token, err := keys.AspNetServer(strings.TrimPrefix(h.Get("Authorization"), "Bearer "), hub, auth.Check{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range token.Claims {
				if !strings.Contains(c.Type, "://") {
					names = append(names, c.Type)
				}
			}
			if diff := cmp.Diff([]string{"nameid", "nbf", "exp", "iat", "aud"}, names); diff != "" || token.Get("nameid") != "me" {
				t.Errorf("token of %s: %s", token.Get("nameid"), diff)
			}
			if _, err := r.take(step{conn: name, body: recorded[0].body}); err != nil {
				t.Error(err)
			}
			l.Write(2, recorded[1].body)
		}
	}
	if len(cids) != 20 {
		t.Errorf("%d different cids", len(cids))
	}
	select {
	case <-r.app.Connected():
	case <-time.After(patience):
		t.Error("not connected")
	}
	if up, wanted := r.app.Links(); up != 20 || wanted != 20 {
		t.Errorf("%d of %d links are up", up, wanted)
	}
}

// TestRefusedHandshakes plays what a service may say instead of a good
// HandshakeResponse. The recorded application had one link for each hub.
func TestRefusedHandshakes(t *testing.T) {
	for _, name := range []string{"handshake-refused", "handshake-after-ping", "handshake-silent"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplay(t, legacy.Options{}, 1, fast, time.Second)
			if err := r.play(readTranscript(t, name)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHandshakeShort is the scenario handshake-short: the shortest response.
func TestHandshakeShort(t *testing.T) {
	r := newReplay(t, legacy.Options{}, 1, 1, time.Second)
	name, err := r.next("legacyapp_legacyapp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.take(step{conn: name, body: handshake}); err != nil {
		t.Fatal(err)
	}
	r.accepts(name)
	if err := r.play(readTranscript(t, "handshake-short")); err != nil {
		t.Error(err)
	}
}

// TestUpgradeRefused is the scenario upgrade-refused: the second attempt comes at
// once, the next after one, two, four … units.
func TestUpgradeRefused(t *testing.T) {
	const unit = time.Second / fast
	at := make(chan time.Time, 64)
	r := newReplayOf(t, legacy.Options{}, 1, fast, time.Second, func(s *stubservice.Service) {
		s.Refuse.Store(http.StatusForbidden)
		s.Refused = func(r *http.Request) {
			if r.URL.Query().Get("hub") == chatHub {
				at <- time.Now()
			}
		}
	})
	var last time.Time
	for i, least := range []time.Duration{0, 0, unit, 2 * unit, 4 * unit} {
		select {
		case now := <-at:
			if gap := now.Sub(last); i > 0 && gap < least {
				t.Errorf("attempt %d comes %v after the last, want %v", i+1, gap, least)
			}
			last = now
		case <-time.After(patience):
			t.Fatalf("no attempt %d", i+1)
		}
	}
	if up, _ := r.app.Links(); up != 0 {
		t.Errorf("%d links are up", up)
	}
}

// TestServiceSilent is the scenario service-silent: the app drops a link on which
// it hears nothing, and comes back.
func TestServiceSilent(t *testing.T) {
	r := newReplay(t, legacy.Options{}, 1, fast, time.Second)
	r.shake(t, 1)
	began := time.Now()
	l := r.links[chatHub+"#0"]
	select {
	case status := <-l.Closed:
		if took := time.Since(began); status != 1000 || took < 28*time.Second/fast {
			t.Errorf("closed with %d after %v", status, took)
		}
	case <-time.After(patience):
		t.Fatal("it stays")
	}
	l.Closed <- 1000 // for others who ask
	if _, err := r.take(step{conn: chatHub + "#1", body: handshake}); err != nil {
		t.Error(err)
	}
}

// TestKeepAlive is the scenario keep-alive: the app pings only because bytes
// came, and asks for the status once for each container.
func TestKeepAlive(t *testing.T) {
	r := newReplay(t, legacy.Options{}, 2, fast, time.Second)
	r.shake(t, 2)
	n := r.lane(chatHub)
	tick := time.NewTicker(3 * time.Second / fast) // the service's clock
	defer tick.Stop()
	l := r.links[chatHub+"#0"]
	pings, status := 0, 0
	for sent := 0; pings < 2 || status < 1; {
		select {
		case <-tick.C:
			if sent++; sent > 100 {
				t.Fatalf("%d pings and %d status pings after %d pings of the service", pings, status, sent)
			}
			l.Send(&serviceproto.Ping{})
		case h := <-n.frames:
			p, ok := stubservice.Decode(t, h.body).(*serviceproto.Ping)
			switch {
			case ok && len(p.Words) == 0 && h.link == l && sent > 1: // the first comes too soon after the handshake
				pings++
			case ok && cmp.Equal(p.Words, []string{"status", "1"}):
				status++
			default:
				t.Fatalf("the app says %q after %d pings of the service", h.body, sent)
			}
		}
	}
}
