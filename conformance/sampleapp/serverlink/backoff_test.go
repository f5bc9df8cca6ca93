package serverlink_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalrelay/signalrelay/conformance/sampleapp/serverlink"
)

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serverlink.NewBackoff()
		var mu sync.Mutex
		var tries []float64
		began := time.Now()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				err := b.Do(t.Context(), func() error {
					defer time.Sleep(time.Millisecond) // an attempt takes a while
					mu.Lock()
					defer mu.Unlock()
					tries = append(tries, math.Floor(time.Since(began).Seconds()))
					if len(tries) < 10 {
						return errors.New("no")
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		// Both try at once, then one probes after 1, 2, 4 … seconds and up to one
		// more each; with the success the other tries too.
		least := []float64{0, 0, 1, 3, 7, 15, 31, 63, 123, 183, 183}
		if len(tries) != len(least) {
			t.Fatalf("tries at %v", tries)
		}
		for i, at := range tries {
			if at < least[i] || at > least[i]+float64(max(i-1, 0)) {
				t.Errorf("try %d at %v s, want %v or up to %d more", i, at, least[i], max(i-1, 0))
			}
		}
		if tries[9] != tries[10] {
			t.Errorf("the second tries at %v, the probe succeeded at %v", tries[10], tries[9])
		}
	})
	b := serverlink.NewBackoff()
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Do(ctx, func() error { cancel(); return errors.New("no") }); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestEagerBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serverlink.NewEagerBackoff()
		var tries []float64
		began := time.Now()
		err := b.Do(t.Context(), func() error {
			tries = append(tries, math.Floor(time.Since(began).Seconds()))
			if len(tries) < 5 {
				return errors.New("no")
			}
			return nil
		})
		// At once, at once again, then after 1, 2, 4 seconds and up to one more each.
		for i, least := range []float64{0, 0, 1, 3, 7} {
			if err != nil || len(tries) != 5 || tries[i] < least || tries[i] > least+float64(max(i-1, 0)) {
				t.Fatalf("tries at %v, %v", tries, err)
			}
		}
	})
}
