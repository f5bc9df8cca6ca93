package sampleapp

import (
	"time"
)

// streams are the methods that take or give streams.
func (h *chatHub) streams() map[string]*method {
	return map[string]*method{
		"Counter": streaming(call2(h.counter)),
		"CounterFail": streaming(call1(func(k *call, after int) (any, error) {
			for i := range after {
				if err := k.emit(i); err != nil {
					return nil, err
				}
			}
			return nil, hubError("stream broke")
		})),
		"Sum": uploading(1, call0(func(k *call) (any, error) {
			sum := 0
			err := each(k, func(i int) error {
				sum += i
				return nil
			})
			return sum, err
		})),
		"Relay": uploading(1, call0(func(k *call) (any, error) {
			n := 0
			err := each(k, func(m *string) error {
				n++
				return k.sender().client(k.c.id, "message", m)
			})
			return n, err
		})),
		"Double": streaming(uploading(1, call0(func(k *call) (any, error) {
			defer h.streamsEnded.Add(1)
			return nil, each(k, func(i int) error { return k.emit(2 * i) })
		}))),
	}
}

func (h *chatHub) counter(k *call, count, delay int) (any, error) {
	defer h.streamsEnded.Add(1)
	for i := range count {
		if err := k.emit(i); err != nil {
			return nil, err
		}
		if delay > 0 {
			select {
			case <-time.After(time.Duration(delay) * time.Millisecond):
			case <-k.ctx.Done():
				return nil, k.ctx.Err()
			}
		}
	}
	return nil, nil
}

// each calls f for every item of the call's only upload.
func each[T any](k *call, f func(T) error) error {
	for {
		var item T
		ok, err := k.next(k.uploads[0], &item)
		if !ok || err != nil {
			return err
		}
		if err := f(item); err != nil {
			return err
		}
	}
}
