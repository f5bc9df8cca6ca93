package sampleapp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/signalrelay/signalrelay/conformance/hubproto"
	"github.com/signalrelay/signalrelay/conformance/sampleapp/principal"
)

// values are the methods that answer with a value.
func (h *chatHub) values() map[string]*method {
	return map[string]*method{
		"Echo":   call1(func(_ *call, s *string) (any, error) { return s, nil }),
		"Add":    call2(func(_ *call, a, b int) (any, error) { return a + b, nil }),
		"Mirror": call1(mirror),
		"Same":   call1(func(_ *call, t hubproto.Raw) (any, error) { return t, nil }),
		"Backwards": call1(func(_ *call, b []byte) (any, error) {
			slices.Reverse(b)
			return b, nil
		}),
		"Nothing": call0(func(*call) (any, error) { return nil, nil }),
		"Fail":    call0(func(*call) (any, error) { return nil, hubError("told you so") }),
		"Crash":   call0(func(*call) (any, error) { return nil, errors.New("secret detail") }),
		"Big":     call1(big),
		// .NET counts UTF-16 units.
		"Length":        call1(func(_ *call, s string) (any, error) { return utf16Length(s), nil }),
		"MyId":          call0(func(k *call) (any, error) { return k.c.id, nil }),
		"MyUser":        call0(func(k *call) (any, error) { return k.c.who.User, nil }),
		"MyName":        call0(func(k *call) (any, error) { return k.c.who.Name(), nil }),
		"Claim":         call1(func(k *call, kind string) (any, error) { return k.c.who.Claim(kind), nil }),
		"InRole":        call1(func(k *call, role string) (any, error) { return k.c.who.InRole(role), nil }),
		"Authenticated": call0(func(k *call) (any, error) { return len(k.c.who.Claims) > 0, nil }),
		"Query":         call1(func(k *call, key string) (any, error) { return principal.QueryValue(k.c.query, key), nil }),
		"Header": call1(func(k *call, name string) (any, error) {
			for _, header := range k.c.headers {
				if strings.EqualFold(header.Name, name) {
					return strings.Join(header.Values, ","), nil
				}
			}
			return nil, nil
		}),
		"Path": call0(func(k *call) (any, error) { return text(principal.QueryValue(k.c.query, "asrs.op")), nil }),
		"Abort": call0(func(k *call) (any, error) {
			k.c.abort()
			return nil, nil
		}),
		"Collect": call1(func(k *call, i int) (any, error) {
			k.c.bag.add(i)
			return nil, nil
		}),
		"Collected": call0(func(k *call) (any, error) { return k.c.bag.all(), nil }),
		"Streams":   call0(func(*call) (any, error) { return int(h.streamsEnded.Load()), nil }),
		"Stats":     call0(func(*call) (any, error) { return h.stats(), nil }),
	}
}

// mirror swaps the coordinates of a point.
func mirror(k *call, members map[string]hubproto.Raw) (any, error) {
	if members == nil {
		return nil, errors.New("no point")
	}
	var x, y int
	var label *string
	for name, raw := range members {
		var err error
		switch strings.ToLower(name) {
		case "x":
			err = k.c.protocol().Bind(raw, &x)
		case "y":
			err = k.c.protocol().Bind(raw, &y)
		case "label":
			err = k.c.protocol().Bind(raw, &label)
		}
		if err != nil {
			return nil, err
		}
	}
	return hubproto.Object{{Name: "X", Value: y}, {Name: "Y", Value: x}, {Name: "Label", Value: label}}, nil
}

// maxBig is the longest text that Big makes, in bytes.
const maxBig = 64 << 20

func big(_ *call, n int) (any, error) {
	if n < 0 || n > maxBig {
		return nil, fmt.Errorf("%d bytes are out of range", n)
	}
	return strings.Repeat("z", n), nil
}

func utf16Length(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// bag keeps numbers for one client.
type bag struct {
	mu      sync.Mutex
	numbers []int
}

func (b *bag) add(i int) {
	b.mu.Lock()
	b.numbers = append(b.numbers, i)
	b.mu.Unlock()
}

func (b *bag) all() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int{}, b.numbers...)
}

// text is a string that may be null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
