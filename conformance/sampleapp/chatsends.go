package sampleapp

import (
	"context"
	"fmt"
	"time"
)

// sends are the methods that send to clients or change groups.
func (h *chatHub) sends() map[string]*method {
	return map[string]*method{
		"SendAll":    call1(func(k *call, m *string) (any, error) { return nil, k.sender().all(nil, "message", m) }),
		"SendOthers": call1(func(k *call, m *string) (any, error) { return nil, k.sender().all([]string{k.c.id}, "message", m) }),
		"SendCaller": call1(func(k *call, m *string) (any, error) { return nil, k.sender().client(k.c.id, "message", m) }),
		"SendClient": call2(func(k *call, id string, m *string) (any, error) { return nil, k.sender().client(id, "message", m) }),
		"SendClients": call2(func(k *call, ids []string, m *string) (any, error) {
			return nil, k.sender().clients(ids, "message", m)
		}),
		"SendAllExcept": call2(func(k *call, ids []string, m *string) (any, error) {
			return nil, k.sender().all(ids, "message", m)
		}),
		"SendUser": call2(func(k *call, user string, m *string) (any, error) { return nil, k.sender().user(user, "message", m) }),
		"SendUsers": call2(func(k *call, users []string, m *string) (any, error) {
			return nil, k.sender().users(users, "message", m)
		}),
		"Join":      waiting(call1(func(k *call, g string) (any, error) { return nil, k.sender().join(k.ctx, k.c.id, g) })),
		"JoinOther": waiting(call2(func(k *call, id, g string) (any, error) { return nil, k.sender().join(k.ctx, id, g) })),
		"Leave":     waiting(call1(func(k *call, g string) (any, error) { return nil, k.sender().leave(k.ctx, k.c.id, g) })),
		"SendGroup": call2(func(k *call, g string, m *string) (any, error) { return nil, k.sender().group(g, nil, "message", m) }),
		"SendGroups": call2(func(k *call, groups []string, m *string) (any, error) {
			return nil, k.sender().groups(groups, "message", m)
		}),
		"SendOthersInGroup": call2(func(k *call, g string, m *string) (any, error) {
			return nil, k.sender().group(g, []string{k.c.id}, "message", m)
		}),
		"SendGroupExcept": call3(func(k *call, g string, ids []string, m *string) (any, error) {
			return nil, k.sender().group(g, ids, "message", m)
		}),
		"Burst": waiting(call1(burst)),
		"Tick":  call2(tick),
		"Ask": waiting(call2(func(k *call, id, q string) (any, error) {
			a, err := h.ask(k.ctx, k.sender(), id, q)
			if err != nil {
				return "error: " + err.Error(), nil
			}
			return a, nil
		})),
	}
}

// ask has a client answer a question.
func (h *chatHub) ask(ctx context.Context, s sender, id, q string) (a *string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = s.ask(ctx, id, &a, "question", q)
	return a, err
}

// burst sends n messages as fast as they are taken.
func burst(k *call, n int) (any, error) {
	for i := range n {
		if err := k.ctx.Err(); err != nil {
			return nil, err
		}
		if err := k.sender().client(k.c.id, "message", fmt.Sprintf("b%d", i)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// tick returns at once; then n messages follow, one every delay milliseconds.
func tick(k *call, n, delay int) (any, error) {
	k.c.hub.app.work.Go(func() { // ends with its client at the latest
		every := time.NewTicker(max(time.Duration(delay)*time.Millisecond, 1))
		defer every.Stop()
		for i := range n {
			if k.sender().client(k.c.id, "message", fmt.Sprintf("t%d", i)) != nil {
				return
			}
			select {
			case <-every.C:
			case <-k.c.ctx.Done():
				return
			}
		}
	})
	return nil, nil
}
