package aspnet_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/aspnet"
	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/relay/auth"
)

const (
	primary   = "the primary key, thirty-two bytes"
	secondary = "the secondary key, no less of them"
)

// newNode returns a node with these access keys.
func newNode(t *testing.T, keys ...string) *aspnet.Node {
	return configured(t, aspnet.Options{InstanceID: "node"}, keys...)
}

func configured(t *testing.T, o aspnet.Options, keys ...string) *aspnet.Node {
	t.Helper()
	var err error
	if o.Keys, err = auth.NewKeys(keys...); err != nil {
		t.Fatal(err)
	}
	n := aspnet.NewNode(relay.New(), o)
	t.Cleanup(n.Close)
	return n
}

// A token reads as it was made.
func TestTokens(t *testing.T) {
	tokens := newNode(t, primary).Tokens
	for _, c := range []struct {
		name, scope, user string
		flags             byte
		made              time.Time
	}{
		{"plain", "chat", "ann", 0, time.Unix(1_700_000_000, 0)},
		{"anonymous", "chat", "", 1, time.Unix(1_700_000_000, 0)},
		{"no scope", "", "ann", 0x80, time.Unix(1_700_000_000, 0)},
		{"all flags", "aspnet app_app", "ann", 0xff, time.Unix(1_700_000_000, 0)},
		{"a name of any bytes", "\x00", "\xff\x00\n", 2, time.Unix(0, 0)},
		{"long names", strings.Repeat("s", 1<<16), strings.Repeat("u", 1<<16), 3, time.Unix(math.MaxUint32, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := tokens.Make(c.scope, c.user, c.flags, c.made)
			if made.Flags != c.flags || !made.Made.Equal(c.made) || made.ID == [16]byte{} {
				t.Errorf("made %+v", made)
			}
			if got, err := tokens.Read(made.Text, c.scope, c.user); err != nil || got != made {
				t.Errorf("read %+v, %v, want %+v", got, err, made)
			}
			if len(made.Text) != 52 || strings.Trim(made.Text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Errorf("%q must be escaped in a query", made.Text)
			}
			if _, err := tokens.Read(made.Text, c.scope+"x", c.user); !errors.Is(err, aspnet.ErrToken) {
				t.Errorf("other scope: %v", err)
			}
			if _, err := tokens.Read(made.Text, c.scope, c.user+"x"); !errors.Is(err, aspnet.ErrUser) {
				t.Errorf("other user: %v", err)
			}
			if _, err := tokens.Read(made.Text, c.scope+"x", c.user+"x"); !errors.Is(err, aspnet.ErrToken) {
				t.Errorf("other scope and user: %v", err)
			}
		})
	}
}

// No token passes that was not made so.
func TestTokensRefused(t *testing.T) {
	tokens := newNode(t, primary).Tokens
	now := time.Unix(1_700_000_000, 0)
	good := tokens.Make("chat", "ann", 1, now).Text
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			b := append([]byte(nil), raw...)
			b[i] ^= 1 << bit
			if got, err := tokens.Read(base64.RawURLEncoding.EncodeToString(b), "chat", "ann"); !errors.Is(err, aspnet.ErrToken) || got != (aspnet.Token{}) {
				t.Errorf("bit %d of byte %d changed: %+v, %v", bit, i, got, err)
			}
		}
	}
	other := newNode(t, secondary).Tokens
	for name, text := range map[string]string{
		"empty": "", "cut": good[:51], "longer": good + "A", "padded": good[:51] + "=", "standard alphabet": good[:51] + "+",
		"line ends": good[:50] + "\r\n", "line ends in front": "\n\n\n\n" + good[4:], "blank": strings.Repeat(" ", 52), "zero": strings.Repeat("A", 52),
		"of another key": other.Make("chat", "ann", 1, now).Text,
		// Head of one, user and MAC of another.
		"of two halves": good[:32] + tokens.Make("chat", "ann", 1, now).Text[32:],
	} {
		if _, err := tokens.Read(text, "chat", "ann"); !errors.Is(err, aspnet.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Tokens are read wherever one of the access keys is known, whatever the node.
func TestTokensOfOtherNodes(t *testing.T) {
	for _, c := range []struct {
		name  string
		makes []string
		reads []string
		ok    bool
	}{
		{"same keys", []string{primary, secondary}, []string{primary, secondary}, true},
		{"rotated", []string{primary, secondary}, []string{secondary, primary}, true},
		{"the old key is the second", []string{primary}, []string{secondary, primary}, true},
		{"the old key is gone", []string{primary}, []string{secondary}, false},
		{"the second key signs nothing", []string{primary, secondary}, []string{secondary}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := newNode(t, c.makes...).Tokens.Make("chat", "ann", 1, time.Unix(1_700_000_000, 0))
			tokens := configured(t, aspnet.Options{InstanceID: "another"}, c.reads...).Tokens
			got, err := tokens.Read(made.Text, "chat", "ann")
			if c.ok && (err != nil || got != made) || !c.ok && !errors.Is(err, aspnet.ErrToken) {
				t.Errorf("read %+v, %v", got, err)
			}
			if _, err := tokens.Read(made.Text, "chat", "eve"); c.ok && !errors.Is(err, aspnet.ErrUser) {
				t.Errorf("other user: %v", err)
			}
		})
	}
}

// Every connection has an id of its own.
func TestTokensDiffer(t *testing.T) {
	tokens := newNode(t, primary).Tokens
	now := time.Now()
	ids := map[[16]byte]bool{}
	for range 10_000 {
		ids[tokens.Make("chat", "", 0, now).ID] = true
	}
	if len(ids) != 10_000 {
		t.Errorf("%d ids of 10,000", len(ids))
	}
}
