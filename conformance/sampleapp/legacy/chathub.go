package legacy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf16"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
)

// progressEvery is the time between two reports of Progress, so that a long poll
// can fetch each: scripts drop those that come after the result.
const progressEvery = 50 * time.Millisecond

// maxBig is the longest text that Big answers with, in bytes.
const maxBig = 64 << 20

// chatHub has every feature of a hub that a client can see. What its methods do
// is the contract of the batteries that run against it; they call message.
type chatHub struct {
	*hub
	connects, disconnects, reconnects atomic.Int64
}

func newChatHub() *chatHub {
	c := &chatHub{}
	var all []*method
	for _, some := range [][]*method{c.values(), c.facts(), c.sends(), c.groupSends()} {
		all = append(all, some...)
	}
	c.hub = newHub("chatHub", all...)
	count := func(n *atomic.Int64) event {
		return func(*call) error { n.Add(1); return nil }
	}
	c.connected, c.reconnected, c.disconnected = count(&c.connects), count(&c.reconnects), count(&c.disconnects)
	return c
}

// stats are how often clients came, went and came back.
func (c *chatHub) stats() string {
	return fmt.Sprintf("%d %d %d", c.connects.Load(), c.disconnects.Load(), c.reconnects.Load())
}

// values are the methods that answer with a value.
func (c *chatHub) values() []*method {
	return []*method{
		call1("Echo", func(_ *call, s *string) (any, error) { return nullable(s), nil }),
		call2("Add", func(_ *call, a, b int) (any, error) { return a + b, nil }),
		call1("Mirror", func(_ *call, o json.RawMessage) (any, error) { return o, nil }),
		call0("Nothing", func(*call) (any, error) { return nil, nil }),
		call0("Fail", func(*call) (any, error) {
			return nil, &hubException{"told you so", struct {
				Code   int    `json:"code"`
				Reason string `json:"reason"`
			}{42, "because"}}
		}),
		call0("Crash", func(*call) (any, error) { return nil, errors.New("secret detail") }),
		call1("Big", func(_ *call, n int) (any, error) {
			if n < 0 || n > maxBig {
				return nil, errors.New("length is out of range")
			}
			return strings.Repeat("z", n), nil
		}),
		call1("Length", func(_ *call, s *string) (any, error) {
			if s == nil {
				return nil, errors.New("null has no length")
			}
			return len(utf16.Encode([]rune(*s))), nil
		}),
		waiting(call1("Slow", func(k *call, ms int) (any, error) {
			if ms < 0 {
				return nil, errors.New("time is negative")
			}
			return fmt.Sprintf("slept %d", ms), k.sleep(time.Duration(ms) * time.Millisecond)
		})),
		call1("Overload", func(_ *call, a int) (any, error) { return a, nil }),
		call2("Overload", func(_ *call, a, b int) (any, error) { return a + b, nil }),
		waiting(call1("Progress", func(k *call, n int) (any, error) {
			for i := 1; i <= n; i++ {
				if err := k.report(i); err != nil {
					return nil, err
				}
				if err := k.sleep(progressEvery); err != nil {
					return nil, err
				}
			}
			return n, nil
		})),
		call1("GetState", func(k *call, key string) (any, error) { return k.get(key), nil }),
		call2("SetState", func(k *call, key string, v json.RawMessage) (any, error) {
			k.put(key, v)
			return nil, nil
		}),
		call0("Stats", func(*call) (any, error) { return c.stats(), nil }),
	}
}

// facts are the methods that tell about the connection.
func (c *chatHub) facts() []*method {
	return []*method{
		call0("MyId", func(k *call) (any, error) { return k.c.id, nil }),
		call0("MyUser", func(k *call) (any, error) { return nullable(k.c.who.Name()), nil }),
		call1("Query", func(k *call, key string) (any, error) { return nullable(principal.QueryValue(k.c.query, key)), nil }),
		call1("Header", func(k *call, key string) (any, error) {
			for _, h := range k.c.headers {
				if strings.EqualFold(h.Name, key) {
					return strings.Join(h.Values, ","), nil
				}
			}
			return nil, nil
		}),
		call1("Cookie", func(k *call, name string) (any, error) {
			for _, c := range k.c.cookies() {
				if c.Name == name {
					return c.Value, nil
				}
			}
			return nil, nil
		}),
	}
}

// sends are the methods that send to connections and users.
func (c *chatHub) sends() []*method {
	return []*method{
		call1("SendAll", func(k *call, m *string) (any, error) { return nil, k.sender().all(nil, "message", m) }),
		call1("SendCaller", func(k *call, m *string) (any, error) { return nil, k.caller("message", m) }),
		call1("SendOthers", func(k *call, m *string) (any, error) { return nil, k.others("message", m) }),
		call2("SendClient", func(k *call, id string, m *string) (any, error) { return nil, k.sender().client(id, "message", m) }),
		call2("SendClients", func(k *call, ids []string, m *string) (any, error) {
			return nil, k.sender().clients(ids, "message", m)
		}),
		call2("SendAllExcept", func(k *call, ids []string, m *string) (any, error) {
			return nil, k.sender().all(ids, "message", m)
		}),
		call2("SendUser", func(k *call, u string, m *string) (any, error) { return nil, k.sender().user(u, "message", m) }),
		call2("SendUsers", func(k *call, us []string, m *string) (any, error) { return nil, k.sender().users(us, "message", m) }),
	}
}

// groupSends are the methods that change groups and send to them.
func (c *chatHub) groupSends() []*method {
	return []*method{
		waiting(call1("Join", func(k *call, g string) (any, error) { return nil, k.sender().join(k.c.id, g) })),
		waiting(call2("JoinOther", func(k *call, id, g string) (any, error) { return nil, k.sender().join(id, g) })),
		waiting(call1("Leave", func(k *call, g string) (any, error) { return nil, k.sender().leave(k.c.id, g) })),
		call2("SendGroup", func(k *call, g string, m *string) (any, error) { return nil, k.sender().group(g, nil, "message", m) }),
		call2("SendGroups", func(k *call, gs []string, m *string) (any, error) {
			return nil, k.sender().groups(gs, "message", m)
		}),
		call2("SendOthersInGroup", func(k *call, g string, m *string) (any, error) {
			return nil, k.sender().group(g, []string{k.c.id}, "message", m)
		}),
		call3("SendGroupExcept", func(k *call, g string, ids []string, m *string) (any, error) {
			return nil, k.sender().group(g, ids, "message", m)
		}),
	}
}

// nullable makes nil of a text that is not there, so that an answer leaves it
// out.
func nullable(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

// sleep waits, but no longer than the app lives.
func (k *call) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-k.c.app.life.Done():
		return k.c.app.life.Err()
	}
}
